//! The handshake that opens a session (2025-11-25, basic/lifecycle).

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use http::{HeaderValue, Method};
use mcp_core::duplex::Input;
use mcp_core::wire::RequestMeta;
use mcp_core::{CallContext, Error, ProtocolVersion, ServerInfo};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, json};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::super::Inner;
use super::super::answer::{Reading, Reply};
use super::super::exchange::Exchange;
use super::super::fault::Fault;
use super::super::headers;
use super::super::listen::listen;
use super::super::rpc::Rpc;
use super::super::stateless::{Capabilities, Implementation};
use super::{Session, SessionKey, message_headers};

/// How long a session waits for its listening stream; some servers say nothing until they have
/// something to say.
const LISTENING: Duration = Duration::from_secs(1);

impl Inner {
    /// Agrees on a version and opens the principal's session.
    pub(super) async fn initialize(
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
            body: rpc.encode(id, &Input::default(), RequestMeta::default(), None)?,
            // A session that was opened for nobody costs the server little and ends by itself.
            repeatable: true,
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
        let mut read = |result: &RawValue| read_handshake(result, wanted);
        let Reply::Done(agreed) = self.answer(reading, answered, &mut read).await? else {
            return Err(Error::protocol("the handshake asks for input").into());
        };
        // From here on the server has a session, which ends if anything fails.
        let mut session = Session {
            key: Arc::new(SessionKey {
                id: session_id,
                version: agreed.version,
            }),
            info: agreed.info,
            has_tools: agreed.has_tools,
            principal: context.principal.clone(),
            server: Weak::clone(&self.this),
            is_over: AtomicBool::new(false),
            last: Mutex::new(sent),
            listener: JoinSet::new(),
        };
        let nothing = Map::new();
        self.notify(&session.key, "notifications/initialized", &nothing, context)
            .await?;
        if self.listens {
            let principal = context.principal.clone();
            let (this, limit) = (Weak::clone(&self.this), self.limits.message_bytes);
            let (sender, opened) = oneshot::channel();
            let key = Arc::clone(&session.key);
            session
                .listener
                .spawn(listen(this, key, principal, limit, sender));
            // A server may ask on this stream as soon as it is called, and what it asks where
            // nobody listens is lost.
            let _ = tokio::time::timeout(LISTENING, opened).await;
        }
        Ok(session)
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
