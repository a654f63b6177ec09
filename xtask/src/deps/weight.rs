//! How many crates a consumer of one of ours builds, and which must not be among them.
//!
//! `cargo tree -p` resolves features for that one package, as a consumer's build would;
//! `cargo metadata` would mix in what the rest of the workspace switches on.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::workspace::text;

/// TLS and HTTP clients, by the start of the crate's name. The vocabulary crate `http`
/// is neither.
const TLS_AND_HTTP: &[&str] = &[
    "aws-lc",
    "h2",
    "h3",
    "hyper",
    "isahc",
    "native-tls",
    "openssl",
    "quinn",
    "reqwest",
    "ring",
    "rustls",
    "schannel",
    "security-framework",
    "ureq",
    "webpki",
];

struct Bound {
    package: &'static str,
    /// The package itself counts.
    fewer_than: Option<usize>,
    without: &'static [&'static [&'static str]],
}

const BOUNDS: &[Bound] = &[
    Bound {
        package: "mcp-auth",
        fewer_than: Some(40),
        without: &[TLS_AND_HTTP, &["rmcp", "tower", "mcp-core"]],
    },
    Bound {
        package: "mcp-stdio",
        fewer_than: None,
        without: &[TLS_AND_HTTP],
    },
];

/// Prints how much every crate pulls in by default; gives what breaks a bound.
pub(super) fn faults(shell: &Shell, packages: &[Value]) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    println!("{:<16} crates to build, default features", "package");
    for package in packages.iter().map(|package| text(package, "name")) {
        let tree = cmd!(shell, "cargo tree --package {package} --edges normal,build")
            .args(["--prefix", "none", "--format", "{p}"])
            .quiet()
            .read()?;
        let built = crates(&tree);
        println!("{package:<16} {:>4}", built.len());
        for bound in BOUNDS.iter().filter(|bound| bound.package == package) {
            faults.extend(bound.broken_by(&built));
        }
    }
    Ok(faults)
}

/// Name and version of each crate in the tree, once.
fn crates(tree: &str) -> BTreeSet<(&str, &str)> {
    tree.lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?))
        })
        .collect()
}

impl Bound {
    fn broken_by(&self, built: &BTreeSet<(&str, &str)>) -> Vec<String> {
        let package = self.package;
        let mut faults = Vec::new();
        if let Some(bound) = self.fewer_than.filter(|bound| built.len() >= *bound) {
            faults.push(format!(
                "{package} builds {} crates, not fewer than {bound}",
                built.len()
            ));
        }
        for (name, _) in built {
            let banned = |start: &&str| {
                name.strip_prefix(*start)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
            };
            if self.without.iter().any(|group| group.iter().any(banned)) {
                faults.push(format!(
                    "{package} pulls in {name}, which it must do without"
                ));
            }
        }
        faults
    }
}

#[test]
fn a_bound_counts_each_crate_once_and_bans_by_family() {
    let tree = "mcp-stdio v0.1.0 (/x)\nhttp v1.4.0\nhyper-util v0.1.20\nring v0.17.0\nstring v1.0.0\nhttp v1.4.0\nring v0.17.0 (*)\n";
    let built = crates(tree);
    assert_eq!(built.len(), 5);
    let bound = Bound {
        package: "mcp-stdio",
        fewer_than: Some(5),
        without: &[TLS_AND_HTTP],
    };
    assert_eq!(
        bound.broken_by(&built),
        [
            "mcp-stdio builds 5 crates, not fewer than 5",
            "mcp-stdio pulls in hyper-util, which it must do without",
            "mcp-stdio pulls in ring, which it must do without",
        ]
    );
}
