//! Which version is found, and how.

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
