//! Processes that the tests started and did not end.
//!
//! On Linux this process adopts every descendant whose own parent is gone, whatever
//! process group, session or environment it chose. So what is left of a test run is
//! exactly this process's children. Elsewhere there is no such adoption and no check.

use anyhow::Result;

/// Adopts orphans from here on. Call before the tests start.
pub(crate) fn adopt_orphans() -> Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}

/// Fails when a process is left, names it, and ends it.
pub(crate) fn check() -> Result<()> {
    #[cfg(target_os = "linux")]
    linux::check()?;
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fmt::Write as _;
    use std::fs;
    use std::time::Duration;

    use anyhow::{Result, bail};
    use rustix::process::{Pid, Signal, getpid, kill_process};

    /// Time for those that were told to end, and are ending.
    const GRACE: Duration = Duration::from_secs(2);
    const POLL: Duration = Duration::from_millis(50);
    /// A crowd that grows faster than it is ended is somebody else's to end.
    const ENOUGH: usize = 1_000;

    pub(super) fn check() -> Result<()> {
        let mut waited = Duration::ZERO;
        let mut left = children()?;
        while !left.is_empty() && waited < GRACE {
            pause(POLL);
            waited += POLL;
            left = children()?;
        }
        if left.is_empty() {
            println!("no process is left of the tests");
            return Ok(());
        }
        let mut report = String::new();
        let mut count = 0;
        // What a process that is ended here had started becomes a child of this one in turn.
        while !left.is_empty() && count < ENOUGH {
            for (pid, command) in &left {
                write!(report, "\n  {} {command}", pid.as_raw_nonzero())?;
                let _ended_meanwhile = kill_process(*pid, Signal::KILL);
                count += 1;
            }
            let ended: Vec<_> = left.iter().map(|(pid, _)| *pid).collect();
            left = newcomers(&ended)?;
        }
        bail!("the tests left {count} processes, now ended:{report}")
    }

    /// Living children, once those that were ended are dead.
    fn newcomers(ended: &[Pid]) -> Result<Vec<(Pid, String)>> {
        let mut waited = Duration::ZERO;
        loop {
            let (dying, left): (Vec<_>, Vec<_>) = children()?
                .into_iter()
                .partition(|(pid, _)| ended.contains(pid));
            if dying.is_empty() || waited >= GRACE {
                return Ok(left);
            }
            pause(POLL);
            waited += POLL;
        }
    }

    /// Living children of this process, with their command lines.
    fn children() -> Result<Vec<(Pid, String)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let path = entry?.path();
            let pid = path
                .file_name()
                .and_then(|name| name.to_str()?.parse().ok());
            let Some(pid) = pid.and_then(Pid::from_raw) else {
                continue;
            };
            // A process may end between two reads: then it is not left.
            let Ok(stat) = fs::read_to_string(path.join("stat")) else {
                continue;
            };
            if is_living_child(&stat, getpid()) {
                let command = fs::read(path.join("cmdline")).unwrap_or_default();
                let command = String::from_utf8_lossy(&command).replace('\0', " ");
                found.push((pid, command));
            }
        }
        Ok(found)
    }

    /// Reads `pid (name) state ppid …`; the name may hold spaces and parentheses.
    fn is_living_child(stat: &str, parent: Pid) -> bool {
        let Some((_, rest)) = stat.rsplit_once(')') else {
            return false;
        };
        let mut fields = rest.split_whitespace();
        let state = fields.next();
        let ppid = fields.next().and_then(|ppid| ppid.parse().ok());
        !matches!(state, Some("Z" | "X") | None) && ppid == Some(parent.as_raw_nonzero().get())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a build tool without a runtime polls /proc"
    )]
    fn pause(time: Duration) {
        std::thread::sleep(time);
    }

    #[test]
    fn a_stat_line_with_a_hostile_name_is_read_right() {
        let me = getpid();
        let parent = me.as_raw_nonzero();
        assert!(is_living_child(&format!("7 (a) Z 1) S {parent} 7 7"), me));
        assert!(!is_living_child(&format!("7 (a) S 1) Z {parent} 7 7"), me));
        assert!(!is_living_child("7 (a) S 1 7 7", me));
    }
}
