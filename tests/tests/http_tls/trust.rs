//! Whom the client believes, and as whom it appears.

use http::Version;
use mcp_core::auth::SecretString;
use mcp_core::{ErrorKind, ToolServer as _};
use mcp_http::{HttpClient, HttpServer};
use mcp_testbed::shown;
use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::authority::Authority;
use crate::context;
use crate::server::TlsServer;

#[tokio::test]
async fn a_believed_server_is_spoken_with_over_http_2() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.issue("localhost", |_| {}), None).await;
    assert_eq!(server.list(authority.believer()).await.unwrap(), 1);
    let versions = server.versions.lock().unwrap();
    assert!(
        versions.iter().all(|it| *it == Version::HTTP_2),
        "{versions:?}"
    );
}

#[tokio::test]
async fn b11_bad_certificates_are_refused_and_the_error_says_why() {
    let authority = Authority::new();
    let cases = [
        // Nobody knows the authority.
        (
            authority.issue("localhost", |_| {}),
            HttpClient::new(),
            "UnknownIssuer",
        ),
        (
            authority.issue("other.example.com", |_| {}),
            authority.believer(),
            "not valid for name",
        ),
        (
            authority.issue("localhost", |params| {
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2021, 1, 1);
            }),
            authority.believer(),
            "expired",
        ),
    ];
    for (issued, client, why) in cases {
        let server = TlsServer::start(&issued, None).await;
        let error = server.list(client).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{why}");
        assert!(shown(&error).contains(why), "{}", shown(&error));
        assert!(server.versions.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_a_tls_error() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"SSH-2.0-x\r\n").await;
        }
    });
    let server = HttpServer::builder(format!("https://localhost:{port}/mcp"))
        .build()
        .unwrap();
    let error = server.list_tools(&context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{}", shown(&error));
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_who_asks() {
    let authority = Authority::new();
    let issued = authority.issue("localhost", |_| {});
    let server = TlsServer::start(&issued, Some(&authority)).await;
    let own = authority.issue("client", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let key = SecretString::from(own.key.serialize_pem());
    let client = HttpClient::builder()
        .root_certificates(authority.pem.as_bytes())
        .unwrap()
        .only_given_roots()
        .client_certificate(own.pem.as_bytes(), &key)
        .unwrap()
        .build();
    assert_eq!(server.list(client).await.unwrap(), 1);
    let error = server.list(authority.believer()).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Tls | ErrorKind::Connect),
        "{}",
        shown(&error)
    );
    let broken = SecretString::from("canary, no key");
    let error = HttpClient::builder()
        .client_certificate(own.pem.as_bytes(), &broken)
        .unwrap_err();
    assert!(!format!("{error:?}").contains("canary"));
}
