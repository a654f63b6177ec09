//! What a trace says of a request, and what a request says of its trace (OpenTelemetry's semantic
//! conventions for MCP).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use mcp_core::{
    ServerOffers as _, ToolCall, ToolDefinition, ToolServer as _, TraceContext, TraceSource,
};
use mcp_testbed::fault::FaultServer;
use serde_json::{Map, json};
use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber as _;
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::harness::{call_within, context, legacy, modern};

type Fields = BTreeMap<String, String>;

/// Keeps the fields of every span.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<BTreeMap<u64, Fields>>>);

struct Collect<'a>(&'a mut Fields);

impl Visit for Collect<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        self.0
            .insert(field.name().to_owned(), value.trim_matches('"').to_owned());
    }
}

impl<S: tracing::Subscriber> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        let mut fields = Fields::new();
        attributes.record(&mut Collect(&mut fields));
        self.0.lock().unwrap().insert(id.into_u64(), fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        if let Some(fields) = self.0.lock().unwrap().get_mut(&id.into_u64()) {
            values.record(&mut Collect(fields));
        }
    }
}

#[tokio::test]
async fn a_request_is_a_span_by_the_conventions_and_carries_its_trace() {
    let server = FaultServer::start(|request, mut wire| async move {
        let sent = match request.rpc_method().as_str() {
            "prompts/list" => wire.json(&request.error(-32601, "unknown")).await,
            "tools/call" if request.json()["params"]["arguments"]["fail"] == true => {
                let failed = json!({"content": [], "isError": true});
                wire.json(&request.result(&failed)).await
            }
            "resources/list" => wire.respond(503, &[], "").await,
            _ => wire.modern(&request).await,
        };
        sent.then_some(wire)
    })
    .await;
    let client = modern(&server).build().unwrap();
    let parent = format!("00-{}-{}-01", "a".repeat(32), "b".repeat(16));
    let trace = TraceContext::new(parent.clone())
        .unwrap()
        .with_tracestate("x=1");
    let context = context("alice").with_trace(trace);
    let spans = Spans::default();
    let work = async {
        client.list_tools(&context).await.unwrap();
        call_within(&client, &context).await.unwrap();
        client
            .request("prompts/list", &Map::new(), &context)
            .await
            .unwrap_err();
        client.list_resources(&context).await.unwrap_err();
        let broken = ToolDefinition::from_parts("broken", "", &json!({})).unwrap();
        let arguments = Map::from_iter([("fail".to_owned(), true.into())]);
        let call = ToolCall::new(&broken, &arguments);
        client.call_tool(call, &context).await.unwrap();
    };
    work.with_subscriber(tracing_subscriber::registry().with(spans.clone()))
        .await;

    let spans = spans.0.lock().unwrap();
    let failed = spans
        .values()
        .find(|it| it["otel.name"] == "tools/call broken");
    assert_eq!(failed.unwrap()["error.type"], "tool_error");
    let of = |method: &str| {
        let mut spans = spans.values();
        let found = spans.find(|it| it.get("mcp.method.name").is_some_and(|it| it == method));
        found.unwrap_or_else(|| panic!("no span for {method}"))
    };
    let port = server.port().to_string();
    for method in ["tools/list", "tools/call", "prompts/list", "resources/list"] {
        let span = of(method);
        assert_eq!(span["otel.kind"], "client");
        assert_eq!(span["mcp.protocol.version"], "2026-07-28");
        assert_eq!(span["network.transport"], "tcp");
        assert_eq!(span["server.address"], "127.0.0.1");
        assert_eq!(span["server.port"], port);
    }
    let call = of("tools/call");
    assert_eq!(call["otel.name"], "tools/call echo");
    assert_eq!(call["gen_ai.tool.name"], "echo");
    assert_eq!(call["gen_ai.operation.name"], "execute_tool");
    assert!(!call.contains_key("error.type") && !of("tools/list").contains_key("gen_ai.tool.name"));
    let refused = of("prompts/list");
    assert_eq!(refused["rpc.response.status_code"], "-32601");
    assert_eq!(refused["error.type"], "-32601");
    let down = of("resources/list");
    assert_eq!(down["http.response.status_code"], "503");
    assert_eq!(down["error.type"], "http_status");

    for request in server.seen() {
        let meta = &request.json()["params"]["_meta"];
        assert_eq!(meta["traceparent"], parent.as_str());
        assert_eq!(meta["tracestate"], "x=1");
    }
}

/// Tells of the span that is entered.
#[derive(Debug)]
struct Bridge;

impl TraceSource for Bridge {
    fn current(&self) -> Option<TraceContext> {
        let span = tracing::Span::current().id()?.into_u64();
        TraceContext::new(format!("00-{}-{span:016x}-01", "c".repeat(32)))
    }
}

#[tokio::test]
async fn a_source_of_traces_is_asked_within_the_span_of_each_request() {
    for (dialect, path) in [
        (modern as fn(&FaultServer) -> _, "stateless"),
        (legacy, "session"),
    ] {
        let server = FaultServer::start(|request, mut wire| async move {
            let sent = if request.header("mcp-method").is_some() {
                wire.modern(&request).await
            } else {
                wire.session(&request, "s-1").await
            };
            sent.then_some(wire)
        })
        .await;
        let client = dialect(&server).build().unwrap();
        let given = TraceContext::new(format!("00-{}-{}-01", "a".repeat(32), "b".repeat(16)));
        let context = context("alice")
            .with_trace(given.unwrap())
            .with_trace_source(Arc::new(Bridge));
        let spans = Spans::default();
        let work = async {
            call_within(&client, &context).await.unwrap();
            call_within(&client, &context).await.unwrap();
        };
        work.with_subscriber(tracing_subscriber::registry().with(spans.clone()))
            .await;
        let spans = spans.0.lock().unwrap();
        let calls = spans
            .iter()
            .filter(|(_, it)| it.get("gen_ai.tool.name").is_some());
        let told: Vec<_> = calls
            .map(|(id, _)| format!("00-{}-{id:016x}-01", "c".repeat(32)))
            .collect();
        let seen = server.seen();
        let sent: Vec<_> = seen
            .iter()
            .filter(|it| it.rpc_method() == "tools/call")
            .map(|it| it.json()["params"]["_meta"]["traceparent"].clone())
            .collect();
        assert_eq!((told.len(), sent.len()), (2, 2), "{path}");
        assert_eq!(sent, told, "{path}");
    }
}
