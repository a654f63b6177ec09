//! Validation, sets and lookups. Run with `cargo bench -p mcp-adapter`.

#![expect(clippy::unwrap_used, reason = "a benchmark has nobody to tell")]

use std::sync::Arc;

use divan::{Bencher, black_box};
use mcp_adapter::{AgentTool, ToolSet};
use mcp_core::testing::FakeServer;
use mcp_core::{Limits, ServerInfo, ToolServer, wire};
use serde_json::{Value, json};

fn main() {
    divan::main();
}

/// A page of 500 tools of about 780 bytes each, different in every run of the counter.
fn page(run: u64) -> String {
    let tools: Vec<Value> = (0..500)
        .map(|n| {
            json!({
                "name": format!("tool_{n}"),
                "description": format!("Does the thing number {n} of run {run}, and does it well."),
                "inputSchema": {
                    "$schema": "https://json-schema.org/draft/2020-12/schema",
                    "type": "object",
                    "required": ["query", "limit"],
                    "additionalProperties": false,
                    "properties": {
                        "query": { "type": "string", "minLength": 1, "description": "What to look for" },
                        "limit": { "type": "integer", "minimum": 1, "maximum": 100, "default": 10 },
                        "sort": { "type": "string", "enum": ["asc", "desc"], "description": "Order" },
                        "filters": { "type": "array", "items": { "type": "object", "properties": {
                            "field": { "type": "string" }, "value": { "type": "string" } } } },
                    },
                },
            })
        })
        .collect();
    json!({ "tools": tools }).to_string()
}

fn build(server: &Arc<dyn ToolServer>, page: &str) -> ToolSet {
    let limits = Limits::default();
    let mut collector = wire::ToolCollector::new(ServerInfo::default(), &limits);
    let raw = serde_json::from_str(page).unwrap();
    collector
        .add(&wire::ToolsPage::parse(raw).unwrap())
        .unwrap();
    ToolSet::builder(Arc::clone(server))
        .build(collector.finish())
        .unwrap()
}

fn server() -> Arc<dyn ToolServer> {
    Arc::new(FakeServer::new("s"))
}

#[divan::bench]
fn parse_500_tools_into_value(bencher: Bencher<'_, '_>) {
    let page = page(0);
    bencher.bench(|| serde_json::from_str::<Value>(black_box(&page)).unwrap());
}

#[divan::bench]
fn set_of_500_new_tools(bencher: Bencher<'_, '_>) {
    let server = server();
    let mut run = 0;
    let fresh = || {
        run += 1;
        page(run)
    };
    bencher
        .with_inputs(fresh)
        .bench_local_values(|page| build(&server, &page));
}

#[divan::bench]
fn set_of_500_known_tools(bencher: Bencher<'_, '_>) {
    let (server, page) = (server(), page(0));
    let _known = build(&server, &page);
    bencher.bench(|| build(&server, black_box(&page)));
}

#[divan::bench]
fn find_a_tool_of_500(bencher: Bencher<'_, '_>) {
    let set = build(&server(), &page(0));
    bencher.bench(|| set.find(black_box("tool_321")).unwrap());
}

fn tool() -> AgentTool {
    build(&server(), &page(0)).get("tool_7").unwrap()
}

#[divan::bench]
fn compile_a_schema(bencher: Bencher<'_, '_>) {
    let server = server();
    let mut run = 1_000_000;
    let fresh = || {
        run += 1;
        build(&server, &page(run)).get("tool_7").unwrap()
    };
    bencher
        .with_inputs(fresh)
        .bench_local_values(|tool| tool.unvalidated().map(str::to_owned));
}

#[divan::bench]
fn call_validated(bencher: Bencher<'_, '_>) {
    let tool = tool();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let context = tool.context();
    let arguments = json!({ "query": "rust", "limit": 5, "sort": "asc",
        "filters": [{ "field": "a", "value": "b" }] });
    let arguments = || arguments.as_object().cloned().unwrap();
    bencher.with_inputs(arguments).bench_values(|arguments| {
        runtime
            .block_on(tool.call_object(arguments, &context))
            .unwrap()
    });
}

#[divan::bench]
fn call_refused(bencher: Bencher<'_, '_>) {
    let tool = tool();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let context = tool.context();
    let arguments = json!({ "query": "", "limit": 500, "extra": true });
    let arguments = || arguments.as_object().cloned().unwrap();
    bencher.with_inputs(arguments).bench_values(|arguments| {
        runtime
            .block_on(tool.call_object(arguments, &context))
            .unwrap_err()
    });
}
