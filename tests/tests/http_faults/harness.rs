//! What the tests have in common: clients of scripted servers, calls, providers.

use mcp_core::auth::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady, Recovery,
    Rejection,
};
use mcp_core::{
    CallContext, Error, Limits, Principal, ProtocolVersion, ToolCall, ToolDefinition, ToolOutput,
    ToolServer,
};
use mcp_http::{HttpServer, HttpServerBuilder};
use mcp_testbed::fault::{FaultServer, Request, Wire};
use serde_json::{Map, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

pub(crate) use mcp_testbed::shown;

/// No test takes longer than this; none but those about time comes near it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn context(user: &str) -> CallContext {
    CallContext::new(Principal::new(user).unwrap()).with_timeout(PATIENCE)
}

pub(crate) fn modern(server: &FaultServer) -> HttpServerBuilder {
    HttpServer::builder(server.url()).protocol(Some(ProtocolVersion::V2026_07_28))
}

pub(crate) fn legacy(server: &FaultServer) -> HttpServerBuilder {
    HttpServer::builder(server.url()).protocol(Some(ProtocolVersion::V2025_11_25))
}

/// Turns the clock: whoever waits for a time that has come is woken. Where a test speaks over real
/// connections its clock cannot stand still, since it would run ahead whenever bytes are under way.
pub(crate) async fn later(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

pub(crate) fn small() -> Limits {
    let mut limits = Limits::default();
    limits.body_bytes = 64 << 10;
    limits.message_bytes = 64 << 10;
    limits.messages_per_answer = 100;
    limits
}

pub(crate) fn echo() -> ToolDefinition {
    ToolDefinition::from_parts("echo", "", &json!({"type": "object"})).unwrap()
}

pub(crate) async fn call_within(
    server: &HttpServer,
    context: &CallContext,
) -> Result<ToolOutput, Error> {
    let (tool, arguments) = (echo(), Map::new());
    server
        .call_tool(ToolCall::new(&tool, &arguments), context)
        .await
}

pub(crate) async fn call(server: &HttpServer) -> Result<ToolOutput, Error> {
    call_within(server, &context("alice")).await
}

/// A modern server that tells of each request that it holds, and answers it when it may.
pub(crate) struct Gated {
    pub(crate) server: FaultServer,
    pub(crate) held: mpsc::UnboundedReceiver<()>,
    pub(crate) may: Arc<Semaphore>,
}

impl Gated {
    pub(crate) async fn start(holds: fn(&Request) -> bool) -> Self {
        let (told, held) = mpsc::unbounded_channel();
        let may = Arc::new(Semaphore::new(0));
        let gate = Arc::clone(&may);
        let server = FaultServer::start(move |request: Request, mut wire: Wire| {
            let (told, gate) = (told.clone(), Arc::clone(&gate));
            async move {
                if holds(&request) {
                    told.send(()).unwrap();
                    gate.acquire().await.unwrap().forget();
                }
                wire.modern(&request).await.then_some(wire)
            }
        })
        .await;
        Self { server, held, may }
    }
}

/// What a call meets when its answer is what `answer` writes; everything else is as it should be.
pub(crate) async fn call_answered<W>(
    answer: impl Fn(Request, Wire) -> W + Send + Sync + 'static,
) -> Error
where
    W: Future<Output = Option<Wire>> + Send + 'static,
{
    let server = FaultServer::start(answer).await;
    let client = modern(&server).limits(small()).build().unwrap();
    let error = call(&client).await.unwrap_err();
    assert_eq!(
        server.count("tools/call"),
        1,
        "a call was repeated: {error}"
    );
    error
}

/// Counts what it is asked and always has something new.
#[derive(Debug, Default)]
pub(crate) struct Eager {
    pub(crate) rejected: AtomicUsize,
    gives: AtomicUsize,
}

impl CredentialProvider for Eager {
    fn credentials<'a>(
        &'a self,
        _: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        let token = format!("test-token-{}", self.gives.fetch_add(1, Ordering::Relaxed));
        MaybeReady::ready(Credentials::bearer(token).map_err(Into::into))
    }

    fn rejected<'a>(
        &'a self,
        _: Rejection<'a>,
    ) -> MaybeReady<'a, Result<Recovery, CredentialError>> {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        MaybeReady::ready(Ok(Recovery::Retry))
    }
}
