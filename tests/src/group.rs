//! The end of a child process and of all that it started.

use std::process::Child;

/// Kills a child that leads its own process group, and the group with it.
pub(crate) fn end(child: &mut Child) {
    // Not yet waited for, so the ids are still the children's own.
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    {
        let _gone_already =
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ended_by_itself = child.kill();
    let _status = child.wait();
}
