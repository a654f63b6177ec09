//! rmcp with its own HTTP transport, on a session that is kept.

use std::borrow::Cow;

use anyhow::Result;
use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientLifecycleMode, ClientServiceExt as _, RoleClient};
use serde_json::{Map, Value};

use crate::cell::Caller;
use crate::server::TOOL;

/// How it reaches its server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Connections {
    /// An ordinary reqwest client, which keeps connections.
    Pooled,
    /// The client that its configuration makes, which keeps none.
    Default,
}

/// Whether it opens with the handshake of 2025-11-25 or asks as 2026-07-28 does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dialect {
    Session,
    Stateless,
}

/// A connected client.
pub(crate) struct Rmcp {
    service: RunningService<RoleClient, ()>,
    arguments: Map<String, Value>,
}

impl Rmcp {
    pub(crate) async fn connect(
        url: &str,
        connections: Connections,
        dialect: Dialect,
        at_once: Option<usize>,
    ) -> Result<Self> {
        let mut config =
            StreamableHttpClientTransportConfig::with_uri(url).auth_header("test-token-alice");
        if let Some(at_once) = at_once {
            config = config.max_concurrent_requests(at_once);
        }
        let transport = match connections {
            Connections::Pooled => {
                StreamableHttpClientTransport::with_client(reqwest::Client::new(), config)
            }
            Connections::Default => StreamableHttpClientTransport::from_config(config),
        };
        let mode = match dialect {
            Dialect::Session => ClientLifecycleMode::Initialize,
            Dialect::Stateless => ClientLifecycleMode::Discover {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            },
        };
        Ok(Self {
            service: ().serve_with_lifecycle(transport, mode).await?,
            arguments: crate::ours::arguments(),
        })
    }

    /// All tools of the server.
    pub(crate) async fn list(&self) -> Result<usize> {
        Ok(self.service.list_all_tools().await?.len())
    }
}

/// rmcp with a session for each call, over one reqwest client.
pub(crate) struct FreshRmcp {
    client: reqwest::Client,
    url: String,
}

impl FreshRmcp {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            client: reqwest::Client::new(),
            url: url.to_owned(),
        }
    }
}

impl Caller for FreshRmcp {
    async fn call(&self) -> Result<()> {
        let config = StreamableHttpClientTransportConfig::with_uri(self.url.as_str())
            .auth_header("test-token-alice");
        let transport = StreamableHttpClientTransport::with_client(self.client.clone(), config);
        let mode = ClientLifecycleMode::Initialize;
        let session = Rmcp {
            service: ().serve_with_lifecycle(transport, mode).await?,
            arguments: crate::ours::arguments(),
        };
        session.call().await?;
        session.service.cancel().await?;
        Ok(())
    }
}

impl Caller for Rmcp {
    async fn call(&self) -> Result<()> {
        let call =
            CallToolRequestParams::new(Cow::Borrowed(TOOL)).with_arguments(self.arguments.clone());
        self.service.call_tool(call).await?;
        Ok(())
    }
}
