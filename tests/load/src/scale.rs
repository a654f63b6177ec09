//! What principals cost, up to 100,000 of them: memory, time, connections, fairness, refreshes,
//! children.

mod bounds;
mod children;
mod crowd;
mod fairness;
mod plot;
mod principals;
mod process;
mod refreshes;
mod report;
mod server;
mod users;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};

pub(crate) use self::server::serve;

use self::process::{Pinning, Server};
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

fn measured(quick: bool) -> Result<Report> {
    let pinning = Pinning::find();
    let server = Server::start(pinning)?;
    let numbers: &[u64] = if quick {
        &[1, 10, 100, 1_000, 10_000]
    } else {
        &[1, 10, 100, 1_000, 10_000, 30_000, 100_000]
    };
    let mut principals = Vec::new();
    for number in numbers {
        eprintln!("{number} principals");
        principals.push(pinning.cell("principals", &server.address, *number)?);
    }
    eprintln!("10,000 principals at once");
    let crowd = pinning.cell("crowd", &server.address, 10_000)?;
    eprintln!("one who floods, beside another");
    let rounds = if quick { 2 } else { 5 };
    let fairness = pinning.cell("fairness", &server.address, rounds)?;
    eprintln!("tokens that live for two seconds");
    let seconds = if quick { 5 } else { 15 };
    let refreshes = pinning.cell("refreshes", &server.address, seconds)?;
    eprintln!("200 children");
    let children = pinning.cell("children", &server.address, 200)?;
    Ok(Report {
        machine: crate::machine::described(),
        pinned: pinning.is_there(),
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
