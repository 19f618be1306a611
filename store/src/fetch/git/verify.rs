//! Signatures of commits, checked against SSH keys that the user names.

use std::io::Write;

use serde_json::Value as Json;

use super::command::{Git, GitError};
use super::repo::Repo;

/// A key that may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// `ssh-ed25519` and so on.
    pub kind: String,
    /// Base-64.
    pub key: String,
}

/// Kinds of keys, with OpenSSH's own names for them.
const KINDS: &[(&str, &str)] = &[
    ("ssh-dsa", "ssh-dsa"),
    ("ssh-ecdsa", "ssh-ecdsa"),
    ("ssh-ecdsa-sk", "sk-ecdsa-sha2-nistp256@openssh.com"),
    ("ssh-ed25519", "ssh-ed25519"),
    ("ssh-ed25519-sk", "sk-ssh-ed25519@openssh.com"),
    ("ssh-rsa", "ssh-rsa"),
];

/// Reads the JSON list of `{type, key}` that the attribute `publicKeys` holds.
pub fn parse_public_keys(text: &str) -> Option<Vec<PublicKey>> {
    let json: Json = serde_json::from_str(text).ok()?;
    json.as_array()?
        .iter()
        .map(|entry| {
            let kind = entry
                .get("type")
                .map_or(Some("ssh-ed25519"), Json::as_str)?;
            Some(PublicKey {
                kind: kind.to_owned(),
                key: entry.get("key")?.as_str()?.to_owned(),
            })
        })
        .collect()
}

/// Fails unless one of the keys has signed the commit.
pub fn verify_commit(repo: &Repo, revision: &str, keys: &[PublicKey]) -> Result<(), GitError> {
    let mut signers = String::new();
    let mut fingerprints = Vec::new();
    for key in keys {
        let Some((_, name)) = KINDS.iter().find(|(kind, _)| *kind == key.kind) else {
            let known: String = KINDS
                .iter()
                .map(|(kind, _)| format!("  {kind}\n"))
                .collect();
            return Err(GitError::Refused(format!(
                "Invalid SSH key type '{}' in publicKeys.\nPlease use one of:\n{known}",
                key.kind
            )));
        };
        if key.key.contains(char::is_whitespace) {
            return Err(GitError::Refused(format!(
                "public key '{}' used for git signature is no base-64",
                key.key
            )));
        }
        let raw = crate::hash::decode_base64(key.key.as_bytes()).ok_or_else(|| {
            GitError::Refused(format!(
                "public key '{}' used for git signature is no base-64",
                key.key
            ))
        })?;
        let digest = crate::hash::Hash::of(crate::hash::Algorithm::Sha256, &raw);
        fingerprints.push(
            digest
                .format(crate::hash::Format::Base64, false)
                .trim_end_matches('=')
                .to_owned(),
        );
        signers.push_str(&format!("* {name} {}\n", key.key));
    }
    let mut file = tempfile::NamedTempFile::new().map_err(GitError::Run)?;
    file.write_all(signers.as_bytes()).map_err(GitError::Run)?;
    // The programs that check signatures must be the system's, not the repository's.
    let programs = [
        (String::from("gpg.ssh.program"), "ssh-keygen"),
        (String::from("gpg.program"), "gpg"),
        (String::from("gpg.openpgp.program"), "gpg"),
        (String::from("gpg.x509.program"), "gpgsm"),
        (String::from("gpg.ssh.revocationFile"), ""),
    ];
    let git: Git = repo.git().any_config(&programs);
    let output = git
        .config(&format!(
            "gpg.ssh.allowedSignersFile={}",
            file.path().display()
        ))
        .args(["verify-commit", revision])
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    // Success alone could come from a key in the user's own key ring.
    let signed_by = |fingerprint: &String| {
        text.lines().any(|line| {
            line.starts_with("Good \"git\" signature for * with ")
                && line.ends_with(&format!(" key SHA256:{fingerprint}"))
        })
    };
    if output.status.success() && fingerprints.iter().any(signed_by) {
        crate::progress::talkative(format_args!(
            "Signature verification on commit {revision} succeeded."
        ));
        return Ok(());
    }
    Err(GitError::Refused(format!(
        "Commit signature verification on commit {revision} failed: {text}"
    )))
}
