//! What is run, and what it must not cost.

use anyhow::{Context as _, Result};

/// How many calls are under way at once, where not one after another.
pub(crate) const IN_FLIGHT: usize = 64;

/// What a workload does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Load {
    /// One call after another.
    OneByOne,
    /// [`IN_FLIGHT`] at once.
    InFlight,
    /// Lists of tools.
    Lists,
    /// What tenants hold.
    Memory,
    /// What every call does first, without a server.
    HotPath,
    /// One call after another, its instructions counted by valgrind.
    Instructions,
    /// A program, from its start to its exit.
    Command,
    /// How large a program is.
    Size,
}

/// A table of the report.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) load: Load,
    /// Where the server answers in this way.
    path: &'static str,
    /// How often, in each round.
    pub(crate) calls: u64,
    /// The first is what the others are compared with.
    pub(crate) contenders: &'static [&'static str],
}

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "calls",
        title: "One call after another",
        load: Load::OneByOne,
        path: "/json",
        calls: 2_000,
        contenders: &[
            "raw",
            "raw, deadline",
            "bare connection",
            "mcp-http",
            "mcp-http 2025-11-25",
            "whole",
            "whole, audit to a sink",
            "rmcp pooled",
            "rmcp pooled 2025-11-25",
            "rmcp default",
            "rmcp default 2025-11-25",
            "rmcp, fresh session",
            "TypeScript SDK",
            "Python SDK",
            "Python SDK, fresh session",
            "Python SDK, load-connect-call-close",
        ],
    },
    Workload {
        name: "instructions",
        title: "Instructions of a call, without the kernel's",
        load: Load::Instructions,
        path: "/json",
        calls: 500,
        contenders: &[
            "raw",
            "bare connection",
            "mcp-http",
            "whole",
            "rmcp pooled",
            "rmcp default",
        ],
    },
    Workload {
        name: "asleep",
        title: "One call after another, the cores asleep between them",
        load: Load::OneByOne,
        path: "/asleep",
        calls: 1_000,
        contenders: &["raw", "mcp-http", "rmcp pooled", "rmcp default"],
    },
    Workload {
        name: "events",
        title: "One call after another, answered as SSE",
        load: Load::OneByOne,
        path: "/sse",
        calls: 2_000,
        contenders: &[
            "raw",
            "bare connection",
            "mcp-http",
            "mcp-http, JSON",
            "whole",
            "rmcp pooled",
        ],
    },
    Workload {
        name: "flight",
        title: "64 in flight",
        load: Load::InFlight,
        path: "/json",
        calls: 6_400,
        contenders: &["raw", "mcp-http", "whole", "rmcp pooled"],
    },
    Workload {
        name: "slow",
        title: "64 in flight, the server takes 10 ms",
        load: Load::InFlight,
        path: "/slow",
        calls: 1_920,
        contenders: &[
            "raw",
            "mcp-http",
            "whole",
            "rmcp pooled",
            "rmcp pooled, 16 at once",
        ],
    },
    Workload {
        name: "list",
        title: "A list of 500 tools of 778 bytes, ready for use",
        load: Load::Lists,
        path: "/list",
        calls: 50,
        contenders: &[
            "raw text",
            "raw values",
            "tool set",
            "tool set, known tools",
            "rmcp pooled",
        ],
    },
    Workload {
        name: "hot",
        title: "Before a call",
        load: Load::HotPath,
        path: "",
        calls: 200_000,
        contenders: &[
            "credentials, bearer",
            "credentials, refreshing",
            "credentials, per principal",
            "tools from the cache",
        ],
    },
    Workload {
        name: "memory",
        title: "What a tenant with 50 tools holds",
        load: Load::Memory,
        path: "",
        calls: 1_000,
        contenders: &[
            "raw text",
            "raw values",
            "cached tool set, private tools",
            "cached tool set, equal tools",
            "rmcp",
        ],
    },
    Workload {
        name: "command",
        title: "A command, from start to exit",
        load: Load::Command,
        path: "/json",
        calls: 10,
        contenders: &["true", "mcpt --version", "mcpt call"],
    },
    Workload {
        name: "size",
        title: "The command's file",
        load: Load::Size,
        path: "",
        calls: 1,
        contenders: &["mcpt"],
    },
];

/// Of how many calls of a workload a contender does one: where a call takes long, few tell enough.
pub(crate) fn share(contender: &str) -> u64 {
    match contender {
        "Python SDK, load-connect-call-close" => 250,
        "Python SDK, fresh session" => 200,
        "Python SDK" | "rmcp, fresh session" | "rmcp default" | "rmcp default 2025-11-25" => 10,
        "TypeScript SDK" => 4,
        _ => 1,
    }
}

impl Workload {
    pub(crate) fn named(name: &str) -> Result<&'static Self> {
        let mut all = WORKLOADS.iter();
        all.find(|workload| workload.name == name)
            .with_context(|| format!("no such workload: {name}"))
    }

    /// Where the server answers a contender.
    pub(crate) fn path(&self, contender: &str) -> &'static str {
        match contender {
            // For comparison, beside those that get events.
            "mcp-http, JSON" => "/json",
            _ => self.path,
        }
    }

    /// What the others are compared with, where that says something.
    pub(crate) fn floor(&self) -> Option<&'static str> {
        match self.load {
            Load::HotPath | Load::Command | Load::Size => None,
            _ => self.contenders.first().copied(),
        }
    }

    /// Whether its allocations are told.
    pub(crate) fn counts(&self) -> bool {
        use Load::{HotPath, Lists, Memory, OneByOne};
        matches!(self.load, OneByOne | Lists | HotPath | Memory)
    }

    /// Whether the cores are kept from falling asleep between two calls.
    pub(crate) fn is_awake(&self) -> bool {
        self.name != "asleep"
    }

    /// Whether numbers differ between rounds.
    pub(crate) fn is_timed(&self) -> bool {
        !matches!(self.load, Load::Memory | Load::Size | Load::Instructions)
    }
}

/// What of a cell is bounded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Quantity {
    /// Processor time, beside another cell of the same round.
    CpuOver(&'static str, &'static str),
    /// The median call, beside another cell of the same round.
    MedianOver(&'static str, &'static str),
    /// Time between calls ending, beside another cell of the same round.
    TimeOver(&'static str, &'static str),
    /// Instructions outside the kernel, beside another cell.
    InstructionsOver(&'static str, &'static str),
    /// Allocations per call.
    Allocations,
    /// Processor time per call, in nanoseconds.
    CpuNanos,
    /// The median, in milliseconds.
    Millis,
    /// Bytes held per tenant, or of a file.
    Bytes,
}

/// A promise that `--check` holds the run to.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) workload: &'static str,
    pub(crate) contender: &'static str,
    pub(crate) quantity: Quantity,
    pub(crate) limit: Limit,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

const fn at_most(
    workload: &'static str,
    contender: &'static str,
    quantity: Quantity,
    limit: f64,
) -> Bound {
    let limit = Limit::AtMost(limit);
    Bound {
        workload,
        contender,
        quantity,
        limit,
    }
}

const fn at_least(
    workload: &'static str,
    contender: &'static str,
    quantity: Quantity,
    limit: f64,
) -> Bound {
    let limit = Limit::AtLeast(limit);
    Bound {
        workload,
        contender,
        quantity,
        limit,
    }
}

use Quantity::{
    Allocations, Bytes, CpuNanos, CpuOver, InstructionsOver, MedianOver, Millis, TimeOver,
};

pub(crate) const BOUNDS: &[Bound] = &[
    at_most("calls", "mcp-http", CpuOver("calls", "raw"), 1.25),
    at_most("calls", "mcp-http", MedianOver("calls", "raw"), 1.10),
    at_most("calls", "mcp-http", Allocations, 50.0),
    at_most("calls", "whole", CpuOver("calls", "raw"), 1.5),
    at_most("calls", "whole", MedianOver("calls", "raw"), 1.25),
    at_most("calls", "whole", Allocations, 80.0),
    at_least("calls", "rmcp pooled", CpuOver("calls", "mcp-http"), 3.5),
    at_least("calls", "rmcp default", CpuOver("calls", "mcp-http"), 8.0),
    at_least("calls", "Python SDK", CpuOver("calls", "mcp-http"), 50.0),
    at_least(
        "calls",
        "Python SDK, load-connect-call-close",
        MedianOver("calls", "mcp-http"),
        1_000.0,
    ),
    at_most(
        "instructions",
        "mcp-http",
        InstructionsOver("instructions", "raw"),
        1.25,
    ),
    at_least(
        "instructions",
        "rmcp pooled",
        InstructionsOver("instructions", "mcp-http"),
        3.5,
    ),
    at_most(
        "events",
        "mcp-http",
        CpuOver("events", "mcp-http, JSON"),
        1.15,
    ),
    at_most("flight", "mcp-http", CpuOver("flight", "raw"), 1.25),
    at_most("slow", "mcp-http", TimeOver("slow", "raw"), 1.08),
    at_most("slow", "whole", TimeOver("slow", "raw"), 1.08),
    at_most("list", "tool set", CpuOver("list", "raw text"), 1.5),
    at_most("hot", "credentials, bearer", CpuNanos, 100.0),
    at_most("hot", "credentials, refreshing", CpuNanos, 100.0),
    at_most("hot", "credentials, per principal", CpuNanos, 100.0),
    at_most("hot", "tools from the cache", CpuNanos, 1_000.0),
    at_most("memory", "cached tool set, private tools", Bytes, 61_440.0),
    at_most("memory", "cached tool set, equal tools", Bytes, 1_023.0),
    at_most("command", "mcpt call", Millis, 30.0),
    at_most("size", "mcpt", Bytes, 15_728_639.0),
];

#[test]
fn every_bound_is_of_cells_that_are_run() {
    let is_run = |workload: &str, contender: &str| {
        Workload::named(workload)
            .unwrap()
            .contenders
            .contains(&contender)
    };
    for bound in BOUNDS {
        assert!(is_run(bound.workload, bound.contender), "{bound:?}");
        if let CpuOver(workload, contender)
        | MedianOver(workload, contender)
        | TimeOver(workload, contender)
        | InstructionsOver(workload, contender) = bound.quantity
        {
            assert!(is_run(workload, contender), "{bound:?}");
        }
    }
}
