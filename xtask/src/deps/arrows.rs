//! The direction of dependencies among the workspace's own crates (ARCHITECTURE.md).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::workspace::text;

/// Each crate, and those right below it. What is below those is below it too.
const BELOW: &[(&str, &[&str])] = &[
    ("mcp-auth", &[]),
    ("mcp-core", &["mcp-auth"]),
    ("mcp-http", &["mcp-core"]),
    ("mcp-oauth", &["mcp-http"]),
    ("mcp-stdio", &["mcp-core"]),
    ("mcp-adapter", &["mcp-core"]),
    ("mcp-middleware", &["mcp-adapter"]),
    ("mcp-tool-cache", &["mcp-adapter"]),
    // Writes code for others; nobody links it.
    ("mcp-codegen", &["mcp-adapter"]),
    ("mcp-redis", &["mcp-core"]),
    (
        "mcp-toolkit",
        &[
            "mcp-oauth",
            "mcp-stdio",
            "mcp-middleware",
            "mcp-tool-cache",
            "mcp-redis",
        ],
    ),
    ("mcpt", &["mcp-toolkit"]),
    // Not published; nothing may depend on them but tests.
    ("mcp-testbed", &["mcp-toolkit"]),
    ("mcp-examples", &["mcp-toolkit", "mcp-testbed"]),
    ("conformance-client", &["mcp-toolkit"]),
    ("mcp-harness", &[]),
    ("mcp-bench", &["mcp-toolkit", "mcp-harness"]),
    ("mcp-load", &["mcp-testbed", "mcp-harness"]),
    ("xtask", &["mcp-harness"]),
];

/// Normal and build dependencies that point the wrong way. Tests may use any crate.
pub(super) fn faults(packages: &[Value]) -> Vec<String> {
    let below: BTreeMap<&str, &[&str]> = BELOW.iter().copied().collect();
    let members: BTreeSet<&str> = packages
        .iter()
        .map(|package| text(package, "name"))
        .collect();
    let mut faults = Vec::new();
    for package in packages {
        let name = text(package, "name");
        if !below.contains_key(name) {
            faults.push(format!(
                "{name}: has no place in the table of xtask/src/deps/arrows.rs"
            ));
            continue;
        }
        let allowed = all_below(name, &below);
        let dependencies = package.get("dependencies").and_then(Value::as_array);
        for dependency in dependencies.into_iter().flatten() {
            let on = text(dependency, "name");
            let for_tests = text(dependency, "kind") == "dev";
            if members.contains(on) && !for_tests && !allowed.contains(on) {
                faults.push(format!("{name} depends on {on}, which is not below it"));
            }
        }
    }
    faults
}

fn all_below<'a>(name: &str, below: &BTreeMap<&'a str, &'a [&'a str]>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = below.get(name).copied().unwrap_or_default().to_vec();
    while let Some(next) = open.pop() {
        if found.insert(next) {
            open.extend(below.get(next).copied().unwrap_or_default());
        }
    }
    found
}

#[test]
fn an_arrow_against_the_drawing_is_a_fault_except_for_tests() {
    let package = |name: &str, on: &str, kind: Value| serde_json::json!({"name": name, "dependencies": [{"name": on, "kind": kind}]});
    let all = |package| vec![package, package_without_dependencies("mcp-adapter")];

    let wrong = all(package("mcp-core", "mcp-adapter", Value::Null));
    assert_eq!(
        faults(&wrong),
        ["mcp-core depends on mcp-adapter, which is not below it"]
    );
    assert!(faults(&all(package("mcp-core", "mcp-adapter", "dev".into()))).is_empty());
    // Two steps down.
    assert!(faults(&all(package("mcp-toolkit", "mcp-adapter", Value::Null))).is_empty());
    assert_eq!(
        faults(&all(package("mcp-new", "serde", Value::Null))).len(),
        1
    );
}

#[cfg(test)]
fn package_without_dependencies(name: &str) -> Value {
    serde_json::json!({"name": name, "dependencies": []})
}
