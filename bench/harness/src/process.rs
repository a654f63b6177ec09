//! The server and what is measured, as processes on cores of their own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// The server's core and the client's.
const CORES: [&str; 2] = ["0", "1"];

/// Whether processes can be held on a core each: else luck decides whether a call crosses cores.
#[derive(Clone, Copy, Debug)]
pub struct Pinning(bool);

impl Pinning {
    /// Looks for `taskset` and two cores.
    pub fn find() -> Self {
        let can = |core: &str| succeeds(Command::new("taskset").args(["-c", core, "true"]));
        Self(CORES.into_iter().all(can))
    }

    /// Whether processes are held.
    pub fn is_there(self) -> bool {
        self.0
    }

    /// A program on the server's core.
    pub fn server(self, program: &Path) -> Command {
        let [core, _] = CORES;
        self.on(core, program)
    }

    /// A program on the clients' core.
    pub fn client(self, program: &Path) -> Command {
        let [_, core] = CORES;
        self.on(core, program)
    }

    fn on(self, core: &str, program: &Path) -> Command {
        if self.0 {
            let mut command = Command::new("taskset");
            command.args(["-c", core]).arg(program);
            command
        } else {
            Command::new(program)
        }
    }
}

/// The program that runs.
///
/// # Errors
/// The system does not say where it is.
pub fn this_program() -> Result<PathBuf> {
    std::env::current_exe().context("where is this program?")
}

/// Whether a command can be started and succeeds. It prints nothing.
pub fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs a command to its end and gives what it printed. Its standard error is shown meanwhile.
///
/// # Errors
/// It cannot be started, or fails; `what` it was for is named.
pub fn output(command: &mut Command, what: &str) -> Result<Vec<u8>> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("{what} cannot be started"))?;
    ensure!(output.status.success(), "{what} failed");
    Ok(output.stdout)
}

/// A server of its own, which calls [`announce`]. It ends with this value, or with this process.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts it and waits for its address.
    ///
    /// # Errors
    /// It cannot be started, or ends before it says where it is.
    pub fn start(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("the server cannot be started")?;
        let output = child.stdout.take().context("the server has no output")?;
        let mut server = Self {
            child,
            address: String::new(),
        };
        BufReader::new(output).read_line(&mut server.address)?;
        server.address.truncate(server.address.trim_end().len());
        ensure!(!server.address.is_empty(), "the server did not start");
        Ok(server)
    }

    /// `127.0.0.1:4711`
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input is the end of it.
        drop(self.child.stdin.take());
        let _ended = self.child.wait();
    }
}

/// Tells whoever started this process as a [`Server`] where it listens, and ends it when its standard
/// input ends: it never outlives who started it.
///
/// # Errors
/// Nobody listens on standard output.
pub fn announce(address: SocketAddr) -> Result<()> {
    let mut output = std::io::stdout();
    writeln!(output, "{address}")?;
    output.flush()?;
    std::thread::spawn(|| {
        let _ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_server_says_where_it_is_and_ends_with_its_value() {
        let left = std::env::temp_dir().join(format!("mcp-harness-{}", std::process::id()));
        let script = format!("echo 127.0.0.1:4711; cat; touch '{}'", left.display());
        let server = Server::start(&mut shell(&script)).unwrap();
        assert_eq!(server.address(), "127.0.0.1:4711");
        assert!(!left.exists());
        drop(server);
        assert!(left.exists(), "it was not waited for");
        std::fs::remove_file(left).unwrap();
        let error = Server::start(&mut shell("exit 1")).unwrap_err().to_string();
        assert_eq!(error, "the server did not start");
    }

    #[test]
    fn what_fails_gives_no_output() {
        assert_eq!(output(&mut shell("echo 7"), "counting").unwrap(), b"7\n");
        let error = output(&mut shell("echo 7; exit 1"), "counting").unwrap_err();
        assert_eq!(error.to_string(), "counting failed");
    }
}
