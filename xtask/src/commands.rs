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

const NO_SERVERS: Flag = Flag(
    "--no-servers",
    "leave out the tests that need real MCP servers",
);
const CHECK_BOUNDS: Flag = Flag(
    "--check",
    "fail when a bound is broken; default only shows it",
);

pub(crate) const COMMANDS: &[Command] = &[
    Command {
        name: "test",
        about: "build and run every test, and see that nothing is left running",
        more: "With <args for nextest>, only the tests that they choose: `cargo xtask test -- -p mcp-auth`.",
        options: &[NO_SERVERS],
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
        more: "Uses cargo-hack, and installs it where it is missing. Five to ten minutes on two cores, with\n\
            `--each` half of that: `ci` leaves it out.",
        options: &[
            Flag(
                "--each",
                "each feature alone, none and all, instead of sets",
            ),
            Flag("--depth <n>", "sets of up to so many features; default 2"),
        ],
        words: Words::None,
        run: Run::StepWith(features::run),
    },
    step(
        "msrv",
        "check the workspace with the oldest Rust that is promised",
        "Needs that toolchain, and is skipped without it: clippy's lint `incompatible_msrv` is what is left.\n\
         Builds in target/msrv: some minutes the first time, seconds later.",
        msrv::run,
    ),
    Command {
        name: "package",
        about: "package every published crate in order, and build each from its package",
        more: "Packages are made and built in target/packaged, which is removed in the end. All is built from\n\
            nothing, which takes some minutes; with `--no-verify` it takes seconds.",
        options: &[
            Flag("--no-verify", "make the packages, but do not build them"),
            Flag(
                "--allow-dirty",
                "package changes that are not committed, too; else they are an error",
            ),
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
            Flag("--seconds <n>", "how long each target runs; default 60"),
            Flag(
                "--seed <n>",
                "do again what a run with this seed did; default: another each time",
            ),
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
        more: "Uses cargo-llvm-cov, and installs it where it is missing; Rust's llvm-tools, or `llvm-cov-<n>` and\n\
            `llvm-profdata-<n>` of the same LLVM on the path. Without those it is skipped. It builds all anew\n\
            below target/llvm-cov-target and runs every test: a quarter of an hour or more on two cores. With\n\
            <args for nextest>, only the tests that they choose: `cargo xtask coverage -- -p mcp-auth`.",
        options: &[
            NO_SERVERS,
            Flag(
                "--html",
                "each line, in target/coverage/html, for the browser; default only the table",
            ),
        ],
        words: Words::AfterDashes("<args for nextest>"),
        run: Run::StepWith(coverage::run),
    },
    Command {
        name: "bench",
        about: "measure what a call costs beside a bare client, rmcp and other SDKs, in a release build",
        more: "Writes target/bench/report.json and report.svg, docs/performance.md and .svg. Wants two cores that\n\
            nobody else uses, for seven minutes after a release build, with `--quick` for one or two; with\n\
            `--build` or `--all` some minutes more. Python and TypeScript are left out where they are not\n\
            there. The bounds are in bench/src/plan.rs.",
        options: &[
            CHECK_BOUNDS,
            Flag(
                "--quick",
                "3 rounds of half the calls, not 11 of all; leaves docs/performance.* as they are",
            ),
            Flag(
                "--build",
                "only what each crate costs to build, in seconds; builds everything from nothing",
            ),
            Flag(
                "--all",
                "also what `--build` and `cargo xtask scale` measure, in one go and one report",
            ),
        ],
        words: Words::None,
        run: Run::StepWith(bench::run),
    },
    Command {
        name: "profile",
        about: "a flamegraph of a cell of the benchmark, or who allocates in it",
        more: "A flamegraph where perf may sample; else instructions by function, by valgrind. Written to\n\
            target/bench, in less than a minute after a release build. Cells are named in bench/src/plan.rs.",
        options: &[
            Flag(
                "--cell <workload>/<contender>",
                "which; default calls/mcp-http",
            ),
            Flag(
                "--allocations",
                "each place that allocates in a call, how often and how many bytes; needs valgrind",
            ),
        ],
        words: Words::None,
        run: Run::StepWith(profile::run),
    },
    Command {
        name: "scale",
        about: "measure what up to 100,000 users cost at once, in a release build",
        more: "Writes target/scale/report.json, docs/scale.md and its plots. Wants two cores that nobody else uses,\n\
            for about two minutes after a release build, with `--quick` for one.\n\
            The bounds are in tests/load/src/scale/bounds.rs.",
        options: &[
            CHECK_BOUNDS,
            Flag(
                "--quick",
                "up to 10,000 users, and fewer rounds; leaves docs/scale.md as it is",
            ),
        ],
        words: Words::None,
        run: Run::StepWith(scale::run),
    },
    Command {
        name: "soak",
        about: "random users against servers that fail; nothing crosses, leaks or hangs",
        more: "Fails with the number of violations. A seed says what was tried, not in which order it met. Takes\n\
            as long as it is told, up to half a minute for things to end, and a release build before.",
        options: &[
            Flag(
                "--minutes <n>",
                "how long, in minutes or parts of one; default 1",
            ),
            Flag(
                "--seed <n>",
                "the dice of an earlier run, which printed it; default: others each time",
            ),
            Flag(
                "--show <text>",
                "print the log lines that hold this; default none",
            ),
        ],
        words: Words::None,
        run: Run::StepWith(soak::run),
    },
    Command {
        name: "replicas",
        about: "processes that share logins through Redis, killed and cut off",
        more: "Needs redis-server or valkey-server on the path. Writes target/replicas/report.json, and fails when\n\
            a bound is broken. About four minutes after a release build, with `--quick` one.",
        options: &[
            Flag("--quick", "the same as `--lives 150 --seconds-away 4`"),
            Flag("--processes <n>", "how many replicas; default 5"),
            Flag(
                "--callers <n>",
                "tasks that call in each of them; default 100",
            ),
            Flag(
                "--users <n>",
                "whose logins they share, at least 20; default 50",
            ),
            Flag(
                "--lives <n>",
                "lives of tokens, 2 s each, while replicas are killed; default 1,000",
            ),
            Flag(
                "--seconds-away <n>",
                "seconds with Redis stopped, and as many with it dead; default 60",
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
