//! The instructions of a call, which valgrind counts: they are the same on a busy machine.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use mcp_harness::process::{Pinning, succeeds};

use crate::measure::Sample;
use crate::process::client;

/// Calls before those whose instructions are counted.
const UNCOUNTED: u64 = 100;

/// Whether they can be counted.
pub(crate) fn can_be_counted() -> bool {
    succeeds(Command::new("valgrind").arg("--version"))
}

/// Counts the instructions of a call of the workload `calls`: what more calls add.
pub(crate) fn count(
    pinning: Pinning,
    program: &Path,
    contender: &str,
    address: &str,
    calls: u64,
) -> Result<Sample> {
    let run = |calls: u64| -> Result<f64> {
        let mut command = client(pinning, Path::new("valgrind"));
        command.args(["--tool=cachegrind", "--cache-sim=no", "--log-fd=2"]);
        command.arg("--cachegrind-out-file=/dev/null").arg(program);
        command.args(["cell", "calls", contender, address, &calls.to_string()]);
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{contender} failed: {said}");
        counted(&said).context("valgrind counted nothing")
    };
    let instructions = run(UNCOUNTED + calls)? - run(UNCOUNTED)?;
    Ok(Sample {
        instructions: instructions / calls.max(1) as f64,
        ..Sample::default()
    })
}

/// The number of `==123== I refs:        1,234,567`.
fn counted(said: &str) -> Option<f64> {
    let count = said.lines().find_map(|line| line.split_once("refs:"))?.1;
    count.replace([',', ' '], "").parse().ok()
}

#[test]
fn the_count_is_read_without_its_commas() {
    let said = "==1== Cachegrind\n==1== \n==1== I refs:        1,234,567\n";
    assert_eq!(counted(said), Some(1_234_567.0));
    assert_eq!(counted("==1== killed"), None);
}
