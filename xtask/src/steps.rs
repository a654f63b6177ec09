//! A list of steps that all run, and a table of how they went.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// What it is called, and what it does.
pub(crate) type Step = (&'static str, fn() -> Result<()>);

/// Runs every step, also after one has failed, and fails if any did.
pub(crate) fn run_all(steps: &[Step]) -> Result<()> {
    let start = now();
    let mut rows = Vec::new();
    for (name, step) in steps {
        println!("\n==> {name}");
        let start = now();
        let outcome = step();
        if let Err(error) = &outcome {
            eprintln!("error: {error:#}");
        }
        rows.push((*name, start.elapsed(), outcome));
    }

    println!("\n{:<10} {:>8}  verdict", "step", "time");
    for (name, took, outcome) in &rows {
        let verdict = match outcome {
            Ok(()) => "ok".to_owned(),
            Err(error) => format!("FAILED: {}", first_line(&format!("{error:#}"))),
        };
        println!("{name:<10} {:>8}  {verdict}", seconds(*took));
    }
    println!("{:<10} {:>8}", "all", seconds(start.elapsed()));

    let failed = rows
        .iter()
        .filter(|(_, _, outcome)| outcome.is_err())
        .count();
    ensure!(failed == 0, "{failed} of {} steps failed", rows.len());
    Ok(())
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
