//! What `.ci/run` runs, cheap steps first.

use anyhow::Result;

use crate::{conformance, deps, docs, examples, lint, package, schema, steps, test, tidy};

pub(crate) fn run(_: &[&str]) -> Result<()> {
    steps::run_all(&[
        ("fmt", &lint::fmt),
        ("tidy", &tidy::run),
        ("deps", &deps::run),
        // The trees of contributors are not clean.
        ("package", &|| {
            package::run(&["--no-verify", "--allow-dirty"])
        }),
        ("clippy", &lint::clippy),
        ("docs", &docs::run),
        ("test", &|| test::run(&[])),
        // By now most of what it needs is built.
        ("schema", &|| schema::run(&["--check"])),
        ("conformance", &conformance::check),
        ("examples", &examples::run),
    ])
}
