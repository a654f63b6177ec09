//! What is generated compiles, says what the schema says, and is what is checked in.

#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

use mcp_adapter::{AgentTool, ToolLock};
use mcp_core::ToolOutput;
use serde_json::{Value, json};

// As a consumer has it; the name keeps it from being formatted and linted as ours.
include!("catalog/models.rs.txt");

const CATALOG: &str = include_str!("catalog/mcp.lock.json");

use github::{MCP_search_issues_Input, MCP_search_issues_Output, mcp_search_issues_input};

fn query() -> MCP_search_issues_Input {
    serde_json::from_value(json!({ "query": "rust", "filters": [{ "field": "a" }] })).unwrap()
}

#[test]
fn the_checked_in_file_is_what_the_catalog_gives() {
    let code = mcp_codegen::generate(&ToolLock::from_json(CATALOG).unwrap()).unwrap();
    if code != include_str!("catalog/models.rs.txt") {
        let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/models.rs.txt");
        std::fs::write(file, code).unwrap();
        panic!("tests/catalog/models.rs.txt is out of date; {file} is what it should be");
    }
}

#[test]
fn fields_say_what_the_schema_says() {
    let mut input = query();
    assert_eq!(input.query, "rust");
    assert_eq!(input.limit, 10);
    assert_eq!((input.sort, input.type_.as_deref()), (None, None));
    input.sort = Some(mcp_search_issues_input::ToolSort::Desc);
    let written = serde_json::to_value(&input).unwrap();
    let expected = json!({ "query": "rust", "limit": 10, "sort": "desc",
        "filters": [{ "field": "a" }] });
    assert_eq!(written, expected);
    let read: MCP_search_issues_Input = serde_json::from_value(written).unwrap();
    assert_eq!(read, input);
    // The schema closes the object.
    let open = json!({ "query": "rust", "extra": 1 });
    assert!(serde_json::from_value::<MCP_search_issues_Input>(open).is_err());
    // What no type can be made of is an object.
    let _: github::MCP_odd_Input = serde_json::Map::new();
    let _ = mcp_self::MCP_search_issues_Input::default();
}

#[tokio::test]
async fn a_tool_is_called_with_them() {
    let lock = ToolLock::from_json(CATALOG).unwrap();
    let server = lock.servers().next().unwrap().clone();
    let listing = lock.listing(&server).unwrap();
    let definition = listing.tools.first().unwrap();
    let schema: Value = serde_json::from_str(definition.input_schema()).unwrap();
    let answer = |input: MCP_search_issues_Input| async move {
        Ok(ToolOutput::structured(
            &json!({ "total": input.limit, "titles": [input.query] }),
        ))
    };
    let tool = AgentTool::from_parts(definition.name(), "", &schema, answer).unwrap();
    assert_eq!(tool.param_model_name(), "MCP_search.issues_Input");
    let input = query();
    let output = tool.call_typed::<_, MCP_search_issues_Output>(&input);
    let output = output.await.unwrap().unwrap();
    assert_eq!((output.total, output.titles), (10, vec!["rust".to_owned()]));
}
