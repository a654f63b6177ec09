//! Many processes that share logins through Redis: killed, cut off, and told what to forget.
//!
//! Users log in once, at an authorization server whose refresh tokens work once. Replicas, each a
//! process with many callers, use their logins; whoever's token ends refreshes it for all. The server
//! takes a used refresh token again only while nobody has shown what was given for it: a replica that
//! is killed with an answer on its way leaves nobody able to go on otherwise, whatever a client does.

mod fleet;
mod phases;
mod report;
mod setting;
mod worker;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

pub(crate) use self::worker::serve;

use self::fleet::Fleet;
use self::report::Report;
use self::setting::Setting;
use self::worker::FORGOTTEN;

/// What was asked for.
struct Options {
    processes: usize,
    callers: usize,
    users: usize,
    lives: usize,
    away: Duration,
    out: PathBuf,
}

impl Options {
    fn parse(args: &[&str]) -> Result<Self> {
        let mut options = Self {
            processes: 5,
            callers: 100,
            users: 50,
            lives: 1_000,
            away: Duration::from_secs(60),
            out: PathBuf::from("target/replicas"),
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} wants a value"));
            match *arg {
                "--quick" => {
                    options.lives = 150;
                    options.away = Duration::from_secs(4);
                }
                "--processes" => options.processes = value()?.parse()?,
                "--callers" => options.callers = value()?.parse()?,
                "--users" => options.users = value()?.parse()?,
                "--lives" => options.lives = value()?.parse()?,
                "--seconds-away" => options.away = Duration::from_secs(value()?.parse()?),
                "--out" => options.out = PathBuf::from(value()?),
                other => bail!("no such option: {other}"),
            }
        }
        let counts = [options.processes, options.users, options.callers];
        ensure!(counts.iter().all(|it| *it > 0), "nobody would do anything");
        ensure!(
            options.users >= FORGOTTEN,
            "tools of {FORGOTTEN} users are forgotten: `--users` wants as many"
        );
        Ok(options)
    }
}

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let options = Options::parse(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let report = runtime.block_on(measured(&options))?;
    println!("{}", report.table());
    std::fs::create_dir_all(&options.out)?;
    let file = options.out.join("report.json");
    std::fs::write(&file, serde_json::to_string_pretty(&report)? + "\n")?;
    println!("\nwritten: {}", file.display());
    let broken = report.broken();
    ensure!(broken == 0, "{broken} bounds are broken");
    Ok(())
}

async fn measured(options: &Options) -> Result<Report> {
    let mut setting = Setting::start().await;
    eprintln!("{} users log in", options.users);
    setting.log_in(options.users).await?;
    let mut fleet = Fleet::start(&setting, options).await?;
    eprintln!("{} lives of tokens, replicas killed", options.lives);
    let lives = phases::lives(&setting, &mut fleet, options.lives).await?;
    eprintln!("calls with valid tokens");
    let steady = phases::steady(&setting, &fleet).await?;
    eprintln!("Redis stopped, then killed, {:?} each", options.away);
    let away = phases::away(&mut setting, &fleet, options.away).await?;
    eprintln!("what one forgets, all forget");
    let invalidation = phases::invalidation(&setting, &mut fleet).await?;
    let totals = fleet.end().await;
    let logins_lost = setting.logins_lost(options.users).await?;
    Ok(Report {
        machine: mcp_harness::machine::described(),
        processes: options.processes,
        callers: options.callers,
        users: options.users,
        lives,
        steady,
        away,
        invalidation,
        calls: totals.calls,
        failed: totals.failed,
        failures: totals.failures,
        slowest_ms: totals.slowest_us as f64 / 1e3,
        logins_lost,
        refused: setting.issuer.refused(),
        reused: setting.issuer.reused(),
    })
}
