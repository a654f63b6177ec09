//! What a call costs: allocations are counted, and CPU time can be compared by hand.
#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use mcp_core::auth::Bearer;
use mcp_core::{CallContext, ProtocolVersion, ToolCall, ToolDefinition, ToolServer as _};
use mcp_http::HttpServer;
use serde_json::json;
use tokio::runtime::Runtime;

/// A server in threads of its own, so that what it does is not counted.
fn serve() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(stream.unwrap()));
        }
    });
    format!("http://{address}/mcp")
}

fn answer(stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    let (mut line, mut body) = (String::new(), Vec::new());
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body).unwrap();
        let text = std::str::from_utf8(&body).unwrap();
        let id = text.split("\"id\":").nth(1).unwrap();
        let id = id.split([',', '}']).next().unwrap();
        let result = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","content":[{{"type":"text","text":"it is sunny"}}]}}}}"#
        );
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
        let response = format!("{head}{}\r\n\r\n{result}", result.len());
        writer.write_all(response.as_bytes()).unwrap();
    }
}

/// One call after another, by us and by the least that could do it.
struct Contenders {
    runtime: Runtime,
    bare: Client<HttpConnector, Full<Bytes>>,
    url: String,
    server: HttpServer,
    tool: ToolDefinition,
    arguments: serde_json::Map<String, serde_json::Value>,
}

impl Contenders {
    fn new() -> Self {
        let url = serve();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let bare = Client::builder(TokioExecutor::new()).build(connector);
        let server = HttpServer::builder(&url)
            .credentials(Arc::new(Bearer::new("test-token-alice").unwrap()))
            .protocol(Some(ProtocolVersion::V2026_07_28))
            .build()
            .unwrap();
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        let contenders = Self {
            runtime,
            bare,
            url,
            server,
            tool: ToolDefinition::from_parts("weather", "", &schema).unwrap(),
            arguments: json!({"city": "Zürich"}).as_object().unwrap().clone(),
        };
        for _ in 0..32 {
            contenders.post();
            contenders.call();
        }
        contenders
    }

    /// A ready-made body, and the answer's envelope read.
    fn post(&self) {
        const BODY: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"weather","arguments":{"city":"Berlin"}}}"#;
        let request = http::Request::post(&self.url)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("authorization", "Bearer test-token-alice")
            .body(Full::new(Bytes::from_static(BODY)))
            .unwrap();
        self.runtime.block_on(async {
            let response = self.bare.request(request).await.unwrap();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            mcp_core::wire::Message::parse(&body).unwrap();
        });
    }

    fn call(&self) {
        let context = CallContext::default();
        let call = ToolCall::new(&self.tool, &self.arguments);
        let output = self.runtime.block_on(self.server.call_tool(call, &context));
        assert_eq!(output.unwrap().raw_content().len(), 1);
    }
}

#[test]
fn a_call_allocates_at_most_fifty_times() {
    const CALLS: u64 = 100;
    let contenders = Contenders::new();
    let count = |run: &dyn Fn()| {
        let counted = allocation_counter::measure(|| (0..CALLS).for_each(|_| run()));
        (counted.count_total / CALLS, counted.bytes_total / CALLS)
    };
    let bare = count(&|| contenders.post());
    let ours = count(&|| contenders.call());
    println!("allocations, bytes: bare {bare:?}, ours {ours:?}");
    assert!(ours.0 <= 50, "{} allocations in a call", ours.0);
    assert!(ours.1 <= 24 * 1024, "{} bytes allocated in a call", ours.1);
}

/// `cargo test --release -p mcp-http --test cost -- --ignored --nocapture`
#[cfg(target_os = "linux")]
#[test]
#[ignore = "a measurement, to be read by somebody"]
fn cpu_time_beside_a_bare_post() {
    const CALLS: u32 = 5_000;
    let contenders = Contenders::new();
    let cpu = |run: &dyn Fn()| {
        let before = thread_cpu_nanos();
        (0..CALLS).for_each(|_| run());
        (thread_cpu_nanos() - before) / u64::from(CALLS)
    };
    let mut ratios = Vec::new();
    for _ in 0..9 {
        let bare = cpu(&|| contenders.post());
        let ours = cpu(&|| contenders.call());
        ratios.push(ours * 100 / bare);
        println!("ns of CPU: bare {bare}, ours {ours}");
    }
    ratios.sort_unstable();
    println!("median: {} %", ratios[ratios.len() / 2]);
}

#[cfg(target_os = "linux")]
fn thread_cpu_nanos() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse().unwrap()
}
