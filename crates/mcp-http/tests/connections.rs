//! What becomes of connections between requests, seen from the server.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use mcp_core::BoxFuture;
use mcp_http::{HttpClient, HttpRequest, HttpUrl, Resolve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Longer than anything takes that goes well.
const PATIENCE: Duration = Duration::from_secs(20);

const SHORT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
const IN_PIECES: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
const ENDLESS: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n";

/// What a server does with each request.
#[derive(Clone)]
struct Manner {
    answer: &'static str,
    /// Answers wait for a permit each.
    permits: Option<Arc<Semaphore>>,
    /// How many answers a connection gives before it is closed without a word.
    answers: usize,
}

impl Manner {
    fn of(answer: &'static str) -> Self {
        Self {
            answer,
            permits: None,
            answers: usize::MAX,
        }
    }
}

struct Server {
    url: HttpUrl,
    /// How many connections were opened, and how many of them have ended.
    opened: Arc<AtomicUsize>,
    ended: Arc<Semaphore>,
    /// The head of each request.
    heads: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let opened = Arc::new(AtomicUsize::new(0));
        let ended = Arc::new(Semaphore::new(0));
        let mut tasks = JoinSet::new();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (counted, told) = (Arc::clone(&opened), Arc::clone(&ended));
        let noted = Arc::clone(&heads);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (manner, told) = (manner.clone(), Arc::clone(&told));
                let noted = Arc::clone(&noted);
                connections.spawn(async move {
                    let _ = serve(stream, manner, &noted).await;
                    told.add_permits(1);
                });
            }
        });
        Self {
            url: HttpUrl::parse(&format!("http://localhost:{port}/mcp?v=1")).unwrap(),
            opened,
            ended,
            heads,
            _tasks: tasks,
        }
    }

    fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// Waits until as many connections have ended.
    async fn ended(&self, count: u32) {
        let ended = self.ended.acquire_many(count);
        drop(
            tokio::time::timeout(PATIENCE, ended)
                .await
                .unwrap()
                .unwrap(),
        );
    }
}

async fn serve(
    mut stream: TcpStream,
    manner: Manner,
    heads: &Mutex<Vec<String>>,
) -> io::Result<()> {
    for _ in 0..manner.answers {
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            read.push(stream.read_u8().await?);
        }
        heads.lock().unwrap().push(String::from_utf8(read).unwrap());
        if let Some(permits) = &manner.permits {
            permits.acquire().await.unwrap().forget();
        }
        stream.write_all(manner.answer.as_bytes()).await?;
    }
    Ok(())
}

async fn get(client: &HttpClient, url: &HttpUrl) -> String {
    let asking = async {
        let response = client.send(HttpRequest::get(url)).await.unwrap();
        response.bytes(1024).await.unwrap()
    };
    let body = tokio::time::timeout(PATIENCE, asking).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_request_names_its_host_and_its_path() {
    let server = Server::start(Manner::of(SHORT)).await;
    get(&HttpClient::new(), &server.url).await;
    let head = server.heads.lock().unwrap().remove(0);
    let (first, rest) = head.split_once("\r\n").unwrap();
    assert_eq!(first, "GET /mcp?v=1 HTTP/1.1");
    let host = format!("host: localhost:{}\r\n", server.url.port());
    assert_eq!(head.matches("\r\nhost:").count(), 1, "{rest}");
    assert!(rest.contains(&host), "{rest}");
}

#[tokio::test]
async fn one_connection_serves_one_request_after_another() {
    for answer in [SHORT, IN_PIECES] {
        let server = Server::start(Manner::of(answer)).await;
        let client = HttpClient::new();
        for _ in 0..10 {
            assert_eq!(get(&client, &server.url).await, "{}");
        }
        assert_eq!(server.opened(), 1, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_are_open_as_requests_at_once() {
    let server = Server::start(Manner::of(IN_PIECES)).await;
    let client = HttpClient::new();
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let (client, url) = (client.clone(), server.url.clone());
        callers.spawn(async move {
            for _ in 0..50 {
                get(&client, &url).await;
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    // One behind for each that was begun while another came free.
    assert!(server.opened() <= 16, "{}", server.opened());
}

#[tokio::test]
async fn a_response_that_is_given_up_takes_its_connection_along() {
    let server = Server::start(Manner::of(ENDLESS)).await;
    let client = HttpClient::new();
    for opened in 1..=3 {
        let mut response = client.send(HttpRequest::get(&server.url)).await.unwrap();
        assert_eq!(response.chunk().await.unwrap().unwrap(), "{}");
        drop(response);
        server.ended(opened).await;
        assert_eq!(server.opened(), usize::try_from(opened).unwrap());
    }
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_costs_no_request() {
    let manner = Manner {
        answers: 1,
        ..Manner::of(SHORT)
    };
    let server = Server::start(manner).await;
    let client = HttpClient::new();
    for opened in 1..=5 {
        // A POST, which nobody may send twice: it is known that it never left.
        let request = HttpRequest::new(Method::POST, &server.url);
        let response = client.send(request).await.unwrap();
        assert_eq!(response.bytes(64).await.unwrap(), "{}");
        server.ended(opened).await;
    }
    assert_eq!(server.opened(), 5);
}

#[tokio::test]
async fn no_more_idle_ones_are_kept_than_were_asked_for() {
    let permits = Arc::new(Semaphore::new(0));
    let manner = Manner {
        permits: Some(Arc::clone(&permits)),
        ..Manner::of(SHORT)
    };
    let server = Server::start(manner).await;
    let client = HttpClient::builder().idle_per_host(2).build();
    let mut callers = JoinSet::new();
    for _ in 0..5 {
        let (client, url) = (client.clone(), server.url.clone());
        callers.spawn(async move { get(&client, &url).await });
    }
    while server.opened() < 5 {
        tokio::task::yield_now().await;
    }
    permits.add_permits(5);
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    server.ended(3).await;
    permits.add_permits(1);
    get(&client, &server.url).await;
    assert_eq!(server.opened(), 5);
}

/// Finds this machine once, and then nothing for ever.
#[derive(Debug, Default)]
struct Once(AtomicUsize);

impl Resolve for Once {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let is_first = self.0.fetch_add(1, Ordering::SeqCst) == 0;
        Box::pin(async move {
            if !is_first {
                std::future::pending::<()>().await;
            }
            Ok(vec![Ipv4Addr::LOCALHOST.into()])
        })
    }
}

#[tokio::test]
async fn who_waits_for_a_connection_takes_the_first_that_is_free() {
    let permits = Arc::new(Semaphore::new(0));
    let manner = Manner {
        permits: Some(Arc::clone(&permits)),
        ..Manner::of(SHORT)
    };
    let server = Server::start(manner).await;
    let resolver = Arc::new(Once::default());
    let client = HttpClient::builder()
        .resolver(Arc::clone(&resolver) as Arc<dyn Resolve>)
        .build();
    let mut callers = JoinSet::new();
    for _ in 0..4 {
        let (client, url) = (client.clone(), server.url.clone());
        callers.spawn(async move { get(&client, &url).await });
    }
    while resolver.0.load(Ordering::SeqCst) < 4 {
        tokio::task::yield_now().await;
    }
    permits.add_permits(4);
    while let Some(body) = callers.join_next().await {
        assert_eq!(body.unwrap(), "{}");
    }
    assert_eq!(server.opened(), 1);
}
