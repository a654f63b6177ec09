//! A program that knows nothing of its owner, and ends with it all the same.
//!
//! A shell starts it and waits for the end of its own input, which only this process holds open: the
//! program is killed when this is dropped, and when this process dies without dropping anything.

use std::io::Read as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::group;

const SCRIPT: &str =
    r#""$@" 3>&- & pid=$!; echo "$pid" >&3; exec 3>&-; read -r _; kill -9 "$pid"; wait "$pid""#;
const LOOK: Duration = super::LOOK;

#[derive(Debug)]
pub(super) struct Tether {
    shell: Child,
    _stdin: Option<ChildStdin>,
    pid: String,
    output: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Tether {
    pub(super) fn start(program: &str, arguments: &[String]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let output = folder.path().join("output");
        let log = std::fs::File::create(&output)?;
        let pid_file = folder.path().join("pid");
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                &format!("exec 3>\"$TETHER_PID\"; {SCRIPT}"),
                "sh",
                program,
            ])
            .args(arguments)
            .env("TETHER_PID", &pid_file)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut shell = command.spawn().context("`sh` could not be started")?;
        let stdin = shell.stdin.take();
        let mut tether = Self {
            shell,
            _stdin: stdin,
            pid: String::new(),
            output,
            _folder: folder,
        };
        let mut pid = String::new();
        tether.look("no pid", super::START, &mut || {
            pid = std::fs::read_to_string(&pid_file).unwrap_or_default();
            pid.ends_with('\n')
        })?;
        pid.trim().clone_into(&mut tether.pid);
        Ok(tether)
    }

    /// Waits until it is so, or the program has ended.
    #[expect(
        clippy::disallowed_methods,
        reason = "a harness without a runtime looks until another program is ready"
    )]
    pub(super) fn look(
        &mut self,
        what: &str,
        patience: Duration,
        so: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        let mut waited = Duration::ZERO;
        while !so() {
            let ended = self.has_ended() || self.shell.try_wait()?.is_some();
            if ended || waited >= patience {
                let mut text = String::new();
                std::fs::File::open(&self.output)?.read_to_string(&mut text)?;
                bail!("{what}; its output: {text}");
            }
            std::thread::sleep(LOOK);
            waited += LOOK;
        }
        Ok(())
    }

    /// The shell stays when the program has gone.
    fn has_ended(&self) -> bool {
        if self.pid.is_empty() {
            return false;
        }
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid));
        match stat {
            Ok(stat) => stat
                .rsplit(") ")
                .next()
                .is_some_and(|rest| rest.starts_with('Z')),
            Err(_) => cfg!(target_os = "linux"),
        }
    }

    pub(super) fn signal(&self, name: &str) {
        let _gone = Command::new("kill")
            .args([&format!("-{name}"), &self.pid])
            .stderr(Stdio::null())
            .status();
    }
}

impl Drop for Tether {
    fn drop(&mut self) {
        group::end(&mut self.shell);
    }
}
