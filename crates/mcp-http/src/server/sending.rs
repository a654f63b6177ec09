//! One sending of a request, which its caller may give up at any moment.

use std::sync::atomic::{AtomicBool, Ordering};

use super::Inner;
use super::exchange::Exchange;
use super::fault::Fault;
use crate::client::{Departure, HttpRequest, HttpResponse, SendError};

impl Inner {
    /// Sends a request once. The outer error is the server's silence, where that has a bound.
    pub(super) async fn send(
        &self,
        exchange: &Exchange<'_>,
        request: &mut HttpRequest<'_>,
    ) -> Result<Result<HttpResponse, SendError>, Fault> {
        let watch = Watch::over(exchange.under_way, request);
        let response = match exchange.silence {
            None => self.client.send_out(request).await,
            Some(limit) => {
                let response = Box::pin(self.client.send_out(request));
                let response = tokio::time::timeout(limit, response).await;
                response.map_err(|_| Fault::silent(limit))?
            }
        };
        if response.is_ok() {
            watch.answered();
        }
        Ok(response)
    }
}

/// Tells whoever wants to know whether the server may be at work on a request, when its sending is
/// over: answered, failed or dropped half-way.
struct Watch<'a>(Option<(&'a AtomicBool, Departure)>);

impl<'a> Watch<'a> {
    fn over(under_way: Option<&'a AtomicBool>, request: &mut HttpRequest<'_>) -> Self {
        let watched = under_way.map(|under_way| (under_way, Departure::default()));
        request.departure = watched.as_ref().map(|(_, departure)| departure.clone());
        Self(watched)
    }

    fn answered(mut self) {
        if let Some((under_way, _)) = self.0.take() {
            under_way.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Some((under_way, departure)) = &self.0 {
            under_way.store(departure.hold_back(), Ordering::Relaxed);
        }
    }
}
