//! The ratios as a picture: one panel of bars for each table that has them.

use std::fmt::Write as _;

use mcp_harness::report::number;

use crate::plan::{Load, WORKLOADS, Workload};
use crate::report::{Cell, Report};

const WIDTH: f64 = 860.0;
/// Where bars begin; the names stand before them.
const LEFT: f64 = 270.0;
/// Room for the number behind the longest bar.
const RIGHT: f64 = 70.0;
const BAR: f64 = 15.0;
const STEP: f64 = 21.0;
const TITLE: f64 = 40.0;

const OURS: &str = "#1b7f5c";
const FLOOR: &str = "#8a8f98";
const OTHERS: &str = "#c2703d";

/// One bar.
struct Bar<'r> {
    name: &'r str,
    value: f64,
    /// The quartiles, where rounds differ.
    around: Option<(f64, f64)>,
}

/// What a bar shows of a cell: the value, and the quartiles around it.
type Shown = fn(&Cell) -> Option<(f64, Option<(f64, f64)>)>;

struct Panel<'r> {
    title: String,
    bars: Vec<Bar<'r>>,
}

/// Draws what a run found.
pub(crate) fn draw(report: &Report) -> String {
    let panels: Vec<_> = WORKLOADS
        .iter()
        .flat_map(|workload| panels(workload, report))
        .filter(|panel| panel.bars.len() > 1)
        .collect();
    let height: f64 = panels.iter().map(Panel::height).sum::<f64>() + STEP;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"#1f2328\" role=\"img\">\n\
         <title>What a call costs, as multiples of a bare client</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    let mut top = 0.0;
    for panel in &panels {
        panel.draw(top, &mut svg);
        top += panel.height();
    }
    svg.push_str("</svg>\n");
    svg
}

fn panels<'r>(workload: &'static Workload, report: &'r Report) -> Vec<Panel<'r>> {
    let panel = |what: &str, value: Shown| {
        let cells = report.cells.iter();
        let bars = cells
            .filter(|cell| cell.workload == workload.name)
            .filter_map(|cell| {
                let (value, around) = value(cell)?;
                Some(Bar {
                    name: cell.contender,
                    value,
                    around,
                })
            });
        Panel {
            title: format!(
                "{}: {what} x {}",
                workload.title,
                workload.contenders.first().unwrap_or(&"nothing")
            ),
            bars: bars.collect(),
        }
    };
    let cpu = |cell: &Cell| {
        let ratio = cell.cpu_ratio?;
        let around = (ratio.lower_quartile, ratio.upper_quartile);
        Some((ratio.median, Some(around)))
    };
    let p50 = |cell: &Cell| {
        let ratio = cell.p50_ratio?;
        let around = (ratio.lower_quartile, ratio.upper_quartile);
        Some((ratio.median, Some(around)))
    };
    match workload.load {
        Load::OneByOne => vec![panel("CPU", cpu), panel("p50", p50)],
        Load::InFlight | Load::Lists => vec![panel("CPU", cpu)],
        Load::Memory => vec![panel("bytes", |cell| Some((cell.bytes_ratio?, None)))],
        Load::Instructions => vec![panel("instructions", |cell| {
            Some((cell.instructions_ratio?, None))
        })],
        Load::HotPath | Load::Command | Load::Size => Vec::new(),
    }
}

impl Panel<'_> {
    fn height(&self) -> f64 {
        TITLE + STEP * self.bars.len() as f64
    }

    /// Bars from 0 where they are alike, as powers of ten where they are not.
    fn draw(&self, top: f64, svg: &mut String) {
        let end = |bar: &Bar<'_>| {
            bar.around
                .map_or(bar.value, |(_, upper)| upper.max(bar.value))
        };
        let largest = self.bars.iter().map(end).fold(1.0, f64::max);
        let smallest = self.bars.iter().map(|bar| bar.value).fold(1.0, f64::min);
        let powers = largest > 20.0;
        let low = if powers {
            (smallest * 0.5).log10()
        } else {
            0.0
        };
        let high = if powers { largest.log10() } else { largest };
        let x = |value: f64| {
            let value = if powers {
                value.max(1e-9).log10()
            } else {
                value
            };
            LEFT + (value - low).max(0.0) / (high - low) * (WIDTH - LEFT - RIGHT)
        };
        let scale = if powers { ", as powers of ten" } else { "" };
        // Writing to a string does not fail.
        let _ = writeln!(
            svg,
            "<text x=\"12\" y=\"{:.1}\" font-weight=\"600\">{}{scale}</text>",
            top + 27.0,
            escaped(&self.title)
        );
        for (n, bar) in self.bars.iter().enumerate() {
            let y = top + TITLE + STEP * n as f64;
            let (middle, end) = (y + BAR - 3.5, x(bar.value));
            let (name, colour) = (escaped(bar.name), colour(n, bar.name));
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{middle:.1}\" text-anchor=\"end\">{name}</text>\
                 <rect x=\"{LEFT:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\
                 <text x=\"{:.1}\" y=\"{middle:.1}\">{}</text>",
                LEFT - 8.0,
                (end - LEFT).max(1.0),
                bar.around.map_or(end, |(_, upper)| x(upper).max(end)) + 6.0,
                number(bar.value),
            );
            if let Some((lower, upper)) = bar.around {
                let _ = writeln!(
                    svg,
                    "<path d=\"M{:.1} {:.1}H{:.1}\" stroke=\"#1f2328\" stroke-width=\"1.5\"/>",
                    x(lower),
                    y + BAR / 2.0,
                    x(upper)
                );
            }
        }
    }
}

fn colour(place: usize, name: &str) -> &'static str {
    let others = ["rmcp", "Python", "TypeScript", "raw values"];
    match place {
        0 => FLOOR,
        _ if others.iter().any(|other| name.starts_with(other)) => OTHERS,
        _ => OURS,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
