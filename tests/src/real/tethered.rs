//! A child process that cannot outlive its owner.
//!
//! It leads its own process group, which dies on drop. It holds the read end of a pipe
//! whose write end only this process has, and ends when that closes: so it ends too
//! when this process is killed and no destructor runs.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::group;

/// A cold start of a large server on a busy machine of two cores.
const START: Duration = Duration::from_secs(30);
/// Enough to see why a server did not start.
const TAIL_LINES: usize = 100;
/// What the scripts in `tests/servers` print once they listen.
const ANNOUNCEMENT: &str = "testbed: listening on ";

/// A server on loopback, and everything that it printed lately.
#[derive(Debug)]
pub(crate) struct Tethered {
    child: Child,
    /// Closes with this process: the tether.
    _stdin: Option<ChildStdin>,
    port: u16,
    output: Output,
}

impl Tethered {
    /// Starts `program` with a short environment and waits until it answers HTTP.
    pub(crate) fn start(program: &str, args: &[&str], env: &[(&str, &str)]) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(args).env_clear();
        for name in ["HOME", "PATH", "SYSTEMROOT", "TEMP", "TMPDIR"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.envs(env.iter().copied());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);

        let mut child = command
            .spawn()
            .with_context(|| format!("`{program}` could not be started"))?;
        let output = Output::default();
        let (announce, announced) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            output.follow(stdout, announce.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            output.follow(stderr, announce);
        }
        // From here on, dropping `server` kills the child.
        let mut server = Self {
            _stdin: child.stdin.take(),
            child,
            port: 0,
            output,
        };
        match announced.recv_timeout(START) {
            Ok(port) => server.port = port,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                bail!(
                    "`{program}` did not listen within {START:?}; {}",
                    server.output.tail()
                )
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                bail!(
                    "`{program}` ended before it listened; {}",
                    server.output.tail()
                )
            }
        }
        server.answers().with_context(|| {
            format!(
                "`{program}` listens but does not answer; {}",
                server.output.tail()
            )
        })?;
        Ok(server)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}:{}{path}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// The last lines of stdout and stderr, in order of arrival.
    pub(crate) fn output(&self) -> String {
        self.output.tail()
    }

    /// Any answer will do: it shows that the program's own code is running.
    fn answers(&self) -> Result<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let mut stream = TcpStream::connect_timeout(&address, START)?;
        stream.set_read_timeout(Some(START))?;
        stream.write_all(b"HEAD / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        stream.read_exact(&mut [0])?;
        Ok(())
    }
}

impl Drop for Tethered {
    fn drop(&mut self) {
        group::end(&mut self.child);
    }
}

#[derive(Clone, Debug, Default)]
struct Output(Arc<Mutex<VecDeque<String>>>);

impl Output {
    /// Reads until the pipe closes, which is when the child and its children are gone.
    fn follow(&self, pipe: impl Read + Send + 'static, announce: mpsc::Sender<u16>) {
        let Self(lines) = self.clone();
        std::thread::spawn(move || {
            let mut announce = Some(announce);
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                let port = text
                    .strip_prefix(ANNOUNCEMENT)
                    .and_then(|port| port.parse().ok());
                if let Some((port, announce)) = port.zip(announce.take_if(|_| port.is_some())) {
                    let _nobody_waits = announce.send(port);
                }
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                if lines.len() == TAIL_LINES {
                    lines.pop_front();
                }
                lines.push_back(text);
            }
        });
    }

    fn tail(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tail = String::from("its output:");
        for line in lines.iter() {
            tail.push_str("\n  | ");
            tail.push_str(line);
        }
        tail
    }
}
