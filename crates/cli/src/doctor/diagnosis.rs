//! What was found out about one server, step by step.

use std::time::Duration;

use mcp_auth::time::Instant;
use mcp_core::{Error, ProtocolVersion, Transport};
use mcp_toolkit::config::ConfigWarning;

use crate::failure;

/// What was found out about one server.
#[derive(Debug)]
pub(crate) struct Diagnosis {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
    pub(crate) transport: Option<Transport>,
    pub(crate) protocol: Option<ProtocolVersion>,
    /// One line: what to do about the first failure, or else about the first warning.
    pub(crate) advice: Option<String>,
    /// What the configuration's step will warn of.
    pub(crate) noted: Vec<ConfigWarning>,
    error: Option<Error>,
}

/// One step.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) duration: Duration,
    pub(crate) detail: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Ok,
    Warning,
    Failed,
    /// Not come to, or there is nothing to look at.
    Skipped,
}

impl Verdict {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// A step that has begun.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) name: &'static str,
    pub(crate) at: Instant,
    /// How long it took, where something else came before its verdict.
    pub(crate) took: Option<Duration>,
}

pub(crate) fn begin(name: &'static str) -> Begun {
    Begun {
        name,
        at: Instant::now(),
        took: None,
    }
}

impl Begun {
    /// The time is over; the verdict comes later.
    pub(crate) fn stop(&mut self) {
        self.took = Some(self.at.elapsed());
    }
}

impl Diagnosis {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            steps: Vec::new(),
            transport: None,
            protocol: None,
            advice: None,
            noted: Vec::new(),
            error: None,
        }
    }

    /// The first failure.
    pub(crate) fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    pub(crate) fn ok(&mut self, begun: &Begun, detail: impl Into<String>) {
        self.push(begun, Verdict::Ok, detail.into());
    }

    pub(crate) fn warn(&mut self, begun: &Begun, detail: impl Into<String>, advice: &str) {
        self.push(begun, Verdict::Warning, detail.into());
        self.advice.get_or_insert_with(|| advice.to_owned());
    }

    pub(crate) fn skip(&mut self, name: &'static str, detail: impl Into<String>) {
        let step = Step {
            name,
            verdict: Verdict::Skipped,
            duration: Duration::ZERO,
            detail: detail.into(),
        };
        self.steps.push(step);
    }

    /// The failure of a step: what it is, and what to do.
    pub(crate) fn fail(&mut self, begun: &Begun, error: Error, advice: impl Into<String>) {
        self.push(begun, Verdict::Failed, failure::words(&error));
        if self.error.is_none() {
            // It goes before what a warning said.
            self.advice = Some(advice.into());
            self.error = Some(error);
        }
    }

    fn push(&mut self, begun: &Begun, verdict: Verdict, detail: String) {
        self.steps.push(Step {
            name: begun.name,
            verdict,
            duration: begun.took.unwrap_or_else(|| begun.at.elapsed()),
            detail,
        });
    }
}
