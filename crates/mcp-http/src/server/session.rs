//! The dialect of 2025-03-26 to 2025-11-25: a handshake, then sessions, one per principal.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use mcp_core::auth::Principal;
use mcp_core::duplex::Input;
use mcp_core::wire::{RequestMeta, encode_notification};
use mcp_core::{CallContext, Error, Failure, ProtocolVersion, ServerInfo};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::Inner;
use super::answer::{Reading, Reply};
use super::exchange::Exchange;
use super::fault::Fault;
use super::headers;
use super::listen::listen;
use super::rpc::Rpc;
use super::stateless::{Capabilities, Implementation};
use super::take::Take;
use super::telemetry;

/// How long a session waits for its listening stream; some servers say nothing until they have
/// something to say.
const LISTENING: Duration = Duration::from_secs(1);

/// What one principal has agreed on with the server. Dropping it ends its listener, and the session
/// at the server.
pub(crate) struct Session {
    pub(crate) key: Arc<SessionKey>,
    pub(crate) info: ServerInfo,
    pub(crate) has_tools: bool,
    principal: Principal,
    server: Weak<Inner>,
    /// Whether the server need not be told of the end.
    is_over: AtomicBool,
    _listener: JoinSet<()>,
}

/// A session that makes way for another, or that nobody uses any more, ends at the server too
/// (2025-11-25, basic/transports), once the last call in it is over.
impl Drop for Session {
    fn drop(&mut self) {
        if *self.is_over.get_mut() || self.key.id.is_none() {
            return;
        }
        // Without a server there is nobody left to say it.
        let Some(server) = self.server.upgrade() else {
            return;
        };
        let (key, principal) = (Arc::clone(&self.key), self.principal.clone());
        server.farewell(move |server| async move {
            let context = CallContext::new(principal).with_timeout(server.limits.close_timeout);
            server.delete(&key, &context).await;
        });
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
        let (client, capabilities) = (&self.client_identity, &self.capabilities);
        let trace = context.trace.as_ref();
        let mut meta = RequestMeta::new(session.key.version, client, capabilities, trace);
        if context.wants_progress() {
            meta = meta.with_progress_token(id);
        }
        let exchange = Exchange {
            method: Method::POST,
            url: &self.url,
            body: rpc.encode(id, &Input::default(), meta, None)?,
            tool: rpc.tool(),
            repeatable: rpc.is_repeatable(),
            context,
        };
        let mut cancel = CancelOnDrop {
            server: self,
            session,
            principal: &context.principal,
            id,
            armed: true,
        };
        let asked = async {
            let answered = self
                .exchange(&exchange, |map| {
                    session_headers(map, &session.key);
                    Ok(())
                })
                .await?;
            let reading = Reading {
                rpc,
                id,
                url: &self.url,
                context,
                session: Some(&session.key),
            };
            match self.answer(reading, answered, take).await? {
                Reply::Done(done) => Ok(done),
                // Only asked of a stateless result.
                Reply::NeedsInput(_) => Err(Error::protocol("a session asks for input").into()),
            }
        };
        let outcome = asked.await;
        cancel.armed = false;
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

    /// The handshake (2025-11-25, basic/lifecycle).
    async fn initialize(
        &self,
        offer: ProtocolVersion,
        context: &CallContext,
    ) -> Result<Session, Fault> {
        let _place = self.shares.place_among_all(context).await?;
        let offer = self.protocol.unwrap_or(offer);
        let mut fields = Map::new();
        fields.insert("protocolVersion".to_owned(), offer.as_str().into());
        fields.insert("capabilities".to_owned(), self.capabilities.clone());
        fields.insert("clientInfo".to_owned(), json!(self.client_identity));
        let rpc = Rpc::object("initialize", &fields);
        let id = self.next_id();
        let exchange = Exchange {
            method: Method::POST,
            url: &self.url,
            body: rpc.encode(id, &Input::default(), RequestMeta::default(), None)?,
            tool: None,
            // A session that was opened for nobody costs the server little and ends by itself.
            repeatable: true,
            context,
        };
        let answered = self
            .exchange(&exchange, |map| {
                map.insert(header::CONTENT_TYPE, headers::JSON.clone());
                map.insert(header::ACCEPT, headers::EITHER.clone());
                Ok(())
            })
            .await?;
        let session_id = answered
            .response
            .headers()
            .get(&headers::MCP_SESSION_ID)
            .map(session_id)
            .transpose()?;
        let reading = Reading {
            rpc: &rpc,
            id,
            url: &self.url,
            context,
            session: None,
        };
        let wanted = self.protocol;
        let mut read = |result: &RawValue| read_handshake(result, wanted);
        let Reply::Done(agreed) = self.answer(reading, answered, &mut read).await? else {
            return Err(Error::protocol("the handshake asks for input").into());
        };
        let key = Arc::new(SessionKey {
            id: session_id,
            version: agreed.version,
        });
        self.notify(&key, "notifications/initialized", &Map::new(), context)
            .await?;
        let mut listener = JoinSet::new();
        if self.listens {
            let principal = context.principal.clone();
            let (this, limit) = (Weak::clone(&self.this), self.limits.message_bytes);
            let (sender, opened) = oneshot::channel();
            listener.spawn(listen(this, Arc::clone(&key), principal, limit, sender));
            // A server may ask on this stream as soon as it is called, and what it asks where
            // nobody listens is lost.
            let _ = tokio::time::timeout(LISTENING, opened).await;
        }
        Ok(Session {
            key,
            info: agreed.info,
            has_tools: agreed.has_tools,
            principal: context.principal.clone(),
            server: Weak::clone(&self.this),
            is_over: AtomicBool::new(false),
            _listener: listener,
        })
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
            method: Method::POST,
            url: &self.url,
            body: Bytes::from(body),
            tool: None,
            repeatable: true,
            context,
        };
        let answered = self
            .exchange(&exchange, |map| {
                session_headers(map, session);
                Ok(())
            })
            .await?;
        if answered.response.status().is_success() {
            drop(answered.response.beginning(1024).await);
            return Ok(());
        }
        Err(self.refused(0, answered.response, &answered.sent).await)
    }

    /// Ends the principal's session at the server, if there is one. 405 means that the server does
    /// not let clients do that.
    pub(crate) async fn end_session(&self, context: &CallContext) {
        let Some(session) = self.sessions.remove(&context.principal) else {
            return;
        };
        if !session.is_over.swap(true, Ordering::Relaxed) && session.key.id.is_some() {
            self.delete(&session.key, context).await;
        }
    }

    async fn delete(&self, session: &SessionKey, context: &CallContext) {
        let exchange = Exchange {
            method: Method::DELETE,
            url: &self.url,
            body: Bytes::new(),
            tool: None,
            repeatable: true,
            context,
        };
        let ended = self.exchange(&exchange, |map| {
            session.headers(map);
            Ok(())
        });
        let ended = async { ended.await.map_err(Fault::into_error) };
        let limit = self.limits.close_timeout;
        if let Err(error) = context.bound(limit, "ending the session", ended).await {
            tracing::debug!(%error, "a session was not ended in order");
        }
    }
}

/// Tells the server when nobody waits for an answer any more (2025-11-25,
/// basic/utilities/cancellation): there, a closed connection means nothing.
struct CancelOnDrop<'a> {
    server: &'a Inner,
    session: &'a Arc<Session>,
    principal: &'a Principal,
    id: u64,
    armed: bool,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let (id, session) = (self.id, Arc::clone(self.session));
        let principal = self.principal.clone();
        self.server.farewell(move |server| async move {
            let mut params = Map::new();
            params.insert("requestId".to_owned(), id.into());
            let context = CallContext::new(principal).with_timeout(server.limits.close_timeout);
            let told = async {
                server
                    .notify(&session.key, "notifications/cancelled", &params, &context)
                    .await
                    .map_err(Fault::into_error)
            };
            let limit = server.limits.close_timeout;
            if let Err(error) = context.bound(limit, "cancelling a request", told).await {
                tracing::debug!(%error, "a cancellation did not arrive");
            }
        });
    }
}

fn session_headers(map: &mut HeaderMap, session: &SessionKey) {
    map.insert(header::CONTENT_TYPE, headers::JSON.clone());
    map.insert(header::ACCEPT, headers::EITHER.clone());
    session.headers(map);
}

/// A session's id: visible ASCII (2025-11-25, basic/transports), and as good as a credential.
fn session_id(value: &HeaderValue) -> Result<HeaderValue, Error> {
    if value.is_empty() || !value.as_bytes().iter().all(u8::is_ascii_graphic) {
        return Err(Error::protocol("the session's id is not visible ASCII"));
    }
    let mut id = value.clone();
    id.set_sensitive(true);
    Ok(id)
}

/// What the handshake came to.
struct Agreed {
    version: ProtocolVersion,
    info: ServerInfo,
    has_tools: bool,
}

fn read_handshake(result: &RawValue, wanted: Option<ProtocolVersion>) -> Result<Agreed, Error> {
    #[derive(Deserialize)]
    struct Said {
        #[serde(rename = "protocolVersion")]
        version: String,
        #[serde(default)]
        capabilities: Capabilities,
        #[serde(default, rename = "serverInfo")]
        server: Option<Implementation>,
        #[serde(default)]
        instructions: Option<String>,
    }
    let said: Said = serde_json::from_str(result.get())
        .map_err(|error| Error::protocol_because("the handshake is malformed", error))?;
    // A stateless version has no handshake; some servers name it in one all the same.
    let version = ProtocolVersion::parse(&said.version)
        .filter(|version| !version.is_stateless())
        .ok_or_else(|| ProtocolVersion::none_in_common(std::slice::from_ref(&said.version)))?;
    if let Some(wanted) = wanted.filter(|wanted| *wanted != version) {
        return Err(Error::protocol(format!(
            "the server speaks {version} and not {wanted}"
        )));
    }
    Ok(Agreed {
        version,
        info: said
            .server
            .unwrap_or_default()
            .info(version, said.instructions),
        has_tools: said.capabilities.tools.is_some(),
    })
}
