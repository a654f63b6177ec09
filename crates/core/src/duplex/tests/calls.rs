//! Listing and calling, answers that come wrong, callers that give up.

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
    let read: Value = serde_json::from_str(output.raw()).unwrap();
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

#[tokio::test(start_paused = true)]
async fn a_tool_is_not_called_where_none_was_offered() {
    let (duplex, sent) = peer(Settings::default(), |message| {
        match message["method"].as_str() {
            Some("server/discover") => error(message, -32601, &Value::Null),
            Some("initialize") => result(
                message,
                &json!({"protocolVersion": "2025-11-25", "capabilities": {"prompts": {}}}),
            ),
            _ => result(message, &json!({"content": []})),
        }
    });
    duplex.negotiate(&context()).await.unwrap();
    let refused = call(&duplex, &context()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::UnknownTool);
    assert!(!methods(&sent).contains(&"tools/call".to_owned()));
}

/// Waits before it sends, as for credentials.
#[derive(Debug)]
struct Slow {
    wire: Wire,
    before: Duration,
    after: Duration,
}

impl Channel for Slow {
    fn transport(&self) -> Transport {
        Transport::Sse
    }

    fn send<'a>(
        &'a self,
        message: Vec<u8>,
        about: Outgoing<'a>,
    ) -> MaybeReady<'a, Result<(), Error>> {
        MaybeReady::new(async move {
            tokio::time::sleep(self.before).await;
            if let Some(under_way) = about.under_way() {
                under_way.store(true, Ordering::Relaxed);
            }
            self.wire.push(&message);
            tokio::time::sleep(self.after).await;
            Ok(())
        })
    }

    fn post(&self, message: Vec<u8>) {
        self.wire.push(&message);
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_began_to_be_sent_is_cancelled() {
    let second = Duration::from_secs(1);
    let pinned = || Settings {
        protocol: Some(ProtocolVersion::V2025_11_25),
        ..Settings::default()
    };
    for (before, after, cancelled) in [(second * 9, second, false), (second, second * 9, true)] {
        let (out, _messages) = mpsc::unbounded_channel();
        let sent = Sent::default();
        let wire = Wire {
            sent: Arc::clone(&sent),
            out,
        };
        let channel = Slow {
            wire,
            before,
            after,
        };
        let duplex = Duplex::new(Box::new(channel), pinned());
        let giving = context();
        let shaking = async {
            loop {
                tokio::time::sleep(second).await;
                let _ = duplex.deliver(
                    handshake(&json!({"id": 1}), "2025-11-25")[0]
                        .to_string()
                        .as_bytes(),
                );
            }
        };
        tokio::select! {
            biased;
            negotiated = duplex.negotiate(&giving) => drop(negotiated.unwrap()),
            () = shaking => {}
        }
        let hasty = context().with_timeout(second * 5);
        let error = call(&duplex, &hasty).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let told = methods(&sent).contains(&"notifications/cancelled".to_owned());
        assert_eq!(told, cancelled);
    }
}
