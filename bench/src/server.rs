//! A server that costs as little as a server can: canned bytes with the request's id in them.

mod answers;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mcp_harness::process::announce;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::answers::Answers;
pub(crate) use self::answers::{LONG_LIST, TOOL, tools};

/// How long the slow path takes.
pub(crate) const SLOW: Duration = Duration::from_millis(10);

/// How long the server stays awake behind a request.
const AWAKE: Duration = Duration::from_millis(20);

/// Keeps the server's core from falling asleep between two requests: else each client pays for
/// waking it, which on a virtual machine costs more than the whole rest of a call.
#[derive(Default)]
struct Wakefulness {
    until: Mutex<Option<Instant>>,
    begun: Notify,
}

impl Wakefulness {
    fn set(&self, until: Option<Instant>) -> Option<Instant> {
        let mut ours = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut ours, until)
    }

    fn extend(&self) {
        if self.set(Some(Instant::now() + AWAKE)).is_none() {
            self.begun.notify_one();
        }
    }

    async fn keep(&self) {
        loop {
            let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
            match until {
                None => self.begun.notified().await,
                Some(until) if until < Instant::now() => drop(self.set(None)),
                // The runtime asks the system for events each time, and does not wait for them.
                Some(_) => tokio::task::yield_now().await,
            }
        }
    }
}

type Whole = Full<Bytes>;
type Piece = stream::Once<futures_util::future::Ready<Result<Frame<Bytes>, Infallible>>>;
type Body = Either<Whole, StreamBody<Piece>>;

/// Serves until standard input ends, so that it never outlives who started it.
pub(crate) fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        announce(listener.local_addr()?)?;
        let wakefulness = Arc::new(Wakefulness::default());
        tokio::select! {
            accepted = accept(listener, &wakefulness) => accepted,
            () = wakefulness.keep() => Ok(()),
        }
    })
}

async fn accept(listener: TcpListener, wakefulness: &Arc<Wakefulness>) -> Result<()> {
    // One for the life of the process: every answer borrows from it.
    let answers: &'static Answers = Box::leak(Box::new(Answers::new()));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let wakefulness = Arc::clone(wakefulness);
        tokio::task::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                if request.uri().path() != "/asleep" {
                    wakefulness.extend();
                }
                answer(answers, request)
            });
            // A connection that breaks is the client's affair.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    answers: &'static Answers,
    request: Request<Incoming>,
) -> Result<Response<Body>, hyper::Error> {
    match *request.method() {
        Method::POST => {}
        Method::DELETE => return Ok(empty(StatusCode::OK)),
        _ => return Ok(empty(StatusCode::METHOD_NOT_ALLOWED)),
    }
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let path = head.uri.path();
    let Some(text) = answers.to(path, &body) else {
        return Ok(empty(StatusCode::ACCEPTED));
    };
    if path == "/slow" {
        tokio::time::sleep(SLOW).await;
    }
    let mut response = if path == "/sse" {
        // As servers stream: a piece, then the end, the length not told ahead.
        let piece = stream::once(futures_util::future::ready(Ok(Frame::data(text))));
        let mut response = Response::new(Either::Right(StreamBody::new(piece)));
        let events = HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert(header::CONTENT_TYPE, events);
        response
    } else {
        let mut response = Response::new(Either::Left(Full::new(text)));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    };
    if answers::opens_session(&body) {
        let session = HeaderValue::from_static("bench-session");
        response.headers_mut().insert("mcp-session-id", session);
    }
    Ok(response)
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(Bytes::new())));
    *response.status_mut() = status;
    response
}
