//! The handshake that opens a session (2025-11-25, basic/lifecycle).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use http::{HeaderValue, Method};
use mcp_core::duplex::{Handshake, Input};
use mcp_core::wire::RequestMeta;
use mcp_core::{CallContext, Error, Failure, ProtocolVersion, Transport};
use serde_json::value::RawValue;
use serde_json::{Map, json};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::super::Inner;
use super::super::answer::Reply;
use super::super::exchange::Exchange;
use super::super::fault::Fault;
use super::super::headers;
use super::super::listen::listen;
use super::super::reading::Reading;
use super::super::rpc::Rpc;
use super::{Session, SessionKey, message_headers};

/// How long a session waits for its listening stream; some servers say nothing until they have
/// something to say.
const LISTENING: Duration = Duration::from_secs(1);

impl Inner {
    /// Opens the principal's session. One that the server forgets before it is open is begun anew,
    /// once, as one that is lost later.
    pub(super) async fn initialize(
        &self,
        offer: ProtocolVersion,
        context: &CallContext,
    ) -> Result<Session, Fault> {
        let _place = self.shares.place_among_all(context).await?;
        let mut again = true;
        loop {
            let session = self.handshake(offer, context).await?;
            let nothing = Map::new();
            let told = self
                .notify(&session.key, "notifications/initialized", &nothing, context)
                .await;
            match told {
                Ok(()) => return Ok(self.listening(session).await),
                Err(fault) if session.key.id.is_some() && fault.is_session_loss() => {
                    session.is_over.store(true, Ordering::Relaxed);
                    if !std::mem::take(&mut again) {
                        return Err(Failure::SessionLost.into());
                    }
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Agrees on a version. From here on the server has a session, which ends if anything fails.
    async fn handshake(
        &self,
        offer: ProtocolVersion,
        context: &CallContext,
    ) -> Result<Session, Fault> {
        let offer = self.protocol.unwrap_or(offer);
        let mut fields = Map::new();
        fields.insert("protocolVersion".to_owned(), offer.as_str().into());
        fields.insert("capabilities".to_owned(), self.capabilities.clone());
        fields.insert("clientInfo".to_owned(), json!(self.client_identity));
        let rpc = Rpc::object("initialize", &fields);
        let id = self.next_id();
        let exchange = Exchange {
            body: rpc.encode(id, &Input::default(), RequestMeta::default(), None)?,
            // A session that was opened for nobody costs the server little and ends by itself.
            repeatable: true,
            silence: Some(self.limits.startup_timeout),
            ..Exchange::new(Method::POST, &self.url, context)
        };
        let answered = self.exchange(&exchange, message_headers).await?;
        let sent = answered.sent.clone();
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
        let mut read = |result: &RawValue| agreed(result, wanted);
        let Reply::Done(agreed) = self.answer(reading, answered, &mut read).await? else {
            return Err(Error::protocol("the handshake asks for input").into());
        };
        Ok(Session {
            key: Arc::new(SessionKey {
                id: session_id,
                version: agreed.version,
            }),
            info: agreed.info,
            capabilities: agreed.capabilities,
            principal: context.principal.clone(),
            server: Weak::clone(&self.this),
            is_over: AtomicBool::new(false),
            last: Mutex::new(sent),
            listener: JoinSet::new(),
        })
    }

    /// The session, with its stream for what the server says unasked where that is wanted.
    async fn listening(&self, mut session: Session) -> Session {
        if !self.listens {
            return session;
        }
        let principal = session.principal.clone();
        let (this, limit) = (Weak::clone(&self.this), self.limits.message_bytes);
        let (sender, opened) = oneshot::channel();
        let key = Arc::clone(&session.key);
        session
            .listener
            .spawn(listen(this, key, principal, limit, sender));
        // A server may ask on this stream as soon as it is called, and what it asks where nobody
        // listens is lost.
        let _ = tokio::time::timeout(LISTENING, opened).await;
        session
    }
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

/// What the server agreed to, if it is what was wanted.
fn agreed(result: &RawValue, wanted: Option<ProtocolVersion>) -> Result<Handshake, Error> {
    let agreed = Handshake::read(result, Transport::StreamableHttp)?;
    let version = agreed.version;
    if let Some(wanted) = wanted.filter(|wanted| *wanted != version) {
        return Err(Error::protocol(format!(
            "the server speaks {version} and not {wanted}"
        )));
    }
    Ok(agreed)
}
