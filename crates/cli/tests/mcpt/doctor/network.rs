//! What stands at the address, or does not.

use mcp_testbed::fault::{FaultServer, Request, Wire};
use serde_json::json;

use super::{embedded, examine, failed, server, verdict};
use crate::command::Shell;
use crate::tls::TlsServer;

#[tokio::test]
async fn certificates_that_are_not_believed() {
    let private = TlsServer::start("localhost", |_| {}).await;
    let other = TlsServer::start("other.test", |_| {}).await;
    let expired = TlsServer::expired().await;
    for (server, trusted, advice) in [
        (&private, false, "nobody known vouches"),
        (&other, true, "another host name than `localhost`"),
        (&expired, true, "has expired"),
    ] {
        let mut shell = Shell::new();
        if trusted {
            shell.write("ca.pem", &server.authority);
            let file = shell.folder().join("ca.pem");
            shell = shell.var("SSL_CERT_FILE", file.to_str().unwrap());
        }
        let url = format!("https://localhost:{}/mcp", server.port);
        let ran = examine(&shell, &json!({ "url": url })).await;
        failed(&ran, "tls", "tls", 4, advice);
        assert_eq!(verdict(&ran, "tcp"), "ok");
    }
    // Believed, it is found out what is behind it, and until when.
    let shell = Shell::new();
    shell.write("ca.pem", &private.authority);
    let file = shell.folder().join("ca.pem");
    let shell = shell.var("SSL_CERT_FILE", file.to_str().unwrap());
    let url = format!("https://localhost:{}/mcp", private.port);
    let ran = examine(&shell, &json!({ "url": url, "type": "http" })).await;
    failed(&ran, "protocol", "http_status", 4, "the path `/mcp`");
    assert_eq!(verdict(&ran, "tls"), "ok");
    assert!(ran.stdout.contains("TLSv1_3"), "{}", ran.stdout);
    assert!(ran.stdout.contains("until 4096-01-01"), "{}", ran.stdout);
}

#[tokio::test]
async fn one_scheme_where_the_other_is_spoken() {
    let secure = TlsServer::start("localhost", |_| {}).await;
    let url = format!("http://localhost:{}/mcp", secure.port);
    let ran = examine(&Shell::new(), &json!({ "url": url })).await;
    let document = ran.json();
    assert_eq!(verdict(&ran, "protocol"), "failed", "{document}");
    assert_eq!(ran.code, 4);
    let advice = document["servers"][0]["advice"].as_str().unwrap();
    assert!(advice.contains("write `https://`"), "{document}");

    let plain = embedded().await;
    let url = plain.url().replace("http://", "https://");
    let ran = examine(&Shell::new(), &json!({ "url": url })).await;
    failed(&ran, "tls", "tls", 4, "write `http://`");
    // One that waits for the rest of what it takes for a request.
    let plain = server(|_| None).await;
    let url = plain.url().replace("http://", "https://");
    let shell = Shell::new();
    let ran = shell
        .run(&["doctor", "--json", "--timeout", "500ms", "--url", &url])
        .await;
    failed(&ran, "tls", "timeout", 4, "write `http://`");

    let entry = json!({ "url": "http://mcp.example.com/mcp" });
    let ran = examine(&Shell::new(), &entry).await;
    failed(
        &ran,
        "configuration",
        "address_refused",
        4,
        "write `https://`",
    );
}

#[tokio::test]
async fn nobody_is_there() {
    let url = "https://surely-not-a-host.invalid/mcp";
    let ran = examine(&Shell::new(), &json!({ "url": url })).await;
    let document = ran.json();
    assert_eq!(verdict(&ran, "dns"), "failed", "{document}");
    assert_eq!(ran.code, 4);
    let advice = document["servers"][0]["advice"].as_str().unwrap();
    assert!(advice.contains("`surely-not-a-host.invalid`"), "{advice}");

    // Bound and let go: nobody listens there now.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    drop(listener);
    let ran = examine(&Shell::new(), &json!({ "url": url })).await;
    failed(&ran, "tcp", "connect", 4, "nothing listens at 127.0.0.1");
}

#[tokio::test]
async fn something_else_is_there() {
    let nothing = server(|_| Some((404, "X", "y".to_owned()))).await;
    let ran = examine(&Shell::new(), &json!({ "url": nothing.url() })).await;
    failed(&ran, "protocol", "http_status", 4, "at the path `/mcp`");

    let failing = server(|_| Some((500, "X", "y".to_owned()))).await;
    let ran = examine(&Shell::new(), &json!({ "url": failing.url() })).await;
    failed(&ran, "protocol", "http_status", 4, "look at its logs");

    let page = FaultServer::start(|_, mut wire: Wire| async move {
        let headers = [("Content-Type", "text/html")];
        wire.respond(200, &headers, "<html>").await.then_some(wire)
    })
    .await;
    let ran = examine(&Shell::new(), &json!({ "url": page.url() })).await;
    failed(
        &ran,
        "protocol",
        "protocol",
        4,
        "no MCP server: is the URL whole?",
    );

    let elsewhere = server(|_| Some((307, "Location", "https://evil.test/mcp".to_owned()))).await;
    let ran = examine(&Shell::new(), &json!({ "url": elsewhere.url() })).await;
    failed(&ran, "protocol", "redirect_refused", 4, "evil.test");

    let silent = FaultServer::start(|_, mut wire: Wire| async move {
        wire.closed().await;
        None
    })
    .await;
    let file = json!({ "mcpServers": { "one": { "url": silent.url() } } });
    let shell = Shell::new();
    shell.write("mcp.json", &file.to_string());
    let ran = shell.run(&["doctor", "--json", "--timeout", "500ms"]).await;
    failed(&ran, "protocol", "timeout", 4, "does not answer");
}

#[tokio::test]
async fn a_server_that_speaks_only_the_old_way() {
    let old = FaultServer::start(|request: Request, mut wire: Wire| async move {
        if request.method == "GET" {
            wire.events("").await;
            wire.raw("event: endpoint\ndata: /message\n\n").await;
            wire.closed().await;
            return None;
        }
        wire.respond(405, &[], "").await.then_some(wire)
    })
    .await;
    let entry = json!({ "type": "http", "url": old.url() });
    let ran = examine(&Shell::new(), &entry).await;
    failed(&ran, "protocol", "http_status", 4, "\"type\": \"sse\"");
}
