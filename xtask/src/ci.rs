//! What `.ci/run` runs, cheap steps first.

use anyhow::Result;

use crate::{conformance, deps, docs, examples, lint, schema, steps, test, tidy};

pub(crate) fn run(_: &[&str]) -> Result<()> {
    steps::run_all(&[
        ("fmt", &lint::fmt),
        ("tidy", &tidy::run),
        ("deps", &deps::run),
        ("clippy", &lint::clippy),
        ("docs", &docs::run),
        ("schema", &|| schema::run(&["--check"])),
        ("test", &|| test::run(&[])),
        ("conformance", &conformance::check),
        ("examples", &examples::run),
    ])
}
