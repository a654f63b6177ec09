//! Listing tools and calling them.

use std::time::Duration;

use super::correlator::Answer;
use super::rounds::{CallWithInput, Input, needs_input};
use super::{Duplex, Outgoing};
use crate::wire::{ListParams, ToolCollector, ToolsPage};
use crate::{CallContext, Error, ErrorKind, ToolCall, ToolListing, ToolOutput};

/// How long a server that only asks to be asked again is left alone, times the round.
const SHED_LOAD: Duration = Duration::from_millis(50);

impl Duplex {
    /// All tools, over all pages, bounded by the context's deadline or
    /// [`Limits::call_timeout`](crate::Limits), whichever is earlier.
    ///
    /// # Errors
    /// As [`ToolServer::list_tools`](crate::ToolServer::list_tools).
    pub async fn list_tools(&self, context: &CallContext) -> Result<ToolListing, Error> {
        let negotiated = self.negotiated()?;
        let limits = &self.settings.limits;
        let listed = async {
            let mut collector = ToolCollector::new(negotiated.info.clone(), limits);
            if !negotiated.capabilities.has_tools() {
                // What was not offered must not be asked for (2025-11-25, basic/lifecycle).
                return Ok(collector.finish());
            }
            let mut cursor: Option<String> = None;
            loop {
                let trace = context.current_trace();
                let mut about = Outgoing::new("tools/list", context);
                about.trace = trace.as_deref();
                let cursor_now = cursor.as_deref();
                let params = |meta| ListParams {
                    cursor: cursor_now,
                    meta,
                };
                let page = self.result(about, params).await?;
                match collector.add(&ToolsPage::parse(&page)?)? {
                    Some(next) => cursor = Some(next),
                    None => return Ok(collector.finish()),
                }
            }
        };
        context
            .bound(limits.call_timeout, "listing the tools", listed)
            .await
    }

    /// Calls a tool, bounded by the context's deadline or
    /// [`Limits::call_timeout`](crate::Limits), whichever is earlier. Dropping the future cancels
    /// the call at the server.
    ///
    /// # Errors
    /// As [`ToolServer::call_tool`](crate::ToolServer::call_tool). When the connection closes
    /// before the answer, [`Failure::OutcomeUnknown`](crate::Failure) with the reason as its source.
    pub async fn call_tool(
        &self,
        call: ToolCall<'_>,
        context: &CallContext,
    ) -> Result<ToolOutput, Error> {
        let limit = self.settings.limits.call_timeout;
        context
            .bound(limit, "calling the tool", self.call_rounds(call, context))
            .await
            .map_err(|error| error.for_tool(call.tool.name()))
    }

    async fn call_rounds(
        &self,
        call: ToolCall<'_>,
        context: &CallContext,
    ) -> Result<ToolOutput, Error> {
        let negotiated = self.negotiated()?;
        let stateless = negotiated.version.is_stateless();
        if !stateless && !negotiated.capabilities.has_tools() {
            // What was not offered must not be asked for (2025-11-25, basic/lifecycle).
            return Err(Error::no_tools(call.tool.name()));
        }
        let rounds = self.settings.limits.input_rounds;
        let name = call.tool.name();
        let mut input = Input::default();
        for round in 0..=rounds {
            let trace = context.current_trace();
            let mut about = Outgoing::new("tools/call", context);
            about.trace = trace.as_deref();
            about.tool = Some(name);
            let given = &input;
            let params = |meta| CallWithInput {
                name,
                arguments: call.arguments,
                responses: given.responses.as_ref(),
                state: given.state.as_deref(),
                meta,
            };
            let result = match self.ask(about, params).await? {
                Answer::Result(result) => result,
                Answer::Refused(refusal) => return Err(self.refused(&refusal)),
                // A limit is something that the caller can raise, so it is said first.
                Answer::Lost(error) if error.kind() == ErrorKind::LimitExceeded => {
                    return Err(error);
                }
                Answer::Lost(error) => return Err(Error::outcome_unknown(error)),
            };
            if !stateless || !needs_input(&result)? {
                return ToolOutput::from_boxed(result);
            }
            input = self.offer().input(&result, context).await?;
            if input.responses.is_none() {
                let delay = u32::try_from(round + 1).unwrap_or(u32::MAX);
                tokio::time::sleep(SHED_LOAD.saturating_mul(delay)).await;
            }
        }
        Err(Error::limit(
            "input_rounds",
            rounds,
            "rounds of input in one call",
        ))
    }
}
