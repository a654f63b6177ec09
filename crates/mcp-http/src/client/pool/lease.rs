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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::task::yield_now;
    use tokio::time::sleep;

    use super::super::Keep;
    use super::super::dial::tests::{TAKEN, long_request, opened};
    use super::super::origin::Speaks;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_answers_without_reading_does_not_keep_its_connection() {
        let keep = Keep {
            idle: FREE_WITHIN * 10,
            per_origin: 1,
        };
        let origin = Arc::new(Origin::new(Speaks::Http1, keep));
        let (mut sender, mut theirs) = opened().await;
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let answering = async {
            // What comes before a request was sent is no answer.
            yield_now().await;
            theirs.write_all(answer).await.unwrap();
        };
        let sending = sender.try_send_request(long_request());
        let (sent, ()) = tokio::join!(sending, answering);
        assert!(sent.is_ok_and(|response| response.status().is_success()));
        drop(Lease::new(sender, &origin));
        // To be free, and then to close.
        sleep(4 * FREE_WITHIN).await;
        assert!(origin.take().is_none());
        let mut read = Vec::new();
        theirs.read_to_end(&mut read).await.unwrap();
        assert_eq!(read.len(), TAKEN);
    }
}
