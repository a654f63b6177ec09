//! What many calls gave, printed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::document;
use super::table::table;
use crate::failure::Failure;
use crate::latency::Latency;
use crate::repeat::{Outcome, RepeatReport};
use crate::terminal::Look;

#[derive(Serialize)]
struct Document<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a Failure>,
    calls: usize,
    ok: usize,
    tool_error: usize,
    failed: usize,
    errors: BTreeMap<&'static str, usize>,
    latency_ms: Latency,
    calls_per_second: f64,
}

/// The document of many calls.
pub(crate) fn json(report: &RepeatReport, look: Look) -> String {
    document(&summary(report), look)
}

/// The table for people.
pub(crate) fn human(report: &RepeatReport, look: Look) -> String {
    let summary = summary(report);
    let mut rows = table(&["Calls", "Value"], look);
    let mut row = |name: &str, value: String| {
        rows.add_row([name.to_owned(), value]);
    };
    row("all", summary.calls.to_string());
    row("ok", summary.ok.to_string());
    row("tool error", summary.tool_error.to_string());
    row("failed", summary.failed.to_string());
    for (kind, count) in &summary.errors {
        row(&format!("  {kind}"), count.to_string());
    }
    let latency = summary.latency_ms;
    for (name, value) in [
        ("p50", latency.p50),
        ("p95", latency.p95),
        ("p99", latency.p99),
        ("max", latency.max),
    ] {
        row(name, format!("{value:.3} ms"));
    }
    row("per second", format!("{:.1}", summary.calls_per_second));
    format!("{}\n", rows.trim_fmt())
}

fn summary(report: &RepeatReport) -> Document<'_> {
    let count = |wanted: fn(&Outcome) -> bool| {
        report
            .calls
            .iter()
            .filter(|call| wanted(&call.outcome))
            .count()
    };
    let mut errors = BTreeMap::new();
    for call in &report.calls {
        if let Outcome::Failed(kind) = call.outcome {
            *errors.entry(kind.as_str()).or_default() += 1;
        }
    }
    let seconds = report.duration.as_secs_f64();
    let calls = report.calls.len();
    #[expect(clippy::cast_precision_loss, reason = "at most ten million calls")]
    let per_second = if seconds > 0.0 {
        calls as f64 / seconds
    } else {
        0.0
    };
    Document {
        status: match report.first_failure().map(|call| call.outcome) {
            None if calls == 0 => "failed",
            None => "ok",
            Some(Outcome::Failed(_)) => "failed",
            Some(_) => "tool_error",
        },
        // Of calls, `errors` tells the kinds.
        error: report.first_error.as_ref().filter(|_| calls == 0),
        calls,
        ok: count(|outcome| *outcome == Outcome::Ok),
        tool_error: count(|outcome| *outcome == Outcome::ToolError),
        failed: count(|outcome| matches!(outcome, Outcome::Failed(_))),
        errors,
        latency_ms: Latency::of(report.calls.iter().map(|call| call.duration).collect()),
        calls_per_second: (per_second * 10.0).round() / 10.0,
    }
}
