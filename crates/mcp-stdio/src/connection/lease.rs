//! The use of a child.

use std::sync::Arc;

use mcp_auth::time::Instant;
use mcp_core::Error;

use super::{Connection, Phase};

/// The right to use a child: while it is held, the child is neither idle nor replaced.
#[derive(Debug)]
pub(crate) struct Lease(pub(crate) Arc<Connection>);

impl Lease {
    /// Until it has told its version.
    pub(crate) async fn ready(&self) -> Result<(), Error> {
        let mut phase = self.0.phase.subscribe();
        // The sender lives in the connection, which is held.
        match phase
            .wait_for(|phase| !matches!(phase, Phase::Starting))
            .await
        {
            Ok(phase) => match &*phase {
                Phase::Gone { error, .. } => Err(error.clone()),
                Phase::Ready(_) | Phase::Starting => Ok(()),
            },
            Err(_) => Err(Error::protocol("the connection was dropped")),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut users = self.0.users();
        users.count -= 1;
        users.last_used = Instant::now();
        if users.count > 0 {
            return;
        }
        let retired = users.retired;
        drop(users);
        if retired {
            self.0.departure.begin();
            self.0.released.notify_one();
        } else {
            self.0.departure.idle();
        }
    }
}
