//! "Did you mean": the names that look most like a wrong one.

/// Candidates farther away than this are no help.
const FARTHEST: usize = 2;
/// More candidates than this are no help either.
const MOST: usize = 5;

/// The names nearest to `wrong`, best first.
pub(crate) fn similar<'a>(wrong: &[u8], names: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    // All of a short name is not a typing mistake.
    let farthest = if wrong.len() < 3 { 1 } else { FARTHEST };
    let letters = letters_of(wrong);
    let mut found = names
        .filter(|name| name.len().abs_diff(wrong.len()) <= farthest)
        // A step changes at most which two letters there are. In a set of all packages, hardly a name gets beyond this.
        .filter(|name| (letters ^ letters_of(name)).count_ones() as usize <= 2 * farthest)
        .map(|name| (distance(wrong, name), name))
        .filter(|&(distance, _)| distance > 0 && distance <= farthest)
        .collect::<Vec<_>>();
    found.sort();
    found.truncate(MOST);
    found.into_iter().map(|(_, name)| name.to_vec()).collect()
}

/// Which bytes there are, as far as 64 bits can tell them apart.
fn letters_of(name: &[u8]) -> u64 {
    name.iter()
        .fold(0, |letters, byte| letters | 1 << (byte % 64))
}

/// How many bytes must be inserted, removed, replaced or swapped with their neighbour.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut rows = [
        vec![0; b.len() + 1],
        (0..=b.len()).collect::<Vec<_>>(),
        vec![0; b.len() + 1],
    ];
    for i in 1..=a.len() {
        rows[2][0] = i;
        for j in 1..=b.len() {
            let replace = rows[1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[1][j] + 1).min(rows[2][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[0][j - 2] + 1);
            }
            rows[2][j] = best;
        }
        rows.rotate_left(1);
    }
    rows[1][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_nearest_first() {
        let names = ["length", "lenght", "strength", "len"];
        let got = similar(b"lengt", names.iter().map(|n| n.as_bytes()));
        assert_eq!(
            got,
            [b"lenght".to_vec(), b"length".to_vec(), b"len".to_vec()]
        );
        assert!(similar(b"x", [b"x".as_slice()].into_iter()).is_empty());
    }
}
