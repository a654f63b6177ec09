//! A server that counts: connections, and requests with another one's token.
//!
//! `POST /known/<milliseconds>` takes `test-token-<user>` for ever, `POST /issued/<milliseconds>`
//! what `POST /token/<user>` gave within its life; both answer a call after so many milliseconds.
//! `POST /reset` begins to count anew, `GET /counts` says what was counted.

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mcp_harness::process::announce;
use mcp_toolkit::auth::time::Instant;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::child::owner;

/// How long issued tokens live.
pub(super) const LIFE: Duration = Duration::from_secs(2);

/// What the server saw.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct Counts {
    /// Connections that are open, were at most, and were accepted.
    pub(super) open: u64,
    pub(super) open_at_most: u64,
    pub(super) accepted: u64,
    pub(super) lists: u64,
    pub(super) calls: u64,
    /// Calls at work at the same time, at most.
    pub(super) calls_at_once: u64,
    /// Calls whose arguments name another user than their token.
    pub(super) crossed: u64,
    /// Requests with a token that is unknown or over.
    pub(super) refused: u64,
    pub(super) issued: u64,
    /// Tokens that were asked for while another request for the same user was at work…
    pub(super) issued_twice: u64,
    /// …or before half of the life of the one before was over.
    pub(super) issued_early: u64,
}

#[derive(Default)]
struct State {
    counts: Counts,
    working: u64,
    tokens: HashMap<String, Issued>,
    list: String,
}

struct Issued {
    token: String,
    since: Instant,
    number: u64,
    being_renewed: bool,
}

/// Serves until standard input ends, so that it never outlives who started it.
pub(crate) fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        // As many at once as a crowd brings; the default queue is of 1,024.
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        announce(listener.local_addr()?)?;
        accept(listener).await
    })
}

async fn accept(listener: TcpListener) -> Result<()> {
    let state = Rc::new(RefCell::new(State {
        list: list(),
        ..State::default()
    }));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let state = Rc::clone(&state);
        tokio::task::spawn_local(async move {
            state.borrow_mut().connected();
            let service = service_fn(|request| {
                let state = Rc::clone(&state);
                async move { Ok::<_, Infallible>(answer(&state, request).await) }
            });
            // A connection that breaks is the client's affair.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
            state.borrow_mut().counts.open -= 1;
        });
    }
}

async fn answer(state: &RefCell<State>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return status(StatusCode::BAD_REQUEST);
    };
    let mut path = head.uri.path().trim_start_matches('/').split('/');
    let (first, second) = (path.next().unwrap_or_default(), path.next());
    match first {
        "counts" => return json_response(json!(state.borrow().counts).to_string()),
        "reset" => {
            state.borrow_mut().reset();
            return status(StatusCode::NO_CONTENT);
        }
        "token" => return issue(state, second.unwrap_or_default()).await,
        _ => {}
    }
    let authorization = head.headers.get(header::AUTHORIZATION);
    let token = authorization
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .unwrap_or_default();
    if !state.borrow().takes(first, token) {
        state.borrow_mut().counts.refused += 1;
        let mut response = status(StatusCode::UNAUTHORIZED);
        let challenge = HeaderValue::from_static(r#"Bearer error="invalid_token""#);
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
        return response;
    }
    let message: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    let id = &message["id"];
    let result = match message["method"].as_str().unwrap_or_default() {
        "server/discover" => json!({ "resultType": "complete",
            "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} },
            "ttlMs": 3_600_000, "cacheScope": "public" })
        .to_string(),
        "tools/list" => {
            let mut state = state.borrow_mut();
            state.counts.lists += 1;
            state.list.clone()
        }
        _ => {
            state.borrow_mut().call_begins();
            let user = owner(token);
            if message["params"]["arguments"]["user"] != user {
                state.borrow_mut().counts.crossed += 1;
            }
            let pause: u64 = second.and_then(|it| it.parse().ok()).unwrap_or_default();
            if pause > 0 {
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            state.borrow_mut().working -= 1;
            json!({ "resultType": "complete",
                "content": [{ "type": "text", "text": user }] })
            .to_string()
        }
    };
    json_response(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#
    ))
}

/// A new token; the one before stays good for the rest of its life, as far as that is known here.
async fn issue(state: &RefCell<State>, user: &str) -> Response<Full<Bytes>> {
    {
        let mut state = state.borrow_mut();
        let State { counts, tokens, .. } = &mut *state;
        counts.issued += 1;
        if let Some(known) = tokens.get_mut(user) {
            counts.issued_twice += u64::from(known.being_renewed);
            counts.issued_early += u64::from(known.since.elapsed() < LIFE / 2);
            known.being_renewed = true;
        }
    }
    // As long as a token endpoint takes, so that somebody could ask meanwhile.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let mut state = state.borrow_mut();
    let issued = state.tokens.entry(user.to_owned());
    let issued = issued
        .and_modify(|known| known.number += 1)
        .or_insert_with(|| Issued {
            token: String::new(),
            since: Instant::now(),
            number: 1,
            being_renewed: false,
        });
    issued.token = format!("test-token-{user}-{}", issued.number);
    issued.since = Instant::now();
    issued.being_renewed = false;
    json_response(json!({ "access_token": issued.token }).to_string())
}

impl State {
    fn connected(&mut self) {
        let counts = &mut self.counts;
        counts.accepted += 1;
        counts.open += 1;
        counts.open_at_most = counts.open_at_most.max(counts.open);
    }

    fn reset(&mut self) {
        let open = self.counts.open;
        self.tokens.clear();
        self.counts = Counts {
            open,
            open_at_most: open,
            ..Counts::default()
        };
    }

    fn takes(&self, kind: &str, token: &str) -> bool {
        match kind {
            "known" => !owner(token).is_empty(),
            // The latest or, while it may be under way, the one before.
            _ => self.tokens.get(owner(token)).is_some_and(|issued| {
                let number = token.rsplit('-').next().and_then(|it| it.parse().ok());
                let life = issued.since.elapsed();
                number == Some(issued.number) && life < LIFE
                    || number == Some(issued.number - 1) && life < LIFE / 10
            }),
        }
    }

    fn call_begins(&mut self) {
        self.working += 1;
        let counts = &mut self.counts;
        counts.calls += 1;
        counts.calls_at_once = counts.calls_at_once.max(self.working);
    }
}

/// Fifty tools, as large as those of real servers.
fn list() -> String {
    let tool = |number: usize| {
        json!({
            "name": format!("search_records_{number:02}"),
            "description": "Searches the records of the caller's workspace and gives the best matches.",
            "inputSchema": {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "required": ["user"],
                "properties": {
                    "user": { "type": "string", "minLength": 1, "description": "Who asks, in the caller's own words" },
                    "days": { "type": "integer", "minimum": 1, "maximum": 100, "description": "How many at most" },
                    "units": { "type": "string", "enum": ["metric", "imperial"], "description": "Which units" },
                    "filters": { "type": "array", "maxItems": 16, "description": "Only what fits all of these", "items": {
                        "type": "object", "required": ["field"], "properties": {
                            "field": { "type": "string" }, "value": { "type": ["string", "number"] } } } },
                },
            },
        })
    };
    json!({ "resultType": "complete", "tools": (0..50).map(tool).collect::<Vec<_>>(),
        "ttlMs": 3_600_000, "cacheScope": "private" })
    .to_string()
}

fn json_response(body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}
