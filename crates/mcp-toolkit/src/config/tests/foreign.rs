//! What other programs' files hold, and where a file's servers may lead.

use super::*;

#[test]
fn what_only_vs_code_understands_is_told_with_what_to_do_instead() {
    let file = config(
        r#"{"inputs": [{"type": "promptString", "id": "token"}],
            "servers": {"one": {"command": "x", "envFile": ".env"}}}"#,
    );
    let told: Vec<_> = file.warnings().iter().map(ToString::to_string).collect();
    assert!(
        told[0].starts_with("line 1: field `inputs`: VS Code asks"),
        "{told:?}"
    );
    assert!(
        told[1].contains("field `envFile`: is VS Code's"),
        "{told:?}"
    );
    for (value, words) in [
        ("${input:token}", "write `${VARIABLE}` or another reference"),
        (
            "x-${env:TOKEN}",
            "is VS Code's spelling; write `${VARIABLE}`",
        ),
    ] {
        let entry = serde_json::json!({"url": "http://h/", "headers": {"A": value}});
        let mistake = mistake(&entry.to_string());
        assert!(
            mistake.contains("field `headers.A`") && mistake.contains(words),
            "{mistake}"
        );
    }
}

#[test]
fn servers_stay_within_the_hosts_of_their_file_and_their_own() {
    let file = config(
        r#"{"allowedHosts": ["*.example.com", "localhost"], "mcpServers": {
            "in": {"url": "https://mcp.example.com/"},
            "own": {"url": "http://localhost:9/", "allowedHosts": ["localhost:9"]},
            "narrow": {"url": "http://localhost:8/", "allowedHosts": ["localhost:9"]},
            "out": {"url": "https://example.org/", "allowedHosts": ["example.org"]},
            "child": {"command": "x"}}}"#,
    );
    assert!(file.warnings().is_empty());
    for name in ["in", "own", "child"] {
        assert!(file.server(name).is_ok(), "{name}");
    }
    for (name, peer) in [("narrow", "localhost:8"), ("out", "example.org:443")] {
        let error = file.server(name).unwrap_err().to_string();
        let words = format!("field `url`: {peer} is not one of `allowedHosts`");
        assert!(error.contains(&words), "{error}");
    }
    let Endpoint::Http(own) = &file.server("own").unwrap().endpoint else {
        panic!("not HTTP");
    };
    let may = |url: &str| {
        let hosts = own.allowed_hosts.as_ref().unwrap();
        hosts.allow(&mcp_http::HttpUrl::parse(url).unwrap())
    };
    assert!(may("http://localhost:9/token") && !may("https://login.example.com/"));
    assert!(warnings(r#"{"command":"x","allowedHosts":["h"]}"#)[0].contains("has no effect"));
    let mistake = mistake(r#"{"url":"http://h/","allowedHosts":["https://h/"]}"#);
    assert!(mistake.contains("field `allowedHosts.0`"), "{mistake}");
}
