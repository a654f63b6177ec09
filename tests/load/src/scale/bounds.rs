//! What must hold.

use serde::Serialize;

use super::report::Report;

/// A bound, and whether it was kept.
#[derive(Debug, Serialize)]
pub(super) struct Judged {
    pub(super) what: &'static str,
    pub(super) measured: f64,
    pub(super) limit: f64,
    pub(super) kept: bool,
}

fn at_most(what: &'static str, measured: f64, limit: f64) -> Judged {
    Judged {
        what,
        measured,
        limit,
        kept: measured <= limit,
    }
}

fn at_least(what: &'static str, measured: f64, limit: f64) -> Judged {
    Judged {
        kept: measured >= limit,
        ..at_most(what, measured, limit)
    }
}

/// Fewer principals than this are outweighed by what belongs to nobody.
const MANY: u64 = 1_000;
/// More than this are not all held together as well as server by server, which costs the others
/// half as much again.
const MOST: u64 = 20_000;

pub(super) fn judged(report: &Report) -> Vec<Judged> {
    let (crowd, refreshes, children) = (&report.crowd, &report.refreshes, &report.children);
    let many = || report.principals.iter().filter(|it| it.number >= MANY);
    let held = |from: u64| {
        let each = many().filter(|it| it.number >= from);
        let each = each.map(|it| it.held as f64 / it.number as f64);
        each.fold(0.0, f64::max)
    };
    let (few, most) = (many().next(), report.principals.last());
    let growth = |of: fn(&super::principals::Principals) -> f64| match (few, most) {
        (Some(few), Some(most)) => of(most) / of(few),
        _ => f64::NAN,
    };
    // Idle connections of the pool, beside those that are at work.
    let connections = (crowd.in_flight + 256) as f64;
    vec![
        at_most(
            "bytes held for each of 1,000 principals or more",
            held(MANY),
            2_047.0,
        ),
        at_most(
            "bytes held for each of 20,000 principals or more",
            held(MOST),
            1_023.0,
        ),
        at_most(
            "bytes for each, most principals over 1,000",
            growth(|it| it.held as f64 / it.number as f64),
            1.5,
        ),
        at_most(
            "first load p50, most principals over 1,000",
            growth(|it| it.first_p50),
            1.5,
        ),
        at_most(
            "cached load p50 over first load p50, most principals",
            most.map_or(f64::NAN, |it| it.cached_p50 / it.first_p50),
            0.1,
        ),
        at_most("crowd: calls that failed", crowd.failures as f64, 0.0),
        at_most(
            "crowd: tokens with another's call",
            crowd.server.crossed as f64,
            0.0,
        ),
        at_least(
            "crowd: calls that came",
            crowd.server.calls as f64,
            crowd.calls as f64,
        ),
        at_most(
            "crowd: connections",
            crowd.server.open_at_most as f64,
            connections,
        ),
        at_most(
            "flood: the other's p99 beside it over p99 alone",
            report.fairness.slowdown(),
            2.0,
        ),
        at_most(
            "flood: calls that failed",
            report.fairness.failures as f64,
            0.0,
        ),
        at_least("refreshes in each second", refreshes.rate(), 1_000.0),
        at_most(
            "refreshes: calls that failed",
            refreshes.failures as f64,
            0.0,
        ),
        at_most(
            "refreshes: tokens refused by the server",
            refreshes.server.refused as f64,
            0.0,
        ),
        at_most(
            "refreshes: more than one for a life",
            (refreshes.server.issued_early + refreshes.server.issued_twice) as f64,
            0.0,
        ),
        at_least(
            "children that ran at once",
            children.running as f64,
            children.number as f64,
        ),
        at_most("children: calls that failed", children.failures as f64, 0.0),
        at_most(
            "children left, zombies among them",
            children.left as f64,
            0.0,
        ),
        at_most(
            "children: files left open",
            children.files_after.saturating_sub(children.files_before) as f64,
            0.0,
        ),
    ]
}
