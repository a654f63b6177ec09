//! Sets as a user sees them.

use mcp_core::testing::FakeServer;
use mcp_core::{CallContext, ErrorKind, SkippedTool, ToolServer};
use serde_json::json;

use super::*;
use crate::testing::{definition, echo, echo_with};

fn builder(server: &Arc<FakeServer>) -> ToolSetBuilder {
    let server: Arc<dyn ToolServer> = Arc::<FakeServer>::clone(server);
    ToolSet::builder(server)
}

fn set(id: &str, tools: &[&str]) -> ToolSet {
    let server = echo(id, tools);
    builder(&server).build(server.listing()).unwrap()
}

fn names(set: &ToolSet) -> Vec<String> {
    set.iter().map(|tool| tool.name().to_owned()).collect()
}

#[test]
fn a_set_is_ordered_and_found_by_either_name() {
    let set = set("s", &["zeta", "files.read", "alpha"]);
    assert_eq!(names(&set), ["zeta", "files_read", "alpha"]);
    let read = set.get("files.read").unwrap();
    assert_eq!(
        (read.name(), read.remote_name()),
        ("files_read", "files.read")
    );
    assert_eq!(read.param_model().name, "MCP_files.read_Input");
    assert_eq!(set.get("files_read").unwrap().remote_name(), "files.read");
    let error = set.get("file_read").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTool);
    assert!(error.to_string().contains("there is files_read"), "{error}");
    assert_eq!(set.server_info().unwrap().name, "fake");
}

#[tokio::test]
async fn the_server_gets_its_own_name_for_the_tool() {
    let server = echo("s", &["files.read"]);
    let set = builder(&server)
        .principal(Principal::new("alice").unwrap())
        .prefix("gh_")
        .build(server.listing())
        .unwrap();
    let tool = set.get("gh_files_read").unwrap();
    let output = tool.call(json!({ "n": 1 })).await.unwrap();
    assert_eq!(output.text(), r#"files.read({"n":1}) for alice"#);
    assert_eq!(tool.param_model_name(), "MCP_files.read_Input");
}

#[test]
fn filters_apply_and_say_what_is_missing() {
    let server = echo("s", &["a", "b", "c"]);
    let built = builder(&server)
        .enabled(["a", "b", "x"])
        .disabled(["b"])
        .build(server.listing())
        .unwrap();
    assert_eq!(names(&built), ["a"]);
    let skipped: Vec<_> = built
        .skipped()
        .map(|(_, tool)| tool.name.as_str())
        .collect();
    assert_eq!(skipped, ["x"]);
    let built = builder(&server)
        .filter(|tool| tool.name() > "a")
        .build(server.listing())
        .unwrap();
    assert_eq!(names(&built), ["b", "c"]);
    assert_eq!(names(&built.retain(|tool| tool.name() == "c")), ["c"]);
    assert!(
        builder(&server)
            .prefix("a b")
            .build(server.listing())
            .is_err()
    );
}

#[test]
fn no_server_takes_over_anothers_name() {
    let (one, two) = (
        set("one", &["search", "read"]),
        set("two", &["search", "write"]),
    );
    let merged = ToolSet::merge([one.clone(), two.clone()]);
    let shown = names(&merged);
    assert_eq!((shown[1].as_str(), shown[3].as_str()), ("read", "write"));
    assert!(shown[0].starts_with("search_") && shown[2].starts_with("search_"));
    assert_ne!(shown[0], shown[2]);
    // By its own name it is ambiguous, and the error says which there are.
    let error = merged.get("search").unwrap_err().to_string();
    assert!(
        error.contains(&shown[0]) && error.contains(&shown[2]),
        "{error}"
    );
    // The order of the servers changes no name.
    let reversed = names(&ToolSet::merge([two, one]));
    assert_eq!([&reversed[0], &reversed[2]], [&shown[2], &shown[0]]);
    assert_eq!(merged.get(&shown[2]).unwrap().server().as_str(), "two");
    assert_eq!(merged.servers().len(), 2);
}

#[test]
fn sets_of_equal_content_share_it() {
    let (alice, bob) = (set("shared", &["a", "b"]), set("shared", &["a", "b"]));
    assert!(Arc::ptr_eq(&alice.catalog, &bob.catalog));
    assert!(!Arc::ptr_eq(&alice.bindings[0], &bob.bindings[0]));
    let other = set("shared", &["a", "c"]);
    assert!(!Arc::ptr_eq(&alice.catalog, &other.catalog));
    // One definition, one parameter model and one compiled schema, whatever set it is in.
    let (one, other) = (alice.get("a").unwrap(), other.get("a").unwrap());
    assert!(Arc::ptr_eq(one.shared(), other.shared()));
    let merged = |a: &ToolSet, b: ToolSet| ToolSet::merge([a.clone(), b]);
    let (first, second) = (
        merged(&alice, set("x", &["q"])),
        merged(&bob, set("x", &["q"])),
    );
    assert!(Arc::ptr_eq(&first.catalog, &second.catalog));
}

#[tokio::test]
async fn a_tool_is_called_for_whom_it_was_loaded() {
    let server = echo("s", &["t"]);
    let (alice, bob) = (
        Principal::new("alice").unwrap(),
        Principal::new("bob").unwrap(),
    );
    let set = builder(&server)
        .principal(alice.clone())
        .build(server.listing())
        .unwrap();
    let tool = set.get("t").unwrap();
    // The default context is for nobody that was loaded for.
    for wrong in [CallContext::default(), CallContext::new(bob.clone())] {
        let error = tool.call_with((), &wrong).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
    assert_eq!(server.calls(), 0);
    assert_eq!(tool.call(()).await.unwrap().text(), "t({}) for alice");
    let his = set.with_principal(&bob).get("t").unwrap();
    assert_eq!(his.call(()).await.unwrap().text(), "t({}) for bob");
    assert_eq!(tool.call(()).await.unwrap().text(), "t({}) for alice");
}

#[test]
fn a_broken_tool_does_not_lose_the_others() {
    let odd = json!({ "type": "object", "properties": { "a": { "pattern": "(?=x)" } } });
    let plain = json!({ "type": "object" });
    let tools = (0..200).map(|n| {
        let schema = if n == 7 { &odd } else { &plain };
        definition(&format!("t{n}"), schema)
    });
    let server = echo_with("s", tools);
    let mut listing = server.listing();
    listing.tools.push(definition("t1", &plain));
    listing.skipped.push(SkippedTool::new("t200", "broken"));
    let set = builder(&server).build(listing).unwrap();
    assert_eq!(set.len(), 200);
    assert_eq!(set.skipped().count(), 2);
    let unvalidated: Vec<_> = set
        .iter()
        .filter(|tool| tool.unvalidated().is_some())
        .collect();
    assert_eq!(unvalidated.len(), 1);
    assert_eq!(unvalidated[0].name(), "t7");
}

#[tokio::test]
async fn hand_made_tools_stand_beside_loaded_ones() {
    let own = AgentTool::local("t", "own", &json!({}), |_: serde_json::Value| async {
        Ok("own")
    });
    let own: ToolSet = [own.unwrap()].into_iter().collect();
    let all = ToolSet::merge([set("s", &["t", "u"]), own]);
    let shown = names(&all);
    assert_eq!(shown[1], "u");
    let tool = all.get(&shown[2]).unwrap();
    assert_eq!(tool.param_model_name(), "t_Input");
    assert_eq!(tool.call(()).await.unwrap().text(), "own");
}

#[tokio::test]
async fn a_set_is_bound_anew_where_it_would_be_the_same() {
    let server = echo("s", &["a", "b"]);
    let (alice, bob) = (
        Principal::new("alice").unwrap(),
        Principal::new("bob").unwrap(),
    );
    let hers = builder(&server).principal(alice).disabled(["b"]);
    let set = hers.build(server.listing()).unwrap();
    let his = builder(&server).principal(bob).disabled(["b"]);
    let rebound = his.rebind(&set).unwrap();
    assert_eq!(
        rebound.get("a").unwrap().call(()).await.unwrap().text(),
        "a({}) for bob"
    );
    assert!(builder(&server).rebind(&set).is_none());
    assert!(his.prefix("x_").rebind(&set).is_none());
    let elsewhere = echo("other", &["a", "b"]);
    assert!(builder(&elsewhere).disabled(["b"]).rebind(&set).is_none());
    assert!(hers.rebind(&set.retain(|_| false)).is_none());
}
