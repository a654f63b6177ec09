//! E11: credential providers that take their time, hang or panic.

use mcp_core::auth::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady, Recovery,
    Rejection,
};
use mcp_core::{ErrorKind, Limits, ToolServer};
use mcp_http::HttpServer;
use mcp_testbed::fault::FaultServer;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

use crate::harness::{call, call_within, context, later, legacy, modern, shown};

/// Never has anything.
#[derive(Debug)]
struct Hanging;

impl CredentialProvider for Hanging {
    fn credentials<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        if request.principal.user() == "bob" {
            return MaybeReady::ready(Ok(Credentials::anonymous()));
        }
        MaybeReady::new(std::future::pending())
    }
}

#[tokio::test]
async fn e11_a_provider_that_hangs_stops_nobody_else() {
    let server = FaultServer::modern().await;
    let client = HttpServer::builder(server.url())
        .credentials(Arc::new(Hanging))
        .build()
        .unwrap();
    let hanging = client.clone();
    let alice = tokio::spawn(async move {
        let context = context("alice").with_timeout(Duration::from_secs(3));
        call_within(&hanging, &context).await.map(drop)
    });
    tokio::task::yield_now().await;
    assert_eq!(
        call_within(&client, &context("bob")).await.unwrap().text(),
        "done"
    );
    let error = alice.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("credentials"), "{error}");
}

/// Panics with what it knows, at once or later.
#[derive(Debug)]
struct Panicking {
    later: bool,
}

impl CredentialProvider for Panicking {
    fn credentials<'a>(
        &'a self,
        _: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        assert!(self.later, "test-token-canary");
        MaybeReady::new(async {
            assert_eq!("test-token-canary", "");
            Ok(Credentials::anonymous())
        })
    }
}

#[tokio::test]
async fn e11_a_provider_that_panics_is_an_error() {
    let server = FaultServer::start(|_, _| async { None }).await;
    for later in [false, true] {
        let client = modern(&server)
            .credentials(Arc::new(Panicking { later }))
            .build()
            .unwrap();
        let error = call(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CredentialUnavailable);
        assert!(!shown(&error).contains("canary"));
    }
    assert!(server.seen().is_empty());
}

/// Learns nothing.
#[derive(Debug)]
struct Forgetful;

impl CredentialProvider for Forgetful {
    fn credentials<'a>(
        &'a self,
        _: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        MaybeReady::ready(Ok(Credentials::anonymous()))
    }

    fn nonce(&self, _: CredentialRequest<'_>, _: &http::HeaderValue) {
        panic!("no place for it");
    }
}

#[tokio::test]
async fn e11_a_provider_that_panics_over_a_nonce_costs_no_answer() {
    let server = FaultServer::start(|request, mut wire| async move {
        let result = json!({"resultType": "complete", "content": []});
        let headers = [("Content-Type", "application/json"), ("DPoP-Nonce", "n-1")];
        wire.respond(200, &headers, &request.result(&result))
            .await
            .then_some(wire)
    })
    .await;
    let client = modern(&server)
        .credentials(Arc::new(Forgetful))
        .build()
        .unwrap();
    assert!(!call(&client).await.unwrap().is_error());
}

/// Has some credentials at once; for more, somebody has to open the gate.
#[derive(Debug)]
struct Gated {
    free: AtomicUsize,
    gate: Semaphore,
    waits: mpsc::UnboundedSender<()>,
}

impl Gated {
    /// One that has so many at once, and who hears of each that waits.
    fn new(free: usize) -> (Arc<Self>, mpsc::UnboundedReceiver<()>) {
        let (waits, waiting) = mpsc::unbounded_channel();
        let gated = Self {
            free: AtomicUsize::new(free),
            gate: Semaphore::new(0),
            waits,
        };
        (Arc::new(gated), waiting)
    }
}

impl CredentialProvider for Gated {
    fn credentials<'a>(
        &'a self,
        _: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        let given = || Credentials::bearer("test-token-alice").map_err(Into::into);
        let less = |free: usize| free.checked_sub(1);
        let free = self
            .free
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
        if free.is_ok() {
            return MaybeReady::ready(given());
        }
        MaybeReady::new(async move {
            self.waits.send(()).unwrap();
            drop(self.gate.acquire().await.unwrap());
            given()
        })
    }

    fn rejected<'a>(
        &'a self,
        _: Rejection<'a>,
    ) -> MaybeReady<'a, Result<Recovery, CredentialError>> {
        MaybeReady::ready(Ok(Recovery::GiveUp))
    }
}

#[tokio::test]
async fn a_call_that_waits_for_its_credentials_is_not_cancelled_at_the_server() {
    let server = FaultServer::start(|request, mut wire| async move {
        wire.session(&request, "s-1").await.then_some(wire)
    })
    .await;
    let (provider, mut waiting) = Gated::new(2);
    let client = legacy(&server)
        .credentials(Arc::clone(&provider) as _)
        .build()
        .unwrap();
    let caller = client.clone();
    let calling = tokio::spawn(async move { call(&caller).await.map(drop) });
    waiting.recv().await.unwrap();
    calling.abort();
    assert!(calling.await.unwrap_err().is_cancelled());
    provider.gate.add_permits(100);
    // Whatever is to be said is said by then.
    client.close(&context("alice")).await;
    assert_eq!(server.count("tools/call"), 0);
    assert_eq!(server.count("notifications/cancelled"), 0);
}

#[tokio::test]
async fn time_for_credentials_is_not_silence_of_the_server() {
    // It is asked who it is, and only that it understands.
    let server = FaultServer::start(|request, mut wire| async move {
        if request.rpc_method() == "initialize" {
            let body = request.error(-32602, "the version is missing");
            return wire.json_with(400, &body).await.then_some(wire);
        }
        wire.modern(&request).await.then_some(wire)
    })
    .await;
    let (provider, mut waiting) = Gated::new(0);
    let client = HttpServer::builder(server.url())
        .credentials(Arc::clone(&provider) as _)
        .build()
        .unwrap();
    // She has as long as the handshake; a third of that is what the server may be silent for.
    let handshake = Limits::default().startup_timeout;
    let alice = context("alice").with_timeout(handshake);
    let calling = tokio::spawn(async move {
        let called = call_within(&client, &alice).await;
        called.map(|output| output.text())
    });
    waiting.recv().await.unwrap();
    later(handshake / 2).await;
    provider.gate.add_permits(100);
    assert_eq!(calling.await.unwrap().unwrap(), "done");
    assert_eq!(server.count("initialize"), 0);
}
