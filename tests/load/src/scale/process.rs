//! The server and each measurement as processes on cores of their own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::de::DeserializeOwned;

/// The server's core and the client's.
const CORES: [&str; 2] = ["0", "1"];

/// Whether processes can be held on a core each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pinning(bool);

impl Pinning {
    /// Looks for `taskset` and two cores.
    pub(super) fn find() -> Self {
        let can = |core: &str| {
            let mut command = Command::new("taskset");
            command.args(["-c", core, "true"]);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        Self(CORES.into_iter().all(can))
    }

    pub(super) fn is_there(self) -> bool {
        self.0
    }

    /// This program, on a core.
    fn command(self, core: &str) -> Result<Command> {
        let program = std::env::current_exe().context("where is this program?")?;
        Ok(if self.0 {
            let mut command = Command::new("taskset");
            command.args(["-c", core]).arg(program);
            command
        } else {
            Command::new(program)
        })
    }

    /// Runs one measurement to its end.
    pub(super) fn cell<T: DeserializeOwned>(
        self,
        what: &str,
        address: &str,
        number: u64,
    ) -> Result<T> {
        let [_, core] = CORES;
        let output = self
            .command(core)?
            .args(["cell", what, address, &number.to_string()])
            .stderr(Stdio::inherit())
            .output()?;
        ensure!(output.status.success(), "measuring {what} failed");
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{what} came to no measurement"))
    }
}

/// The server. It ends when its input does: with this value, or with this process.
pub(super) struct Server {
    child: Child,
    input: Option<ChildStdin>,
    pub(super) address: String,
}

impl Server {
    pub(super) fn start(pinning: Pinning) -> Result<Self> {
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
