//! Texts of a store path's shape that stand for output paths which are not known yet.

use crate::base32;
use crate::content_address::output_path_name;
use crate::hash::{compress20, sha256};
use crate::path::StorePath;

fn render(digest: [u8; 32]) -> String {
    format!("/{}", base32::encode(&digest))
}

/// What `builtins.placeholder` gives: a derivation's own output, inside its environment.
pub fn output_placeholder(output: &str) -> String {
    render(sha256(format!("nix-output:{output}").as_bytes()))
}

fn upstream(drv_path: &StorePath, output: &str) -> [u8; 32] {
    let name = drv_path
        .name()
        .strip_suffix(".drv")
        .unwrap_or(drv_path.name());
    let text = format!(
        "nix-upstream-output:{}:{}",
        drv_path.hash_part(),
        output_path_name(name, output)
    );
    sha256(text.as_bytes())
}

/// An output of a content-addressed derivation, in the environment of a derivation that uses it.
pub fn upstream_placeholder(drv_path: &StorePath, output: &str) -> String {
    render(upstream(drv_path, output))
}

/// An output of a derivation that is itself an output: `outputs` are the names from the known derivation onwards.
pub fn computed_output_placeholder(drv_path: &StorePath, outputs: &[&str]) -> Option<String> {
    let (first, rest) = outputs.split_first()?;
    let mut digest = upstream(drv_path, first);
    for output in rest {
        let inner = base32::encode(&compress20(&digest));
        digest = sha256(format!("nix-computed-output:{inner}:{output}").as_bytes());
    }
    Some(render(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_placeholder_of_out_is_the_well_known_one() {
        assert_eq!(
            output_placeholder("out"),
            "/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9"
        );
    }

    #[test]
    fn outputs_of_known_and_unknown_derivations_have_the_well_known_placeholders() {
        let drv = StorePath::parse("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv").unwrap();
        assert_eq!(
            upstream_placeholder(&drv, "out"),
            "/0c6rn30q4frawknapgwq386zq358m8r6msvywcvc89n6m5p2dgbz"
        );
        let dynamic = StorePath::parse("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv.drv").unwrap();
        assert_eq!(
            computed_output_placeholder(&dynamic, &["out", "out"]).unwrap(),
            "/0gn6agqxjyyalf0dpihgyf49xq5hqxgw100f0wydnj6yqrhqsb3w"
        );
    }
}
