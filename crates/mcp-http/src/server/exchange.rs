//! One HTTP request with its credentials, repeated where that is known to be right.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use mcp_core::auth::{Challenge, CredentialRequest, Credentials, Recovery, Rejection};
use mcp_core::{CallContext, Error, Failure, wire};

use super::Inner;
use super::fault::Fault;
use super::sent::Sent;
use super::session::SessionKey;
use crate::client::{HttpRequest, HttpResponse, HttpUrl, Refusal, SendError, redirect};

/// What a server wants in the next proof of possession (RFC 9449, section 9).
static DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// How much of an unneeded response is read, and for how long; a new connection costs less then.
const DISCARDED_BYTES: usize = 16 << 10;
const DISCARDING: Duration = Duration::from_millis(10);

/// How often a request is sent again that the server left alone: some refuse what comes before they have
/// said how much they take.
const UNPROCESSED: usize = 3;

/// What is sent, without its credentials.
pub(crate) struct Exchange<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a HttpUrl,
    pub(crate) body: Bytes,
    pub(crate) tool: Option<&'a str>,
    /// Whether it may be sent again although it may have been received.
    pub(crate) repeatable: bool,
    pub(crate) context: &'a CallContext,
    /// The session that it belongs to, whose headers go with it.
    pub(crate) session: Option<&'a SessionKey>,
    /// Told whether the server may be at work on it, also when the exchange is dropped half-way.
    pub(crate) under_way: Option<&'a AtomicBool>,
    /// How long the server may stay silent. Credentials may take what time they need.
    pub(crate) silence: Option<Duration>,
}

impl<'a> Exchange<'a> {
    /// An exchange without a body, outside of all sessions, that may not be repeated.
    pub(crate) fn new(method: Method, url: &'a HttpUrl, context: &'a CallContext) -> Self {
        Self {
            method,
            url,
            body: Bytes::new(),
            tool: None,
            repeatable: false,
            context,
            session: None,
            under_way: None,
            silence: None,
        }
    }

    /// The server has done with it: it answered, and not with what was asked for.
    fn turned_away(&self) {
        if let Some(under_way) = self.under_way {
            under_way.store(false, Ordering::Relaxed);
        }
    }

    /// What it means that there is no response.
    fn failed(&self, error: SendError) -> Fault {
        let maybe_received = error.maybe_received();
        let error = error.into_error();
        match self.tool {
            Some(_) if maybe_received => Error::outcome_unknown(error).into(),
            Some(_) => {
                self.context.record_unsent();
                error.into()
            }
            None => error.into(),
        }
    }

    /// What the server is told, as far as it is nobody else's business.
    fn sent<'s>(&'s self, credentials: &'s Credentials) -> Sent<'s> {
        Sent {
            credentials,
            session: self.session,
            url: self.url,
        }
    }
}

/// A response, and the credentials that it answers to: what the server says may echo them.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) response: HttpResponse,
    pub(crate) sent: Credentials,
}

impl Inner {
    /// Sends a request, and again: once after a 401 and once after a 403 if the provider has better
    /// credentials, along redirects within the origin, once when the connection died and sending it
    /// twice does no harm, and a few times when it never left or was left alone.
    ///
    /// `headers` writes all headers but the credentials' into an empty map; it is called for each
    /// sending.
    pub(crate) async fn exchange(
        &self,
        exchange: &Exchange<'_>,
        headers: impl Fn(&mut HeaderMap) -> Result<(), Error>,
    ) -> Result<Answered, Fault> {
        let mut redirected: Option<HttpUrl> = None;
        let mut hops = 0;
        let (mut renewed, mut stepped_up) = (false, false);
        let (mut nonced, mut timed) = (false, false);
        let mut resent = 0;
        let may_repeat = |error: &SendError, resent| {
            let is_harmless = exchange.repeatable && error.maybe_received();
            (error.is_unprocessed() && resent < UNPROCESSED) || (is_harmless && resent == 0)
        };
        let mut scopes: Vec<String> = Vec::new();
        loop {
            let url = redirected.as_ref().unwrap_or(exchange.url);
            let wanted = CredentialRequest::new(&self.id, &exchange.context.principal)
                .http(&exchange.method, url.uri())
                .tool(exchange.tool)
                .scopes(&scopes);
            let sent = self.credentials(wanted, exchange.context).await?;
            let mut map = HeaderMap::with_capacity(12);
            headers(&mut map)?;
            if let Some(session) = exchange.session {
                session.headers(&mut map);
            }
            sent.apply(&mut map);
            if exchange.tool.is_some() {
                exchange.context.record_attempt(sent.renewed_fingerprint());
            }
            let mut request = HttpRequest::new(exchange.method.clone(), url);
            request.headers = map;
            request.body = exchange.body.clone();
            let response = match self.send(exchange, &mut request).await? {
                Ok(response) => response,
                Err(error) if may_repeat(&error, resent) => {
                    resent += 1;
                    continue;
                }
                Err(error) => return Err(exchange.failed(error)),
            };
            let status = response.status();
            if status.is_redirection() {
                exchange.turned_away();
                hops += 1;
                let refused = |refusal: Refusal| {
                    let redact = |text: &str| exchange.sent(&sent).redact(text).into_owned();
                    refusal.into_error(redact)
                };
                let Some(to) = self
                    .redirect(exchange, url, &response, hops)
                    .map_err(refused)?
                else {
                    return Ok(Answered { response, sent });
                };
                redirected = Some(to);
                Box::pin(discard(response)).await;
                continue;
            }
            self.tell_nonce(wanted, &response);
            if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                return Ok(Answered { response, sent });
            }
            exchange.turned_away();
            let challenges =
                Challenge::parse(response.headers().get_all(header::WWW_AUTHENTICATE), &sent);
            let said = |error| challenges.iter().any(|it| it.error() == Some(error));
            // Each reason has one try of its own.
            let tried = match status {
                StatusCode::FORBIDDEN => &mut stepped_up,
                _ if said("use_dpop_nonce") => &mut nonced,
                _ if said("invalid_dpop_proof") => &mut timed,
                _ => &mut renewed,
            };
            let may_recover = status == StatusCode::UNAUTHORIZED || !challenges.is_empty();
            if may_recover && !std::mem::replace(tried, true) {
                let rejection = Rejection::new(wanted, &sent, status)
                    .challenges(&challenges)
                    .date(response.date());
                match Box::pin(self.rejected(rejection, exchange.context)).await? {
                    Recovery::Retry => {
                        scopes = scopes_of(&challenges);
                        Box::pin(discard(response)).await;
                        continue;
                    }
                    Recovery::NeedsAuthorization(required) if status == StatusCode::FORBIDDEN => {
                        return Err(Failure::InsufficientScope {
                            scopes: required.scopes.clone(),
                            authorization: Some(required),
                        }
                        .into());
                    }
                    Recovery::NeedsAuthorization(required) => {
                        return Err(Failure::NeedsAuthorization(required).into());
                    }
                    _ => {}
                }
            }
            let sent = exchange.sent(&sent);
            return Err(Box::pin(self.refusal(response, sent, &challenges)).await);
        }
    }

    /// Hands on what the server wants in the next proof.
    fn tell_nonce(&self, wanted: CredentialRequest<'_>, response: &HttpResponse) {
        if let Some(nonce) = response.headers().get(&DPOP_NONCE) {
            self.provider.nonce(wanted, nonce);
        }
    }

    /// Where a redirect leads, if it leads anywhere: within the origin, and not for ever.
    fn redirect(
        &self,
        exchange: &Exchange<'_>,
        url: &HttpUrl,
        response: &HttpResponse,
        hops: usize,
    ) -> Result<Option<HttpUrl>, Refusal> {
        let (status, headers) = (response.status(), response.headers());
        let Some(to) = redirect::target(&exchange.method, url, status, headers)? else {
            return Ok(None);
        };
        if hops > self.limits.redirects {
            let reason = "there are more of them than the limit `redirects` allows";
            return Err(Refusal::new(reason, None));
        }
        if !url.same_origin(&to) {
            let reason = "credentials do not follow to another origin";
            return Err(Refusal::new(reason, Some(to)));
        }
        Ok(Some(to))
    }

    /// Credentials for one sending. A cached answer costs no await.
    async fn credentials(
        &self,
        wanted: CredentialRequest<'_>,
        context: &CallContext,
    ) -> Result<Credentials, Error> {
        match self.provider.credentials(wanted).now() {
            Ok(ready) => Ok(ready?),
            Err(pending) => {
                let limit = self.call_limit(context);
                let waiting = async { Ok(pending.await?) };
                let during = "waiting for credentials";
                Box::pin(context.bound(limit, during, waiting)).await
            }
        }
    }

    async fn rejected(
        &self,
        rejection: Rejection<'_>,
        context: &CallContext,
    ) -> Result<Recovery, Error> {
        let limit = self.call_limit(context);
        let waiting = async { Ok(self.provider.rejected(rejection).await?) };
        context
            .bound(limit, "waiting for better credentials", waiting)
            .await
    }

    /// A 401 or 403 that nothing more can be done about.
    async fn refusal(
        &self,
        response: HttpResponse,
        sent: Sent<'_>,
        challenges: &[Challenge],
    ) -> Fault {
        let scopes = scopes_of(challenges);
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED {
            let hint = if sent.credentials.is_anonymous() {
                "no credentials were sent".to_owned()
            } else {
                format!(
                    "a token with fingerprint {} was sent",
                    sent.credentials.renewed_fingerprint()
                )
            };
            return Failure::Unauthorized { hint, scopes }.into();
        }
        let lacks_scope = |challenge: &Challenge| challenge.error() == Some("insufficient_scope");
        if challenges.iter().any(lacks_scope) {
            let authorization = None;
            return Failure::InsufficientScope {
                scopes,
                authorization,
            }
            .into();
        }
        let detail = self.detail(response, sent).await;
        Failure::Forbidden { detail }.into()
    }

    /// What a refusing server said, as it may be shown.
    pub(crate) async fn detail(&self, response: HttpResponse, sent: Sent<'_>) -> String {
        // The cut must not go through a secret and leave half of it: redact first.
        let body = response
            .beginning(self.limits.snippet_bytes.saturating_mul(4))
            .await;
        self.shown(&body, sent)
    }

    /// The beginning of a body with a separator before it; empty for an empty one.
    pub(crate) fn shown(&self, body: &[u8], sent: Sent<'_>) -> String {
        let text = String::from_utf8_lossy(body);
        let text = sent.redact(text.trim());
        match wire::clean(&text, self.limits.snippet_bytes) {
            empty if empty.is_empty() => empty,
            said => format!(": {said}"),
        }
    }
}

/// Reads what is left of a response that nobody needs, so that its connection can serve again, if
/// that takes no time.
async fn discard(response: HttpResponse) {
    let reading = response.beginning(DISCARDED_BYTES);
    let _ = tokio::time::timeout(DISCARDING, reading).await;
}

fn scopes_of(challenges: &[Challenge]) -> Vec<String> {
    let mut scopes: Vec<String> = Vec::new();
    for scope in challenges.iter().flat_map(Challenge::scopes) {
        if !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    scopes
}
