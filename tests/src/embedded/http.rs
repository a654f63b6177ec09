//! The server over HTTP: tokens, tenants, sessions, and a memory of what came.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::protocol;
use super::tokens::TokenIssuer;
use super::tools::Caller;

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct EmbeddedServer {
    url: String,
    shared: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

/// What one request carried.
#[derive(Clone, Debug)]
pub struct SeenRequest {
    /// The JSON-RPC method, or the HTTP method where there is no message.
    pub method: String,
    /// The tool, in a `tools/call`.
    pub tool: Option<String>,
    /// All headers.
    pub headers: HeaderMap,
    /// The HTTP status that it was answered with.
    pub status: u16,
}

#[derive(Debug)]
struct Shared {
    tokens: TokenIssuer,
    /// Whose a session is.
    sessions: Mutex<HashMap<String, String>>,
    opened: AtomicU64,
    seen: Mutex<Vec<SeenRequest>>,
    /// How many calls of tools have come, answered or not.
    calls: watch::Sender<usize>,
    speaks_stateless: bool,
}

impl EmbeddedServer {
    /// Starts a server on a free port of loopback that speaks every version it knows; its tokens
    /// live for `token_lifetime`.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(token_lifetime: Duration) -> io::Result<Self> {
        Self::serve(token_lifetime, true).await
    }

    /// Like [`start`](Self::start), but of the time before 2026-07-28: sessions only.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start_with_sessions(token_lifetime: Duration) -> io::Result<Self> {
        Self::serve(token_lifetime, false).await
    }

    async fn serve(token_lifetime: Duration, speaks_stateless: bool) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}/mcp", listener.local_addr()?);
        let shared = Arc::new(Shared {
            tokens: TokenIssuer::new(token_lifetime),
            sessions: Mutex::default(),
            opened: AtomicU64::default(),
            seen: Mutex::default(),
            calls: watch::Sender::new(0),
            speaks_stateless,
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            url,
            shared,
            _task: AbortOnDropHandle::new(task),
        })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Who issues its tokens.
    pub fn tokens(&self) -> TokenIssuer {
        self.shared.tokens.clone()
    }

    /// What has come so far and been answered.
    pub fn seen(&self) -> Vec<SeenRequest> {
        lock(&self.shared.seen).clone()
    }

    /// Waits until so many calls of tools have come; they need not have been answered.
    pub async fn called(&self, times: usize) {
        let mut calls = self.shared.calls.subscribe();
        // The sender lives as long as this does.
        let _ = calls.wait_for(|calls| *calls >= times).await;
    }

    /// Forgets every session, as a restarted server does.
    pub fn forget_sessions(&self) {
        lock(&self.shared.sessions).clear();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Connections end with this task.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let service = hyper::service::service_fn(|request| {
                        let shared = Arc::clone(&shared);
                        async move { Ok::<_, Infallible>(shared.handle(request).await) }
                    });
                    let connection = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service);
                    // A client that goes away is none of our business.
                    let _ = connection.await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

impl Shared {
    async fn handle(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        let message: Value = serde_json::from_slice(&body).unwrap_or_default();
        if message["method"] == "tools/call" {
            self.calls.send_modify(|calls| *calls += 1);
        }
        let response = self.respond(&parts.method, &parts.headers, &message).await;
        lock(&self.seen).push(SeenRequest {
            method: message["method"]
                .as_str()
                .unwrap_or(parts.method.as_str())
                .to_owned(),
            tool: message["params"]["name"].as_str().map(str::to_owned),
            headers: parts.headers,
            status: response.status().as_u16(),
        });
        response
    }

    async fn respond(
        &self,
        method: &Method,
        headers: &HeaderMap,
        message: &Value,
    ) -> Response<Full<Bytes>> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let token = text(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
        let Some(user) = token.and_then(|token| self.tokens.owner(token)) else {
            let challenge = if token.is_some() {
                r#"Bearer error="invalid_token""#
            } else {
                "Bearer"
            };
            let mut response = empty(StatusCode::UNAUTHORIZED);
            response.headers_mut().insert(
                WWW_AUTHENTICATE,
                hyper::header::HeaderValue::from_static(challenge),
            );
            return response;
        };
        let Some(tenant) = text("x-tenant-id") else {
            return json_response(
                StatusCode::FORBIDDEN,
                &json!({ "error": "X-Tenant-Id is missing" }),
            );
        };
        let caller = Caller {
            user,
            tenant: tenant.to_owned(),
        };
        let session = text("mcp-session-id");
        if *method == Method::DELETE {
            let ended = session.and_then(|id| lock(&self.sessions).remove(id));
            return empty(if ended.is_some() {
                StatusCode::OK
            } else {
                StatusCode::NOT_FOUND
            });
        }
        if *method != Method::POST {
            return empty(StatusCode::METHOD_NOT_ALLOWED);
        }
        if text("mcp-protocol-version") == Some(protocol::STATELESS) {
            if !self.speaks_stateless {
                return json_response(
                    StatusCode::BAD_REQUEST,
                    &json!({ "jsonrpc": "2.0", "id": null,
                        "error": { "code": -32000, "message": "Server not initialized" } }),
                );
            }
        } else if message["method"] == "initialize" {
            return self.initialize(&caller, message).await;
        } else if session.and_then(|id| lock(&self.sessions).get(id).cloned())
            != Some(caller.user.clone())
        {
            return empty(StatusCode::NOT_FOUND);
        }
        match protocol::answer(&caller, message).await {
            Some(answer) => json_response(StatusCode::OK, &answer),
            None => empty(StatusCode::ACCEPTED),
        }
    }

    async fn initialize(&self, caller: &Caller, message: &Value) -> Response<Full<Bytes>> {
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let id = format!("session-{}-{number}", caller.user);
        lock(&self.sessions).insert(id.clone(), caller.user.clone());
        let answer = protocol::answer(caller, message)
            .await
            .unwrap_or(Value::Null);
        let mut response = json_response(StatusCode::OK, &answer);
        if let Ok(id) = id.parse() {
            response.headers_mut().insert("mcp-session-id", id);
        }
        response
    }
}

fn json_response(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = empty(status);
    response.headers_mut().insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("application/json"),
    );
    *response.body_mut() = Full::new(Bytes::from(body.to_string()));
    response
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
