//! HTTP/2: one connection for everybody, from the first moment on.

use std::sync::Arc;

use http::Version;
use mcp_core::ToolServer as _;
use mcp_http::HttpServer;
use tokio::task::JoinSet;

use crate::authority::Authority;
use crate::context;
use crate::server::TlsServer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_come_at_once_open_one_connection() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.issue("localhost", |_| {}), None).await;
    let client = authority.believer();
    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let connecting = HttpServer::builder(&server.url).client(client.clone());
        let http = Arc::new(connecting.build().unwrap());
        callers.spawn(async move { http.list_tools(&context()).await });
    }
    while let Some(listed) = callers.join_next().await {
        assert_eq!(listed.unwrap().unwrap().tools.len(), 1);
    }
    let versions = server.versions.lock().unwrap();
    assert!(versions.iter().all(|version| *version == Version::HTTP_2));
    assert_eq!(*server.opened.lock().unwrap(), 1);
}
