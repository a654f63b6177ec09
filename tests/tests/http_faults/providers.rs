//! E11: credential providers that hang or panic.

use mcp_core::auth::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady,
};
use mcp_core::{CallContext, ErrorKind, Principal};
use mcp_http::HttpServer;
use mcp_testbed::fault::FaultServer;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

use crate::harness::{call, call_within, chain, context, modern};

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
    let server = FaultServer::start(|request, mut wire| async move {
        wire.modern(&request).await.then_some(wire)
    })
    .await;
    let client = HttpServer::builder(server.url())
        .credentials(Arc::new(Hanging))
        .build()
        .unwrap();
    let hanging = client.clone();
    let alice = tokio::spawn(async move {
        let context =
            CallContext::new(Principal::new("alice").unwrap()).with_timeout(Duration::from_secs(3));
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
        assert!(!chain(&error).contains("canary"));
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
