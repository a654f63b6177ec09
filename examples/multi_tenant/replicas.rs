//! Several processes of the service that share what they know through Redis.

use std::error::Error;
use std::process::Stdio;
use std::time::Duration;

use axum::http::{Method, header::LOCATION};
use mcp_testbed::oauth::AuthServer;
use mcp_testbed::redis::RedisServer;
use mcp_toolkit::auth::time::Instant;
use mcp_toolkit::http::{HttpClient, HttpRequest, HttpUrl};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::platform::Platform;
use crate::service;
use crate::tenants::{Outcome, Service};

/// So many are played with.
const LEAST: usize = 3;

/// Starts them, lets a user go from one to another, and ends them.
pub(crate) async fn play(count: usize) -> Outcome<()> {
    if count < LEAST {
        return Err(format!("--replicas takes {LEAST} or more").into());
    }
    let (_own, redis) = match std::env::var("REDIS_URL") {
        Ok(url) => (None, url),
        Err(_) if RedisServer::is_installed() => {
            let own = RedisServer::start();
            let url = own.url();
            (Some(own), url)
        }
        Err(_) => {
            println!("no Redis here: set REDIS_URL, or install redis-server or valkey-server");
            return Ok(());
        }
    };
    // A server that wants its users' consent, and who issues its tokens.
    let calendar = AuthServer::start().await;
    let mut replicas = Vec::new();
    for number in 1..=count {
        let replica = Replica::start(&calendar.url(), &redis).await?;
        println!("replica {number} serves at {}", replica.url);
        replicas.push(replica);
    }
    let mut services = replicas.iter().map(|replica| Service::at(&replica.url));
    let (Some(one), Some(two), Some(three)) = (services.next(), services.next(), services.next())
    else {
        return Err("a replica is missing".into());
    };

    println!("\n== Alice asks replica 1 for her tools, and consents");
    let servers = one.tools("alice").await?;
    let login = servers["calendar"]["login"].as_str();
    let query = consent(login.ok_or("no URL to consent at")?).await?;

    println!("\n== She comes back to replica 2; what she brings works once");
    let back = format!("/callback?{query}");
    for user in ["alice", "alice", "bob"] {
        let (status, _) = two.send(Method::GET, user, &back, "").await?;
        println!("{user} comes back: {status}");
    }

    println!("\n== And calls at replica 3");
    three.tools("alice").await?;
    three.post("alice", "/call/echo", "{}").await?;
    three.post("bob", "/call/echo", "{}").await?;

    println!("\n== What she calls counts for all replicas together");
    for service in [&one, &two, &three, &one, &two] {
        service.post("alice", "/call/echo", "{}").await?;
    }

    println!("\n== She logs out at replica 1: all forget");
    one.post("alice", "/logout/calendar", "").await?;
    let since = Instant::now();
    while three.tools("alice").await?["calendar"] == "active" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let soon = since.elapsed() < Duration::from_secs(1);
    println!("replica 3 knew within a second: {soon}");
    for replica in replicas {
        replica.end().await?;
    }
    Ok(())
}

/// What the user's browser does: shows where the authorization server sends it.
async fn consent(url: &str) -> Outcome<String> {
    let url = HttpUrl::parse(url)?;
    let answer = HttpClient::new().send(HttpRequest::get(&url)).await?;
    let to = answer.header(&LOCATION).and_then(|to| to.split_once('?'));
    Ok(to.ok_or("no way back")?.1.to_owned())
}

/// A process of this program. It ends when its input does: with this value, or with this process.
struct Replica {
    child: Child,
    url: String,
}

impl Replica {
    async fn start(calendar: &str, redis: &str) -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--replica", calendar])
            .env("REDIS_URL", redis)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let url = said.next_line().await?.ok_or("it did not start")?;
        // Its audit trail.
        tokio::spawn(async move {
            while let Ok(Some(line)) = said.next_line().await {
                println!("{line}");
            }
        });
        Ok(Self { child, url })
    }

    async fn end(mut self) -> Outcome<()> {
        drop(self.child.stdin.take());
        self.child.wait().await?;
        Ok(())
    }
}

/// What such a process does.
pub(crate) async fn serve(calendar: &str) -> Result<(), Box<dyn Error>> {
    let platform = Platform::replica(calendar, &std::env::var("REDIS_URL")?)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let ended = async {
        let mut input = Vec::new();
        let _ = tokio::io::stdin().read_to_end(&mut input).await;
    };
    Ok(service::serve(listener, platform, ended).await?)
}
