//! The dialect of 2026-07-28: every request says everything.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, Method, header};
use mcp_core::duplex::{Discovery, Input};
use mcp_core::wire::{RequestMeta, RpcError, ToolCollector};
use mcp_core::{CallContext, Error, ProtocolVersion, ServerInfo, ToolDefinition, Transport};
use serde_json::value::RawValue;

use super::Inner;
use super::answer::Reply;
use super::exchange::Exchange;
use super::fault::Fault;
use super::headers;
use super::reading::Reading;
use super::rpc::{Fields, Rpc};
use super::take::{Pages, Take};
use super::telemetry;

/// How long a server that only asks to be asked again is left alone, times the round.
const SHED_LOAD: Duration = Duration::from_millis(50);

impl Inner {
    /// Asks and gives what the result says, through as many rounds of input as it takes.
    pub(crate) async fn stateless<T>(
        &self,
        version: ProtocolVersion,
        rpc: &Rpc<'_>,
        context: &CallContext,
        take: &mut impl Take<T>,
    ) -> Result<T, Fault> {
        telemetry::record_version(version);
        let mut input = Input::default();
        for round in 0..=self.limits.input_rounds {
            match self
                .stateless_round(version, rpc, &input, context, take)
                .await?
            {
                Reply::Done(done) => return Ok(done),
                Reply::NeedsInput(result) => {
                    input = Box::pin(self.offer().input(&result, context)).await?;
                }
            }
            if input.responses.is_none() {
                let times = u32::try_from(round + 1).unwrap_or(u32::MAX);
                tokio::time::sleep(SHED_LOAD.saturating_mul(times)).await;
            }
        }
        Err(Error::limit(
            "input_rounds",
            self.limits.input_rounds,
            "rounds of input in one call",
        )
        .into())
    }

    async fn stateless_round<T>(
        &self,
        version: ProtocolVersion,
        rpc: &Rpc<'_>,
        input: &Input,
        context: &CallContext,
        take: &mut impl Take<T>,
    ) -> Result<Reply<T>, Fault> {
        let once = self
            .stateless_once(version, rpc, input, context, None, take)
            .await;
        let Fields::Call(call) = rpc.fields else {
            return once;
        };
        match once {
            // The definition at hand is stale: the mirrored headers are not those that the server
            // wants now. Nothing has run.
            Err(Fault::Refused(refusal)) if refusal.code == RpcError::HEADER_MISMATCH => {
                let finding = self.fresh_definition(version, call.tool, context);
                let Some(fresh) = Box::pin(finding).await else {
                    return Err(Fault::Refused(refusal));
                };
                let mut call = call;
                call.tool = &fresh;
                let rpc = Rpc::call(call);
                Box::pin(self.stateless_once(version, &rpc, input, context, None, take)).await
            }
            other => other,
        }
    }

    async fn stateless_once<T>(
        &self,
        version: ProtocolVersion,
        rpc: &Rpc<'_>,
        input: &Input,
        context: &CallContext,
        silence: Option<Duration>,
        take: &mut impl Take<T>,
    ) -> Result<Reply<T>, Fault> {
        let _place = self.shares.place(context).await?;
        let id = self.next_id();
        let body = {
            let trace = context.current_trace();
            let (client, capabilities) = (&self.client_identity, &self.capabilities);
            let mut meta = RequestMeta::new(version, client, capabilities, trace.as_deref());
            if context.wants_progress() {
                meta = meta.with_progress_token(id);
            }
            let is_usual =
                version == ProtocolVersion::LATEST && trace.is_none() && !context.wants_progress();
            let written = self.written_meta.as_deref().filter(|_| is_usual);
            rpc.encode(id, input, meta, written)?
        };
        let exchange = Exchange {
            body,
            tool: rpc.tool(),
            repeatable: rpc.is_repeatable(),
            silence,
            ..Exchange::new(Method::POST, &self.url, context)
        };
        let reading = Reading {
            rpc,
            id,
            url: &self.url,
            context,
            session: None,
        };
        let mut again = exchange.repeatable;
        loop {
            let answered = self
                .exchange(&exchange, |map| stateless_headers(map, version, rpc))
                .await?;
            let reply = match silence {
                None => self.answer(reading, answered, take).await,
                Some(limit) => {
                    let answer = Box::pin(self.answer(reading, answered, take));
                    let answer = tokio::time::timeout(limit, answer).await;
                    answer.unwrap_or_else(|_| Err(Fault::silent(limit)))
                }
            };
            match reply {
                Err(fault) if again && fault.is_loss_of_connection() => again = false,
                reply => return reply,
            }
        }
    }

    /// The tool's definition as the server gives it now, if it still has one.
    async fn fresh_definition(
        &self,
        version: ProtocolVersion,
        stale: &ToolDefinition,
        context: &CallContext,
    ) -> Option<Arc<ToolDefinition>> {
        let collector = ToolCollector::new(ServerInfo::default(), &self.limits);
        let mut pages = Pages::new(collector);
        let mut cursor: Option<String> = None;
        let input = Input::default();
        loop {
            let rpc = Rpc::page("tools/list", cursor.as_deref());
            let page = self
                .stateless_once(version, &rpc, &input, context, None, &mut pages)
                .await;
            match page {
                Ok(Reply::Done(Some(next))) => cursor = Some(next),
                Ok(_) => break,
                Err(_) => return None,
            }
        }
        let tools = pages.collector.finish().tools;
        let fresh = tools.into_iter().find(|tool| tool.name() == stale.name())?;
        matches!(fresh.header_params(), Ok(params) if stale.header_params() != Ok(params))
            .then_some(fresh)
    }

    /// Asks a server who it is. `silence` bounds how long it may say nothing.
    pub(crate) async fn discover(
        &self,
        version: ProtocolVersion,
        context: &CallContext,
        silence: Option<Duration>,
    ) -> Result<Discovery, Fault> {
        let nothing = serde_json::Map::new();
        let rpc = Rpc::object("server/discover", &nothing);
        let input = Input::default();
        let transport = Transport::StreamableHttp;
        let mut read = |result: &RawValue| Discovery::read(result, version, transport);
        match self
            .stateless_once(version, &rpc, &input, context, silence, &mut read)
            .await?
        {
            Reply::Done(discovery) => Ok(discovery),
            Reply::NeedsInput(_) => Err(Error::protocol("discovery asks for input").into()),
        }
    }
}

pub(super) fn stateless_headers(
    map: &mut HeaderMap,
    version: ProtocolVersion,
    rpc: &Rpc<'_>,
) -> Result<(), Error> {
    map.insert(header::CONTENT_TYPE, headers::JSON.clone());
    map.insert(header::ACCEPT, headers::EITHER.clone());
    map.insert(
        headers::MCP_PROTOCOL_VERSION.clone(),
        headers::version(version),
    );
    map.insert(headers::MCP_METHOD.clone(), headers::method(rpc.method)?);
    if let Some(name) = rpc.name() {
        map.insert(headers::MCP_NAME.clone(), headers::text(name)?);
    }
    let Fields::Call(call) = rpc.fields else {
        return Ok(());
    };
    let mirrored = call.tool.header_params().map_err(|error| {
        Error::config_because("the tool cannot be called over HTTP", error.clone())
    })?;
    for (name, value) in mirrored.iter().flat_map(|params| params.of(call.arguments)) {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|error| Error::config_because("the tool cannot be called over HTTP", error))?;
        map.insert(name, headers::text(&value)?);
    }
    Ok(())
}
