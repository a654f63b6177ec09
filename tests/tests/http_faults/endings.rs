//! How sessions end, and that their server hears of it in time.

use mcp_core::auth::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady, Recovery,
    Rejection,
};
use mcp_core::{CallContext, ErrorKind, Principal, ToolServer};
use mcp_http::HttpServer;
use mcp_testbed::fault::{FaultServer, Request, Wire};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

use crate::harness::{PATIENCE, call, call_within, context, legacy, small};

/// Gives a token until it is told that the user has left, and counts who asks then.
#[derive(Debug, Default)]
struct Leaving {
    left: AtomicBool,
    asked: AtomicUsize,
}

impl CredentialProvider for Leaving {
    fn credentials<'a>(
        &'a self,
        _: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        if self.left.load(Ordering::SeqCst) {
            self.asked.fetch_add(1, Ordering::SeqCst);
        }
        MaybeReady::ready(Credentials::bearer("test-token-alice").map_err(Into::into))
    }

    fn rejected<'a>(
        &'a self,
        _: Rejection<'a>,
    ) -> MaybeReady<'a, Result<Recovery, CredentialError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        MaybeReady::ready(Ok(Recovery::GiveUp))
    }
}

/// A session that was ended: its id, and who ended it.
type Ended = (Option<String>, Option<String>);

/// A server that tells of each session that is ended.
async fn telling() -> (FaultServer, mpsc::UnboundedReceiver<Ended>) {
    let (told, hears) = mpsc::unbounded_channel();
    let opened = Arc::new(AtomicUsize::new(0));
    let server = FaultServer::start(move |request: Request, mut wire: Wire| {
        let (told, opened) = (told.clone(), Arc::clone(&opened));
        async move {
            let mut session = String::new();
            if request.rpc_method() == "initialize" {
                session = format!("s-{}", opened.fetch_add(1, Ordering::SeqCst));
            }
            if request.method == "DELETE" {
                let header = |name| request.header(name).map(str::to_owned);
                let ended = (header("mcp-session-id"), header("authorization"));
                told.send(ended).unwrap();
            }
            wire.session(&request, &session).await.then_some(wire)
        }
    })
    .await;
    (server, hears)
}

/// Others come until somebody's session makes way. Gives how many came, and what was ended.
async fn crowded_out(
    client: &HttpServer,
    hears: &mut mpsc::UnboundedReceiver<Ended>,
) -> (usize, Ended) {
    let coming = async {
        let mut came = 0;
        loop {
            let other = context(&format!("user-{came}"));
            call_within(client, &other).await.unwrap();
            came += 1;
            if let Ok(ended) = hears.try_recv() {
                return (came, ended);
            }
        }
    };
    let crowded = tokio::time::timeout(PATIENCE, coming).await;
    crowded.unwrap_or_else(|_| panic!("no session was ended"))
}

#[tokio::test]
async fn a_session_that_makes_way_is_ended_at_the_server() {
    let (server, mut hears) = telling().await;
    let mut limits = small();
    limits.sessions = 2;
    let client = legacy(&server).limits(limits).build().unwrap();
    let (_, (session, _)) = crowded_out(&client, &mut hears).await;
    assert!(session.unwrap().starts_with("s-"));
}

#[tokio::test]
async fn the_provider_of_who_has_logged_out_is_not_asked_for_the_end_of_a_session() {
    let as_alice = Some("Bearer test-token-alice".to_owned());
    for closes in [true, false] {
        let (server, mut hears) = telling().await;
        let provider = Arc::new(Leaving::default());
        let mut limits = small();
        limits.sessions = 1;
        let client = legacy(&server)
            .credentials(Arc::clone(&provider) as _)
            .limits(limits)
            .build()
            .unwrap();
        call(&client).await.unwrap();
        provider.left.store(true, Ordering::SeqCst);
        // She leaves, or others come until hers makes way.
        let (others, (_, by)) = if closes {
            client.close(&context("alice")).await;
            (0, hears.recv().await.unwrap())
        } else {
            crowded_out(&client, &mut hears).await
        };
        assert_eq!(by, as_alice);
        // Each of the others asked for its three requests.
        assert_eq!(provider.asked.load(Ordering::SeqCst), 3 * others);
    }
}

#[tokio::test]
async fn a_session_whose_opening_fails_is_ended_too() {
    let (told, mut hears) = mpsc::unbounded_channel();
    let server = FaultServer::start(move |request, mut wire| {
        let told = told.clone();
        async move {
            if request.method == "DELETE" {
                let ended = request.header("mcp-session-id").unwrap();
                told.send(ended.to_owned()).unwrap();
            }
            if request.rpc_method() == "notifications/initialized" {
                return wire.respond(503, &[], "").await.then_some(wire);
            }
            wire.session(&request, "s-half").await.then_some(wire)
        }
    })
    .await;
    let client = legacy(&server).build().unwrap();
    assert_eq!(
        call(&client).await.unwrap_err().kind(),
        ErrorKind::HttpStatus
    );
    let ended = tokio::time::timeout(PATIENCE, hears.recv()).await.unwrap();
    assert_eq!(ended.unwrap(), "s-half");
}

#[tokio::test]
async fn e15_ending_a_session_takes_no_longer_than_its_limit() {
    let server = FaultServer::start(|request, mut wire| async move {
        if request.method == "DELETE" {
            wire.closed().await;
            return None;
        }
        wire.session(&request, "s-1").await.then_some(wire)
    })
    .await;
    let mut limits = small();
    limits.close_timeout = Duration::from_millis(100);
    let client = legacy(&server).limits(limits).build().unwrap();
    call(&client).await.unwrap();
    // She has all the time in the world.
    let alice = CallContext::new(Principal::new("alice").unwrap());
    let closing = tokio::time::timeout(PATIENCE, client.close(&alice));
    closing.await.unwrap();
    let seen = server.seen();
    let delete = seen.last().unwrap();
    assert_eq!(delete.method, "DELETE");
    assert_eq!(delete.header("mcp-session-id"), Some("s-1"));
    assert_eq!(delete.header("mcp-protocol-version"), Some("2025-11-25"));
}
