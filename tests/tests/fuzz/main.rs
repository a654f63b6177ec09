//! Random and damaged inputs against everything that reads a peer's bytes.
//!
//! As a test each target runs for a moment from a fixed seed. `cargo xtask fuzz` runs them longer, from
//! a seed that it prints: `MCP_FUZZ_SECONDS` says how long, `MCP_FUZZ_SEED` from which. What is
//! checked is more than that nothing panics: that cutting a stream changes nothing, that what was
//! written is read, that what is kept is bounded.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]
#![expect(clippy::print_stdout, reason = "a test tells how far it came")]

mod challenges;
mod damage;
mod events;
mod messages;
mod tool_lists;

use std::time::Duration;

use fastrand::Rng;
use mcp_core::auth::time::Instant;

use crate::damage::damaged;

const BRIEFLY: Duration = Duration::from_millis(300);

/// Runs a check on damaged inputs made from the corpus until the time is up.
fn fuzz(target: &str, corpus: &[&[u8]], check: impl Fn(&[u8], &mut Rng)) {
    let asked = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let time = asked("MCP_FUZZ_SECONDS").map_or(BRIEFLY, Duration::from_secs);
    let seed = asked("MCP_FUZZ_SEED").unwrap_or(1);
    let mut rng = Rng::with_seed(seed);
    let (began, mut runs) = (Instant::now(), 0_u64);
    for input in corpus {
        check(input, &mut rng);
    }
    while runs % 64 != 0 || began.elapsed() < time {
        runs += 1;
        let input = damaged(corpus, &mut rng);
        let shown = Shown {
            target,
            seed,
            runs,
            input: &input,
        };
        check(&input, &mut rng);
        drop(shown);
    }
    println!(
        "{target}: {runs} inputs in {:?}, seed {seed}",
        began.elapsed()
    );
}

/// Tells of the input that broke something.
struct Shown<'a> {
    target: &'a str,
    seed: u64,
    runs: u64,
    input: &'a [u8],
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = String::from_utf8_lossy(self.input);
            println!(
                "{}: seed {}, run {}: {text:?}",
                self.target, self.seed, self.runs
            );
        }
    }
}
