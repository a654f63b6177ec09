//! A user who goes where the command says, and comes back.

use mcp_http::{HttpClient, HttpRequest, HttpUrl};
use mcp_testbed::oauth::AuthServer;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::command::{Ran, Shell, finish};

/// Where the authorization endpoint sends the user back to.
pub(crate) async fn consent(url: &str) -> String {
    let url = HttpUrl::parse(url).unwrap();
    let response = HttpClient::new()
        .send(HttpRequest::get(&url))
        .await
        .unwrap();
    response.header(&http::header::LOCATION).unwrap().to_owned()
}

/// A shell whose browser writes down what it is to open, and whose file knows the server.
pub(crate) fn shell(server: &AuthServer, auth: &Value) -> Shell {
    let shell = Shell::new()
        .var("BROWSER", "sh browser.sh")
        .var("RUST_LOG", "mcp_oauth=trace");
    shell.write("browser.sh", "echo \"$1\" > url");
    let mut auth = auth.clone();
    auth["type"] = "oauth".into();
    shell.write(
        "mcp.json",
        &json!({ "mcpServers": { "one": { "url": server.url(), "auth": auth } } }).to_string(),
    );
    shell
}

/// Logs in by the browser; `spoil` changes where the browser comes back to.
pub(crate) async fn log_in(shell: &Shell, words: &[&str], spoil: impl Fn(String) -> String) -> Ran {
    let mut all = vec!["login", "--json"];
    all.extend(words);
    let opened = shell.pipe("url");
    let running = shell.start(&all);
    let url = opened.line().await;
    let back = HttpUrl::parse(&spoil(consent(&url).await)).unwrap();
    let browser = HttpClient::new();
    let page = browser.send(HttpRequest::get(&back));
    let (ran, page) = tokio::join!(finish(running), page);
    assert_eq!(page.unwrap().status(), 200);
    assert!(
        ran.stderr.contains(&url),
        "the URL is printed as well: {}",
        ran.stderr
    );
    ran
}

/// Logs in by hand: reads the URL from standard error, and writes the callback to standard input.
pub(crate) async fn log_in_by_hand(
    shell: &Shell,
    words: &[&str],
    spoil: impl Fn(String) -> String,
) -> Ran {
    let mut all = vec!["login", "--headless", "--json"];
    all.extend(words);
    let mut running = shell.start(&all);
    let stderr = running.stderr.take().unwrap();
    let mut lines = BufReader::new(stderr).lines();
    let url = loop {
        let line = lines.next_line().await.unwrap().expect("a URL");
        if line.starts_with("http://") {
            break line;
        }
    };
    let callback = spoil(consent(&url).await);
    let mut stdin = running.stdin.take().unwrap();
    stdin
        .write_all(format!("{callback}\n").as_bytes())
        .await
        .unwrap();
    let rest = async {
        let mut rest = String::new();
        while let Ok(Some(line)) = lines.next_line().await {
            rest.push_str(&line);
            rest.push('\n');
        }
        rest
    };
    // Standard input stays open: the command must not wait for its end.
    let (mut ran, rest) = tokio::join!(finish(running), rest);
    drop(stdin);
    ran.stderr = rest;
    ran
}

/// Nobody changes anything on the way back.
pub(crate) fn as_it_is(url: String) -> String {
    url
}
