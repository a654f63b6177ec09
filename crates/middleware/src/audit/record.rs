//! What is kept of a call.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mcp_adapter::Reached;
use mcp_core::auth::Fingerprint;
use mcp_core::{Error, ErrorKind, Failure, Principal, ServerId, ToolOutput};
use serde::Serialize;

use crate::duration::milliseconds;

/// One call, ended. Holds neither arguments nor results nor credentials.
///
/// [`to_json`](Self::to_json) writes these fields, all of them always but `arguments_digest`:
///
/// | field | |
/// |---|---|
/// | `version` | 1; goes up when a field goes away or changes its meaning, not when one is added |
/// | `at_unix_ms` | when the call began, in milliseconds since 1970 |
/// | `tenant`, `user` | on whose behalf; `tenant` may be `null` |
/// | `server`, `tool` | by their names here |
/// | `param_model` | `MCP_<tool>_Input`, with the tool's name on its server |
/// | `credentials` | the fingerprint of what went with the last attempt, or `null` |
/// | `arguments_digest` | 32 hexadecimal digits, where that was asked for |
/// | `decision` | `allowed`, `denied`, `answered`, `invalid` or `undecided`: see [`AuditDecision`] |
/// | `decided_by` | the middleware that denied or answered, or `null` |
/// | `outcome` | `ok`, `tool_error`, `denied`, `cancelled`, `dropped` or `failed` |
/// | `error_kind` | the stable name of an [`ErrorKind`], or `null` |
/// | `duration_ms` | milliseconds to the microsecond, middleware included |
/// | `attempts` | how often the call was sent |
/// | `trace_id` | of the call's trace, or `null` |
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AuditRecord {
    /// The shape of the record: [`AuditRecord::VERSION`].
    pub version: u32,
    /// When the call began.
    pub at: SystemTime,
    /// On whose behalf.
    pub principal: Principal,
    /// The server, by its name here.
    pub server: ServerId,
    /// The tool, by the name that the model knows.
    pub tool: String,
    /// The parameter model, which holds the tool's name on its server.
    pub param_model: String,
    /// Which credentials went with the last attempt: to be compared within this process only.
    pub credentials: Option<Fingerprint>,
    /// A digest of the arguments, where that was asked for.
    pub arguments_digest: Option<String>,
    /// Whether it was let through, and who said otherwise.
    pub decision: AuditDecision,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// The kind of the error, if it ended with one.
    pub error_kind: Option<ErrorKind>,
    /// How long it took, middleware included.
    pub duration: Duration,
    /// How often it was sent.
    pub attempts: u32,
    /// The trace that it belonged to.
    pub trace_id: Option<String>,
}

/// What was decided about a call before it came to the tool.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AuditDecision {
    /// It came to the tool.
    Allowed,
    /// A middleware or policy said no.
    Denied {
        /// Which one.
        by: String,
    },
    /// A middleware answered in the tool's place.
    Answered {
        /// Which one.
        by: String,
    },
    /// Its arguments do not fit the tool's schema.
    Invalid,
    /// It failed, was cancelled or dropped before anything was decided.
    Undecided,
}

impl AuditDecision {
    /// The stable name.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied { .. } => "denied",
            Self::Answered { .. } => "answered",
            Self::Invalid => "invalid",
            Self::Undecided => "undecided",
        }
    }

    /// Who denied or answered.
    pub fn by(&self) -> Option<&str> {
        match self {
            Self::Denied { by } | Self::Answered { by } => Some(by),
            _ => None,
        }
    }

    /// Out of how far the call came and how it ended; without an outcome it was dropped.
    pub(super) fn of(reached: Reached<'_>, outcome: Option<&Result<ToolOutput, Error>>) -> Self {
        if let Some(Err(error)) = outcome
            && let Failure::Denied { by, .. } = error.failure()
        {
            return Self::Denied { by: by.clone() };
        }
        match (reached, outcome) {
            (Reached::Tool, _) => Self::Allowed,
            (Reached::Middleware(by), Some(Ok(_))) => Self::Answered { by: by.to_owned() },
            (_, Some(Err(error))) if error.kind() == ErrorKind::InvalidArguments => Self::Invalid,
            _ => Self::Undecided,
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AuditOutcome {
    /// With an output.
    Ok,
    /// With an output that reports failure (`isError`).
    ToolError,
    /// Not made: a middleware or policy said no.
    Denied,
    /// Cancelled by its token.
    Cancelled,
    /// Dropped by who was waiting for it.
    Dropped,
    /// With any other error.
    Failed,
}

impl AuditOutcome {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ToolError => "tool_error",
            Self::Denied => "denied",
            Self::Cancelled => "cancelled",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
        }
    }
}

impl AuditRecord {
    /// The version that this crate writes.
    pub const VERSION: u32 = 1;

    /// The record as one line of JSON, without the line break.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            version: u32,
            at_unix_ms: u128,
            tenant: Option<&'a str>,
            user: &'a str,
            server: &'a str,
            tool: &'a str,
            param_model: &'a str,
            credentials: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            arguments_digest: Option<&'a str>,
            decision: &'static str,
            decided_by: Option<&'a str>,
            outcome: &'static str,
            error_kind: Option<&'static str>,
            duration_ms: f64,
            attempts: u32,
            trace_id: Option<&'a str>,
        }
        let since_epoch = self.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = Line {
            version: self.version,
            at_unix_ms: since_epoch.as_millis(),
            tenant: self.principal.tenant(),
            user: self.principal.user(),
            server: self.server.as_str(),
            tool: &self.tool,
            param_model: &self.param_model,
            credentials: self.credentials.map(|credentials| credentials.to_string()),
            arguments_digest: self.arguments_digest.as_deref(),
            decision: self.decision.as_str(),
            decided_by: self.decision.by(),
            outcome: self.outcome.as_str(),
            error_kind: self.error_kind.map(ErrorKind::as_str),
            duration_ms: milliseconds(self.duration),
            attempts: self.attempts,
            trace_id: self.trace_id.as_deref(),
        };
        // Text and numbers always serialise.
        serde_json::to_string(&line).unwrap_or_default()
    }
}
