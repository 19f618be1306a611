//! How well known a package is, as far as the other packages tell: how many of them name it.
//!
//! Nobody has counted who uses what, but plugins, themes, bindings and helpers say in their names and descriptions
//! what they are for. Only packages at the root take part: sets of libraries repeat common words as names.

use rustc_hash::FxHashMap;

use super::Index;

/// Points for each doubling of the number of packages that name it.
const DOUBLING: f64 = 12.0;
/// The most that there is.
const MOST: f64 = 150.0;

/// Notes with each package at the root how well known it is.
pub(super) fn note(index: &mut Index) {
    let mut known: FxHashMap<Vec<u8>, (usize, u32)> = FxHashMap::default();
    for (at, package) in index.numbered_packages() {
        let name = own_name(package.path);
        if index.is_at_root(at) && name.iter().all(u8::is_ascii_alphanumeric) {
            known.insert(name.to_ascii_lowercase(), (at, 0));
        }
    }
    let mut word = Vec::new();
    for (_, package) in index.numbered_packages() {
        let texts = [package.path, package.description];
        for piece in texts
            .iter()
            .flat_map(|text| text.split(|byte| !byte.is_ascii_alphanumeric()))
        {
            word.clear();
            word.extend(piece.iter().map(u8::to_ascii_lowercase));
            if let Some((_, count)) = known.get_mut(&word) {
                *count += 1;
            }
        }
    }
    for (at, count) in known.into_values() {
        // It names itself, too.
        let others = f64::from(count.max(1));
        index.set_popularity(at, (others.log2() * DOUBLING).min(MOST) as u8);
    }
}

fn own_name(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&byte| byte == b'.') {
        Some(dot) => &path[dot + 1..],
        None => path,
    }
}
