//! Ask first.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use mcp_adapter::{Flow, Middleware, ToolInvocation};
use mcp_core::auth::MaybeReady;
use mcp_core::{BoxFuture, Error, Principal, ServerId, ToolDefinition};
use serde_json::{Map, Value};

/// Lets a call pass by rule, or asks somebody.
///
/// Rules name servers and tools by the server's name here and the tool's name there, which nobody
/// else can take over. What is denied is denied, whatever else allows it; what no rule allows is
/// asked for. Arguments are validated before anybody is asked. The wait is part of the call and ends
/// with its deadline: give tools that need a person's word a longer timeout.
///
/// ```
/// use mcp_middleware::{Approval, Decision};
///
/// let approval = Approval::ask(|request| async move {
///     println!("{} wants to call {}", request.principal, request.tool);
///     Decision::deny("nobody is at the desk")
/// })
/// .allow_tool("github", "search_issues")
/// .deny_server("scratch");
/// ```
#[derive(Clone)]
pub struct Approval {
    asked: Option<Arc<Ask>>,
    allowed: Rules,
    denied: Rules,
    hints_trusted: HashSet<String>,
}

type Ask = dyn Fn(ApprovalRequest) -> BoxFuture<'static, Decision> + Send + Sync;

#[derive(Clone, Debug, Default)]
struct Rules {
    servers: HashSet<String>,
    tools: HashSet<(String, String)>,
}

/// What somebody is asked for.
#[derive(Clone)]
#[non_exhaustive]
pub struct ApprovalRequest {
    /// On whose behalf.
    pub principal: Principal,
    /// The server, by its name here.
    pub server: ServerId,
    /// The tool, by the name that the model knows.
    pub tool: String,
    /// The tool as its server describes it: the server's words, and as trustworthy.
    pub definition: Arc<ToolDefinition>,
    /// The arguments.
    pub arguments: Map<String, Value>,
}

/// An answer.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Decision {
    /// The call is made.
    Allow,
    /// It is not.
    Deny {
        /// Why; the model reads it.
        reason: String,
    },
}

impl Decision {
    /// It is not, for this reason; the model reads it.
    pub fn deny(reason: impl Into<String>) -> Self {
        Self::Deny {
            reason: reason.into(),
        }
    }
}

impl Approval {
    /// Asks for each call that no rule decides. Calls wait side by side, not one for another.
    pub fn ask<F, Fut>(ask: F) -> Self
    where
        F: Fn(ApprovalRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Decision> + Send + 'static,
    {
        Self {
            asked: Some(Arc::new(move |request| Box::pin(ask(request)))),
            ..Self::by_rule()
        }
    }

    /// Denies each call that no rule allows.
    pub fn by_rule() -> Self {
        Self {
            asked: None,
            allowed: Rules::default(),
            denied: Rules::default(),
            hints_trusted: HashSet::new(),
        }
    }

    /// Every tool of a server may be called.
    pub fn allow_server(mut self, server: impl Into<String>) -> Self {
        self.allowed.servers.insert(server.into());
        self
    }

    /// A tool of a server may be called.
    pub fn allow_tool(mut self, server: impl Into<String>, tool: impl Into<String>) -> Self {
        self.allowed.tools.insert((server.into(), tool.into()));
        self
    }

    /// No tool of a server may be called.
    pub fn deny_server(mut self, server: impl Into<String>) -> Self {
        self.denied.servers.insert(server.into());
        self
    }

    /// A tool of a server may not be called.
    pub fn deny_tool(mut self, server: impl Into<String>, tool: impl Into<String>) -> Self {
        self.denied.tools.insert((server.into(), tool.into()));
        self
    }

    /// Tools that this server calls read-only may be called. The hint is the server's claim
    /// (2026-07-28, server/tools): say so only of a server that you trust.
    pub fn trust_read_only_hints(mut self, server: impl Into<String>) -> Self {
        self.hints_trusted.insert(server.into());
        self
    }

    fn allows(&self, call: &ToolInvocation<'_>) -> bool {
        self.allowed.name(call)
            || (self.hints_trusted.contains(call.server().as_str())
                && call.tool().annotations().read_only_hint == Some(true))
    }
}

impl Rules {
    fn name(&self, call: &ToolInvocation<'_>) -> bool {
        let (server, tool) = (call.server().as_str(), call.remote_name());
        self.servers.contains(server)
            || (!self.tools.is_empty()
                && self.tools.contains(&(server.to_owned(), tool.to_owned())))
    }
}

impl Middleware for Approval {
    fn before_tool_call<'a>(
        &'a self,
        call: &'a mut ToolInvocation<'_>,
    ) -> MaybeReady<'a, Result<Flow, Error>> {
        if self.denied.name(call) {
            return MaybeReady::ready(Err(call.denied_by(self, "a rule denies it")));
        }
        if self.allows(call) {
            return MaybeReady::ready(Ok(Flow::Continue));
        }
        let Some(ask) = &self.asked else {
            return MaybeReady::ready(Err(call.denied_by(self, "no rule allows it")));
        };
        if let Err(error) = call.validate() {
            return MaybeReady::ready(Err(error));
        }
        let request = ApprovalRequest {
            principal: call.principal().clone(),
            server: call.server().clone(),
            tool: call.name().to_owned(),
            definition: Arc::clone(call.tool().definition()),
            arguments: call.arguments().clone(),
        };
        MaybeReady::new(async move {
            match ask(request).await {
                Decision::Allow => Ok(Flow::Continue),
                Decision::Deny { reason } => Err(call.denied_by(self, reason)),
            }
        })
    }
}

impl fmt::Debug for Approval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Approval")
            .field("asks", &self.asked.is_some())
            .field("allowed", &self.allowed)
            .field("denied", &self.denied)
            .field("hints_trusted", &self.hints_trusted)
            .finish()
    }
}

/// Arguments are not shown.
impl fmt::Debug for ApprovalRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApprovalRequest")
            .field("principal", &self.principal)
            .field("server", &self.server)
            .field("tool", &self.tool)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use mcp_core::ErrorKind;
    use serde_json::json;

    use super::*;
    use crate::testing::Scripted;

    #[tokio::test]
    async fn what_no_rule_decides_is_asked_for() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let approval = Approval::ask(move |request| {
            counted.fetch_add(1, Ordering::SeqCst);
            let fine = request.arguments.get("n") == Some(&json!(1));
            async move {
                tokio::task::yield_now().await;
                if fine {
                    Decision::Allow
                } else {
                    Decision::deny("not that")
                }
            }
        });
        let server = Scripted::new("s", []);
        let tool = server.tool(&json!({}));
        let asking = tool.with_middleware(approval.clone());
        assert!(asking.call(json!({ "n": 1 })).await.is_ok());
        let error = asking.call(json!({ "n": 2 })).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "`t` on `s`: denied by Approval: not that"
        );
        assert_eq!((asked.load(Ordering::SeqCst), server.calls()), (2, 1));

        let allowing = tool.with_middleware(approval.clone().allow_tool("s", "t"));
        assert!(allowing.call(json!({ "n": 2 })).await.is_ok());
        let both = approval.allow_server("s").deny_tool("s", "t");
        let error = tool
            .with_middleware(both)
            .call(json!({ "n": 1 }))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!((asked.load(Ordering::SeqCst), server.calls()), (2, 2));
    }

    #[tokio::test]
    async fn hints_widen_nothing_unless_trusted() {
        let server = Scripted::new("s", []);
        let tool = server.tool(&json!({ "readOnlyHint": true }));
        let strict = tool.with_middleware(Approval::by_rule());
        assert_eq!(strict.call(()).await.unwrap_err().kind(), ErrorKind::Denied);
        let elsewhere = Approval::by_rule().trust_read_only_hints("other");
        assert!(tool.with_middleware(elsewhere).call(()).await.is_err());
        let trusting = Approval::by_rule().trust_read_only_hints("s");
        assert!(
            tool.with_middleware(trusting.clone())
                .call(())
                .await
                .is_ok()
        );
        let writing = server.tool(&json!({ "readOnlyHint": false }));
        assert!(writing.with_middleware(trusting).call(()).await.is_err());
    }
}
