//! Random users against servers that fail, for as long as is asked.
//!
//! In cycles: a storm, in which things go wrong; a calm, in which nothing does; a pause, in which
//! nobody acts and what is left is counted. At the end everything is closed, and nothing may be left.

mod audit;
mod faults;
mod ledger;
mod logs;
mod platform;
mod servers;
mod users;
mod watch;
mod weather;
mod world;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use mcp_toolkit::auth::time::Instant;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use self::logs::Logs;
use self::platform::Platform;
use self::servers::Servers;
use self::users::Users;
use self::watch::{Sample, Samples};
use self::world::World;

const STORM: Duration = Duration::from_secs(12);
const CALM: Duration = Duration::from_secs(5);
const USERS: usize = 12;
/// Things that are done at the same time.
const WORKERS: usize = 24;
/// For those who wait for everything to have ended.
const SETTLING: Duration = Duration::from_secs(15);

/// What was asked for.
struct Options {
    minutes: f64,
    seed: u64,
    /// Log lines with this text are printed.
    show: Option<String>,
}

impl Options {
    fn parse(args: &[&str]) -> Result<Self> {
        let mut options = Self {
            minutes: 1.0,
            seed: fastrand::u64(..),
            show: None,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let value = args.next().with_context(|| format!("{arg} wants a value"));
            match *arg {
                "--minutes" => options.minutes = value?.parse()?,
                "--show" => options.show = Some((*value?).to_owned()),
                "--seed" => options.seed = value?.parse()?,
                other => bail!("no such option: {other}"),
            }
        }
        Ok(options)
    }
}

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let options = Options::parse(args)?;
    println!("seed {}, {} minutes", options.seed, options.minutes);
    let logs = Logs::default();
    logs.watch(options.show.clone());
    let world = Arc::new(World::new());
    // Servers have threads of their own, so that tasks of the clients can be counted.
    let (theirs, ours) = (runtime(1, options.seed)?, runtime(2, !options.seed)?);
    // What a process has once and keeps: a thread for children, what signals are heard with.
    round(
        &theirs,
        &ours,
        &world,
        Duration::ZERO,
        Duration::from_secs(1),
    )?;
    let began = Sample::now(&ours);
    let length = Duration::from_secs_f64(options.minutes * 60.0);
    let (users, samples) = round(&theirs, &ours, &world, length, CALM)?;
    let ended = settled(&ours, &began);
    println!("{}", users.ledger.table());
    for (fault, count) in world.faults.counts() {
        println!("{:<35} {count:>9}", format!("{fault:?}"));
    }
    println!("\n{}", samples.table(&began, &ended));
    let audit = users.platform.tally.counts();
    println!(
        "{} operations; {} log lines, {} MiB of them; {} audit records {:?}; the latest end was \
         {:?} after its deadline",
        users.ledger.operations(),
        logs.lines(),
        logs.bytes() >> 20,
        audit.records,
        audit.outcomes,
        users.judge.latest(),
    );
    if ended.tasks > began.tasks {
        world.violation(format!("{} tasks are left of {}", ended.tasks, began.tasks));
    }
    if ended.files > began.files {
        world.violation(format!("{} files are open of {}", ended.files, began.files));
    }
    if ended.children > 0 {
        world.violation(format!("{} children are left", ended.children));
    }
    if let Some(grown) = samples.growth() {
        world.violation(format!("memory grows: {grown}"));
    }
    if logs.secrets() > 0 || logs.lines() == 0 {
        world.violation(format!("{} log lines hold secrets", logs.secrets()));
    }
    if audit.secrets > 0 {
        world.violation(format!("{} audit records hold secrets", audit.secrets));
    }
    let violations = world.violations();
    let verdict = format!("{violations} violations with seed {}", options.seed);
    ensure!(violations == 0, "{verdict}");
    println!("{verdict}");
    Ok(())
}

fn runtime(threads: usize, seed: u64) -> Result<Runtime> {
    // Each thread has dice of its own.
    let next = std::sync::atomic::AtomicU64::new(seed);
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .on_thread_start(move || {
            fastrand::seed(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        })
        .build()?)
}

/// Sets everything up, lets it run, and closes everything.
fn round(
    theirs: &Runtime,
    ours: &Runtime,
    world: &Arc<World>,
    length: Duration,
    calm: Duration,
) -> Result<(Arc<Users>, Samples)> {
    let servers = Arc::new(theirs.block_on(Servers::start(world)));
    world.nobody_is_authorized();
    let platform = ours.block_on(async { Platform::new(world, &servers) })?;
    let users = Users::new(USERS, Arc::new(platform), Arc::clone(world));
    let users = Arc::new(users);
    let mut samples = Samples::default();
    let end = Instant::now() + length;
    loop {
        let storm = STORM.min(end.saturating_duration_since(Instant::now()));
        cycle(theirs, ours, &servers, &users, storm, calm)?;
        theirs.block_on(servers.forget());
        let counted = ours.block_on(counted(&users, world));
        samples.push(Sample::now(ours), counted);
        if Instant::now() >= end {
            break;
        }
    }
    ours.block_on(async {
        let toolkit = users.platform.toolkit.clone();
        toolkit.shutdown(Duration::from_secs(8)).await;
    });
    let users = closed(users)?;
    // Sessions are ended at the server too, but for those whose opening was cut off.
    println!("{} sessions are left at their server", world.sessions());
    let reused = servers.auth.reused();
    if reused > 0 {
        world.violation(format!("{reused} refresh tokens were used twice"));
    }
    // In their own runtime, as everything that is closed there.
    theirs.block_on(async { drop(servers) });
    Ok((users, samples))
}

/// Lets go of the toolkit, and keeps what was counted.
fn closed(users: Arc<Users>) -> Result<Arc<Users>> {
    let mut users = Arc::into_inner(users).context("somebody still acts")?;
    let platform = Arc::into_inner(users.platform).context("somebody still holds the toolkit")?;
    users.platform = Arc::new(platform.closed()?);
    Ok(Arc::new(users))
}

/// A storm and a calm.
fn cycle(
    theirs: &Runtime,
    ours: &Runtime,
    servers: &Arc<Servers>,
    users: &Arc<Users>,
    storm: Duration,
    calm: Duration,
) -> Result<()> {
    let over = Instant::now() + storm;
    let names = users.principals.iter();
    let names = names.map(|it| it.user().to_owned()).collect();
    let weather = (!storm.is_zero()).then(|| {
        let (world, servers) = (Arc::clone(&users.world), Arc::clone(servers));
        theirs.spawn(weather::storm(world, servers, names, over))
    });
    let until = over + calm;
    ours.block_on(async {
        let mut workers = JoinSet::new();
        for _ in 0..WORKERS {
            let users = Arc::clone(users);
            workers.spawn(async move { users.act(until).await });
        }
        while let Some(done) = workers.join_next().await {
            done?;
        }
        anyhow::Ok(())
    })?;
    if let Some(weather) = weather {
        theirs.block_on(weather)?;
    }
    Ok(())
}

/// Each call that began is in the audit, under the right user.
async fn counted(users: &Users, world: &World) -> u64 {
    let platform = &users.platform;
    platform.audit.flush().await;
    let (audited, made) = (platform.tally.counts(), users.ledger.calls());
    if platform.audit.lost() == 0 && audited.users != made {
        world.violation(format!("audited {:?} of {made:?}", audited.users));
    }
    audited.records
}

/// Waits until nothing is left, or too long.
fn settled(ours: &Runtime, began: &Sample) -> Sample {
    let until = Instant::now() + SETTLING;
    loop {
        let now = Sample::now(ours);
        if now.is_as_before(began) || Instant::now() >= until {
            return now;
        }
        ours.block_on(tokio::time::sleep(Duration::from_millis(50)));
    }
}
