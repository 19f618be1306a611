//! What the kernel says about the machine.

/// Bytes of memory that the machine has.
pub fn memory() -> usize {
    kibibytes("/proc/meminfo", "MemTotal:").map_or(4 << 30, |kib| kib * 1024)
}

/// A number of a file of the kernel's that counts in kibibytes.
pub fn kibibytes(file: &str, name: &str) -> Option<usize> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
