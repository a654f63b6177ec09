//! What the system says of this process.

use std::fs::{read_dir, read_to_string};

/// Memory of this process that is in use now, in bytes.
pub(crate) fn resident() -> u64 {
    of_status("VmRSS:")
}

/// The most memory that this process ever had, in bytes.
pub(crate) fn peak() -> u64 {
    of_status("VmHWM:")
}

fn of_status(field: &str) -> u64 {
    let status = read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kilobytes.unwrap_or(0_u64) * 1024
}

/// Files that this process has open.
pub(crate) fn open_files() -> usize {
    read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// The children of this process, and how many of them have ended without being reaped.
pub(crate) fn children() -> (usize, usize) {
    let own = std::process::id().to_string();
    let (mut all, mut zombies) = (0, 0);
    for entry in read_dir("/proc").into_iter().flatten().flatten() {
        let stat = read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name may hold anything; it ends at the last parenthesis.
        let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let (state, parent) = (fields.next(), fields.next());
        if parent == Some(own.as_str()) {
            all += 1;
            zombies += usize::from(state == Some("Z"));
        }
    }
    (all, zombies)
}
