//! What principals cost, up to 100,000 of them: memory, time, connections, fairness, refreshes,
//! children.

mod bounds;
mod children;
mod crowd;
mod fairness;
mod plot;
mod principals;
mod refreshes;
mod report;
mod server;
mod users;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use mcp_harness::process::{Pinning, Server, output, this_program};
use serde::de::DeserializeOwned;

pub(crate) use self::server::serve;

use self::report::Report;

/// What was asked for.
struct Options {
    check: bool,
    quick: bool,
    out: PathBuf,
    page: Option<PathBuf>,
}

impl Options {
    fn parse(args: &[&str]) -> Result<Self> {
        let mut options = Self {
            check: false,
            quick: false,
            out: PathBuf::from("target/scale"),
            page: None,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} wants a path"));
            match *arg {
                "--check" => options.check = true,
                "--quick" => options.quick = true,
                "--out" => options.out = PathBuf::from(value()?),
                "--page" => options.page = Some(PathBuf::from(value()?)),
                other => bail!("no such option: {other}"),
            }
        }
        Ok(options)
    }
}

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let options = Options::parse(args)?;
    let report = measured(options.quick)?;
    println!("{}", report.markdown());
    std::fs::create_dir_all(&options.out)?;
    let file = options.out.join("report.json");
    std::fs::write(&file, serde_json::to_string_pretty(&report)? + "\n")?;
    println!("\nwritten: {}", file.display());
    if let Some(page) = &options.page {
        report.put_into(page)?;
        println!("written: {}", page.display());
    }
    let broken = report.broken();
    ensure!(!options.check || broken == 0, "{broken} bounds are broken");
    Ok(())
}

/// Measurements, each in a process of its own beside the server.
struct Cells {
    pinning: Pinning,
    program: PathBuf,
    server: Server,
}

impl Cells {
    fn start() -> Result<Self> {
        let (pinning, program) = (Pinning::find(), this_program()?);
        Ok(Self {
            pinning,
            server: Server::start(pinning.server(&program).arg("serve"))?,
            program,
        })
    }

    fn measure<T: DeserializeOwned>(&self, what: &str, number: u64) -> Result<T> {
        let mut command = self.pinning.client(&self.program);
        command.args(["cell", what, self.server.address(), &number.to_string()]);
        let said = output(&mut command, what)?;
        serde_json::from_slice(&said).with_context(|| format!("{what} came to no measurement"))
    }
}

fn measured(quick: bool) -> Result<Report> {
    let cells = Cells::start()?;
    let numbers: &[u64] = if quick {
        &[1, 10, 100, 1_000, 10_000]
    } else {
        &[1, 10, 100, 1_000, 10_000, 30_000, 100_000]
    };
    let mut principals = Vec::new();
    for number in numbers {
        eprintln!("{number} principals");
        principals.push(cells.measure("principals", *number)?);
    }
    eprintln!("10,000 principals at once");
    let crowd = cells.measure("crowd", 10_000)?;
    eprintln!("one who floods, beside another");
    let fairness = cells.measure("fairness", if quick { 2 } else { 5 })?;
    eprintln!("tokens that live for two seconds");
    let refreshes = cells.measure("refreshes", if quick { 5 } else { 15 })?;
    eprintln!("200 children");
    let children = cells.measure("children", 200)?;
    Ok(Report {
        machine: mcp_harness::machine::described(),
        pinned: cells.pinning.is_there(),
        principals,
        crowd,
        fairness,
        refreshes,
        children,
    })
}

pub(crate) fn cell(what: &str, address: &str, number: &str) -> Result<()> {
    let number: u64 = number.parse()?;
    let measured = match what {
        "principals" => serde_json::to_string(&principals::measure(address, number)?),
        "crowd" => serde_json::to_string(&crowd::measure(address, number)?),
        "fairness" => serde_json::to_string(&fairness::measure(address, number)?),
        "refreshes" => serde_json::to_string(&refreshes::measure(address, number)?),
        "children" => serde_json::to_string(&children::measure(number)?),
        other => bail!("there is nothing to measure of {other}"),
    };
    println!("{}", measured?);
    Ok(())
}
