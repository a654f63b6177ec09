//! The machine, as far as it matters for the numbers, and nothing by which it could be found.

use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    cores: usize,
    processor: String,
    system: &'static str,
    architecture: &'static str,
    is_virtual: bool,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let about = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = about.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim())
        };
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: field("model name").unwrap_or("unknown").to_owned(),
            system: std::env::consts::OS,
            architecture: std::env::consts::ARCH,
            is_virtual: field("flags")
                .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
        }
    }

    /// One line of it.
    pub(crate) fn line(&self) -> String {
        format!(
            "{} cores ({}, {}{}), {}",
            self.cores,
            self.processor,
            self.architecture,
            if self.is_virtual {
                ", a virtual machine"
            } else {
                ""
            },
            self.system,
        )
    }
}
