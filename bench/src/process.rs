//! The server and the cells as processes.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use mcp_harness::process::{Pinning, Server, output, this_program};

use crate::measure::Sample;

/// The C library gives memory back to the system behind a large list and asks for it again for the
/// next one, which would be most of what is measured. Nobody does here.
const KEEPS_MEMORY: [(&str, &str); 3] = [
    ("MALLOC_TRIM_THRESHOLD_", "268435456"),
    ("MALLOC_MMAP_THRESHOLD_", "268435456"),
    ("MALLOC_TOP_PAD_", "268435456"),
];

/// The server: this program, on its core.
pub(crate) fn server(pinning: Pinning) -> Result<Server> {
    let mut command = pinning.server(&this_program()?);
    Server::start(command.envs(KEEPS_MEMORY).arg("serve"))
}

/// A program on the clients' core.
pub(crate) fn client(pinning: Pinning, program: &Path) -> Command {
    let mut command = pinning.client(program);
    command.envs(KEEPS_MEMORY);
    command
}

/// Runs one cell of a program like this one to its end.
pub(crate) fn cell(
    pinning: Pinning,
    program: &Path,
    workload: &str,
    contender: &str,
    address: &str,
    calls: u64,
) -> Result<Sample> {
    let mut command = client(pinning, program);
    command.args(["cell", workload, contender, address, &calls.to_string()]);
    sample(&mut command, &format!("{workload} by {contender}"))
}

/// Runs a program that prints its sample.
pub(crate) fn sample(command: &mut Command, what: &str) -> Result<Sample> {
    let said = output(command, what)?;
    serde_json::from_slice(&said).with_context(|| format!("{what} gave no sample"))
}
