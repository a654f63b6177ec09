//! A server behind TLS.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mcp_core::{Error, ToolServer as _};
use mcp_http::{HttpClient, HttpServer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::authority::{Authority, Issued};
use crate::context;

/// What it answers.
pub(crate) const ASKED: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

/// A server of 2026-07-28 behind TLS, that speaks HTTP/2 where the client can.
pub(crate) struct TlsServer {
    pub(crate) url: String,
    /// In which version each request came.
    pub(crate) versions: Arc<Mutex<Vec<Version>>>,
    /// How many connections were opened.
    pub(crate) opened: Arc<Mutex<usize>>,
    _tasks: JoinSet<()>,
}

impl TlsServer {
    pub(crate) async fn start(issued: &Issued, clients: Option<&Authority>) -> Self {
        let acceptor = issued.acceptor(&["h2", "http/1.1"], clients);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let versions = Arc::new(Mutex::new(Vec::new()));
        let opened = Arc::new(Mutex::new(0));
        let mut tasks = JoinSet::new();
        let (seen, counted) = (Arc::clone(&versions), Arc::clone(&opened));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                *counted.lock().unwrap() += 1;
                let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
                connections.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let answer = service_fn(move |request| answer(request, Arc::clone(&seen)));
                    let io = TokioIo::new(stream);
                    if is_h2 {
                        let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        let _ = http.serve_connection(io, answer).await;
                    } else {
                        let http = hyper::server::conn::http1::Builder::new();
                        let _ = http.serve_connection(io, answer).await;
                    }
                });
            }
        });
        Self {
            url: format!("https://localhost:{port}/mcp"),
            versions,
            opened,
            _tasks: tasks,
        }
    }

    pub(crate) async fn list(&self, client: HttpClient) -> Result<usize, Error> {
        let server = HttpServer::builder(&self.url).client(client).build()?;
        let listing = server.list_tools(&context()).await?;
        Ok(listing.tools.len())
    }
}

async fn answer(
    request: Request<Incoming>,
    seen: Arc<Mutex<Vec<Version>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    seen.lock().unwrap().push(request.version());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let asked: Value = serde_json::from_slice(&body).unwrap();
    let result = json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}},
        "tools": [{"name": "echo", "inputSchema": {}}]});
    let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result});
    let mut response = Response::new(Full::new(Bytes::from(answer.to_string())));
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", json);
    Ok(response)
}
