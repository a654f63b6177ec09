//! Plays the tenants: what each of them sees, and does not.

use std::error::Error;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderValue, Method};
use mcp_toolkit::http::{HttpClient, HttpRequest, HttpUrl};
use serde_json::Value;

use crate::McpServers;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

pub(crate) async fn play(url: &str, servers: &McpServers) -> Outcome<()> {
    let service = Service::at(url);
    let sent = || servers.notes.seen().len() + servers.rooms.seen().len();

    println!("\n== Each tenant sees its own tools and is known by its own name");
    for user in ["alice", "bob", "carol"] {
        service.tools(user).await?;
        service.post(user, "/call/notes_whoami", "").await?;
    }
    println!("\n== What was loaded is kept");
    let before = sent();
    service.tools("alice").await?;
    println!("the MCP servers got {} requests", sent() - before);

    println!("\n== What is not yours is not there, and who is nobody gets nothing");
    service.post("alice", "/call/notes_read-notes", "").await?;
    service.post("bob", "/call/notes_read-notes", "").await?;
    service.post("mallory", "/call/notes_whoami", "").await?;
    let wrong = r#"{ "a": "one", "b": 2 }"#;
    service.post("alice", "/call/notes_add", wrong).await?;

    println!("\n== One who floods is held up, alone");
    for _ in 0..5 {
        service.post("carol", "/call/rooms_whoami", "").await?;
    }
    service.post("bob", "/call/rooms_whoami", "").await?;

    println!("\n== Alice logs out of rooms: her session is ended, her token forgotten");
    service.post("alice", "/logout/rooms", "").await?;
    service.tools("alice").await?;
    for user in ["alice", "bob"] {
        let tokens = servers.rooms.tokens().issued(user);
        println!("rooms gave {user} {tokens} tokens");
    }
    Ok(())
}

/// The service, as tenants see it.
pub(crate) struct Service<'a> {
    client: HttpClient,
    url: &'a str,
}

impl<'a> Service<'a> {
    pub(crate) fn at(url: &'a str) -> Self {
        let client = HttpClient::new();
        Self { client, url }
    }

    /// Gives what the service says of the user's servers.
    pub(crate) async fn tools(&self, user: &str) -> Outcome<Value> {
        let (_, has) = self.send(Method::GET, user, "/tools", "").await?;
        let tools = has["tools"].as_array().into_iter().flatten();
        let names: Vec<_> = tools.filter_map(|tool| tool["name"].as_str()).collect();
        println!("{user} has {}", names.join(", "));
        println!("{user}'s servers: {}", has["servers"]);
        Ok(has["servers"].clone())
    }

    pub(crate) async fn post(&self, user: &str, path: &str, body: &'static str) -> Outcome<u16> {
        let (status, said) = self.send(Method::POST, user, path, body).await?;
        let said = said["text"].as_str().or(said["error"].as_str());
        println!("{user} {path}: {status} {}", said.unwrap_or_default());
        Ok(status)
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        user: &str,
        path: &str,
        body: &'static str,
    ) -> Outcome<(u16, Value)> {
        let url = HttpUrl::parse(&format!("{}{path}", self.url))?;
        let key = HeaderValue::from_str(&format!("Bearer test-key-{user}"))?;
        let mut request = HttpRequest::new(method, &url).header(AUTHORIZATION, key);
        request.body = body.into();
        let response = self.client.send(request).await?;
        let status = response.status().as_u16();
        let body = response.bytes(1024 * 1024).await?;
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }
}
