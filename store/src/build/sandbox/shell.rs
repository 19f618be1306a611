//! A `/bin/sh` for builders on a system that names none: a static shell if there is one, otherwise
//! the host's shell with exactly the libraries that it loads.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::BindMount;

/// Static shells that answer to the name `sh`.
const STATIC_SHELLS: [&str; 4] = [
    "/bin/busybox",
    "/usr/bin/busybox",
    "/bin/busybox.static",
    "/usr/lib/busybox/busybox",
];

/// What must be visible so that `/bin/sh` runs; nothing if the host has no shell either.
pub fn binds() -> Vec<BindMount> {
    for candidate in STATIC_SHELLS {
        if let Ok(image) = fs::read(candidate)
            && let Some(elf) = Elf::parse(&image)
            && elf.interpreter.is_none()
        {
            return vec![BindMount::read_only(
                resolve(Path::new(candidate)),
                "/bin/sh",
            )];
        }
    }
    let shell = resolve(Path::new("/bin/sh"));
    let Ok(image) = fs::read(&shell) else {
        return Vec::new();
    };
    let mut binds = vec![BindMount::read_only(shell.clone(), "/bin/sh")];
    let Some(elf) = Elf::parse(&image) else {
        return binds;
    };
    let mut shown = BTreeSet::new();
    let mut waiting: Vec<PathBuf> = elf.interpreter.iter().map(PathBuf::from).collect();
    waiting.extend(elf.libraries(&shell));
    while let Some(path) = waiting.pop() {
        if !shown.insert(path.clone()) {
            continue;
        }
        let real = resolve(&path);
        if let Ok(image) = fs::read(&real)
            && let Some(elf) = Elf::parse(&image)
        {
            waiting.extend(elf.libraries(&real));
            binds.push(BindMount::read_only(real, path));
        }
    }
    binds
}

fn resolve(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// What the dynamic loader would read of a program or library.
struct Elf {
    interpreter: Option<String>,
    needed: Vec<String>,
    search: Vec<String>,
    wide: bool,
}

impl Elf {
    /// Reads little-endian programs of 32 and 64 bits; anything else is not for us.
    fn parse(image: &[u8]) -> Option<Self> {
        const INTERPRETER: u64 = 3;
        const DYNAMIC: u64 = 2;
        let wide = match image.get(..6)? {
            [0x7f, b'E', b'L', b'F', 2, 1] => true,
            [0x7f, b'E', b'L', b'F', 1, 1] => false,
            _ => return None,
        };
        let word = if wide { 8 } else { 4 };
        let table = number(image, if wide { 32 } else { 28 }, word)?;
        let entry = number(image, if wide { 54 } else { 42 }, 2)?;
        let entries = number(image, if wide { 56 } else { 44 }, 2)?;
        let mut elf = Self {
            interpreter: None,
            needed: Vec::new(),
            search: Vec::new(),
            wide,
        };
        let mut loads = Vec::new();
        let mut dynamic = None;
        for i in 0..entries {
            let at = table.checked_add(i.checked_mul(entry)?)?;
            let field = |wide_at: u64, narrow_at: u64| {
                number(
                    image,
                    at.checked_add(if wide { wide_at } else { narrow_at })?,
                    word,
                )
            };
            let (offset, address, size) = (field(8, 4)?, field(16, 8)?, field(32, 16)?);
            match number(image, at, 4)? {
                1 => loads.push((address, size, offset)),
                DYNAMIC => dynamic = Some((offset, size)),
                INTERPRETER => elf.interpreter = Some(text(image, offset)?),
                _ => {}
            }
        }
        if let Some((offset, size)) = dynamic {
            elf.read_dynamic(image, offset, size, word, &loads)?;
        }
        Some(elf)
    }

    fn read_dynamic(
        &mut self,
        image: &[u8],
        offset: u64,
        size: u64,
        word: u64,
        loads: &[(u64, u64, u64)],
    ) -> Option<()> {
        const NEEDED: u64 = 1;
        const STRINGS: u64 = 5;
        const RPATH: u64 = 15;
        const RUNPATH: u64 = 29;
        let mut entries = Vec::new();
        for i in 0..size / (2 * word) {
            let at = offset.checked_add(i * 2 * word)?;
            entries.push((number(image, at, word)?, number(image, at + word, word)?));
        }
        let address = entries.iter().find(|(tag, _)| *tag == STRINGS)?.1;
        let strings = loads.iter().find_map(|&(start, size, offset)| {
            (address >= start && address - start < size).then(|| offset + (address - start))
        })?;
        for (tag, value) in entries {
            match tag {
                NEEDED => self.needed.push(text(image, strings.checked_add(value)?)?),
                RPATH | RUNPATH => self.search.extend(
                    text(image, strings.checked_add(value)?)?
                        .split(':')
                        .map(str::to_owned),
                ),
                _ => {}
            }
        }
        Some(())
    }

    /// Where the libraries are that a file of this kind at `path` needs.
    fn libraries(&self, path: &Path) -> Vec<PathBuf> {
        let origin = path.parent().unwrap_or(Path::new("/"));
        let origin = String::from_utf8_lossy(origin.as_os_str().as_bytes()).into_owned();
        let mut places: Vec<String> = self
            .search
            .iter()
            .map(|place| place.replace("$ORIGIN", &origin))
            .collect();
        let triplet = std::env::consts::ARCH;
        if self.wide {
            for root in ["/lib", "/usr/lib"] {
                places.push(format!("{root}/{triplet}-linux-gnu"));
                places.push(format!("{root}64"));
            }
        } else {
            for root in ["/lib", "/usr/lib"] {
                places.push(format!("{root}/i386-linux-gnu"));
                places.push(format!("{root}32"));
            }
        }
        places.extend(["/lib".to_owned(), "/usr/lib".to_owned()]);
        self.needed
            .iter()
            .filter_map(|name| {
                places
                    .iter()
                    .map(|place| Path::new(place).join(name))
                    .find(|candidate| candidate.exists())
            })
            .collect()
    }
}

fn number(image: &[u8], at: u64, size: u64) -> Option<u64> {
    let at = usize::try_from(at).ok()?;
    let bytes = image.get(at..at.checked_add(size as usize)?)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |value, byte| value << 8 | u64::from(*byte)),
    )
}

fn text(image: &[u8], at: u64) -> Option<String> {
    let rest = image.get(usize::try_from(at).ok()?..)?;
    let end = rest.iter().position(|&b| b == 0)?;
    String::from_utf8(rest[..end].to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_shell_is_found_with_what_it_loads() {
        let binds = binds();
        assert_eq!(binds[0].target, Path::new("/bin/sh"));
        let image = fs::read(&binds[0].source).unwrap();
        let elf = Elf::parse(&image).unwrap();
        assert_eq!(elf.interpreter.is_some(), binds.len() > 1);
    }

    #[test]
    fn damaged_programs_are_not_programs() {
        let image = fs::read("/bin/sh").unwrap();
        for length in [0, 5, 20, 63, 64, 100, 700] {
            let _ = Elf::parse(&image[..length.min(image.len())]);
        }
        let mut broken = image.clone();
        for at in 24..64.min(broken.len()) {
            broken[at] = 0xff;
        }
        let _ = Elf::parse(&broken);
    }
}
