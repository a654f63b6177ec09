//! A flamegraph out of the stacks that `perf script -F ip,sym` prints.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;

use anyhow::{Result, ensure};

const WIDTH: f64 = 1400.0;
const ROW: f64 = 17.0;
/// Narrower frames are not drawn.
const LEAST: f64 = 0.4;
/// About what a letter takes.
const LETTER: f64 = 6.6;

/// Samples in a function and in what it calls.
#[derive(Debug, Default)]
struct Frame {
    samples: u64,
    callees: BTreeMap<String, Frame>,
}

/// Reads stacks from standard input and prints the picture.
pub(crate) fn run(title: &str) -> Result<()> {
    let mut stacks = Vec::new();
    std::io::stdin().read_to_end(&mut stacks)?;
    let root = folded(&String::from_utf8_lossy(&stacks));
    ensure!(root.samples > 0, "there are no stacks");
    print!("{}", drawn(&root, title));
    Ok(())
}

/// Puts stacks that begin alike together. A stack is a block of lines, the innermost frame first.
fn folded(stacks: &str) -> Frame {
    let mut root = Frame::default();
    for stack in stacks.split("\n\n") {
        let names: Vec<&str> = stack.lines().filter_map(name).collect();
        if names.is_empty() {
            continue;
        }
        root.samples += 1;
        let mut frame = &mut root;
        for name in names.into_iter().rev() {
            frame = frame.callees.entry(name.to_owned()).or_default();
            frame.samples += 1;
        }
    }
    root
}

/// The function of a line `  55d0c8a3 core::fmt::write::h0123456789abcdef+0x12`.
fn name(line: &str) -> Option<&str> {
    let (_, name) = line.trim().split_once(' ')?;
    let name = name.split("+0x").next().unwrap_or(name);
    Some(match name.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 => name,
        _ => name,
    })
}

fn drawn(root: &Frame, title: &str) -> String {
    let height = ROW * (root.depth() + 3) as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" \
         font-family=\"ui-monospace, monospace\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"8\" y=\"18\" font-size=\"13\">{}: {} samples</text>\n",
        escaped(title),
        root.samples
    );
    let scale = WIDTH / root.samples as f64;
    root.draw(0.0, height - ROW, scale, root.samples, &mut svg);
    svg.push_str("</svg>\n");
    svg
}

impl Frame {
    fn depth(&self) -> usize {
        let callees = self.callees.values().map(Self::depth);
        callees.max().map_or(0, |deepest| deepest + 1)
    }

    fn draw(&self, left: f64, y: f64, scale: f64, all: u64, svg: &mut String) {
        let mut left = left;
        for (name, callee) in &self.callees {
            let width = callee.samples as f64 * scale;
            if width >= LEAST {
                let share = 100.0 * callee.samples as f64 / all as f64;
                let letters = name.chars().zip(1_u32..);
                let fit = letters.take_while(|(_, n)| f64::from(*n) * LETTER < width);
                let shown: String = match fit.map(|(letter, _)| letter).collect::<String>() {
                    short if short.len() < 5 => String::new(),
                    shown => shown,
                };
                let (name, shown) = (escaped(name), escaped(&shown));
                // Writing to a string does not fail.
                let _ = writeln!(
                    svg,
                    "<g><title>{name}: {share:.2} %</title>\
                     <rect x=\"{left:.2}\" y=\"{y:.1}\" width=\"{width:.2}\" height=\"{:.1}\" \
                     fill=\"{}\" stroke=\"#ffffff\" stroke-width=\"0.4\"/>\
                     <text x=\"{:.2}\" y=\"{:.1}\">{shown}</text></g>",
                    ROW - 1.0,
                    colour(&name),
                    left + 3.0,
                    y + 12.0,
                );
                callee.draw(left, y - ROW, scale, all, svg);
            }
            left += width;
        }
    }
}

/// Ours green, the kernel grey, libraries in shades of orange.
fn colour(name: &str) -> String {
    if name.contains("mcp_") {
        return "#8fd3a8".to_owned();
    }
    if !name.contains("::") && !name.contains("alloc") && !name.starts_with("__mem") {
        return "#ccd2da".to_owned();
    }
    let sum: u32 = name.bytes().map(u32::from).sum();
    format!("hsl({}, 75%, 72%)", 22 + sum % 24)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[test]
fn stacks_that_begin_alike_stand_on_each_other() {
    let stacks = "\
\t  aa inner::f::h0123456789abcdef+0x1\n\t  bb main+0x2\n\n\
\t  cc other+0x3\n\t  bb main+0x4\n\n";
    let root = folded(stacks);
    assert_eq!(root.samples, 2);
    assert_eq!(root.callees["main"].samples, 2);
    let callees: Vec<_> = root.callees["main"].callees.keys().collect();
    assert_eq!(callees, ["inner::f", "other"]);
    assert!(drawn(&root, "a < b").contains("a &lt; b"));
}
