//! A connection whose response is still being read.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::dial::Sender;
use super::origin::Origin;

/// How long a connection may take to be free once its response has been read or given up: a server
/// may have answered without reading the request, and never will.
const FREE_WITHIN: Duration = Duration::from_secs(5);

/// An HTTP/1.1 connection that a response comes in on. Dropping it gives the connection back, once
/// another request can follow.
pub(in super::super) struct Lease {
    sender: Option<Sender>,
    origin: Arc<Origin>,
}

impl Lease {
    pub(super) fn new(sender: Sender, origin: &Arc<Origin>) -> Self {
        Self {
            sender: Some(sender),
            origin: Arc::clone(origin),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut sender) = self.sender.take() else {
            return;
        };
        if sender.is_ready() {
            return self.origin.give_back(sender);
        }
        // Its task may be about to read the end of a body that nobody wants, or to close.
        if let Ok(runtime) = Handle::try_current()
            && !sender.is_closed()
        {
            let origin = Arc::downgrade(&self.origin);
            runtime.spawn(async move {
                let freed = tokio::time::timeout(FREE_WITHIN, sender.ready());
                if matches!(freed.await, Ok(Ok(())))
                    && let Some(origin) = origin.upgrade()
                {
                    origin.give_back(sender);
                }
            });
        }
    }
}
