//! Pages of tools, and the definitions on them.

use std::collections::HashSet;

use mcp_core::wire::{ToolCollector, ToolsPage};
use mcp_core::{Limits, ServerInfo, ToolDefinition};
use serde_json::value::RawValue;

use crate::fuzz;

const CORPUS: &[&[u8]] = &[
    br#"{"tools":[{"name":"a","inputSchema":{"type":"object","properties":{"b":{"type":"string","x-mcp-header":"B"}}}},{"name":"b","title":"B","description":"x \"y\" \u00e9","inputSchema":{},"annotations":{"readOnlyHint":true}}],"nextCursor":"","ttlMs":5,"cacheScope":"public"}"#,
    br#"{"tools":[{"name":"a","inputSchema":5},{"name":"a","inputSchema":{}},{"inputSchema":{}},7,null],"nextCursor":null}"#,
    br#" { "resultType" : "complete", "tools" : [ ] , "_meta" : {} } "#,
];

/// The page as anybody would read it.
#[derive(serde::Deserialize)]
struct Listed {
    tools: Vec<serde::de::IgnoredAny>,
}

#[test]
fn every_tool_is_kept_or_reported() {
    let limits = Limits::default();
    fuzz("tool lists", CORPUS, |input, _| {
        let Ok(raw) = serde_json::from_slice::<Box<RawValue>>(input) else {
            return;
        };
        let Ok(page) = ToolsPage::parse(&raw) else {
            return;
        };
        let Ok(listed) = serde_json::from_str::<Listed>(raw.get()) else {
            return;
        };
        let mut collector = ToolCollector::new(ServerInfo::default(), &limits);
        collector.add(&page).unwrap();
        let listing = collector.finish();
        assert_eq!(
            listing.tools.len() + listing.skipped.len(),
            listed.tools.len()
        );
        let names: HashSet<_> = listing.tools.iter().map(|tool| tool.name()).collect();
        assert_eq!(names.len(), listing.tools.len(), "a name came twice");
        for tool in &listing.tools {
            assert!(
                raw.get().contains(tool.raw()),
                "the bytes are not the server's"
            );
            let again = ToolDefinition::parse(tool.raw()).unwrap();
            assert_eq!(again.name(), tool.name());
            assert_eq!(again.fingerprint(), tool.fingerprint());
            assert_eq!(again.input_schema(), tool.input_schema());
            let _ = (tool.title(), tool.annotations(), tool.icons());
            let _ = tool.header_params();
        }
    });
}
