//! This client below `rmcp`: its protocol, our credentials, limits and policies.

mod events;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use mcp_core::auth::{Credentials, Principal};
use mcp_core::{CallContext, Error};
use rmcp::model::{ClientJsonRpcMessage, GetExtensions as _, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
    StreamableHttpResponseLimits,
};
use serde_json::{Value, json};
use sse_stream::Sse;

use crate::client::HttpResponse;
use crate::server::{Answered, Exchange, Fault, HttpServer, Sent, SessionKey, headers};

type Failed = StreamableHttpError<Error>;

/// An [`HttpServer`]'s way of sending, as `rmcp`'s [`StreamableHttpClient`].
///
/// `rmcp` speaks the protocol; every request it makes goes through the guarded client, with
/// credentials asked at that moment and renewed once after a 401. `rmcp`'s own `auth_header` is
/// ignored. A [`Principal`] among a request's extensions acts for that request in place of the one
/// given here, unless the request belongs to a session, which is one principal's.
///
/// ```no_run
/// use mcp_http::{HttpServer, RmcpClient};
/// use rmcp::transport::StreamableHttpClientTransport;
/// use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
/// # fn connect(server: &HttpServer) {
/// let config = StreamableHttpClientTransportConfig::with_uri(server.url().as_str());
/// let client = RmcpClient::new(server, mcp_core::Principal::local());
/// let transport = StreamableHttpClientTransport::with_client(client, config);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RmcpClient {
    server: HttpServer,
    principal: Principal,
}

impl RmcpClient {
    /// A client for one server, acting for a principal.
    pub fn new(server: &HttpServer, principal: Principal) -> Self {
        Self {
            server: server.clone(),
            principal,
        }
    }

    async fn send(
        &self,
        method: Method,
        body: Bytes,
        principal: &Principal,
        tool: Option<&str>,
        session: Option<&SessionKey>,
        write: impl Fn(&mut HeaderMap),
    ) -> Result<Answered, Failed> {
        let inner = self.server.inner();
        let context = CallContext::new(principal.clone());
        let exchange = Exchange {
            repeatable: method != Method::POST,
            body,
            tool,
            session,
            ..Exchange::new(method, self.server.url(), &context)
        };
        let sent = inner.exchange(&exchange, |map| {
            write(map);
            Ok(())
        });
        let sent = async { sent.await.map_err(Fault::into_error) };
        let limit = inner.limits.call_timeout;
        context
            .bound(limit, "waiting for an answer", sent)
            .await
            .map_err(|error| StreamableHttpError::Client(error.at_server(&inner.id)))
    }

    fn sent<'s>(
        &'s self,
        credentials: &'s Credentials,
        session: Option<&'s SessionKey>,
    ) -> Sent<'s> {
        Sent {
            credentials,
            session,
            url: self.server.url(),
        }
    }

    fn events(
        &self,
        response: HttpResponse,
        limit: usize,
    ) -> BoxStream<'static, Result<Sse, SseError>> {
        let limit = limit.min(self.server.inner().limits.message_bytes);
        events::of(response, limit)
    }
}

impl StreamableHttpClient for RmcpClient {
    type Error = Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        let limits = StreamableHttpResponseLimits::default();
        self.post_message_with_response_limits(
            uri,
            message,
            session_id,
            auth_header,
            custom_headers,
            limits,
        )
        .await
    }

    async fn post_message_with_response_limits(
        &self,
        _: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
        limits: StreamableHttpResponseLimits,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        let body = serde_json::to_vec(&message)
            .map_err(|error| client(Error::config_because("a message cannot be written", error)))?;
        let asked = Asked::of(&message, &body);
        let own = match &message {
            ClientJsonRpcMessage::Request(request) => request.request.extensions().get(),
            _ => None,
        };
        let principal = own.unwrap_or(&self.principal);
        if session_id.is_some() && *principal != self.principal {
            return Err(client(Error::config(
                "a session belongs to one principal; another one needs a client of its own",
            )));
        }
        let tool = asked.tool.as_deref();
        let session = session_id.as_deref().and_then(SessionKey::foreign);
        let (session, body) = (session.as_ref(), Bytes::from(body));
        let answered = self
            .send(Method::POST, body, principal, tool, session, |map| {
                map.insert(header::CONTENT_TYPE, headers::JSON.clone());
                map.insert(header::ACCEPT, headers::EITHER.clone());
                own_headers(map, &custom_headers);
            })
            .await?;
        self.answer(&asked, answered, session, &limits).await
    }

    async fn delete_session(
        &self,
        _: Arc<str>,
        session_id: Arc<str>,
        _: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failed> {
        let write = |map: &mut HeaderMap| own_headers(map, &custom_headers);
        let nothing = Bytes::new();
        let session = SessionKey::foreign(&session_id);
        let session = session.as_ref();
        let answered = self
            .send(
                Method::DELETE,
                nothing,
                &self.principal,
                None,
                session,
                write,
            )
            .await?;
        let status = answered.response.status();
        if status.is_success() || status == StatusCode::METHOD_NOT_ALLOWED {
            return Ok(());
        }
        let inner = self.server.inner();
        let Answered { response, sent } = answered;
        let fault = inner.refused(0, response, self.sent(&sent, session)).await;
        Err(client(fault.into_error()))
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failed> {
        let limit = usize::MAX;
        self.get_stream_with_max_sse_event_size(
            uri,
            session_id,
            last_event_id,
            auth_header,
            custom_headers,
            limit,
        )
        .await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        _: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        _: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
        max_sse_event_size: usize,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failed> {
        let last_id = last_event_id.and_then(|id| HeaderValue::from_str(&id).ok());
        let session = session_id.as_deref().and_then(SessionKey::foreign);
        let (session, nothing) = (session.as_ref(), Bytes::new());
        let answered = self
            .send(
                Method::GET,
                nothing,
                &self.principal,
                None,
                session,
                |map| {
                    map.insert(header::ACCEPT, headers::EVENTS.clone());
                    if let Some(last_id) = &last_id {
                        map.insert(headers::LAST_EVENT_ID.clone(), last_id.clone());
                    }
                    own_headers(map, &custom_headers);
                },
            )
            .await?;
        let Answered { response, sent } = answered;
        let sent = self.sent(&sent, session);
        match response.status() {
            StatusCode::METHOD_NOT_ALLOWED => Err(StreamableHttpError::ServerDoesNotSupportSse),
            StatusCode::NOT_FOUND if session_id.is_some() => {
                Err(StreamableHttpError::SessionExpired)
            }
            status if status.is_success() && response.is("text/event-stream") => {
                Ok(self.events(response, max_sse_event_size))
            }
            status if status.is_success() => Err(content_type(&response, sent)),
            _ => {
                let inner = self.server.inner();
                let fault = inner.refused(0, response, sent).await;
                Err(client(fault.into_error()))
            }
        }
    }
}

impl RmcpClient {
    async fn answer(
        &self,
        asked: &Asked,
        answered: Answered,
        session: Option<&SessionKey>,
        limits: &StreamableHttpResponseLimits,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        let inner = self.server.inner();
        let Answered { response, sent } = answered;
        let status = response.status();
        if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        let session_id = response.header(&headers::MCP_SESSION_ID).map(str::to_owned);
        if !status.is_success() {
            let sent = self.sent(&sent, session);
            let fault = inner.refused(asked.number(), response, sent).await;
            if session.is_some() && fault.is_session_loss() {
                return Err(StreamableHttpError::SessionExpired);
            }
            let error = match fault {
                Fault::Refused(refusal) => {
                    let message = match refusal.error.failure() {
                        mcp_core::Failure::Rpc { message, .. } => message.clone(),
                        _ => refusal.error.to_string(),
                    };
                    let supported = refusal.supported;
                    let data = supported.map(|supported| json!({ "supported": supported }));
                    json!({"code": refusal.code, "message": message, "data": data})
                }
                // Whoever probes has to hear a refusal to go on to `initialize`.
                Fault::Status(status, _) if asked.method == "server/discover" => {
                    json!({"code": -32600, "message": format!("the server answered {status}")})
                }
                other => return Err(client(other.into_error())),
            };
            let message = json!({"jsonrpc": "2.0", "id": asked.id, "error": error});
            return json_response(message, session_id);
        }
        if response.is("text/event-stream") {
            let events = self.events(response, limits.max_sse_event_size);
            return Ok(StreamableHttpPostResponse::Sse(events, session_id));
        }
        if asked.id.is_null() {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        if !response.is("application/json") {
            return Err(content_type(&response, self.sent(&sent, session)));
        }
        let limit = inner.limits.body_bytes.min(limits.max_json_response_size);
        let body = response.bytes(limit).await.map_err(client)?;
        let message: Value = serde_json::from_slice(&body)
            .map_err(|error| client(Error::protocol_because("the answer is not JSON", error)))?;
        json_response(message, session_id)
    }
}

/// What a message asks, as far as sending it needs to know.
struct Asked {
    id: Value,
    method: Cow<'static, str>,
    tool: Option<String>,
}

impl Asked {
    fn of(message: &ClientJsonRpcMessage, body: &[u8]) -> Self {
        #[derive(serde::Deserialize)]
        struct Head {
            #[serde(default)]
            id: Value,
            #[serde(default)]
            method: String,
            #[serde(default)]
            params: Option<Named>,
        }
        #[derive(serde::Deserialize)]
        struct Named {
            #[serde(default)]
            name: Option<String>,
        }
        let nothing = Self {
            id: Value::Null,
            method: Cow::Borrowed(""),
            tool: None,
        };
        if !matches!(message, ClientJsonRpcMessage::Request(_)) {
            return nothing;
        }
        let Ok(head) = serde_json::from_slice::<Head>(body) else {
            return nothing;
        };
        let name = head.params.and_then(|params| params.name);
        Self {
            tool: name.filter(|_| head.method == "tools/call"),
            id: head.id,
            method: Cow::Owned(head.method),
        }
    }

    fn number(&self) -> u64 {
        self.id.as_u64().unwrap_or_default()
    }
}

fn own_headers(map: &mut HeaderMap, custom: &HashMap<HeaderName, HeaderValue>) {
    for (name, value) in custom {
        // Credentials come from the provider, and only from there.
        if *name != header::AUTHORIZATION {
            map.insert(name.clone(), value.clone());
        }
    }
}

fn json_response(
    message: Value,
    session_id: Option<String>,
) -> Result<StreamableHttpPostResponse, Failed> {
    let message: ServerJsonRpcMessage = serde_json::from_value(message)
        .map_err(|error| client(Error::protocol_because("the answer is not JSON-RPC", error)))?;
    Ok(StreamableHttpPostResponse::Json(message, session_id))
}

fn content_type(response: &HttpResponse, sent: Sent<'_>) -> Failed {
    let given = response.content_type();
    let shown = given.map(|given| mcp_core::wire::clean(&sent.redact(given), 64));
    StreamableHttpError::UnexpectedContentType(shown)
}

fn client(error: Error) -> Failed {
    StreamableHttpError::Client(error)
}
