//! Plots with logarithmic axes, as SVG: what grows straight or stays flat is a straight line.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
/// Room for the words around the drawing: left, right, above, below.
const MARGINS: [f64; 4] = [70.0, 130.0, 40.0, 50.0];
const COLOURS: [&str; 4] = ["#1b6ca8", "#c2571a", "#2d8a4e", "#8a4ea3"];

/// A drawing.
#[derive(Debug)]
pub(super) struct Plot {
    pub(super) title: &'static str,
    pub(super) across: &'static str,
    pub(super) series: Vec<Series>,
}

/// One line of it.
#[derive(Debug)]
pub(super) struct Series {
    name: &'static str,
    points: Vec<(f64, f64)>,
    dashed: bool,
}

impl Series {
    pub(super) fn new(name: &'static str, points: Vec<(f64, f64)>) -> Self {
        Self {
            name,
            points,
            dashed: false,
        }
    }

    /// A line to compare with.
    pub(super) fn dashed(mut self) -> Self {
        self.dashed = true;
        self
    }
}

/// From decade to decade.
struct Axis {
    from: f64,
    to: f64,
    begin: f64,
    end: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>, begin: f64, end: f64) -> Self {
        let logarithms = values.filter(|it| *it > 0.0).map(f64::log10);
        let (low, high) = logarithms.fold((f64::MAX, f64::MIN), |(low, high), it| {
            (low.min(it), high.max(it))
        });
        let from = low.floor();
        Self {
            from,
            to: high.ceil().max(from + 1.0),
            begin,
            end,
        }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value.max(1e-9).log10() - self.from) / (self.to - self.from);
        self.begin + share.clamp(0.0, 1.0) * (self.end - self.begin)
    }

    fn decades(&self) -> impl Iterator<Item = f64> {
        let (mut next, to) = (self.from, self.to);
        std::iter::from_fn(move || {
            let now = next;
            next += 1.0;
            (now <= to).then(|| 10_f64.powf(now))
        })
    }
}

impl Plot {
    pub(super) fn svg(&self) -> String {
        let [left, right, above, below] = MARGINS;
        let all = || self.series.iter().flat_map(|series| &series.points);
        let across = Axis::over(all().map(|point| point.0), left, WIDTH - right);
        let up = Axis::over(all().map(|point| point.1), HEIGHT - below, above);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" \
             fill=\"white\"/>\n<text x=\"{left}\" y=\"22\" font-size=\"15\">{}</text>\n",
            self.title
        );
        // Writing to a string does not fail.
        for value in across.decades() {
            let (x, bottom) = (across.place(value), HEIGHT - below);
            let _ = write!(
                svg,
                "<path d=\"M{x:.1} {above}V{bottom}\" stroke=\"#ddd\"/>\n<text x=\"{x:.1}\" y=\"{}\" \
                 text-anchor=\"middle\">{}</text>\n",
                bottom + 18.0,
                thousands(value)
            );
        }
        for value in up.decades() {
            let (y, end) = (up.place(value), WIDTH - right);
            let _ = write!(
                svg,
                "<path d=\"M{left} {y:.1}H{end}\" stroke=\"#ddd\"/>\n<text x=\"{}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{}</text>\n",
                left - 8.0,
                y + 4.0,
                thousands(value)
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            f64::midpoint(left, WIDTH - right),
            HEIGHT - 10.0,
            self.across
        );
        for (series, colour) in self.series.iter().zip(COLOURS) {
            let at = |point: &(f64, f64)| (across.place(point.0), up.place(point.1));
            let points: Vec<_> = series.points.iter().map(at).collect();
            let line: Vec<_> = points
                .iter()
                .map(|(x, y)| format!("{x:.1},{y:.1}"))
                .collect();
            let dashes = if series.dashed {
                " stroke-dasharray=\"6 4\""
            } else {
                ""
            };
            let _ = writeln!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/>",
                line.join(" ")
            );
            if let Some((x, y)) = points.last() {
                let _ = writeln!(
                    svg,
                    "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{}</text>",
                    x + 8.0,
                    y + 4.0,
                    series.name
                );
            }
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// `1000000.0` as `1,000,000`; below one as it is.
fn thousands(value: f64) -> String {
    if value < 1.0 {
        return format!("{value}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[test]
fn ten_times_as_many_are_as_far_apart_everywhere() {
    let axis = Axis::over([1.0, 1_000.0].into_iter(), 0.0, 300.0);
    let places: Vec<_> = axis.decades().map(|it| axis.place(it).round()).collect();
    assert_eq!(places, [0.0, 100.0, 200.0, 300.0]);
    assert_eq!(thousands(1_234_567.0), "1,234,567");
}
