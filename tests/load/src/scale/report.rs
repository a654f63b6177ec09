//! What was measured: as JSON, as Markdown, as plots beside it.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use mcp_harness::report::{number, replace};
use serde::{Serialize, Serializer};

use super::bounds::{Judged, judged};
use super::children::Children;
use super::crowd::Crowd;
use super::fairness::Fairness;
use super::plot::{Plot, Series};
use super::principals::Principals;
use super::refreshes::Refreshes;

/// A whole run.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) machine: String,
    /// Whether client and server had a core each.
    pub(super) pinned: bool,
    pub(super) principals: Vec<Principals>,
    pub(super) crowd: Crowd,
    pub(super) fairness: Fairness,
    pub(super) refreshes: Refreshes,
    pub(super) children: Children,
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Whole<'a> {
            machine: &'a str,
            pinned: bool,
            principals: &'a [Principals],
            crowd: &'a Crowd,
            fairness: &'a Fairness,
            slowdown: f64,
            refreshes: &'a Refreshes,
            children: &'a Children,
            bounds: Vec<Judged>,
        }
        let whole = Whole {
            machine: &self.machine,
            pinned: self.pinned,
            principals: &self.principals,
            crowd: &self.crowd,
            fairness: &self.fairness,
            slowdown: self.fairness.slowdown(),
            refreshes: &self.refreshes,
            children: &self.children,
            bounds: judged(self),
        };
        whole.serialize(serializer)
    }
}

impl Refreshes {
    /// Refreshes in each second.
    pub(super) fn rate(&self) -> f64 {
        self.fetched as f64 / self.seconds
    }
}

impl Report {
    /// How many bounds are broken.
    pub(super) fn broken(&self) -> usize {
        judged(self).iter().filter(|bound| !bound.kept).count()
    }

    /// Replaces the measured part of a page, and the plots beside it.
    pub(super) fn put_into(&self, page: &Path) -> Result<()> {
        replace(page, "measured", &self.markdown())?;
        for (name, plot) in self.plots() {
            std::fs::write(page.with_file_name(name), plot)?;
        }
        Ok(())
    }

    pub(super) fn markdown(&self) -> String {
        let pinned = if self.pinned {
            "client and server pinned to a core each"
        } else {
            "not pinned"
        };
        let mut text = format!("{}; {pinned}.\n", self.machine);
        text.push_str(&self.principals_table());
        text.push_str(&self.others());
        text.push_str("\n### Bounds\n\n| what | measured | bound | |\n|---|---|---|---|\n");
        for bound in judged(self) {
            let verdict = if bound.kept { "kept" } else { "**broken**" };
            let (what, measured) = (bound.what, number(bound.measured));
            let limit = number(bound.limit);
            let _ = writeln!(text, "| {what} | {measured} | {limit} | {verdict} |");
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn principals_table(&self) -> String {
        let mut text = "\n### Principals\n\n\
            | principals | held, KiB | bytes for each | resident, KiB | first load p50, µs | p99 \
            | cached p50, µs | p99 |\n|---|---|---|---|---|---|---|---|\n"
            .to_owned();
        for it in &self.principals {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                it.number,
                number(it.held as f64 / 1024.0),
                number(it.held as f64 / it.number as f64),
                it.resident / 1024,
                number(it.first_p50),
                number(it.first_p99),
                number(it.cached_p50),
                number(it.cached_p99),
            );
        }
        text
    }

    fn others(&self) -> String {
        let (crowd, children) = (&self.crowd, &self.children);
        let (fairness, refreshes) = (&self.fairness, &self.refreshes);
        let mut text = format!(
            "\n### A crowd\n\n{} principals loaded at once in {:.1} s, then made {} calls in {:.1} s, \
             all of them waiting at the same moment. The server takes 20 ms for a call; it saw at \
             most {} at once, on at most {} connections. {} calls failed, {} came with another \
             one's token. Memory at its highest: {} MiB more than before.\n",
            crowd.principals,
            crowd.loading_seconds,
            crowd.calls,
            crowd.calling_seconds,
            crowd.server.calls_at_once,
            crowd.server.open_at_most,
            crowd.failures,
            crowd.server.crossed,
            crowd.peak >> 20,
        );
        text.push_str(
            "\n### One who floods\n\n| round | alone p50, ms | p99 | beside p50, ms | p99 | p99 ratio \
             |\n|---|---|---|---|---|---|\n",
        );
        for (at, it) in fairness.rounds.iter().enumerate() {
            let _ = writeln!(
                text,
                "| {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} |",
                at + 1,
                it.alone_p50 / 1e3,
                it.alone_p99 / 1e3,
                it.beside_p50 / 1e3,
                it.beside_p99 / 1e3,
                it.beside_p99 / it.alone_p99,
            );
        }
        let _ = write!(
            text,
            "\nThe flood made {} calls meanwhile.\n\n### Refreshes\n\n{} principals made {} calls in \
             {:.1} s with tokens that live for 2 s: {} refreshes, {:.0} in each second. {} calls \
             failed; the server refused {} tokens, and was asked for one too early {} times and \
             twice at once {} times.\n\n### Children\n\n{} children were started and used once in \
             {:.1} s, used again in {:.2} s, and ended in {:.2} s. Open files: {} before, {} \
             meanwhile, {} after. {} children were left, {} of them zombies.\n",
            fairness.hog_calls,
            refreshes.principals,
            refreshes.calls,
            refreshes.seconds,
            refreshes.fetched,
            refreshes.rate(),
            refreshes.failures,
            refreshes.server.refused,
            refreshes.server.issued_early,
            refreshes.server.issued_twice,
            children.running,
            children.start_seconds,
            children.use_seconds,
            children.reap_seconds,
            children.files_before,
            children.files_meanwhile,
            children.files_after,
            children.left,
            children.zombies,
        );
        text
    }

    fn plots(&self) -> [(&'static str, String); 2] {
        let points = |of: fn(&Principals) -> f64| {
            let points = self.principals.iter();
            points.map(|it| (it.number as f64, of(it))).collect()
        };
        let memory = Plot {
            title: "Memory of all principals, KiB",
            across: "principals",
            series: vec![
                Series::new("held", points(|it| it.held as f64 / 1024.0)),
                Series::new("1 KiB for each", points(|it| it.number as f64)).dashed(),
            ],
        };
        let latency = Plot {
            title: "A load of 50 tools, µs",
            across: "principals",
            series: vec![
                Series::new("first, p99", points(|it| it.first_p99)),
                Series::new("first, p50", points(|it| it.first_p50)),
                Series::new("cached, p99", points(|it| it.cached_p99)),
                Series::new("cached, p50", points(|it| it.cached_p50)),
            ],
        };
        [
            ("scale-memory.svg", memory.svg()),
            ("scale-latency.svg", latency.svg()),
        ]
    }
}
