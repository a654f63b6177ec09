//! A child ends when its parent does, however that ends.
//!
//! Holds the one unsafe call of the workspace.

use tokio::process::Command;

/// Has the kernel kill the child when the thread that starts it ends. Of use only on a thread that
/// lives as long as the process: see [`spawner`](crate::spawner).
///
/// Only Linux can do this. Elsewhere nothing is changed.
pub(crate) fn bind(command: &mut Command) {
    #[cfg(target_os = "linux")]
    bind_to(command, rustix::process::getpid());
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "the signal can be set only by code that runs between fork and exec"
)]
fn bind_to(command: &mut Command, parent: rustix::process::Pid) {
    use std::io::Error;

    use rustix::io::Errno;
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};

    let failed = |errno: Errno| Error::from_raw_os_error(errno.raw_os_error());
    let bound = move || {
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed)?;
        // The parent may have died before that: then the signal never comes. A child in a new PID
        // namespace sees no parent at all, which tells nothing.
        match getppid() {
            Some(adopted) if adopted != parent => Err(failed(Errno::SRCH)),
            _ => Ok(()),
        }
    };
    // SAFETY: the closure runs in the forked child, where another thread of the parent may have
    // held any lock, the allocator's among them. It makes two system calls and compares two
    // numbers: it allocates nothing, takes no lock and cannot panic; its errors are numbers, too.
    // It owns all that it uses.
    unsafe {
        command.pre_exec(bound);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_whose_parent_is_gone_does_not_begin() {
        let mut command = Command::new("true");
        bind_to(&mut command, rustix::process::getpid());
        assert!(command.status().await.unwrap().success());

        let mut command = Command::new("true");
        let other = rustix::process::getppid().unwrap();
        bind_to(&mut command, other);
        let error = command.status().await.unwrap_err();
        assert_eq!(
            error.raw_os_error(),
            Some(rustix::io::Errno::SRCH.raw_os_error())
        );
    }
}
