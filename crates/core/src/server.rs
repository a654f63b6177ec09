//! One trait, every transport.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use serde_json::{Map, Value};

use crate::auth::ServerId;
use crate::{CallContext, Error, ToolDefinition, ToolListing, ToolOutput, Transport};

/// A boxed future, as traits that must stay object safe return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A server whose tools can be listed and called, whatever lies between.
///
/// Every method acts for the principal of its [`CallContext`]; an implementation that keeps state
/// (a session, a child) keeps it per principal. Dropping a future cancels the request, at the
/// server too where the protocol allows. The deadline of the context bounds the whole method.
pub trait ToolServer: Debug + Send + Sync {
    /// The server's name here.
    fn id(&self) -> &ServerId;

    /// What carries the messages.
    fn transport(&self) -> Transport;

    /// Where it is, if one text tells that for all principals: two that differ are different servers,
    /// whatever their names. To be compared, not printed: it may hold a secret.
    fn endpoint(&self) -> Option<&str> {
        None
    }

    /// All tools that the principal may see, over all pages.
    ///
    /// # Errors
    /// When the server cannot be reached, refuses, breaks the protocol or passes a limit. A single
    /// broken definition is no error: it is reported in the listing.
    fn list_tools<'a>(
        &'a self,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ToolListing, Error>>;

    /// Calls a tool once. Credentials that the server refuses are renewed and the call is repeated
    /// once; nothing else is repeated.
    ///
    /// # Errors
    /// As [`list_tools`](Self::list_tools); [`Failure::OutcomeUnknown`](crate::Failure) when the
    /// call may have run. A tool that reports failure (`isError`) is an output, not an error.
    fn call_tool<'a>(
        &'a self,
        call: ToolCall<'a>,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ToolOutput, Error>>;

    /// Ends what is kept for the principal of the context (a session, a child), within the
    /// context's deadline. Further calls begin anew. Nothing to do by default.
    fn close<'a>(&'a self, context: &'a CallContext) -> BoxFuture<'a, ()> {
        let _ = context;
        Box::pin(std::future::ready(()))
    }
}

/// A call as a transport sends it. Copying it copies references.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ToolCall<'a> {
    /// The tool, by the definition that its server gave: its wire name, and the schema that says
    /// which arguments are mirrored in headers.
    pub tool: &'a ToolDefinition,
    /// The arguments, already validated.
    pub arguments: &'a Map<String, Value>,
}

impl<'a> ToolCall<'a> {
    /// A call of a tool.
    pub fn new(tool: &'a ToolDefinition, arguments: &'a Map<String, Value>) -> Self {
        Self { tool, arguments }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trait_is_object_safe() {
        let _: Option<Box<dyn ToolServer>> = None;
    }
}
