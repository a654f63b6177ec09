//! The harness itself: each real server starts, answers by hand-made requests, and ends.
#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use mcp_testbed::real::{EverythingServer, FastMcpServer, everything_stdio, filesystem_stdio};
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);

/// One exchange by HTTP/1.0, where the server closes after its answer.
fn exchange(url: &str, head: &str, body: &Value) -> String {
    let (host, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let body = body.to_string();
    let mut stream = TcpStream::connect(host).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    write!(
        stream,
        "POST /{path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{head}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn initialize() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "testbed", "version": "0"},
    }})
}

fn modern(method: &str, params: &Value) -> Value {
    let mut request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    request["params"]["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    request
}

fn modern_head(method: &str, token: &str) -> String {
    format!(
        "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\nAuthorization: Bearer {token}\r\n"
    )
}

/// The answer to `initialize` over stdio, then the end by closed stdin.
fn initialize_stdio((program, args): (String, Vec<String>)) -> Value {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{}", initialize()).unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    serde_json::from_str(&line).unwrap()
}

#[test]
fn everything_answers_initialize_over_streamable_http_with_a_session() {
    let server = EverythingServer::streamable_http();
    let answer = exchange(&server.url(), "", &initialize());
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("mcp-session-id: "), "{answer}");
    assert!(
        answer.contains("\"name\":\"mcp-servers/everything\""),
        "{answer}"
    );
}

#[test]
fn everything_opens_an_sse_stream_with_its_endpoint() {
    let server = EverythingServer::sse();
    let url = server.url();
    let (host, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    write!(
        stream,
        "GET /{path} HTTP/1.0\r\nHost: {host}\r\nAccept: text/event-stream\r\n\r\n"
    )
    .unwrap();
    let lines: Vec<String> = BufReader::new(stream)
        .lines()
        .map(Result::unwrap)
        .skip_while(|l| !l.is_empty())
        .take(3)
        .collect();
    assert_eq!(lines[1], "event: endpoint");
    assert!(
        lines[2].starts_with("data: /message?sessionId="),
        "{lines:?}"
    );
}

#[test]
fn everything_and_filesystem_answer_over_stdio() {
    let answer = initialize_stdio(everything_stdio());
    assert_eq!(
        answer["result"]["serverInfo"]["name"],
        "mcp-servers/everything"
    );

    let folder = std::env::temp_dir();
    let answer = initialize_stdio(filesystem_stdio(&folder));
    assert_eq!(
        answer["result"]["serverInfo"]["name"],
        "secure-filesystem-server"
    );
}

#[test]
fn fastmcp_believes_the_tokens_of_its_own_issuer_only() {
    let server = FastMcpServer::start();
    let discover = modern("server/discover", &json!({}));

    let alice = server.jwt().mint("test-user-alice", MINUTE, &[]);
    let answer = exchange(
        &server.url(),
        &modern_head("server/discover", &alice),
        &discover,
    );
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains(r#""supportedVersions":["2026-07-28"]"#),
        "{answer}"
    );

    let expired = server.jwt().mint_expired("test-user-alice");
    let elsewhere = server
        .jwt()
        .sign(&json!({"iss": "https://other.test", "sub": "x", "aud": "testbed"}));
    for token in [expired.as_str(), elsewhere.as_str(), "test-token-alice"] {
        let answer = exchange(
            &server.url(),
            &modern_head("server/discover", token),
            &discover,
        );
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert!(
            answer.contains("www-authenticate: Bearer error=\"invalid_token\""),
            "{answer}"
        );
    }
}

#[test]
fn fastmcp_knows_whose_token_came_and_what_it_may() {
    let server = FastMcpServer::start();
    let whoami = modern("tools/call", &json!({"name": "whoami", "arguments": {}}));
    for user in ["test-user-alice", "test-user-bob"] {
        let token = server.jwt().mint(user, MINUTE, &[]);
        let head = modern_head("tools/call", &token) + "Mcp-Name: whoami\r\n";
        let answer = exchange(&server.url(), &head, &whoami);
        assert!(
            answer.contains(&format!(r#"{{"text":"{user}","type":"text"}}"#)),
            "{answer}"
        );
    }

    let list = modern("tools/list", &json!({}));
    let reader = server.jwt().mint("test-user-alice", MINUTE, &[]);
    let writer = server
        .jwt()
        .mint("test-user-alice", MINUTE, &["tools:write"]);
    let seen = |token| {
        exchange(&server.url(), &modern_head("tools/list", token), &list).contains("remember")
    };
    assert!(!seen(&reader));
    assert!(seen(&writer));
}

#[cfg(target_os = "linux")]
#[test]
fn a_dropped_server_is_gone_before_drop_returns() {
    let server = EverythingServer::streamable_http();
    let address = server.url();
    let host = address
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap()
        .0
        .to_owned();
    assert!(TcpStream::connect(&host).is_ok());
    drop(server);
    assert!(TcpStream::connect(&host).is_err());
}

#[test]
fn a_server_ends_with_the_process_that_started_it() {
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "hold_a_server_until_killed",
            "--ignored",
            "--nocapture",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut host = BufReader::new(holder.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .find_map(|line| Some(line.split_once("holding ")?.1.to_owned()))
        .unwrap();
    host.truncate(host.rfind('/').unwrap());
    let mut stream = TcpStream::connect(&host).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();

    // SIGKILL: no destructor runs in the holder.
    holder.kill().unwrap();
    holder.wait().unwrap();

    // An idle connection of this server lives for a minute, unless the server ends.
    if let Err(error) = stream.read(&mut [0]) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}

#[test]
#[ignore = "the other half of a_server_ends_with_the_process_that_started_it"]
fn hold_a_server_until_killed() {
    let server = EverythingServer::streamable_http();
    println!("holding {}", server.url().trim_start_matches("http://"));
    loop {
        std::thread::park();
    }
}
