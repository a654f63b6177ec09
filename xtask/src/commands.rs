//! The table of commands: from it come dispatch, help and the checking of options.

use crate::command::{Command, Flag, Run, Words};
use crate::{
    bench, ci, conformance, coverage, deps, docs, examples, features, fuzz, generate, lint, loom,
    msrv, package, profile, replicas, scale, schema, servers, soak, test, tidy,
};

/// A command that takes nothing.
const fn step(
    name: &'static str,
    about: &'static str,
    more: &'static str,
    run: fn() -> anyhow::Result<()>,
) -> Command {
    Command {
        name,
        about,
        more,
        options: &[],
        words: Words::None,
        run: Run::Step(run),
    }
}

pub(crate) const COMMANDS: &[Command] = &[
    Command {
        name: "test",
        about: "build and run every test, and see that nothing is left running",
        more: "With <args for nextest>, only the tests that they choose: `cargo xtask test -- -p mcp-auth`.",
        options: &[Flag(
            "--no-servers",
            "leave out the tests that need real MCP servers",
        )],
        words: Words::AfterDashes("<args for nextest>"),
        run: Run::StepWith(test::run),
    },
    Command {
        name: "ci",
        about: "everything that CI runs, cheap steps first",
        more: "All steps run, also after one has failed; the table at the end says how each went.",
        options: &[],
        words: Words::None,
        run: Run::Steps(ci::run),
    },
    step("fmt", "check the formatting", "", lint::fmt),
    step(
        "tidy",
        "check the house rules that no other tool knows",
        "They are in xtask/src/tidy/rules.rs.",
        tidy::run,
    ),
    step(
        "clippy",
        "lint the workspace, warnings denied",
        "",
        lint::clippy,
    ),
    step(
        "docs",
        "build the documentation, warnings denied",
        "",
        docs::run,
    ),
    step(
        "deps",
        "check licenses, sources, the crates' sizes and the arrows between them",
        "The bounds are in xtask/src/deps, the licenses in deny.toml.",
        deps::run,
    ),
    Command {
        name: "schema",
        about: "write the JSON Schema of the configuration file",
        more: "It is made from the tables that the reader of the file uses.",
        options: &[Flag(
            "--check",
            "write nothing; fail if it is not up to date",
        )],
        words: Words::None,
        run: Run::StepWith(schema::run),
    },
    Command {
        name: "features",
        about: "check that the published crates build with every set of features",
        more: "Uses cargo-hack, and installs it where it is missing. Five to ten minutes on two cores: `ci` \
               leaves it out.",
        options: &[
            Flag("--each", "each feature alone, none and all; quicker"),
            Flag("--depth <n>", "sets of up to so many features; default 2"),
        ],
        words: Words::None,
        run: Run::StepWith(features::run),
    },
    step(
        "msrv",
        "check the workspace with the oldest Rust that is promised",
        "Needs that toolchain; without it, clippy's lint `incompatible_msrv` is what is left.",
        msrv::run,
    ),
    Command {
        name: "package",
        about: "package every published crate in order, and build each from its package",
        more: "",
        options: &[
            Flag("--no-verify", "do not build them"),
            Flag("--allow-dirty", "with changes that are not committed"),
        ],
        words: Words::None,
        run: Run::StepWith(package::run),
    },
    step(
        "servers",
        "install the real MCP servers that tests talk to, under target/servers",
        "Needs Node 20 and Python 3.11 or newer. Quick when nothing has changed.",
        servers::install,
    ),
    step(
        "examples",
        "run the examples that end by themselves",
        "",
        examples::run,
    ),
    Command {
        name: "conformance",
        about: "run the official MCP conformance suite, strictly",
        more: "",
        options: &[],
        words: Words::All("<args for the runner>"),
        run: Run::StepWith(conformance::run),
    },
    Command {
        name: "fuzz",
        about: "damaged inputs against what reads a peer's bytes",
        more: "",
        options: &[
            Flag("--seconds <n>", "for each target; default 60"),
            Flag("--seed <n>", "do again what a run with this seed did"),
        ],
        words: Words::None,
        run: Run::StepWith(fuzz::run),
    },
    step(
        "loom",
        "every interleaving of the refresh of a token, in a model",
        "A release build of its own, below target/loom: a minute or two.",
        loom::run,
    ),
    Command {
        name: "coverage",
        about: "which lines the tests reach, crate by crate",
        more: "Uses cargo-llvm-cov, and Rust's llvm-tools.",
        options: &[Flag("--html", "a report for the browser, too")],
        words: Words::AfterDashes("<args for nextest>"),
        run: Run::StepWith(coverage::run),
    },
    Command {
        name: "bench",
        about: "measure what a call costs beside a bare client, rmcp and other SDKs, in a release build",
        more: "Writes target/bench/report.json and report.svg, docs/performance.md and .svg. Wants a quiet\n\
            machine for five minutes; Python and TypeScript are left out where they are not there.",
        options: &[
            Flag("--check", "fail when a bound is broken"),
            Flag(
                "--quick",
                "fewer rounds; leaves docs/performance.md as it is",
            ),
            Flag(
                "--build",
                "only what each crate costs to build; builds everything from nothing",
            ),
        ],
        words: Words::None,
        run: Run::StepWith(bench::run),
    },
    Command {
        name: "profile",
        about: "a flamegraph of a cell of the benchmark, or who allocates in it",
        more: "Uses perf, or valgrind where perf may not sample. What is written goes to target/bench.",
        options: &[
            Flag(
                "--cell <workload>/<contender>",
                "which; default calls/mcp-http",
            ),
            Flag(
                "--allocations",
                "each place that allocates in a call; needs valgrind",
            ),
        ],
        words: Words::None,
        run: Run::StepWith(profile::run),
    },
    Command {
        name: "scale",
        about: "measure what up to 100,000 users cost at once, in a release build",
        more: "The bounds are in tests/load/src/scale/bounds.rs.",
        options: &[
            Flag("--check", "fail when a bound is broken"),
            Flag("--quick", "fewer users; leaves docs/scale.md as it is"),
        ],
        words: Words::None,
        run: Run::StepWith(scale::run),
    },
    Command {
        name: "soak",
        about: "random users against servers that fail; nothing crosses, leaks or hangs",
        more: "Fails with the number of violations. What a run did is random within its seed.",
        options: &[
            Flag("--minutes <n>", "how long; default 1"),
            Flag("--seed <n>", "with the dice of an earlier run"),
            Flag("--show <text>", "print the log lines that hold this"),
        ],
        words: Words::None,
        run: Run::StepWith(soak::run),
    },
    Command {
        name: "replicas",
        about: "processes that share logins through Redis, killed and cut off",
        more: "Needs redis-server or valkey-server on the path.",
        options: &[
            Flag(
                "--quick",
                "fewer lives of tokens, and seconds without Redis",
            ),
            Flag("--processes <n>", "how many replicas; default 5"),
            Flag("--callers <n>", "in each of them; default 100"),
            Flag("--users <n>", "whose logins they share; default 50"),
            Flag(
                "--lives <n>",
                "of tokens while replicas are killed; default 1,000",
            ),
            Flag(
                "--seconds-away <n>",
                "with Redis stopped, and again with it dead; default 60",
            ),
        ],
        words: Words::None,
        run: Run::StepWith(replicas::run),
    },
    Command {
        name: "generate",
        about: "write Rust types (MCP_<tool>_Input) for the tools of a saved catalog",
        more: "",
        options: &[],
        words: Words::All("<catalog.json> [--out <file.rs>] [--check]"),
        run: Run::Plain(generate::run),
    },
];

#[test]
fn names_are_told_apart_and_options_are_spelled_right() {
    for (at, command) in COMMANDS.iter().enumerate() {
        let mut before = COMMANDS.iter().take(at);
        assert!(before.all(|other| other.name != command.name));
        assert!(!command.about.is_empty(), "{}", command.name);
        assert!(command.options.iter().all(|flag| flag.0.starts_with("--")));
    }
}
