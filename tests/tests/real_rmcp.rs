//! An application that speaks through rmcp, with our client below it, against real servers.
#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

use std::sync::Arc;
use std::time::Duration;

use mcp_core::Principal;
use mcp_core::auth::{Bearer, CredentialError, CredentialProvider, CredentialRequest, Credentials};
use mcp_core::auth::{MaybeReady, Recovery, Rejection};
use mcp_http::{HttpServer, RmcpClient};
use mcp_testbed::real::{EverythingServer, FastMcpServer};
use rmcp::ServiceExt as _;
use rmcp::model::CallToolRequestParams;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::json;

fn transport(server: &HttpServer) -> StreamableHttpClientTransport<RmcpClient> {
    let config = StreamableHttpClientTransportConfig::with_uri(server.url().as_str());
    let client = RmcpClient::new(server, Principal::new("alice").unwrap());
    StreamableHttpClientTransport::with_client(client, config)
}

fn call(name: &'static str, arguments: &serde_json::Value) -> CallToolRequestParams {
    CallToolRequestParams::new(name).with_arguments(arguments.as_object().unwrap().clone())
}

#[tokio::test]
async fn rmcp_keeps_its_sessions_on_our_client() {
    let everything = EverythingServer::streamable_http();
    let server = HttpServer::builder(everything.url()).build().unwrap();
    let service = ().serve(transport(&server)).await.unwrap();
    let tools = service.list_all_tools().await.unwrap();
    assert!(tools.iter().any(|tool| tool.name == "echo"));
    let said = service
        .call_tool(call("echo", &json!({"message": "hi"})))
        .await;
    assert!(format!("{:?}", said.unwrap().content).contains("Echo: hi"));
    service.cancel().await.unwrap();
}

/// An expired token until it is refused.
#[derive(Debug)]
struct Renewing {
    stale: Bearer,
    fresh: Bearer,
    refused: std::sync::atomic::AtomicUsize,
}

impl CredentialProvider for Renewing {
    fn credentials<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        match self.refused.load(std::sync::atomic::Ordering::SeqCst) {
            0 => self.stale.credentials(request),
            _ => self.fresh.credentials(request),
        }
    }

    fn rejected<'a>(
        &'a self,
        _: Rejection<'a>,
    ) -> MaybeReady<'a, Result<Recovery, CredentialError>> {
        self.refused
            .fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        MaybeReady::ready(Ok(Recovery::Retry))
    }
}

#[tokio::test]
async fn rmcp_gets_fresh_credentials_from_our_provider() {
    let fastmcp = FastMcpServer::start();
    let minute = Duration::from_secs(60);
    let provider = Arc::new(Renewing {
        stale: Bearer::new(fastmcp.jwt().mint_expired("alice")).unwrap(),
        fresh: Bearer::new(fastmcp.jwt().mint("alice", minute, &[])).unwrap(),
        refused: 0.into(),
    });
    let server = HttpServer::builder(fastmcp.url())
        .credentials(Arc::clone(&provider) as _)
        .build()
        .unwrap();
    let service = ().serve(transport(&server)).await.unwrap();
    let who = service.call_tool(call("whoami", &json!({}))).await.unwrap();
    assert!(format!("{:?}", who.content).contains("alice"));
    assert_eq!(
        provider.refused.load(std::sync::atomic::Ordering::SeqCst),
        1
    );
    service.cancel().await.unwrap();
}
