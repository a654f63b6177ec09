//! The facade against other people's servers: every transport, both eras.

use std::time::Duration;

use mcp_testbed::real::{EverythingServer, FastMcpServer, everything_stdio, filesystem_stdio};
use mcp_toolkit::auth::{RefreshingToken, Token, TokenContext};
use mcp_toolkit::core::{ErrorKind, ProtocolVersion, Transport};
use mcp_toolkit::http::TransportChoice;
use mcp_toolkit::middleware::Audit;
use mcp_toolkit::{load_mcp_tools_http, load_mcp_tools_stdio};
use serde_json::json;

#[tokio::test]
async fn everything_over_each_transport() {
    let http = EverythingServer::streamable_http();
    let sse = EverythingServer::sse();
    let (program, arguments) = everything_stdio();
    let over_http = load_mcp_tools_http(http.url())
        .middleware(Audit::new())
        .await
        .unwrap();
    let over_sse = load_mcp_tools_http(sse.url()).await.unwrap();
    let over_stdio = load_mcp_tools_stdio(program).args(arguments).await.unwrap();
    for (tools, transport) in [
        (&over_http, Transport::StreamableHttp),
        (&over_sse, Transport::Sse),
        (&over_stdio, Transport::Stdio),
    ] {
        let info = tools.server_info().unwrap();
        assert_eq!(info.transport, Some(transport));
        assert_eq!(info.name, "mcp-servers/everything");
        assert!(
            info.protocol.is_some_and(|version| !version.is_stateless()),
            "{info:?}"
        );
        assert_eq!(tools.skipped().count(), 0);

        let echo = tools.get("echo").unwrap();
        assert_eq!(echo.param_model().name, "MCP_echo_Input");
        assert!(
            echo.param_model()
                .field("message")
                .is_some_and(|field| field.required)
        );
        let said = echo.call(json!({ "message": "grüezi 🏔" })).await.unwrap();
        assert_eq!(said.text(), "Echo: grüezi 🏔");

        let weather = tools.get("get-structured-content").unwrap();
        let weather = weather
            .call(json!({ "location": "Chicago" }))
            .await
            .unwrap();
        assert!(weather.structured_content().is_some());
        let image = tools.get("get-tiny-image").unwrap().call(()).await.unwrap();
        assert_eq!(
            image.content().len(),
            3,
            "text, image, text: nothing is dropped"
        );

        let wrong = echo.call(json!({ "message": 7 })).await.unwrap_err();
        assert_eq!(wrong.kind(), ErrorKind::InvalidArguments);
    }
}

#[tokio::test]
async fn sse_is_found_by_itself_and_on_demand() {
    let sse = EverythingServer::sse();
    let asked = load_mcp_tools_http(sse.url())
        .transport(TransportChoice::Sse)
        .await
        .unwrap();
    assert_eq!(asked.server_info().unwrap().transport, Some(Transport::Sse));
}

#[tokio::test]
async fn a_childs_files_are_found_through_its_directory() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("note.txt"), "hello from a file").unwrap();
    let (program, arguments) = filesystem_stdio(std::path::Path::new("."));
    let tools = load_mcp_tools_stdio(program)
        .args(arguments)
        .cwd(folder.path())
        .await
        .unwrap();
    let read = tools.get("read_text_file").unwrap();
    let text = read.call(json!({ "path": "note.txt" })).await.unwrap();
    assert_eq!(text.text(), "hello from a file");
    let outside = read.call(json!({ "path": "/etc/hostname" })).await.unwrap();
    assert!(outside.is_error(), "the tool's own failure is an output");
}

#[tokio::test]
async fn a_child_sees_the_safe_list_and_what_is_named() {
    let (program, arguments) = everything_stdio();
    let tools = load_mcp_tools_stdio(program)
        .args(arguments)
        .env("MY_SERVER_TOKEN", "test-token")
        .await
        .unwrap();
    let environment = tools.get("get-env").unwrap().call(()).await.unwrap().text();
    let environment: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&environment).unwrap();
    for name in environment.keys() {
        let allowed = [
            "HOME",
            "LOGNAME",
            "PATH",
            "SHELL",
            "TERM",
            "USER",
            "MY_SERVER_TOKEN",
        ];
        assert!(allowed.contains(&name.as_str()), "{name} reached the child");
    }
    assert_eq!(environment["MY_SERVER_TOKEN"], "test-token");
}

#[tokio::test]
async fn a_server_that_checks_tokens_in_both_eras() {
    let server = FastMcpServer::start();
    for version in [ProtocolVersion::V2026_07_28, ProtocolVersion::V2025_11_25] {
        let jwt = server.jwt().clone();
        // The first token has ended already, though its source claims otherwise: the server says
        // 401, and the second is fetched unseen.
        let fetched = std::sync::atomic::AtomicU32::new(0);
        let token = RefreshingToken::new(move |_: TokenContext| {
            let first = fetched.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
            let access = if first {
                jwt.mint_expired("test-user-alice")
            } else {
                jwt.mint("test-user-alice", Duration::from_secs(600), &[])
            };
            async move { Ok(Token::new(access).expires_in(Duration::from_secs(600))) }
        });
        let tools = load_mcp_tools_http(server.url())
            .credentials(token)
            .protocol(version)
            .await
            .unwrap();
        assert_eq!(tools.server_info().unwrap().protocol, Some(version));
        let who = tools.get("whoami").unwrap().call(()).await.unwrap();
        assert_eq!(who.text(), "test-user-alice");
    }
    let refused = load_mcp_tools_http(server.url())
        .bearer("test-token-of-nobody")
        .await;
    assert_eq!(
        refused.map(|_| ()).unwrap_err().kind(),
        ErrorKind::Unauthorized
    );
}
