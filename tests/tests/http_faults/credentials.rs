//! B: where credentials travel, and where not.

use mcp_core::auth::{Bearer, Credentials};
use mcp_core::{ErrorKind, Limits, ToolServer};
use mcp_http::{AddressPolicy, HttpClient, HttpRequest, HttpServer, HttpUrl, Resolve};
use mcp_testbed::fault::FaultServer;
use std::sync::Arc;
use std::time::Duration;

use crate::harness::{call, context, modern, small};
use crate::old_peer::old;

#[tokio::test]
async fn b4_a_post_does_not_follow_to_another_origin() {
    let elsewhere = FaultServer::modern().await;
    let to = elsewhere.url();
    let server = FaultServer::start(move |_, mut wire| {
        let to = to.clone();
        async move {
            wire.respond(307, &[("Location", &to)], "")
                .await
                .then_some(wire)
        }
    })
    .await;
    let client = modern(&server)
        .credentials(Arc::new(Bearer::new("test-token-canary").unwrap()))
        .build()
        .unwrap();
    let error = call(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RedirectRefused);
    assert!(elsewhere.seen().is_empty());

    // A GET may leave, without what it carried.
    let url = HttpUrl::parse(&server.url()).unwrap();
    let request = HttpRequest::get(&url).credentials(&Credentials::bearer("test-token").unwrap());
    HttpClient::new().fetch(request).await.unwrap();
    let seen = elsewhere.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].header("authorization"), None);
}

#[tokio::test]
async fn b4_a_redirect_within_the_origin_keeps_method_body_and_credentials() {
    let server = FaultServer::start(|request, mut wire| async move {
        let sent = if request.path == "/mcp" {
            wire.respond(308, &[("Location", "/real?x=1")], "").await
        } else {
            wire.modern(&request).await
        };
        sent.then_some(wire)
    })
    .await;
    let client = modern(&server)
        .credentials(Arc::new(Bearer::new("test-token-alice").unwrap()))
        .build()
        .unwrap();
    assert_eq!(call(&client).await.unwrap().text(), "done");
    let seen = server.seen();
    assert_eq!(seen[1].path, "/real?x=1");
    assert_eq!(seen[0].body, seen[1].body);
    assert_eq!(
        seen[1].header("authorization"),
        Some("Bearer test-token-alice")
    );
}

#[tokio::test]
async fn a_redirect_that_echoes_the_token_does_not_show_it() {
    let locations = [
        (302, "/cb/test-token-canary"),
        (307, "http://test-token-canary.invalid/mcp"),
        (308, "https://127.0.0.1:1/test-token-canary"),
    ];
    for (status, location) in locations {
        let server = FaultServer::start(move |_, mut wire| async move {
            let sent = wire.respond(status, &[("Location", location)], "").await;
            sent.then_some(wire)
        })
        .await;
        let client = modern(&server)
            .credentials(Arc::new(Bearer::new("test-token-canary").unwrap()))
            .build()
            .unwrap();
        let error = call(&client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RedirectRefused, "{location}");
        let shown = mcp_testbed::shown(&error);
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("configure"), "{shown}");
    }
}

#[tokio::test]
async fn b5_redirects_are_bounded() {
    let server = FaultServer::start(|_, mut wire| async move {
        wire.respond(307, &[("Location", "/mcp")], "")
            .await
            .then_some(wire)
    })
    .await;
    let client = modern(&server).build().unwrap();
    let error = call(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RedirectRefused);
    assert_eq!(server.seen().len(), Limits::default().redirects + 1);
    let url = HttpUrl::parse(&server.url()).unwrap();
    let error = HttpClient::new()
        .fetch(HttpRequest::get(&url))
        .await
        .unwrap_err();
    assert_eq!(error.into_error().kind(), ErrorKind::RedirectRefused);
}

#[tokio::test]
async fn b6_plain_http_stays_on_this_machine() {
    for url in ["http://mcp.example.com/mcp", "http://10.0.0.1/mcp"] {
        let error = HttpServer::builder(url).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddressRefused, "{url}");
    }
    let client = HttpClient::builder().allow_plain_http(true).build();
    assert!(
        HttpServer::builder("http://mcp.example.com/mcp")
            .client(client)
            .build()
            .is_ok()
    );
}

/// A name server that an attacker runs.
#[derive(Debug)]
struct Lying(&'static str);

impl Resolve for Lying {
    fn resolve<'a>(
        &'a self,
        _: &'a str,
    ) -> mcp_core::BoxFuture<'a, std::io::Result<Vec<std::net::IpAddr>>> {
        let address = self.0.parse().unwrap();
        Box::pin(async move { Ok(vec![address]) })
    }
}

#[tokio::test]
async fn b7_b8_urls_that_a_server_chose_do_not_lead_inside() {
    let configured = HttpUrl::parse("https://mcp.example.com/mcp").unwrap();
    let client = HttpClient::builder().allow_plain_http(true).build();
    for inside in [
        "http://169.254.169.254/latest/meta-data",
        "http://[fd00::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://0.0.0.0/",
        "http://2130706433/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "https://127.0.0.1/",
        "http://localhost/",
    ] {
        let url = HttpUrl::parse(inside).unwrap();
        let request = HttpRequest::get(&url).supplied_by(&configured);
        let error = client.send(request).await.unwrap_err();
        assert!(!error.maybe_received());
        assert_eq!(
            error.into_error().kind(),
            ErrorKind::AddressRefused,
            "{inside}"
        );
    }
    for address in [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "::ffff:127.0.0.1",
        "fd00::1",
    ] {
        let lying = HttpClient::builder()
            .resolver(Arc::new(Lying(address)))
            .build();
        let url = HttpUrl::parse("https://innocent.example.com/x").unwrap();
        let request = HttpRequest::get(&url).supplied_by(&configured);
        let error = lying.send(request).await.unwrap_err().into_error();
        assert_eq!(error.kind(), ErrorKind::AddressRefused, "{address}");
    }
}

#[tokio::test]
async fn b8_localhost_that_was_pointed_elsewhere_gets_no_plain_http() {
    let client = HttpClient::builder()
        .resolver(Arc::new(Lying("1.1.1.1")))
        .build();
    let url = HttpUrl::parse("http://localhost:1/mcp").unwrap();
    let error = client
        .send(HttpRequest::get(&url))
        .await
        .unwrap_err()
        .into_error();
    assert_eq!(error.kind(), ErrorKind::AddressRefused);
    let strict = HttpClient::builder()
        .configured_addresses(AddressPolicy::Public)
        .allow_plain_http(true)
        .build();
    let url = HttpUrl::parse("http://127.0.0.1:1/mcp").unwrap();
    let error = strict
        .send(HttpRequest::get(&url))
        .await
        .unwrap_err()
        .into_error();
    assert_eq!(error.kind(), ErrorKind::AddressRefused);
}

#[tokio::test]
async fn b10_an_endpoint_at_another_origin_is_refused() {
    for endpoint in [
        "http://127.0.0.1:1/message",
        "https://evil.example.com/m",
        "//evil.example.com/m",
    ] {
        let server = FaultServer::start(move |_, mut wire| async move {
            wire.events("").await;
            wire.raw(format!("event: endpoint\ndata: {endpoint}\n\n"))
                .await;
            wire.closed().await;
            None
        })
        .await;
        let client = old(&server)
            .credentials(Arc::new(Bearer::new("test-token-canary").unwrap()))
            .build()
            .unwrap();
        let error = client.list_tools(&context("alice")).await.unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::AddressRefused,
            "{endpoint}: {error}"
        );
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_stream_that_names_no_endpoint_is_given_up() {
    let server = FaultServer::start(|_, mut wire| async move {
        wire.events("").await;
        while wire.raw(": still here\n\n").await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        None
    })
    .await;
    let mut limits = small();
    limits.connect_timeout = Duration::from_millis(300);
    let client = old(&server).limits(limits).build().unwrap();
    let error = client.list_tools(&context("alice")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
}

#[tokio::test]
async fn b12_proxy_variables_are_not_read() {
    // Set for a process of its own, before any client is made.
    let (server, proxy) = (FaultServer::modern().await, FaultServer::modern().await);
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args([
        "--exact",
        "credentials::proxied_child",
        "--ignored",
        "--nocapture",
    ]);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(name, format!("http://127.0.0.1:{}", proxy.port()));
    }
    child.env("FAULT_URL", server.url());
    let status = tokio::task::spawn_blocking(move || child.status().unwrap())
        .await
        .unwrap();
    assert!(status.success());
    assert_eq!(server.count("tools/call"), 1);
    assert!(proxy.seen().is_empty());
}

#[tokio::test]
#[ignore = "the other half of b12_proxy_variables_are_not_read"]
async fn proxied_child() {
    let Ok(url) = std::env::var("FAULT_URL") else {
        return;
    };
    call(&HttpServer::builder(url).build().unwrap())
        .await
        .unwrap();
}
