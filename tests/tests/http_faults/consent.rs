//! E11: users who take minutes to consent while a request waits for its credentials. That time is the
//! caller's, who says how much of it there is; the server's own bounds do not count it.

use std::time::Duration;

use mcp_core::auth::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady,
};
use mcp_core::{CallContext, Error, ErrorKind, Principal, ToolServer as _};
use mcp_http::HttpServerBuilder;
use mcp_testbed::fault::FaultServer;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};

use crate::harness::{later, legacy, modern};
use crate::old_peer::{OldPeer, old};

const MINUTE: Duration = Duration::from_secs(60);

/// Has nothing until the user has consented.
#[derive(Debug)]
struct Asking {
    asked: mpsc::UnboundedSender<()>,
    consented: Semaphore,
}

impl CredentialProvider for Asking {
    fn credentials<'a>(
        &'a self,
        _: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        let token = || Credentials::bearer("test-token-alice").map_err(Into::into);
        if self.consented.available_permits() > 0 {
            return MaybeReady::ready(token());
        }
        let _ = self.asked.send(());
        MaybeReady::new(async move {
            let _consented = self.consented.acquire().await;
            token()
        })
    }
}

/// Lists the tools within `time`, if the user consents `after` the question.
async fn list(server: HttpServerBuilder, time: Duration, after: Duration) -> Result<usize, Error> {
    let (asked, mut hears) = mpsc::unbounded_channel();
    let consented = Semaphore::new(0);
    let provider = Arc::new(Asking { asked, consented });
    let credentials = Arc::clone(&provider);
    let client = server.credentials(credentials).build().unwrap();
    let listing = tokio::spawn(async move {
        let context = CallContext::new(Principal::new("alice").unwrap()).with_timeout(time);
        client.list_tools(&context).await
    });
    hears.recv().await.unwrap();
    later(after).await;
    // Whatever has run out by now has ended.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    provider.consented.add_permits(1);
    let listing = listing.await.unwrap();
    listing.map(|listing| listing.tools.len())
}

#[tokio::test]
async fn e11_a_caller_with_time_waits_for_consent_in_every_dialect() {
    let peer = OldPeer::default();
    let server = FaultServer::start(move |request, mut wire| {
        let peer = peer.clone();
        async move {
            match (request.path.as_str(), request.header("mcp-method")) {
                ("/mcp", _) if request.method == "GET" => peer.serve(request, wire).await,
                ("/mcp", Some(_)) => wire.modern(&request).await.then_some(wire),
                ("/mcp", None) => wire.session(&request, "s-1").await.then_some(wire),
                _ => peer.serve(request, wire).await,
            }
        }
    })
    .await;
    for (dialect, builder) in [
        ("found", mcp_http::HttpServer::builder(server.url())),
        ("stateless", modern(&server)),
        ("session", legacy(&server)),
        ("stream", old(&server)),
    ] {
        let listed = list(builder, 10 * MINUTE, 5 * MINUTE).await;
        assert_eq!(listed.unwrap(), 1, "{dialect}");
    }
    // The caller's time is the bound.
    let error = list(legacy(&server), MINUTE, 2 * MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("credentials"), "{error}");
}
