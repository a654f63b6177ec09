//! The one thread that starts every child of this process.
//!
//! Linux kills a [bound](crate::parent_death) child when the *thread* that forked it ends, and a
//! runtime's threads may end long before the process does. This one begins with the first child and
//! never ends. That a fork, which can take long in a large process, holds up no runtime is a gain on
//! every system.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use process_wrap::tokio::{ChildWrapper, CommandWrap};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// Starts that wait for the one before; who finds no room waits under its own deadline.
const QUEUE: usize = 64;

/// A command, and where its child shall be served.
struct Request {
    command: CommandWrap,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Unclaimed>>,
}

/// The way to the thread, and the process that it belongs to: a copy made by `fork` has none.
static SPAWNER: Mutex<Option<(u32, mpsc::Sender<Request>)>> = Mutex::new(None);

/// Starts a child that the calling task's runtime serves. Dropping the future before it is there
/// ends it.
///
/// # Errors
/// As [`CommandWrap::spawn`], and where the thread cannot be had.
pub(crate) async fn spawn(command: CommandWrap) -> io::Result<Box<dyn ChildWrapper>> {
    let (reply, started) = oneshot::channel();
    let request = Request {
        command,
        runtime: Handle::current(),
        reply,
    };
    let gone = || io::Error::other("the thread that starts children is gone");
    spawner()?.send(request).await.map_err(|_| gone())?;
    started
        .await
        .map_err(|_| gone())?
        .and_then(|child| child.claim().ok_or_else(gone))
}

fn spawner() -> io::Result<mpsc::Sender<Request>> {
    let own = std::process::id();
    let mut spawner = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((process, requests)) = &*spawner
        && *process == own
        && !requests.is_closed()
    {
        return Ok(requests.clone());
    }
    let (sender, requests) = mpsc::channel(QUEUE);
    let thread = std::thread::Builder::new().name("mcp-stdio-spawner".to_owned());
    thread.spawn(move || serve(requests))?;
    *spawner = Some((own, sender.clone()));
    Ok(sender)
}

fn serve(mut requests: mpsc::Receiver<Request>) {
    while let Some(request) = requests.blocking_recv() {
        let Request {
            mut command,
            runtime,
            reply,
        } = request;
        if reply.is_closed() {
            continue;
        }
        let _entered = runtime.enter();
        // A panic here would end this thread, and every child with it.
        let started = catch_unwind(AssertUnwindSafe(|| {
            let child = command.spawn()?;
            Ok(Unclaimed(Some(child)))
        }));
        let started =
            started.unwrap_or_else(|_| Err(io::Error::other("the runtime takes no child")));
        let _ = reply.send(started);
    }
}

/// A child that nobody serves yet. Dropped like this, it ends with its group.
struct Unclaimed(Option<Box<dyn ChildWrapper>>);

impl Unclaimed {
    fn claim(mut self) -> Option<Box<dyn ChildWrapper>> {
        self.0.take()
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // The runtime reaps it.
            let _ = child.start_kill();
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use process_wrap::tokio::{KillOnDrop, ProcessGroup};

    use super::*;

    fn sleeping() -> CommandWrap {
        let mut command = CommandWrap::with_new("sleep", |command| {
            command.arg("1000");
            crate::parent_death::bind(command);
        });
        command.wrap(ProcessGroup::leader()).wrap(KillOnDrop);
        command
    }

    fn parent_of(pid: u32) -> Option<String> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, fields) = stat.rsplit_once(") ")?;
        fields.split(' ').nth(1).map(str::to_owned)
    }

    #[tokio::test]
    async fn a_child_that_nobody_claims_ends() {
        let mut child = spawn(sleeping()).await.unwrap();
        let pid = child.id().unwrap();
        assert_eq!(parent_of(pid), Some(std::process::id().to_string()));
        assert!(child.try_wait().unwrap().is_none());
        drop(Unclaimed(Some(child)));
        let ended = async {
            while parent_of(pid).is_some() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(10), ended).await;
        assert!(ended.is_ok(), "it is not reaped");
    }

    #[test]
    fn a_runtime_that_is_gone_takes_no_child_and_harms_nobody() {
        let runtime = || tokio::runtime::Runtime::new().unwrap();
        let (dead, alive) = (runtime(), runtime());
        let handle = dead.handle().clone();
        drop(dead);
        let (reply, started) = oneshot::channel();
        let request = Request {
            command: sleeping(),
            runtime: handle,
            reply,
        };
        spawner().unwrap().blocking_send(request).ok().unwrap();
        assert!(started.blocking_recv().unwrap().is_err());
        let child = alive.block_on(spawn(sleeping())).unwrap();
        let _alive = alive.enter();
        drop(Unclaimed(Some(child)));
    }
}
