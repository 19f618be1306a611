//! A flake as what is searched: the packages of the tree in the store that its reference leads to.
//!
//! The tree does not change, so that its index needs no look at inputs: another tree has another index.

use std::ffi::OsStr;
use std::path::Path;

use rx_store::fetch::flake_ref::{FlakeRef, ParseOptions};
use rx_store::fetch::registry::{self, Kind, Registry, Use, user_registry_path};
use rx_store::settings::Settings;

use super::roots::{Root, RootKind, default_roots};
use crate::cli::{EvalOptions, Invocation};
use crate::eval_session::{EvalSession, with_session};
use crate::installables::{
    LockOptions, Lookup, find_all, flake_outputs, flake_with_fragment, lock_flake,
};
use crate::ui::Failure;

/// What flake references begin with that are no paths.
const SCHEMES: [&str; 10] = [
    "flake",
    "path",
    "git",
    "github",
    "gitlab",
    "sourcehut",
    "hg",
    "tarball",
    "file",
    "indirect",
];

/// The packages of a flake, if the argument (REFERENCE or REFERENCE#ATTRIBUTE) is no regular expression but names one: by a
/// scheme, by a directory that has a `flake.nix`, or by a name that a registry of this machine knows.
pub fn flake_root(
    invocation: &Invocation,
    options: &EvalOptions,
    argument: &OsStr,
) -> Result<Option<Root>, Failure> {
    let Some(text) = argument.to_str() else {
        return Ok(None);
    };
    let place = text.split('#').next().unwrap_or_default();
    let has_scheme = place
        .split_once(':')
        .and_then(|(scheme, _)| scheme.split('+').next())
        .is_some_and(|scheme| SCHEMES.contains(&scheme));
    let is_path = place == "." || place == ".." || place.contains('/');
    let is_directory = is_path && Path::new(place).join("flake.nix").exists();
    let is_name = !is_path && !place.is_empty() && place.chars().all(is_of_a_name);
    if !has_scheme && !is_directory && !is_name {
        return Ok(None);
    }
    let settings = &invocation.settings;
    let is_known = has_scheme
        || is_directory
        || is_registered(settings, place)
        || (place == "nixpkgs" && default_roots(settings, &options.include).is_empty());
    if !is_known {
        return Ok(None);
    }
    let lookup = Lookup::packages(invocation);
    with_session(invocation, options, false, |session| {
        open(session, &lookup, text).map(Some)
    })
}

fn is_of_a_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_')
}

/// Whether a registry of this machine knows a name. Nothing is downloaded for the question: most first words of a search are
/// no names of flakes.
fn is_registered(settings: &Settings, name: &str) -> bool {
    let Ok(reference) = FlakeRef::parse(name, ParseOptions::default()) else {
        return false;
    };
    let system = settings.places.conf_dir.join("registry.json");
    let registries = [
        Registry::read(&user_registry_path(settings), Kind::User),
        Registry::read(&system, Kind::System),
    ];
    registry::lookup(&reference.input, &registries, Use::All).is_ok()
}

/// Fetches and locks a flake, and finds the attribute that is named.
fn open(session: &mut EvalSession, lookup: &Lookup, text: &str) -> Result<Root, Failure> {
    let (reference, fragment) = flake_with_fragment(session, text)?;
    let wish = LockOptions::default().wish(session)?;
    let locked = lock_flake(session, &reference, &wish)?;
    let attribute = if fragment.is_empty() {
        String::new()
    } else {
        let outputs = flake_outputs(session, &locked)?;
        let paths = lookup.attr_paths(&fragment);
        let found = find_all(&mut session.vm, outputs, &paths, &reference);
        session.check(found)?.swap_remove(0).attr_path
    };
    let tree = session.vm.ev.store_dir.print(&locked.flake.store_path);
    let mut url = format!("path:{}?", String::from_utf8_lossy(&tree));
    let exact = &locked.flake.locked;
    let known = exact.to_url()?.to_string();
    let kept = known.split_once('?').map_or("", |(_, query)| query);
    // What flakes tell of themselves stays, and that the tree is that one.
    for pair in kept.split('&') {
        let name = pair.split('=').next().unwrap_or_default();
        if ["narHash", "lastModified", "rev", "revCount", "dir"].contains(&name) {
            url += &format!("{pair}&");
        }
    }
    let url = url.trim_end_matches(['&', '?']);
    let is_of_packages = ["packages.", "legacyPackages."]
        .iter()
        .any(|set| attribute.starts_with(set));
    let text = if attribute.is_empty() || is_of_packages {
        packages_of(url, &session.vm.ev.settings.system)
    } else {
        format!("(builtins.getFlake \"{url}\").outputs")
    };
    Ok(Root {
        attribute: attribute.into_bytes(),
        ..Root::of(RootKind::Expression(text.into()))
    })
}

/// An expression for the packages of a flake for a system.
fn packages_of(url: &str, system: &str) -> String {
    format!(
        "let flake = builtins.getFlake \"{url}\";
             of = name: if flake ? ${{name}}.\"{system}\"
               then {{ ${{name}}.\"{system}\" = flake.${{name}}.\"{system}\"; }} else {{ }};
         in of \"packages\" // of \"legacyPackages\""
    )
}
