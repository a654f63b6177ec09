//! The machine that something was measured on.

/// One line of what the machine is, as far as it matters for numbers, and nothing by which it could
/// be found.
pub fn described() -> String {
    let about = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
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
