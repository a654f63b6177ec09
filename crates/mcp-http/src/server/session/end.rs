//! The end of sessions, at the server too.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{Method, header};
use mcp_core::auth::Credentials;
use mcp_core::auth::time::Instant;
use mcp_core::{CallContext, Error};

use super::super::Inner;
use super::super::exchange::Exchange;
use super::super::fault::Fault;
use super::{Session, SessionKey};
use crate::client::HttpRequest;

/// A session that makes way for another, or that nobody uses any more, ends at the server too
/// (2025-11-25, basic/transports), once the last call in it is over. The principal may have logged
/// out: its provider is not asked.
impl Drop for Session {
    fn drop(&mut self) {
        if *self.is_over.get_mut() || self.key.id.is_none() {
            return;
        }
        // Without a server there is nobody left to say it.
        let Some(server) = self.server.upgrade() else {
            return;
        };
        let key = Arc::clone(&self.key);
        let last = self.last();
        if !can_be_shown_again(&last) {
            return;
        }
        server.farewell(move |server| async move { server.delete_as(&key, &last).await });
    }
}

/// Whether they are good for one request more: neither over nor signed for another request.
fn can_be_shown_again(credentials: &Credentials) -> bool {
    let is_over = |end: Instant| end <= Instant::now();
    let is_bound = |value: &http::HeaderValue| value.as_bytes().starts_with(b"DPoP ");
    let mut headers = credentials.headers().iter();
    !credentials.expires_at().is_some_and(is_over)
        && !headers.any(|(name, value)| *name == header::AUTHORIZATION && is_bound(value))
}

impl Inner {
    /// Ends the principal's session at the server, if there is one, with the credentials that its
    /// requests went with while they are good: during a logout the provider has no others to give.
    pub(crate) async fn end_session(&self, context: &CallContext) {
        let Some(session) = self.sessions.remove(&context.principal) else {
            return;
        };
        if session.is_over.swap(true, Ordering::Relaxed) || session.key.id.is_none() {
            return;
        }
        let last = session.last();
        let key = &session.key;
        if can_be_shown_again(&last) {
            let ended = async {
                self.delete_as(key, &last).await;
                Ok(())
            };
            let _ = context
                .bound(Duration::MAX, "ending the session", ended)
                .await;
        } else {
            self.delete(key, context).await;
        }
    }

    /// 405 means that the server does not let clients do that.
    async fn delete(&self, session: &SessionKey, context: &CallContext) {
        let exchange = Exchange {
            repeatable: true,
            session: Some(session),
            ..Exchange::new(Method::DELETE, &self.url, context)
        };
        let ended = self.exchange(&exchange, |_| Ok(()));
        let ended = async { ended.await.map_err(Fault::into_error) };
        let limit = self.limits.close_timeout;
        if let Err(error) = context.bound(limit, "ending the session", ended).await {
            tracing::debug!(%error, "a session was not ended in order");
        }
    }

    /// As [`delete`](Self::delete), with these credentials and no others.
    async fn delete_as(&self, session: &SessionKey, credentials: &Credentials) {
        let mut request = HttpRequest::new(Method::DELETE, &self.url);
        session.headers(&mut request.headers);
        credentials.apply(&mut request.headers);
        let ended = self.client.send(request);
        match tokio::time::timeout(self.limits.close_timeout, ended).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                let error = Error::from(error);
                tracing::debug!(%error, "a session was not ended in order");
            }
            Err(_) => tracing::debug!("a session was not ended in time"),
        }
    }
}
