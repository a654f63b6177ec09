//! A connection whose response is still being read.

use std::sync::Arc;

use hyper::client::conn::http1;
use tokio::runtime::Handle;

use super::super::body::RequestBody;
use super::origin::Origin;

/// An HTTP/1.1 connection that a response comes in on. Dropping it gives the connection back, once
/// another request can follow.
pub(in super::super) struct Lease {
    sender: Option<http1::SendRequest<RequestBody>>,
    origin: Arc<Origin>,
}

impl Lease {
    pub(super) fn new(sender: http1::SendRequest<RequestBody>, origin: &Arc<Origin>) -> Self {
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
                if sender.ready().await.is_ok()
                    && let Some(origin) = origin.upgrade()
                {
                    origin.give_back(sender);
                }
            });
        }
    }
}
