//! A connection against a scripted peer in memory, time standing still.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Channel, Duplex, InputHandler, InputRequest, Outgoing, Settings};
use crate::auth::MaybeReady;
use crate::{
    BoxFuture, CallContext, Error, ErrorKind, Failure, Limits, ProgressHandler, ProgressUpdate,
    ProtocolVersion, ToolCall, ToolDefinition, ToolOutput, Transport,
};

/// Everything that was sent, in order.
type Sent = Arc<Mutex<Vec<Value>>>;

#[derive(Debug)]
struct Wire {
    sent: Sent,
    out: mpsc::UnboundedSender<Value>,
}

impl Wire {
    fn push(&self, message: &[u8]) {
        let message: Value = serde_json::from_slice(message).unwrap();
        self.sent.lock().unwrap().push(message.clone());
        let _ = self.out.send(message);
    }
}

impl Channel for Wire {
    fn transport(&self) -> Transport {
        Transport::Stdio
    }

    fn send<'a>(&'a self, message: Vec<u8>, _: Outgoing<'a>) -> MaybeReady<'a, Result<(), Error>> {
        self.push(&message);
        MaybeReady::ready(Ok(()))
    }

    fn post(&self, message: Vec<u8>) {
        self.push(&message);
    }
}

/// A connection whose peer answers each message with what the script says.
fn peer(
    settings: Settings,
    script: impl Fn(&Value) -> Vec<Value> + Send + 'static,
) -> (Arc<Duplex>, Sent) {
    let (out, mut messages) = mpsc::unbounded_channel();
    let sent = Sent::default();
    let wire = Wire {
        sent: Arc::clone(&sent),
        out,
    };
    let duplex = Arc::new(Duplex::new(Box::new(wire), settings));
    let reader: Weak<Duplex> = Arc::downgrade(&duplex);
    tokio::spawn(async move {
        while let Some(message) = messages.recv().await {
            for answer in script(&message) {
                let Some(duplex) = reader.upgrade() else {
                    return;
                };
                let _ = duplex.deliver(answer.to_string().as_bytes());
            }
        }
    });
    (duplex, sent)
}

fn result(to: &Value, result: &Value) -> Vec<Value> {
    vec![json!({"jsonrpc": "2.0", "id": to["id"], "result": result})]
}

fn error(to: &Value, code: i64, data: &Value) -> Vec<Value> {
    let error = json!({"code": code, "message": "no", "data": data});
    vec![json!({"jsonrpc": "2.0", "id": to["id"], "error": error})]
}

fn discovery(to: &Value) -> Vec<Value> {
    let said = json!({"resultType": "complete", "supportedVersions": ["2026-07-28"],
        "capabilities": {"tools": {}}, "instructions": "Be kind.",
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "new", "version": "9"}}});
    result(to, &said)
}

fn handshake(to: &Value, version: &str) -> Vec<Value> {
    let said = json!({"protocolVersion": version, "capabilities": {"tools": {}},
        "serverInfo": {"name": "old", "version": "1", "title": "Old"}});
    result(to, &said)
}

/// A server of 2026-07-28 whose other methods are scripted.
fn stateless(
    settings: Settings,
    script: impl Fn(&Value) -> Vec<Value> + Send + 'static,
) -> (Arc<Duplex>, Sent) {
    peer(settings, move |message| match message["method"].as_str() {
        Some("server/discover") => discovery(message),
        _ => script(message),
    })
}

/// A server of 2025-11-25 whose other methods are scripted.
fn legacy(
    settings: Settings,
    script: impl Fn(&Value) -> Vec<Value> + Send + 'static,
) -> (Arc<Duplex>, Sent) {
    peer(settings, move |message| match message["method"].as_str() {
        Some("server/discover") => error(message, -32601, &Value::Null),
        Some("initialize") => handshake(message, "2025-11-25"),
        _ => script(message),
    })
}

fn methods(sent: &Sent) -> Vec<String> {
    let sent = sent.lock().unwrap();
    let method = |message: &Value| message["method"].as_str().unwrap_or("answer").to_owned();
    sent.iter().map(method).collect()
}

fn silence(_: &Value) -> Vec<Value> {
    Vec::new()
}

fn context() -> CallContext {
    CallContext::default()
}

fn tool() -> ToolDefinition {
    ToolDefinition::from_parts("echo", "", &json!({"type": "object"})).unwrap()
}

async fn call(duplex: &Duplex, context: &CallContext) -> Result<ToolOutput, Error> {
    let (tool, arguments) = (tool(), Map::new());
    duplex
        .call_tool(ToolCall::new(&tool, &arguments), context)
        .await
}

mod negotiation {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stateless_server_is_found_by_asking_once() {
        let (duplex, sent) = stateless(Settings::default(), |message| {
            result(message, &json!({"tools": []}))
        });
        let server = duplex.negotiate(&context()).await.unwrap();
        assert_eq!(server.protocol, Some(ProtocolVersion::V2026_07_28));
        assert_eq!((&*server.name, &*server.version), ("new", "9"));
        assert_eq!(server.instructions.as_deref(), Some("Be kind."));
        assert_eq!(server.transport, Some(Transport::Stdio));
        duplex.list_tools(&context()).await.unwrap();
        assert_eq!(methods(&sent), ["server/discover", "tools/list"]);
        for message in sent.lock().unwrap().iter() {
            let meta = &message["params"]["_meta"];
            assert_eq!(
                meta["io.modelcontextprotocol/protocolVersion"],
                "2026-07-28"
            );
            assert!(meta["io.modelcontextprotocol/clientCapabilities"].is_object());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_server_gets_a_handshake_and_its_version_is_taken() {
        for code in [-32601, -32602, 0] {
            let (duplex, sent) = peer(Settings::default(), move |message| match message["method"]
                .as_str()
            {
                Some("server/discover") => error(message, code, &Value::Null),
                Some("initialize") => handshake(message, "2024-11-05"),
                _ => silence(message),
            });
            let server = duplex.negotiate(&context()).await.unwrap();
            assert_eq!(server.protocol, Some(ProtocolVersion::V2024_11_05));
            assert_eq!(server.title.as_deref(), Some("Old"));
            assert_eq!(
                methods(&sent),
                ["server/discover", "initialize", "notifications/initialized"]
            );
            let offered = sent.lock().unwrap()[1]["params"]["protocolVersion"].clone();
            assert_eq!(offered, "2025-11-25");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_on_the_probe_costs_a_tenth_of_the_start_up_time() {
        let (duplex, sent) = peer(Settings::default(), |message| {
            match message["method"].as_str() {
                Some("initialize") => handshake(message, "2025-06-18"),
                _ => silence(message),
            }
        });
        let began = Instant::now();
        duplex.negotiate(&context()).await.unwrap();
        assert_eq!(began.elapsed(), Limits::default().startup_timeout / 10);
        assert!(!methods(&sent).contains(&"notifications/cancelled".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_stateless_server_is_not_taken_for_an_old_one() {
        let (duplex, sent) = peer(Settings::default(), |message| {
            // Reads its first message when the second one is already there.
            match message["method"].as_str() {
                Some("initialize") => {
                    let supported = json!({"supported": ["2026-07-28"]});
                    let first = json!({"id": 1});
                    [discovery(&first), error(message, -32022, &supported)].concat()
                }
                _ => silence(message),
            }
        });
        let server = duplex.negotiate(&context()).await.unwrap();
        assert_eq!(server.protocol, Some(ProtocolVersion::V2026_07_28));
        assert_eq!(methods(&sent), ["server/discover", "initialize"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_handshake_says_what_to_speak() {
        let asked = AtomicUsize::new(0);
        let (duplex, _) = peer(
            Settings::default(),
            move |message| match message["method"].as_str() {
                Some("server/discover") if asked.fetch_add(1, Ordering::Relaxed) == 0 => {
                    error(message, -32603, &Value::Null)
                }
                Some("server/discover") => discovery(message),
                _ => error(message, -32022, &json!({"supported": ["2026-07-28"]})),
            },
        );
        let server = duplex.negotiate(&context()).await.unwrap();
        assert_eq!(server.protocol, Some(ProtocolVersion::V2026_07_28));
    }

    #[tokio::test(start_paused = true)]
    async fn listed_versions_are_followed() {
        let (duplex, sent) = peer(Settings::default(), |message| {
            match message["method"].as_str() {
                Some("server/discover") => {
                    let speaks = json!({"supported": ["2030-01-01", "2025-03-26"]});
                    error(message, -32022, &speaks)
                }
                Some("initialize") => handshake(message, "2025-03-26"),
                _ => silence(message),
            }
        });
        duplex.negotiate(&context()).await.unwrap();
        let offered = sent.lock().unwrap()[1]["params"]["protocolVersion"].clone();
        assert_eq!(offered, "2025-03-26");
    }

    #[tokio::test(start_paused = true)]
    async fn no_common_version_is_said_with_what_there_is() {
        for answer in [
            |message: &Value| error(message, -32022, &json!({"supported": ["2030-01-01"]})),
            |message: &Value| match message["method"].as_str() {
                Some("initialize") => handshake(message, "2030-01-01"),
                _ => error(message, -32601, &Value::Null),
            },
        ] {
            let (duplex, _) = peer(Settings::default(), answer);
            let error = duplex.negotiate(&context()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol);
            assert!(error.to_string().contains("2030-01-01"), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pinned_version_is_the_only_one() {
        let pinned = |version| Settings {
            protocol: Some(version),
            ..Settings::default()
        };
        let (duplex, sent) = legacy(pinned(ProtocolVersion::V2025_11_25), silence);
        duplex.negotiate(&context()).await.unwrap();
        assert_eq!(methods(&sent), ["initialize", "notifications/initialized"]);

        let (duplex, _) = legacy(pinned(ProtocolVersion::V2025_06_18), silence);
        let error = duplex.negotiate(&context()).await.unwrap_err();
        assert!(error.to_string().contains("2025-11-25"), "{error}");

        let (duplex, _) = legacy(pinned(ProtocolVersion::V2026_07_28), silence);
        let error = duplex.negotiate(&context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_peer_and_a_mute_one_are_told_apart() {
        let (duplex, _) = peer(Settings::default(), silence);
        let error = duplex.negotiate(&context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);

        let (duplex, _) = peer(Settings::default(), silence);
        let closing = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            duplex.close(&gone());
        };
        let asking = context();
        let (outcome, ()) = tokio::join!(duplex.negotiate(&asking), closing);
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ServerExited);
    }
}

fn gone() -> Error {
    Failure::ServerExited {
        status: "exit status: 3".to_owned(),
        stderr: "bad token".to_owned(),
    }
    .into()
}

mod calls {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tools_come_over_pages_and_calls_keep_every_byte() {
        let (duplex, sent) = legacy(Settings::default(), |message| {
            let page = &message["params"]["cursor"];
            match message["method"].as_str() {
                Some("tools/list") if page.is_null() => result(
                    message,
                    &json!({"tools": [{"name": "b", "inputSchema": {}}], "nextCursor": ""}),
                ),
                Some("tools/list") => result(
                    message,
                    &json!({"tools": [{"name": "a", "inputSchema": {}}]}),
                ),
                Some("tools/call") => result(message, &json!({"z": 1, "content": [], "a": [2]})),
                _ => silence(message),
            }
        });
        duplex.negotiate(&context()).await.unwrap();
        let listing = duplex.list_tools(&context()).await.unwrap();
        let names: Vec<_> = listing.tools.iter().map(|tool| tool.name()).collect();
        assert_eq!(names, ["b", "a"]);
        assert_eq!(listing.server.name, "old");
        let output = call(&duplex, &context()).await.unwrap();
        let read: Value = serde_json::from_str(output.raw().get()).unwrap();
        assert_eq!(read["z"], 1);
        let sent = sent.lock().unwrap();
        assert_eq!(
            sent.last().unwrap()["params"],
            json!({"name": "echo", "arguments": {}})
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_tool_less_server_is_not_asked() {
        let (duplex, sent) = peer(Settings::default(), |message| {
            match message["method"].as_str() {
                Some("server/discover") => result(
                    message,
                    &json!({"supportedVersions": ["2026-07-28"], "capabilities": {}}),
                ),
                _ => silence(message),
            }
        });
        duplex.negotiate(&context()).await.unwrap();
        assert!(
            duplex
                .list_tools(&context())
                .await
                .unwrap()
                .tools
                .is_empty()
        );
        assert_eq!(methods(&sent), ["server/discover"]);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_reach_their_own_call_only() {
        let held = Mutex::new(Vec::new());
        let (duplex, _) = legacy(Settings::default(), move |message| {
            if message["method"] != "tools/call" {
                return silence(message);
            }
            let mut held = held.lock().unwrap();
            held.push(message["id"].clone());
            let [first, second] = &held[..] else {
                return silence(message);
            };
            let answer = |id: Value, text: &str| {
                let content = json!([{"type": "text", "text": text}]);
                json!({"id": id, "result": {"content": content}})
            };
            vec![
                answer(json!("2"), "text"),
                answer(json!(first.to_string()), "text"),
                answer(Value::Null, "null"),
                answer(json!(99_999), "unknown"),
                // Backwards, and twice.
                answer(second.clone(), "second"),
                answer(second.clone(), "again"),
                answer(first.clone(), "first"),
            ]
        });
        duplex.negotiate(&context()).await.unwrap();
        let (one, two) = (context(), context());
        let (first, second) = tokio::join!(call(&duplex, &one), call(&duplex, &two));
        assert_eq!(first.unwrap().text(), "first");
        assert_eq!(second.unwrap().text(), "second");
        assert_eq!(duplex.in_flight(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_taken_apart() {
        let (duplex, _) = legacy(Settings::default(), |message| {
            vec![json!([
                {"method": "notifications/message", "params": {}},
                {"id": message["id"], "result": {"content": [{"type": "text", "text": "hi"}]}},
            ])]
        });
        duplex.negotiate(&context()).await.unwrap();
        assert_eq!(call(&duplex, &context()).await.unwrap().text(), "hi");
    }

    #[tokio::test(start_paused = true)]
    async fn an_ambiguous_answer_ends_its_call() {
        let (duplex, _) = legacy(Settings::default(), |message| {
            vec![json!({"id": message["id"], "result": {}, "error": {"code": 1, "message": ""}})]
        });
        duplex.negotiate(&context()).await.unwrap();
        let error = call(&duplex, &context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
        assert!(duplex.deliver(b"a line of log").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_servers_own_error_is_cut_and_typed() {
        let (duplex, _) = legacy(Settings::default(), |message| {
            vec![json!({"id": message["id"], "error":
                {"code": -32602, "message": format!("\u{1b}[31m{}", "x".repeat(5_000))}})]
        });
        duplex.negotiate(&context()).await.unwrap();
        let error = call(&duplex, &context()).await.unwrap_err();
        assert!(
            matches!(error.failure(), Failure::Rpc { code: -32602, message }
                if message.len() < 600 && !message.contains('\u{1b}')),
            "{error}"
        );
        assert_eq!(error.tool(), Some("echo"));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_gives_up_tells_the_server() {
        let (duplex, sent) = legacy(Settings::default(), silence);
        duplex.negotiate(&context()).await.unwrap();
        let cancelled = |sent: &Sent| sent.lock().unwrap().last().unwrap().clone();

        let short = context().with_timeout(Duration::from_secs(1));
        let error = call(&duplex, &short).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let last = cancelled(&sent);
        assert_eq!(last["method"], "notifications/cancelled");
        assert_eq!(last["params"]["requestId"], 3);

        let dropped = context();
        let mut future = Box::pin(call(&duplex, &dropped));
        assert!(polled_once(future.as_mut()).await.is_none());
        assert_eq!(duplex.in_flight(), 1);
        drop(future);
        assert_eq!(cancelled(&sent)["params"]["requestId"], 4);
        assert_eq!(duplex.in_flight(), 0);
    }

    async fn polled_once<T>(
        mut future: std::pin::Pin<&mut (impl Future<Output = T> + ?Sized)>,
    ) -> Option<T> {
        std::future::poll_fn(|cx| {
            std::task::Poll::Ready(match future.as_mut().poll(cx) {
                std::task::Poll::Ready(value) => Some(value),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_dies_leaves_a_call_unknown_and_ends_the_rest() {
        let (duplex, _) = legacy(Settings::default(), silence);
        duplex.negotiate(&context()).await.unwrap();
        let closing = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            duplex.close(&gone());
            duplex.close(&Error::protocol("later"));
        };
        let (calling, listing) = (context(), context());
        let (called, listed, ()) = tokio::join!(
            call(&duplex, &calling),
            duplex.list_tools(&listing),
            closing
        );
        let error = called.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            source.contains("exit status: 3") && source.contains("bad token"),
            "{source}"
        );
        assert_eq!(listed.unwrap_err().kind(), ErrorKind::ServerExited);
        // Nothing was sent, so nothing may have run.
        let error = call(&duplex, &context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ServerExited);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_in_flight_are_bounded() {
        let limits = Limits {
            pending_requests: 1,
            ..Limits::default()
        };
        let (duplex, _) = legacy(Settings::new(limits), silence);
        duplex.negotiate(&context()).await.unwrap();
        let (one, two) = (context(), context());
        let (timed, refused) = tokio::join!(call(&duplex, &one), call(&duplex, &two));
        assert_eq!(timed.unwrap_err().kind(), ErrorKind::Timeout);
        let refused = refused.unwrap_err();
        assert!(
            refused.to_string().contains("pending_requests"),
            "{refused}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn anything_else_can_be_asked() {
        let (duplex, sent) = stateless(Settings::default(), |message| {
            result(message, &json!({"prompts": []}))
        });
        let mut params = Map::new();
        params.insert("cursor".into(), json!("x"));
        let early = duplex.request("prompts/list", &params, &context()).await;
        assert_eq!(early.unwrap_err().kind(), ErrorKind::Config);
        duplex.negotiate(&context()).await.unwrap();
        let raw = duplex
            .request("prompts/list", &params, &context())
            .await
            .unwrap();
        assert_eq!(raw.get(), r#"{"prompts":[]}"#);
        duplex.ping(&context()).await.unwrap();
        assert_eq!(
            methods(&sent),
            ["server/discover", "prompts/list", "server/discover"]
        );
        assert_eq!(sent.lock().unwrap()[1]["params"]["cursor"], "x");
    }
}

mod incoming {
    use super::*;

    #[derive(Debug, Default)]
    struct Heard(Mutex<Vec<(f64, Option<String>)>>);

    impl ProgressHandler for Heard {
        fn progress(&self, update: ProgressUpdate<'_>) {
            assert!(update.progress >= 0.0, "a handler that panics");
            let message = update.message.map(ToOwned::to_owned);
            self.0.lock().unwrap().push((update.progress, message));
        }
    }

    fn progress(token: &Value, progress: f64) -> Value {
        json!({"method": "notifications/progress",
            "params": {"progressToken": token, "progress": progress, "message": "half"}})
    }

    #[tokio::test(start_paused = true)]
    async fn progress_reaches_the_call_that_asked_for_it() {
        let (duplex, sent) = legacy(Settings::default(), |message| {
            let token = &message["params"]["_meta"]["progressToken"];
            if token.is_null() {
                return silence(message);
            }
            let mut told = vec![
                progress(&json!(77), 0.1),
                progress(&json!("x"), 0.1),
                progress(token, -1.0),
                progress(token, 0.5),
            ];
            told.extend(result(message, &json!({"content": []})));
            told
        });
        duplex.negotiate(&context()).await.unwrap();
        let heard = Arc::new(Heard::default());
        let handler: Arc<dyn ProgressHandler> = Arc::<Heard>::clone(&heard);
        call(&duplex, &context().with_progress(handler))
            .await
            .unwrap();
        assert_eq!(*heard.0.lock().unwrap(), [(0.5, Some("half".to_owned()))]);
        let last = sent.lock().unwrap().last().unwrap().clone();
        assert_eq!(last["params"]["_meta"]["progressToken"], last["id"]);
    }

    #[tokio::test(start_paused = true)]
    async fn endless_progress_ends_the_call() {
        let limits = Limits {
            messages_per_answer: 10,
            ..Limits::default()
        };
        let (duplex, _) = legacy(Settings::new(limits), |message| {
            vec![progress(&message["id"], 1.0); 20]
        });
        duplex.negotiate(&context()).await.unwrap();
        let error = call(&duplex, &context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_of_the_server_are_answered_where_it_may_ask() {
        let (duplex, sent) = legacy(Settings::default(), silence);
        duplex
            .deliver(br#"{"id":"early","method":"ping"}"#)
            .unwrap();
        duplex.negotiate(&context()).await.unwrap();
        duplex
            .deliver(br#"{"id":0,"method":"roots/list"}"#)
            .unwrap();
        duplex.deliver(br#"{"id":null,"method":"ping"}"#).unwrap();
        let answers: Vec<_> = sent
            .lock()
            .unwrap()
            .iter()
            .filter(|message| message["method"].is_null())
            .cloned()
            .collect();
        assert_eq!(
            answers[0],
            json!({"jsonrpc": "2.0", "id": "early", "result": {}})
        );
        assert_eq!(
            (&answers[1]["id"], &answers[1]["error"]["code"]),
            (&json!(0), &json!(-32601))
        );
        assert_eq!(answers.len(), 2);

        let (duplex, sent) = stateless(Settings::default(), silence);
        duplex.negotiate(&context()).await.unwrap();
        duplex.deliver(br#"{"id":1,"method":"ping"}"#).unwrap();
        assert_eq!(methods(&sent), ["server/discover"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_storm_of_changes_is_one_change() {
        let (duplex, _) = legacy(Settings::default(), silence);
        let mut changes = duplex.tool_changes();
        for _ in 0..10_000 {
            duplex
                .deliver(br#"{"method":"notifications/tools/list_changed"}"#)
                .unwrap();
        }
        changes.changed().await.unwrap();
        assert_eq!(*changes.borrow_and_update(), 10_000);
        assert!(!changes.has_changed().unwrap());
    }
}

mod input {
    use super::*;

    #[derive(Debug)]
    struct Form;

    impl InputHandler for Form {
        fn capabilities(&self) -> Value {
            json!({"elicitation": {"form": {}}})
        }

        fn answer<'a>(
            &'a self,
            request: InputRequest<'a>,
            _: &'a CallContext,
        ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
            assert_eq!(request.method, "elicitation/create");
            let accepted = json!({"action": "accept", "content": {"ok": true}});
            Box::pin(async move { Ok(serde_json::value::to_raw_value(&accepted).unwrap()) })
        }
    }

    fn asks_once(message: &Value) -> Vec<Value> {
        if message["params"]["inputResponses"].is_object() {
            return result(message, &json!({"resultType": "complete", "content": []}));
        }
        let asked = json!({"resultType": "input_required", "requestState": "v1.\u{e9}",
            "inputRequests": {"confirm": {"method": "elicitation/create", "params": {}}}});
        result(message, &asked)
    }

    fn with_form() -> Settings {
        Settings {
            input: Some(Arc::new(Form)),
            ..Settings::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_tool_that_asks_is_answered_and_called_again() {
        let (duplex, sent) = stateless(with_form(), asks_once);
        duplex.negotiate(&context()).await.unwrap();
        call(&duplex, &context()).await.unwrap();
        let sent = sent.lock().unwrap();
        let [_, first, second] = &sent[..] else {
            panic!("{sent:?}")
        };
        assert_ne!(first["id"], second["id"]);
        assert_eq!(second["params"]["requestState"], "v1.\u{e9}");
        assert_eq!(
            second["params"]["inputResponses"]["confirm"]["action"],
            "accept"
        );
        let offered = &first["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
        assert!(offered["elicitation"].is_object());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_offered_is_refused() {
        let (duplex, _) = stateless(Settings::default(), asks_once);
        duplex.negotiate(&context()).await.unwrap();
        let error = call(&duplex, &context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().contains("elicitation/create"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn asking_for_ever_ends() {
        for endless in [
            json!({"resultType": "input_required", "requestState": "again"}),
            json!({"resultType": "input_required",
                "inputRequests": {"k": {"method": "elicitation/create"}}}),
        ] {
            let (duplex, sent) = stateless(with_form(), move |message| result(message, &endless));
            duplex.negotiate(&context()).await.unwrap();
            let error = call(&duplex, &context()).await.unwrap_err();
            assert!(error.to_string().contains("input_rounds"), "{error}");
            assert_eq!(
                sent.lock().unwrap().len(),
                1 + 1 + Limits::default().input_rounds
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_kinds_of_results_are_errors() {
        let (duplex, _) = stateless(with_form(), |message| {
            result(message, &json!({"resultType": "task", "taskId": "x"}))
        });
        duplex.negotiate(&context()).await.unwrap();
        let error = call(&duplex, &context()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }
}
