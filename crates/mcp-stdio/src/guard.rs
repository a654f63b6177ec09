//! Nothing of a child is left behind, however its task ends.

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use mcp_auth::time::Instant;
use process_wrap::tokio::ChildWrapper;
use tokio::time::timeout;

use crate::connection::Connection;
use crate::places::Place;

/// How long a killed child may take to be gone before it is left to the system.
const KILLED: Duration = Duration::from_secs(5);

/// As [`KILLED`], where waiting blocks a thread.
const KILLED_BLOCKING: Duration = Duration::from_millis(250);

/// The child, killed with its group when this is dropped.
pub(crate) struct Guard {
    child: Box<dyn ChildWrapper>,
    reaped: bool,
    connection: Arc<Connection>,
    /// Others may have it once nothing of the child is left.
    _place: Place,
}

impl Guard {
    pub(crate) fn new(
        child: Box<dyn ChildWrapper>,
        connection: Arc<Connection>,
        place: Place,
    ) -> Self {
        Self {
            child,
            reaped: false,
            connection,
            _place: place,
        }
    }

    /// Until the child has ended.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        self.reaped |= status.is_ok();
        status
    }

    /// Ends the child, whose input is closed already: waits, asks it to terminate, kills it. What
    /// is left of its group goes too.
    pub(crate) async fn goodbye(&mut self, close: Duration, terminate: Duration) {
        let left = timeout(close, self.wait()).await.is_ok();
        if !left && !self.terminated(terminate).await {
            self.kill_group();
            if timeout(KILLED, self.wait()).await.is_err() {
                tracing::error!("a killed child does not end");
            }
        }
        self.kill_group();
    }

    #[cfg(unix)]
    async fn terminated(&mut self, grace: Duration) -> bool {
        const SIGTERM: i32 = 15;
        // Fails when it has just ended, which waiting finds out.
        let _ = self.child.signal(SIGTERM);
        timeout(grace, self.wait()).await.is_ok()
    }

    #[cfg(not(unix))]
    async fn terminated(&mut self, _: Duration) -> bool {
        std::future::ready(false).await
    }

    /// Kills whatever is left of the child's group.
    pub(crate) fn kill_group(&mut self) {
        // Fails when nothing is left.
        let _ = self.child.start_kill();
    }

    fn reap_blocking(&mut self) {
        let began = Instant::now();
        while !matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
            if began.elapsed() > KILLED_BLOCKING {
                return tracing::warn!("a killed child is left to the system to reap");
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.kill_group();
        if !self.reaped {
            // The runtime is going down, or the task panicked: nobody is left who could wait.
            self.reap_blocking();
        }
        let error = self.connection.exited("the runtime that it ran in ended");
        self.connection.ended(&error, false);
        self.connection.finished.cancel();
    }
}
