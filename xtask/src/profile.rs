//! `cargo xtask profile`: where the time of a cell of the benchmark goes, and who allocates.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::{bench, workspace};

/// What is profiled unless told otherwise: workload and contender.
const CELL: &str = "calls/mcp-http";

/// How many calls.
const SAMPLED: u32 = 60_000;
const COUNTED: u32 = 1_000;

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let at = args.iter().position(|arg| *arg == "--cell");
    let cell = at.and_then(|at| args.get(at + 1)).copied().unwrap_or(CELL);
    let (workload, contender) = cell
        .split_once('/')
        .with_context(|| format!("`{cell}` is no <workload>/<contender> such as `{CELL}`"))?;
    let shell = workspace::shell()?;
    let program = bench::program(&shell)?;
    let server = Server::start(&program)?;
    let folder = workspace::root()?.join("target/bench");
    fs::create_dir_all(&folder)?;
    let name: String = cell
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '-'
            }
        })
        .collect();
    let profiled = Profiled {
        shell: &shell,
        program: &program,
        cell: ["cell", workload, contender, &server.address],
        title: cell,
        folder: &folder,
        name: &name,
    };
    if args.contains(&"--allocations") {
        return profiled.allocations();
    }
    if cmd!(shell, "perf record --quiet -e cpu-clock -o /dev/null true")
        .quiet()
        .ignore_stderr()
        .run()
        .is_ok()
    {
        return profiled.flames();
    }
    println!("perf is not there or may not sample; counting instructions instead");
    profiled.instructions()
}

struct Profiled<'p> {
    shell: &'p Shell,
    program: &'p Path,
    cell: [&'p str; 4],
    title: &'p str,
    folder: &'p Path,
    name: &'p str,
}

impl Profiled<'_> {
    /// A flamegraph, kernel and all, where it may be seen.
    fn flames(&self) -> Result<()> {
        let Self {
            shell,
            program,
            cell,
            title,
            folder,
            name,
        } = self;
        let data = folder.join(format!("{name}.perf"));
        let picture = folder.join(format!("{name}.svg"));
        let (frequency, calls) = ("2500", SAMPLED.to_string());
        cmd!(
            shell,
            "perf record --quiet -e cpu-clock -F {frequency} --call-graph dwarf,32768 -o {data}
             {program} {cell...} {calls}"
        )
        .run()?;
        let stacks = cmd!(shell, "perf script --no-inline -F ip,sym -i {data}")
            .ignore_stderr()
            .read()?;
        let drawn = cmd!(shell, "{program} flames {title}")
            .stdin(stacks)
            .read()?;
        fs::write(&picture, drawn)?;
        fs::remove_file(&data)?;
        println!("written: {}", picture.display());
        Ok(())
    }

    /// Instructions by function, which do not depend on who else uses the machine.
    fn instructions(&self) -> Result<()> {
        let Self {
            shell,
            program,
            cell,
            folder,
            name,
            ..
        } = self;
        let counts = folder.join(format!("{name}.callgrind"));
        let table = folder.join(format!("{name}.txt"));
        let calls = COUNTED.to_string();
        cmd!(
            shell,
            "valgrind --quiet --tool=callgrind --callgrind-out-file={counts}
             {program} {cell...} {calls}"
        )
        .run()
        .context("neither perf nor valgrind can be used")?;
        let annotated = cmd!(shell, "callgrind_annotate --inclusive=yes {counts}").read()?;
        fs::write(&table, annotated)?;
        println!("written: {}", table.display());
        Ok(())
    }

    /// Each place that allocates once per call or more often.
    fn allocations(&self) -> Result<()> {
        let Self {
            shell,
            program,
            cell,
            folder,
            name,
            ..
        } = self;
        let counts = folder.join(format!("{name}.dhat.json"));
        let calls = COUNTED.to_string();
        cmd!(
            shell,
            "valgrind --quiet --tool=dhat --num-callers=60 --dhat-out-file={counts}
             {program} {cell...} {calls}"
        )
        .run()
        .context("valgrind counts allocations; it is not there or failed")?;
        let counted: Value = serde_json::from_slice(&fs::read(&counts)?)?;
        let sites = sites(&counted, f64::from(COUNTED));
        ensure!(!sites.is_empty(), "nothing allocates");
        println!("\n{:>6} {:>8}  where", "times", "bytes");
        let mut all = 0.0;
        for (place, site) in &sites {
            all += site.times;
            println!("{:>6.2} {:>8.0}  {place}", site.times, site.bytes);
        }
        println!(
            "{all:>6.2} per call; the whole stacks: {}",
            counts.display()
        );
        Ok(())
    }
}

/// What one place allocates in a call.
#[derive(Debug, Default, PartialEq)]
struct Site {
    times: f64,
    bytes: f64,
}

/// The places that allocate in at least every second call, by the frames that say most.
fn sites(counted: &Value, calls: f64) -> BTreeMap<String, Site> {
    let list = |value: &Value, field: &str| {
        let list = value.get(field).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let number =
        |value: &Value, field: &str| value.get(field).and_then(Value::as_f64).unwrap_or_default();
    let frames = list(counted, "ftbl");
    let mut sites: BTreeMap<String, Site> = BTreeMap::new();
    for point in list(counted, "pps") {
        let (times, bytes) = (number(&point, "tbk") / calls, number(&point, "tb") / calls);
        if times < 0.5 {
            continue;
        }
        let stack = list(&point, "fs");
        let names = stack.iter().filter_map(|frame| {
            let frame = frames.get(usize::try_from(frame.as_u64()?).ok()?)?;
            function(frame.as_str()?)
        });
        let place: Vec<String> = names.filter(|name| says_something(name)).take(3).collect();
        let site = sites.entry(place.join(" < ")).or_default();
        site.times += times;
        site.bytes += bytes;
    }
    sites
}

/// `function (file:line)` of a frame `0x123: function (file:line)`, generic arguments left out.
fn function(frame: &str) -> Option<String> {
    let (_, function) = frame.split_once(": ")?;
    let (name, place) = function.rsplit_once(" (")?;
    let name = if name.starts_with('<') {
        name
    } else {
        name.split('<').next().unwrap_or(name)
    };
    Some(format!("{name} ({place}"))
}

/// Whether a frame is more than the way into the allocator or from one library to another.
fn says_something(name: &str) -> bool {
    let silent = [
        "alloc::",
        "<alloc::",
        "core::",
        "<core::",
        "std::",
        "<std::",
        "mcp_bench",
        "<mcp_bench",
        "tokio::",
        "<tokio::",
    ];
    let is_path = name
        .split(" (")
        .next()
        .is_some_and(|name| name.contains("::"));
    is_path && !silent.iter().any(|start| name.starts_with(start)) && !name.contains("__rust")
}

/// The benchmark's server; it ends when its standard input does.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(program: &Path) -> Result<Self> {
        let mut child = Command::new(program)
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().context("the server has no output")?;
        let mut address = String::new();
        BufReader::new(output).read_line(&mut address)?;
        let address = address.trim().to_owned();
        Ok(Self { child, address })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

#[test]
fn what_allocates_in_every_call_is_listed_by_who_asked() {
    let counted = serde_json::json!({
        "ftbl": ["[root]", "0x1: malloc (in vg.so)", "0x2: alloc::vec::push (vec.rs:1)",
            "0x3: hyper::send (send.rs:2)", "0x4: mcp_http::call (call.rs:3)"],
        "pps": [
            { "tb": 6400, "tbk": 100, "fs": [1, 2, 3, 4] },
            { "tb": 100, "tbk": 1, "fs": [1, 4] },
        ],
    });
    let sites = sites(&counted, 100.0);
    let site = &sites["hyper::send (send.rs:2) < mcp_http::call (call.rs:3)"];
    assert_eq!(
        *site,
        Site {
            times: 1.0,
            bytes: 64.0
        }
    );
    assert_eq!(sites.len(), 1);
}
