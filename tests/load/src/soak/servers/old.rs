//! 2024-11-05: a stream for answers, and POSTs beside it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mcp_testbed::fault::{Request, Wire};
use serde_json::json;
use tokio::sync::mpsc;

use super::super::faults::Fault;
use super::{Admission, Fate, Visit, answers};

/// The streams that are open, by their numbers: whose, and the way to them.
#[derive(Clone, Debug)]
pub(super) struct Streams(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    open: Mutex<HashMap<u64, (String, mpsc::Sender<String>)>>,
    next: AtomicU64,
}

impl Streams {
    /// None is open. After a restart no number is that of an earlier stream.
    pub(super) fn new() -> Self {
        Self(Arc::new(Inner {
            open: Mutex::default(),
            next: AtomicU64::new(fastrand::u64(..1 << 60)),
        }))
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<u64, (String, mpsc::Sender<String>)>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) async fn answer(
    visit: &Visit,
    streams: &Streams,
    request: Request,
    wire: Wire,
) -> Option<Wire> {
    let (user, fate, mut wire) = match visit.admit(&request, wire).await {
        Admission::User(user, fate, wire) => (user, fate, wire),
        Admission::Over(wire) => return wire,
    };
    if request.method == "GET" {
        serve(visit, streams, user, wire).await;
        return None;
    }
    let number = request.path.strip_prefix("/message?s=");
    let Some(number) = number.and_then(|it| it.parse::<u64>().ok()) else {
        return wire.respond(404, &[], "").await.then_some(wire);
    };
    let Some((owner, stream)) = streams.open().get(&number).cloned() else {
        return wire.respond(404, &[], "").await.then_some(wire);
    };
    if owner != user {
        let what = format!("{user} came to a stream of {owner}");
        visit.world.violation(what);
    }
    if fate == Fate::Reset {
        return None;
    }
    if !wire.respond(202, &[], "Accepted").await {
        return None;
    }
    let answer = match request.rpc_method().as_str() {
        "initialize" => Some(request.result(&json!({ "protocolVersion": "2024-11-05",
            "capabilities": { "tools": { "listChanged": true } },
            "serverInfo": { "name": "old", "version": "1" } }))),
        "server/discover" => Some(request.error(-32601, "Method not found")),
        "tools/list" => Some(request.result(&json!({ "tools": answers::tools(visit, &user) }))),
        "tools/call" => Some(request.result(&answers::call(&request, &user).await)),
        "ping" => Some(request.result(&json!({}))),
        _ => None,
    };
    match (answer, fate) {
        (Some(answer), Fate::Good) => {
            // Who has gone does not hear it.
            let _ = stream.send(answer).await;
        }
        // The answer is lost with the stream.
        (Some(_), _) => {
            visit.note(&user, Fault::Reset);
            streams.open().remove(&number);
        }
        (None, _) => {}
    }
    Some(wire)
}

/// A stream until its client goes, or its answers are lost.
async fn serve(visit: &Visit, streams: &Streams, user: String, mut wire: Wire) {
    let Some(mut versions) = visit.world.changes(visit.name) else {
        return;
    };
    let number = streams.0.next.fetch_add(1, Ordering::Relaxed);
    let (sender, mut messages) = mpsc::channel(64);
    streams.open().insert(number, (user.clone(), sender));
    wire.events("").await;
    wire.raw(format!("event: endpoint\ndata: /message?s={number}\n\n"))
        .await;
    loop {
        let message = tokio::select! {
            message = messages.recv() => {
                if message.is_none() {
                    // Now that nobody has an answer for it any more.
                    visit.note(&user, Fault::Reset);
                }
                message
            }
            changed = versions.changed() => changed.ok().map(|()| answers::changed()),
            () = wire.closed() => None,
        };
        match message {
            Some(message) if wire.event(&message).await => {}
            _ => break,
        }
    }
    streams.open().remove(&number);
}
