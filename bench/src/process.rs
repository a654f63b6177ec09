//! Processes on cores of their own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::measure::Sample;

/// The server's core and the client's.
const CORES: [&str; 2] = ["0", "1"];

/// Whether processes can be held on a core each: else luck decides whether a call crosses cores.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pinning(bool);

impl Pinning {
    /// Looks for `taskset` and two cores.
    pub(crate) fn find() -> Self {
        let can = |core: &str| {
            let mut command = Command::new("taskset");
            command.args(["-c", core, "true"]);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        Self(CORES.into_iter().all(can))
    }

    pub(crate) fn is_there(self) -> bool {
        self.0
    }

    /// This program, on a core.
    fn command(self, core: &str) -> Result<Command> {
        Ok(self.on(core, &this_program()?))
    }

    /// A program on the clients' core.
    pub(crate) fn client(self, program: &Path) -> Command {
        let [_, core] = CORES;
        self.on(core, program)
    }

    fn on(self, core: &str, program: &Path) -> Command {
        let mut command = if self.0 {
            let mut command = Command::new("taskset");
            command.args(["-c", core]).arg(program);
            command
        } else {
            Command::new(program)
        };
        // The C library gives memory back to the system behind a large list and asks for it again
        // for the next one, which would be most of what is measured. Nobody does here.
        for setting in [
            "MALLOC_TRIM_THRESHOLD_",
            "MALLOC_MMAP_THRESHOLD_",
            "MALLOC_TOP_PAD_",
        ] {
            command.env(setting, "268435456");
        }
        command
    }

    /// Runs one cell of a program like this one to its end.
    pub(crate) fn cell(
        self,
        program: &Path,
        workload: &str,
        contender: &str,
        address: &str,
        calls: u64,
    ) -> Result<Sample> {
        let output = self
            .client(program)
            .args(["cell", workload, contender, address, &calls.to_string()])
            .stderr(Stdio::inherit())
            .output()?;
        ensure!(output.status.success(), "{workload} by {contender} failed");
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{workload} by {contender} gave no sample"))
    }
}

/// Calls before those whose instructions are counted.
const UNCOUNTED: u64 = 100;

/// Whether instructions can be counted.
pub(crate) fn has_valgrind() -> bool {
    let mut command = Command::new("valgrind");
    command.arg("--version");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl Pinning {
    /// Counts the instructions of a call of the workload `calls`: what more calls add.
    pub(crate) fn instructions(
        self,
        program: &Path,
        contender: &str,
        address: &str,
        calls: u64,
    ) -> Result<Sample> {
        let run = |calls: u64| -> Result<f64> {
            let mut command = self.client(Path::new("valgrind"));
            command.args(["--tool=cachegrind", "--cache-sim=no", "--log-fd=2"]);
            command.arg("--cachegrind-out-file=/dev/null").arg(program);
            command.args(["cell", "calls", contender, address, &calls.to_string()]);
            let output = command.output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "{contender} failed: {said}");
            // `==123== I refs:        1,234,567`
            let line = said.lines().find(|line| line.contains("refs:"));
            let count = line.and_then(|line| line.split("refs:").nth(1));
            let digits = count.unwrap_or_default().replace([',', ' '], "");
            digits.parse().context("valgrind counted nothing")
        };
        let counted = run(UNCOUNTED + calls)? - run(UNCOUNTED)?;
        Ok(Sample {
            instructions: counted / calls.max(1) as f64,
            ..Sample::default()
        })
    }
}

pub(crate) fn this_program() -> Result<PathBuf> {
    std::env::current_exe().context("where is this program?")
}

/// The server. It ends when its input does: with this value, or with this process.
pub(crate) struct Server {
    child: Child,
    input: Option<ChildStdin>,
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start(pinning: Pinning) -> Result<Self> {
        let [core, _] = CORES;
        let mut child = pinning
            .command(core)?
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("the server has no output")?;
        let mut address = String::new();
        BufReader::new(output).read_line(&mut address)?;
        let address = address.trim().to_owned();
        ensure!(!address.is_empty(), "the server did not start");
        Ok(Self {
            child,
            input,
            address,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
