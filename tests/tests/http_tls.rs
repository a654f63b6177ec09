//! TLS: whom the client believes, as whom it appears, and what it says when it does not.
#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mcp_core::auth::SecretString;
use mcp_core::{CallContext, Error, ErrorKind, ToolServer as _};
use mcp_http::{HttpClient, HttpServer};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto::ring};

/// An authority that nobody believes without being told to.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            key,
        }
    }
}

struct Issued {
    pem: String,
    der: CertificateDer<'static>,
    key: KeyPair,
}

/// A server of 2026-07-28 behind TLS, that speaks HTTP/2 where the client can.
struct TlsServer {
    url: String,
    versions: Arc<Mutex<Vec<Version>>>,
    _tasks: JoinSet<()>,
}

impl TlsServer {
    async fn start(issued: &Issued, clients: Option<&Authority>) -> Self {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.der.clone()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.unwrap())
            }
        };
        let key = PrivatePkcs8KeyDer::from(issued.key.serialize_der());
        let mut config = builder
            .with_single_cert(vec![issued.der.clone()], key.into())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let versions = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let seen = Arc::clone(&versions);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
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
            _tasks: tasks,
        }
    }

    async fn list(&self, client: HttpClient) -> Result<usize, Error> {
        let server = HttpServer::builder(&self.url).client(client).build()?;
        let context = CallContext::default().with_timeout(Duration::from_secs(10));
        let listing = server.list_tools(&context).await?;
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

fn believing(authority: &Authority) -> HttpClient {
    let builder = HttpClient::builder().root_certificates(authority.pem.as_bytes());
    builder.unwrap().build()
}

fn causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn a_believed_server_is_spoken_with_over_http_2() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.issue("localhost", |_| {}), None).await;
    assert_eq!(server.list(believing(&authority)).await.unwrap(), 1);
    let versions = server.versions.lock().unwrap();
    assert!(
        versions.iter().all(|it| *it == Version::HTTP_2),
        "{versions:?}"
    );
}

#[tokio::test]
async fn b11_bad_certificates_are_refused_and_the_error_says_why() {
    let authority = Authority::new();
    let cases = [
        // Nobody knows the authority.
        (
            authority.issue("localhost", |_| {}),
            HttpClient::new(),
            "UnknownIssuer",
        ),
        (
            authority.issue("other.example.com", |_| {}),
            believing(&authority),
            "not valid for name",
        ),
        (
            authority.issue("localhost", |params| {
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2021, 1, 1);
            }),
            believing(&authority),
            "expired",
        ),
    ];
    for (issued, client, why) in cases {
        let server = TlsServer::start(&issued, None).await;
        let error = server.list(client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{why}");
        assert!(causes(&error).contains(why), "{}", causes(&error));
        assert!(server.versions.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_a_tls_error() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"SSH-2.0-x\r\n").await;
        }
    });
    let server = HttpServer::builder(format!("https://localhost:{port}/mcp"))
        .build()
        .unwrap();
    let context = CallContext::default().with_timeout(Duration::from_secs(10));
    let error = server.list_tools(&context).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{}", causes(&error));
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_who_asks() {
    let authority = Authority::new();
    let issued = authority.issue("localhost", |_| {});
    let server = TlsServer::start(&issued, Some(&authority)).await;
    let own = authority.issue("client", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let key = SecretString::from(own.key.serialize_pem());
    let client = HttpClient::builder()
        .root_certificates(authority.pem.as_bytes())
        .unwrap()
        .only_given_roots()
        .client_certificate(own.pem.as_bytes(), &key)
        .unwrap()
        .build();
    assert_eq!(server.list(client).await.unwrap(), 1);
    let error = server.list(believing(&authority)).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Tls | ErrorKind::Connect),
        "{}",
        causes(&error)
    );
    let broken = SecretString::from("canary, no key");
    let error = HttpClient::builder()
        .client_certificate(own.pem.as_bytes(), &broken)
        .unwrap_err();
    assert!(!format!("{error:?}").contains("canary"));
}

/// A proxy that tunnels, and what was said to it.
async fn tunnelling_proxy() -> (String, Arc<Mutex<Vec<String>>>, JoinSet<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let (mut tasks, seen) = (JoinSet::new(), Arc::clone(&requests));
    tasks.spawn(async move {
        let mut tunnels = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            tunnels.spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let text = String::from_utf8(head).unwrap();
                let target = text.split(' ').nth(1).unwrap().to_owned();
                seen.lock().unwrap().push(text);
                let mut server = tokio::net::TcpStream::connect(target).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
            });
        }
    });
    (url, requests, tasks)
}

#[tokio::test]
async fn b12_a_proxy_that_was_asked_for_tunnels_and_learns_no_credentials() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.issue("localhost", |_| {}), None).await;
    let (proxy, heard, _tasks) = tunnelling_proxy().await;
    let own = SecretString::from("Basic test-proxy-secret");
    let client = HttpClient::builder()
        .root_certificates(authority.pem.as_bytes())
        .unwrap()
        .proxy(&proxy, Some(&own))
        .unwrap();
    assert!(!format!("{client:?}").contains("test-proxy-secret"));
    let client = client.build();
    let token = mcp_core::auth::Bearer::new("test-token-canary").unwrap();
    let tunnelled = HttpServer::builder(&server.url)
        .client(client)
        .credentials(Arc::new(token))
        .build()
        .unwrap();
    let context = CallContext::default().with_timeout(Duration::from_secs(10));
    tunnelled.list_tools(&context).await.unwrap();
    let heard = heard.lock().unwrap().join("");
    assert!(heard.starts_with("CONNECT localhost:"), "{heard}");
    let lower = heard.to_ascii_lowercase();
    assert!(
        lower.contains("proxy-authorization: basic test-proxy-secret"),
        "{heard}"
    );
    assert!(!heard.contains("canary"), "{heard}");
    assert!(
        HttpClient::builder()
            .proxy("https://proxy.example.com", None)
            .is_err()
    );
}

/// What an HTTP/2 server does with the first call that it sees.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum First {
    /// Resets its stream: it did nothing.
    Refuses,
    /// Says goodbye and that its stream does not count: it did nothing.
    LeavesOut,
    /// Says goodbye, counts its stream, and is gone.
    Takes,
}

/// A server that answers calls, but for the first one. Gives its URL, and how many calls came.
async fn odd_at_first(
    authority: &Authority,
    first: First,
) -> (String, Arc<Mutex<u32>>, JoinSet<()>) {
    let issued = authority.issue("localhost", |_| {});
    let provider = Arc::new(ring::default_provider());
    let key = PrivatePkcs8KeyDer::from(issued.key.serialize_der());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.der.clone()], key.into())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!(
        "https://localhost:{}/mcp",
        listener.local_addr().unwrap().port()
    );
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
            connections.spawn(async move {
                let stream = acceptor.accept(stream).await.unwrap();
                let is_first = *counted.lock().unwrap() == 0;
                if is_first && first != First::Refuses {
                    return goodbye(stream, first, &counted).await;
                }
                let mut connection = h2::server::handshake(stream).await.unwrap();
                let mut answers = JoinSet::new();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let before = *counted.lock().unwrap();
                    *counted.lock().unwrap() += 1;
                    if before == 0 {
                        respond.send_reset(h2::Reason::REFUSED_STREAM);
                        continue;
                    }
                    answers.spawn(async move {
                        let mut body = request.into_body();
                        let mut text = Vec::new();
                        while let Some(Ok(part)) = body.data().await {
                            text.extend_from_slice(&part);
                        }
                        let asked: Value = serde_json::from_slice(&text).unwrap();
                        let result = json!({"content": [{"type": "text", "text": "taken"}]});
                        let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result});
                        let head = Response::builder().header("content-type", "application/json");
                        let mut sending = respond
                            .send_response(head.body(()).unwrap(), false)
                            .unwrap();
                        sending
                            .send_data(Bytes::from(answer.to_string()), true)
                            .unwrap();
                    });
                }
            });
        }
    });
    (url, calls, serving)
}

/// Reads a call, frame by frame, and ends the connection with words that echo what it was sent.
async fn goodbye<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    first: First,
    counted: &Mutex<u32>,
) {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    // SETTINGS, empty.
    stream
        .write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0])
        .await
        .unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut rest = vec![0; length.try_into().unwrap()];
        stream.read_exact(&mut rest).await.unwrap();
        // DATA that ends its stream: the call is here.
        if head[3] == 0 && head[4] & 1 == 1 {
            break;
        }
    }
    *counted.lock().unwrap() += 1;
    let last: u32 = match first {
        First::Takes => 1,
        _ => 0,
    };
    let words = b"no test-token-canary here";
    let length = u8::try_from(words.len() + 8).unwrap();
    let mut frame = vec![0, 0, length, 7, 0, 0, 0, 0, 0];
    frame.extend_from_slice(&last.to_be_bytes());
    frame.extend_from_slice(&0_u32.to_be_bytes());
    frame.extend_from_slice(words);
    stream.write_all(&frame).await.unwrap();
    let _ = stream.shutdown().await;
    // Until the client has gone too.
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}

async fn call_at(url: &str, authority: &Authority) -> Result<String, Error> {
    let token = mcp_core::auth::Bearer::new("test-token-canary").unwrap();
    let server = HttpServer::builder(url)
        .client(believing(authority))
        .credentials(Arc::new(token))
        .protocol(Some(mcp_core::ProtocolVersion::V2026_07_28))
        .build()?;
    let tool =
        mcp_core::ToolDefinition::from_parts("echo", "", &json!({"type": "object"})).unwrap();
    let arguments = serde_json::Map::new();
    let context = CallContext::default().with_timeout(Duration::from_secs(10));
    let call = mcp_core::ToolCall::new(&tool, &arguments);
    let output = server.call_tool(call, &context).await?;
    Ok(output.text().clone())
}

#[tokio::test]
async fn a_call_that_the_server_left_alone_is_sent_again() {
    let authority = Authority::new();
    for first in [First::Refuses, First::LeavesOut] {
        let (url, calls, _serving) = odd_at_first(&authority, first).await;
        assert_eq!(
            call_at(&url, &authority).await.unwrap(),
            "taken",
            "{first:?}"
        );
        assert_eq!(*calls.lock().unwrap(), 2, "{first:?}");
    }
}

#[tokio::test]
async fn a_call_that_the_server_may_have_taken_is_not_and_its_goodbye_is_not_repeated() {
    let authority = Authority::new();
    let (url, calls, _serving) = odd_at_first(&authority, First::Takes).await;
    let error = call_at(&url, &authority).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    assert_eq!(*calls.lock().unwrap(), 1);
    let mut shown = format!("{error:?}");
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        shown = format!("{shown} {error} {error:?}");
        cause = error.source();
    }
    assert!(!shown.contains("canary"), "{shown}");
}
