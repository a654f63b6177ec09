//! A proxy that tunnels: what it is asked for, and what it does not learn.

use std::sync::{Arc, Mutex};

use mcp_core::ToolServer as _;
use mcp_core::auth::{Bearer, SecretString};
use mcp_http::{HttpClient, HttpServer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::authority::Authority;
use crate::context;
use crate::server::TlsServer;

/// A proxy that tunnels, and what was said to it.
async fn tunnelling_proxy() -> (String, Arc<Mutex<Vec<String>>>, JoinSet<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let (mut tasks, seen) = (JoinSet::new(), Arc::clone(&requests));
    tasks.spawn(async move {
        let mut tunnels = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            tunnels.spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let text = String::from_utf8(head).unwrap();
                let target = text.split(' ').nth(1).unwrap().to_owned();
                seen.lock().unwrap().push(text);
                let mut server = tokio::net::TcpStream::connect(target).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
            });
        }
    });
    (url, requests, tasks)
}

#[tokio::test]
async fn b12_a_proxy_that_was_asked_for_tunnels_and_learns_no_credentials() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.issue("localhost", |_| {}), None).await;
    let (proxy, heard, _tasks) = tunnelling_proxy().await;
    let own = SecretString::from("Basic test-proxy-secret");
    let client = HttpClient::builder()
        .root_certificates(authority.pem.as_bytes())
        .unwrap()
        .proxy(&proxy, Some(&own))
        .unwrap();
    assert!(!format!("{client:?}").contains("test-proxy-secret"));
    let client = client.build();
    let token = Bearer::new("test-token-canary").unwrap();
    let tunnelled = HttpServer::builder(&server.url)
        .client(client)
        .credentials(Arc::new(token))
        .build()
        .unwrap();
    tunnelled.list_tools(&context()).await.unwrap();
    let heard = heard.lock().unwrap().join("");
    assert!(heard.starts_with("CONNECT localhost:"), "{heard}");
    let lower = heard.to_ascii_lowercase();
    assert!(
        lower.contains("proxy-authorization: basic test-proxy-secret"),
        "{heard}"
    );
    assert!(!heard.contains("canary"), "{heard}");
    assert!(
        HttpClient::builder()
            .proxy("https://proxy.example.com", None)
            .is_err()
    );
}
