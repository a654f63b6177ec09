//! A list of steps that all run, and a table of how they went.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// What it is called, and what it does.
pub(crate) type Step<'a> = (&'a str, &'a dyn Fn() -> Result<()>);

/// A step that was not taken, and why. In the table it is neither right nor wrong.
#[derive(Debug)]
pub(crate) struct Skipped(pub(crate) String);

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skipped {}

/// Runs every step, also after one has failed, and fails if any did.
pub(crate) fn run_all(steps: &[Step<'_>]) -> Result<()> {
    let start = now();
    let mut rows = Vec::new();
    for (at, (name, step)) in steps.iter().enumerate() {
        if steps.len() > 1 {
            println!("\n==> {name} ({} of {})", at + 1, steps.len());
        }
        let start = now();
        let outcome = step();
        if let Err(error) = &outcome {
            eprintln!("{}: {error:#}", word(error));
        }
        rows.push((*name, start.elapsed(), outcome));
    }

    println!("\n{:<12} {:>8}  verdict", "step", "time");
    for (name, took, outcome) in &rows {
        let verdict = match outcome {
            Ok(()) => "ok".to_owned(),
            Err(error) => format!("{}: {}", word(error), first_line(&format!("{error:#}"))),
        };
        println!("{name:<12} {:>8}  {verdict}", seconds(*took));
    }
    if rows.len() > 1 {
        println!("{:<12} {:>8}", "all", seconds(start.elapsed()));
    }

    let failures = rows
        .iter()
        .filter_map(|(_, _, outcome)| outcome.as_ref().err());
    let failed = failures.filter(|error| !is_skip(error)).count();
    ensure!(failed == 0, "{failed} of {} steps failed", rows.len());
    Ok(())
}

fn is_skip(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Skipped>().is_some()
}

fn word(error: &anyhow::Error) -> &'static str {
    if is_skip(error) { "skipped" } else { "FAILED" }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a build tool times itself by the machine's clock"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[test]
fn all_steps_run_and_a_skipped_one_is_no_failure() {
    let ran = std::cell::Cell::new(0);
    let count = || ran.set(ran.get() + 1);
    let fine = || {
        count();
        Ok(())
    };
    let skipped = || {
        count();
        Err(Skipped("there is nothing to do".to_owned()).into())
    };
    let wrong = || {
        count();
        Err(anyhow::anyhow!("it broke"))
    };
    assert!(run_all(&[("a", &skipped), ("b", &fine)]).is_ok());
    let error = run_all(&[("a", &wrong), ("b", &fine)]).unwrap_err();
    assert_eq!(error.to_string(), "1 of 2 steps failed");
    assert_eq!(ran.get(), 4);
}
