//! Runs a command for what it prints: no shell, bounded output, a deadline, no child left behind.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

use super::CommandLine;
use super::error::{SecretError, SecretErrorKind};
use super::resolve::{MAX_BYTES, secret};
use super::scope::SecretScope;
use crate::Redactor;

/// How much of stderr an error shows, from its end.
const STDERR_BYTES: usize = 2048;
/// How long a pipe is read after the command itself has ended: something it started may hold the
/// pipe open.
const LINGER: Duration = Duration::from_millis(500);

/// Runs the command and gives what it printed.
pub(crate) async fn run(
    line: &CommandLine,
    scope: &SecretScope,
) -> Result<SecretString, SecretError> {
    let wrong = |kind| SecretError::new(line, kind);
    let mut child = spawn(line, scope).map_err(|error| wrong(SecretErrorKind::Io(error)))?;
    let mut group = Group(child.id());
    let finished = tokio::time::timeout(scope.deadline(), collect(&mut child)).await;
    if let Ok(Ok(_)) = finished {
        // It came to its own end; what it left running, an agent perhaps, is meant to run.
        group.0 = None;
    }
    drop(group);
    let output = match finished {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(wrong(SecretErrorKind::Io(error))),
        Err(_) => return Err(wrong(SecretErrorKind::TimedOut(scope.deadline()))),
    };
    if !output.status.success() {
        return Err(wrong(SecretErrorKind::Failed {
            status: output.status.to_string(),
            stderr: shown(&output.stderr, &output.stdout),
        }));
    }
    secret(&output.stdout).map_err(wrong)
}

struct Output {
    status: ExitStatus,
    stdout: Zeroizing<Vec<u8>>,
    stderr: Zeroizing<Vec<u8>>,
}

fn spawn(line: &CommandLine, scope: &SecretScope) -> io::Result<Child> {
    let mut command = Command::new(&line.program);
    command
        .args(&line.arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for (name, value) in scope.extra() {
        command.env(name, value);
    }
    if let Some(directory) = scope.directory() {
        command.current_dir(directory);
    }
    #[cfg(unix)]
    command.process_group(0);
    command.spawn()
}

async fn collect(child: &mut Child) -> io::Result<Output> {
    let mut stdout = Zeroizing::new(Vec::with_capacity(4096));
    let mut stderr = Zeroizing::new(Vec::new());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let status = {
        let pipes = async {
            tokio::join!(
                async {
                    if let Some(pipe) = out {
                        first(pipe, &mut stdout).await;
                    }
                },
                async {
                    if let Some(pipe) = err {
                        last(pipe, &mut stderr).await;
                    }
                },
            )
        };
        tokio::pin!(pipes);
        let mut read = false;
        let status = loop {
            tokio::select! {
                status = child.wait() => break status?,
                _ = &mut pipes, if !read => read = true,
            }
        };
        if !read {
            let _ = tokio::time::timeout(LINGER, pipes).await;
        }
        status
    };
    Ok(Output {
        status,
        stdout,
        stderr,
    })
}

/// Keeps the beginning, one byte more than is allowed; reads the rest so that the command does not
/// block, and forgets it.
async fn first(mut pipe: impl AsyncRead + Unpin, kept: &mut Vec<u8>) {
    let mut buffer = Zeroizing::new([0; 4096]);
    while let Ok(read @ 1..) = pipe.read(&mut buffer[..]).await {
        let room = (MAX_BYTES + 1).saturating_sub(kept.len());
        kept.extend_from_slice(buffer.get(..read.min(room)).unwrap_or_default());
    }
}

/// Keeps the end.
async fn last(mut pipe: impl AsyncRead + Unpin, kept: &mut Vec<u8>) {
    let mut buffer = Zeroizing::new([0; 4096]);
    while let Ok(read @ 1..) = pipe.read(&mut buffer[..]).await {
        kept.extend_from_slice(buffer.get(..read).unwrap_or_default());
        let spare = kept.len().saturating_sub(STDERR_BYTES);
        kept.drain(..spare);
    }
}

/// The end of stderr on one line, without what stands on stdout and without what looks like a
/// secret.
fn shown(stderr: &[u8], stdout: &[u8]) -> String {
    let stdout = String::from_utf8_lossy(stdout);
    let redactor = Redactor::new(stdout.split_whitespace().map(SecretString::from)).suspicious();
    let stderr = String::from_utf8_lossy(stderr);
    let line = stderr
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" | ");
    redactor
        .redact(&line)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The process group of a command that was cut off: all of it ends with this.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(group) = self
            .0
            .and_then(|id| i32::try_from(id).ok())
            .and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}
