//! What the system says of this process, and of the machine as far as it matters for numbers.

use std::fs::{read_dir, read_to_string};

/// One line of what the machine is, and nothing by which it could be found.
pub(crate) fn described() -> String {
    let about = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = about.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim())
    };
    let is_virtual =
        field("flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor"));
    format!(
        "{} cores ({}, {}{}), {}",
        std::thread::available_parallelism().map_or(0, usize::from),
        field("model name").unwrap_or("unknown"),
        std::env::consts::ARCH,
        if is_virtual {
            ", a virtual machine"
        } else {
            ""
        },
        std::env::consts::OS,
    )
}

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
