//! All tools of a server, over all pages, and who the server says it is.

use std::sync::Arc;

use mcp_core::auth::time::Instant;
use mcp_core::duplex::Discovery;
use mcp_core::wire::{RpcError, ToolCollector};
use mcp_core::{CallContext, Error, ProtocolVersion, ServerInfo, ToolListing, Transport};

use super::Inner;
use super::era::Era;
use super::fault::Fault;
use super::rpc::Rpc;
use super::take::Pages;

impl Inner {
    pub(super) async fn list(&self, context: &CallContext) -> Result<ToolListing, Error> {
        let mut again = true;
        loop {
            let (era, discovery) = self.era(context).await?;
            let listing = std::pin::pin!(async {
                match era {
                    Era::Stateless(version) => {
                        Box::pin(self.list_stateless(version, discovery, context)).await
                    }
                    Era::Session => Box::pin(self.list_in_session(context)).await,
                    Era::Sse => Box::pin(self.list_over_stream(context)).await,
                }
            });
            let listed = self.bounded(context, "listing the tools", listing).await;
            match listed {
                Ok(listing) => return Ok(listing),
                Err(fault) if again && fault.is_other_era() => {
                    again = false;
                    self.finder.doubt(era);
                }
                Err(fault) => return Err(fault.into_error()),
            }
        }
    }

    async fn list_stateless(
        &self,
        version: ProtocolVersion,
        discovery: Option<Discovery>,
        context: &CallContext,
    ) -> Result<ToolListing, Fault> {
        let era = Era::Stateless(version);
        let discovered = async {
            match discovery.or_else(|| self.shared_discovery()) {
                Some(discovery) => Ok(discovery),
                None => Box::pin(self.discover(version, context, None)).await,
            }
        };
        // What the server says of itself is asked for beside the list, not before it.
        let (discovery, pages) =
            tokio::join!(discovered, self.pages(era, ServerInfo::default(), context));
        // Who cannot be asked who it is can still be asked for its tools.
        let discovery = discovery.ok();
        if let Some(discovery) = discovery.iter().find(|known| known.public_until.is_some()) {
            self.shared_discovery
                .store(Some(Arc::new(discovery.clone())));
        }
        let tells_changes = discovery
            .as_ref()
            .is_some_and(|known| known.capabilities.tells_tool_changes());
        if tells_changes && pages.is_ok() {
            self.subscribe(version, context).await;
        }
        let nothing_offered = discovery
            .as_ref()
            .is_some_and(|known| !known.capabilities.has_tools());
        let info = discovery.map(|discovery| discovery.info);
        let info = info.unwrap_or_else(|| unnamed(version));
        match pages {
            Ok(mut listing) => {
                listing.server = info;
                Ok(listing)
            }
            Err(Fault::Refused(refusal))
                if nothing_offered && refusal.code == RpcError::METHOD_NOT_FOUND =>
            {
                Ok(ToolListing::new(info))
            }
            Err(fault) => Err(fault),
        }
    }

    async fn list_in_session(&self, context: &CallContext) -> Result<ToolListing, Fault> {
        let mut again = true;
        loop {
            let session = self
                .session(context, None, ProtocolVersion::LATEST_LEGACY)
                .await?;
            if !session.capabilities.has_tools() {
                // What was not offered must not be asked for (2025-11-25, basic/lifecycle).
                return Ok(ToolListing::new(session.info.clone()));
            }
            let info = session.info.clone();
            match self.pages(Era::Session, info, context).await {
                // The session was lost between two pages, and its cursors with it.
                Err(Fault::Refused(refusal))
                    if again && refusal.code == RpcError::INVALID_PARAMS && session.has_ended() =>
                {
                    again = false;
                }
                listed => return listed,
            }
        }
    }

    async fn pages(
        &self,
        era: Era,
        info: ServerInfo,
        context: &CallContext,
    ) -> Result<ToolListing, Fault> {
        let mut pages = Pages::new(ToolCollector::new(info, &self.limits));
        let mut cursor: Option<String> = None;
        loop {
            let rpc = Rpc::page("tools/list", cursor.as_deref());
            let next = self.ask_in(era, &rpc, context, &mut pages).await?;
            match next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        let Pages {
            mut collector,
            mirrors,
        } = pages;
        if mirrors && matches!(era, Era::Stateless(_)) {
            // A tool with an invalid annotation must not be offered over HTTP (2026-07-28,
            // server/tools).
            let invalid: Vec<_> = collector
                .tools()
                .iter()
                .filter_map(|tool| {
                    let reason = tool.header_params().err()?.to_string();
                    Some((Arc::clone(tool), reason))
                })
                .collect();
            for (tool, reason) in invalid {
                tracing::warn!(server = %self.id, tool = tool.name(), reason, "tool skipped");
                collector.skip(&tool, reason);
            }
        }
        Ok(collector.finish())
    }

    fn shared_discovery(&self) -> Option<Discovery> {
        let shared = self.shared_discovery.load();
        let fresh = |known: &&Discovery| {
            let now = Instant::now();
            known.public_until.is_some_and(|until| now < until)
        };
        shared.as_deref().filter(fresh).cloned()
    }
}

/// A server of which no more is known than how it is spoken with.
fn unnamed(version: ProtocolVersion) -> ServerInfo {
    let mut info = ServerInfo::default();
    info.protocol = Some(version);
    info.transport = Some(Transport::StreamableHttp);
    info
}
