//! The dialect of 2025-03-26 to 2025-11-25: a handshake, then sessions, one per principal.

mod cancel;
mod end;
mod handshake;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use mcp_core::auth::{Credentials, Principal};
use mcp_core::duplex::{Capabilities, Input};
use mcp_core::wire::{RequestMeta, encode_notification};
use mcp_core::{CallContext, Error, Failure, ProtocolVersion, ServerInfo};
use serde_json::{Map, Value};
use tokio::task::JoinSet;

use self::cancel::CancelOnDrop;
use super::Inner;
use super::answer::Reply;
use super::exchange::{Answered, Exchange};
use super::fault::Fault;
use super::headers;
use super::reading::Reading;
use super::rpc::Rpc;
use super::sent::Sent;
use super::take::Take;
use super::telemetry;

/// What one principal has agreed on with the server. Dropping it ends its listener, and the session
/// at the server.
pub(crate) struct Session {
    pub(crate) key: Arc<SessionKey>,
    pub(crate) info: ServerInfo,
    pub(crate) capabilities: Capabilities,
    principal: Principal,
    server: Weak<Inner>,
    /// Whether the server need not be told of the end.
    is_over: AtomicBool,
    /// What its requests went with last: whoever ends it later may have logged out by then.
    last: Mutex<Credentials>,
    listener: JoinSet<()>,
}

impl Session {
    /// Whether the server does not know it any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn last(&self) -> Credentials {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone()
    }

    fn went_with(&self, credentials: &Credentials) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Copies a pointer.
        last.clone_from(credentials);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("key", &self.key)
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

/// What every request of a session carries.
#[derive(Debug)]
pub(crate) struct SessionKey {
    /// `None` where the server keeps none.
    id: Option<HeaderValue>,
    version: ProtocolVersion,
}

impl SessionKey {
    /// The session of somebody else's protocol; its version header is theirs to write. `None` where
    /// the id cannot be sent.
    #[cfg(feature = "rmcp")]
    pub(crate) fn foreign(id: &str) -> Option<Self> {
        let mut id = HeaderValue::from_str(id).ok()?;
        id.set_sensitive(true);
        Some(Self {
            id: Some(id),
            version: ProtocolVersion::V2025_03_26,
        })
    }

    /// The session's id, as good as a credential.
    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_ref().and_then(|id| id.to_str().ok())
    }

    /// Writes the session's headers.
    pub(crate) fn headers(&self, map: &mut HeaderMap) {
        if let Some(id) = &self.id {
            map.insert(headers::MCP_SESSION_ID.clone(), id.clone());
        }
        // 2025-03-26 does not know the header.
        if self.version >= ProtocolVersion::V2025_06_18 {
            map.insert(
                headers::MCP_PROTOCOL_VERSION.clone(),
                headers::version(self.version),
            );
        }
    }
}

impl Inner {
    /// Asks within the principal's session. A request that met no session has not run: it is sent
    /// once more in a new one.
    pub(crate) async fn in_session<T>(
        &self,
        rpc: &Rpc<'_>,
        context: &CallContext,
        take: &mut impl Take<T>,
    ) -> Result<T, Fault> {
        let mut lost: Option<Arc<Session>> = None;
        loop {
            let session = self
                .session(context, lost.as_ref(), ProtocolVersion::LATEST_LEGACY)
                .await?;
            // What was not offered must not be asked for (2025-11-25, basic/lifecycle).
            match rpc.tool() {
                Some(tool) if !session.capabilities.has_tools() => {
                    return Err(Error::no_tools(tool).into());
                }
                _ => session
                    .capabilities
                    .permit(rpc.method, session.key.version)?,
            }
            match self.session_once(&session, rpc, context, take).await {
                Err(fault) if session.key.id.is_some() && fault.is_session_loss() => {
                    session.is_over.store(true, Ordering::Relaxed);
                    if lost.replace(session).is_some() {
                        return Err(Failure::SessionLost.into());
                    }
                }
                outcome => return outcome,
            }
        }
    }

    async fn session_once<T>(
        &self,
        session: &Arc<Session>,
        rpc: &Rpc<'_>,
        context: &CallContext,
        take: &mut impl Take<T>,
    ) -> Result<T, Fault> {
        telemetry::record_version(session.key.version);
        let _place = self.shares.place(context).await?;
        let id = self.next_id();
        let body = {
            let trace = context.current_trace();
            let (client, capabilities) = (&self.client_identity, &self.capabilities);
            let version = session.key.version;
            let mut meta = RequestMeta::new(version, client, capabilities, trace.as_deref());
            if context.wants_progress() {
                meta = meta.with_progress_token(id);
            }
            rpc.encode(id, &Input::default(), meta, None)?
        };
        let under_way = AtomicBool::new(false);
        let exchange = Exchange {
            body,
            tool: rpc.tool(),
            repeatable: rpc.is_repeatable(),
            session: Some(&session.key),
            under_way: Some(&under_way),
            ..Exchange::new(Method::POST, &self.url, context)
        };
        let _cancel = CancelOnDrop {
            server: self,
            session,
            principal: &context.principal,
            id,
            under_way: &under_way,
        };
        let reading = Reading {
            rpc,
            id,
            url: &self.url,
            context,
            session: Some(&session.key),
        };
        let asked = async {
            let mut again = exchange.repeatable;
            loop {
                let answered = self.exchange(&exchange, message_headers).await?;
                session.went_with(&answered.sent);
                match self.answer(reading, answered, take).await {
                    Ok(Reply::Done(done)) => return Ok(done),
                    // Only asked of a stateless result.
                    Ok(Reply::NeedsInput(_)) => {
                        return Err(Error::protocol("a session asks for input").into());
                    }
                    Err(fault) if again && fault.is_loss_of_connection() => again = false,
                    Err(fault) => return Err(fault),
                }
            }
        };
        let outcome = asked.await;
        under_way.store(false, Ordering::Relaxed);
        outcome
    }

    /// The principal's session; a new one if there is none, or none but the one that was lost.
    /// Whoever comes first opens it, and the others share what comes of that.
    pub(crate) async fn session(
        &self,
        context: &CallContext,
        lost: Option<&Arc<Session>>,
        offer: ProtocolVersion,
    ) -> Result<Arc<Session>, Fault> {
        let is_lost = |session: &Arc<Session>| lost.is_some_and(|lost| Arc::ptr_eq(lost, session));
        self.sessions
            .usable(
                &context.principal,
                |session| !is_lost(session),
                || self.initialize(offer, context),
            )
            .await
    }

    /// Sends a notification within a session.
    async fn notify(
        &self,
        session: &SessionKey,
        method: &str,
        params: &Map<String, Value>,
        context: &CallContext,
    ) -> Result<(), Fault> {
        #[derive(serde::Serialize)]
        struct Bare<'a> {
            jsonrpc: &'static str,
            method: &'a str,
        }
        let body = if params.is_empty() {
            serde_json::to_vec(&Bare {
                jsonrpc: "2.0",
                method,
            })
            .map_err(|error| Error::config_because("a notification cannot be written", error))?
        } else {
            encode_notification(method, params)?
        };
        let exchange = Exchange {
            body: Bytes::from(body),
            repeatable: true,
            session: Some(session),
            ..Exchange::new(Method::POST, &self.url, context)
        };
        let Answered { response, sent } = self.exchange(&exchange, message_headers).await?;
        if response.status().is_success() {
            drop(response.beginning(1024).await);
            return Ok(());
        }
        let sent = Sent {
            credentials: &sent,
            session: Some(session),
            url: &self.url,
        };
        Err(self.refused(0, response, sent).await)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what an exchange takes may fail")]
fn message_headers(map: &mut HeaderMap) -> Result<(), Error> {
    map.insert(header::CONTENT_TYPE, headers::JSON.clone());
    map.insert(header::ACCEPT, headers::EITHER.clone());
    Ok(())
}
