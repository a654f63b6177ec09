//! What a server offers besides tools, asked for in every dialect.

use std::collections::BTreeMap;

use mcp_core::ServerOffers as _;
use mcp_testbed::fault::{FaultServer, Request, Wire};
use serde_json::{Value, json};

use crate::harness::{context, legacy, modern};

fn offered(request: &Request) -> Option<Value> {
    let params = &request.json()["params"];
    Some(match request.rpc_method().as_str() {
        "resources/list" if params["cursor"].is_null() => {
            json!({"resources": [{"uri": "a:1", "name": "one"}], "nextCursor": "two"})
        }
        "resources/list" => json!({"resources": [{"uri": "a:2", "name": "two"}]}),
        "resources/templates/list" => {
            json!({"resourceTemplates": [{"uriTemplate": "a:{n}", "name": "any"}]})
        }
        "resources/read" => json!({"contents": [{"uri": params["uri"], "text": "hello"}]}),
        "prompts/list" => json!({"prompts": [{"name": "greet"}]}),
        "prompts/get" => {
            let text = params["arguments"]["who"].clone();
            json!({"messages": [{"role": "user", "content": {"type": "text", "text": text}}]})
        }
        _ => return None,
    })
}

async fn answer(request: Request, mut wire: Wire, stateless: bool) -> Option<Wire> {
    let sent = match offered(&request) {
        Some(result) => wire.json(&request.result(&result)).await,
        None if stateless => wire.modern(&request).await,
        None => wire.session(&request, "s-1").await,
    };
    sent.then_some(wire)
}

#[tokio::test]
async fn resources_and_prompts_are_typed_in_every_dialect() {
    for stateless in [true, false] {
        let server =
            FaultServer::start(move |request, wire| answer(request, wire, stateless)).await;
        let builder = if stateless {
            modern(&server)
        } else {
            legacy(&server)
        };
        let client = builder.build().unwrap();
        let context = context("alice");
        let resources = client.list_resources(&context).await.unwrap();
        assert_eq!(resources.len(), 2);
        let templates = client.list_resource_templates(&context).await.unwrap();
        assert_eq!(templates[0].uri_template, "a:{n}");
        let read = client
            .read_resource(&resources[1].uri, &context)
            .await
            .unwrap();
        assert_eq!(read.contents.len(), 1);
        let prompts = client.list_prompts(&context).await.unwrap();
        let arguments = BTreeMap::from([("who".to_owned(), "you".to_owned())]);
        let prompt = client
            .get_prompt(&prompts[0].name, &arguments, &context)
            .await;
        assert_eq!(prompt.unwrap().messages.len(), 1);
        let seen = server.seen();
        let last = seen.last().unwrap();
        assert_eq!(last.header("mcp-name"), stateless.then_some("greet"));
    }
}
