//! Files as people write them, right and wrong.

use std::time::Duration;

use mcp_auth::{ExposeSecret, SecretScope};
use mcp_core::{ErrorKind, ProtocolVersion};

use super::*;

mod foreign;
mod hints;

fn config(text: &str) -> Config {
    Config::parse(text).unwrap()
}

fn server(entry: &str) -> ServerConfig {
    let config = config(&format!(r#"{{"mcpServers": {{"one": {entry}}}}}"#));
    config.server("one").unwrap().clone()
}

fn mistake(entry: &str) -> String {
    let config = config(&format!("{{\"mcpServers\": {{\n\"one\": {entry}}}}}"));
    let error = config.server("one").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

fn http(entry: &str) -> HttpConfig {
    match server(entry).endpoint {
        Endpoint::Http(http) => http,
        Endpoint::Stdio(_) => panic!("{entry} is no HTTP server"),
    }
}

fn stdio(entry: &str) -> StdioConfig {
    match server(entry).endpoint {
        Endpoint::Stdio(stdio) => stdio,
        Endpoint::Http(_) => panic!("{entry} is no child"),
    }
}

fn warnings(entry: &str) -> Vec<String> {
    let config = config(&format!(r#"{{"servers": {{"one": {entry}}}}}"#));
    config.warnings().iter().map(ToString::to_string).collect()
}

fn scope() -> SecretScope {
    SecretScope::new().with_lookup(|name| (name == "SET").then(|| "test-value".into()))
}

#[test]
fn servers_keep_their_order_whatever_they_stand_under() {
    let config = config(
        r#"{ // Visual Studio Code
            "servers": {"z": {"url": "http://localhost/"}, "a": {"command": "x"},},
            "mcpServers": {"m": {"url": "http://localhost/"}} /* both */ }"#,
    );
    assert_eq!(config.names().collect::<Vec<_>>(), ["m", "z", "a"]);
    assert!(config.warnings().is_empty());
}

#[test]
fn the_transport_is_said_or_found() {
    for (entry, transport) in [
        (r#"{"url":"http://h/"}"#, HttpTransport::Auto),
        (r#"{"url":"http://h/","type":"http"}"#, HttpTransport::Http),
        (
            r#"{"url":"http://h/","transport":"sse"}"#,
            HttpTransport::Sse,
        ),
        (
            r#"{"url":"http://h/","type":"streamable-http"}"#,
            HttpTransport::Http,
        ),
        (
            r#"{"url":"http://h/","type":"streamable_http"}"#,
            HttpTransport::Http,
        ),
        (
            r#"{"url":"http://h/","type":"streamableHttp"}"#,
            HttpTransport::Http,
        ),
        (
            r#"{"url":"http://h/","type":"http","transport":"streamable-http"}"#,
            HttpTransport::Http,
        ),
    ] {
        assert_eq!(http(entry).transport, transport, "{entry}");
    }
    assert_eq!(stdio(r#"{"command":"x"}"#).command, "x");
    assert_eq!(stdio(r#"{"type":"stdio","command":"x"}"#).command, "x");
    for (entry, words) in [
        (
            r#"{"type":"htp","url":"http://h/"}"#,
            "did you mean `http`?",
        ),
        (
            r#"{"type":"carrier pigeon"}"#,
            "is not one of `http`, `sse`",
        ),
        (
            r#"{"type":"stdio","url":"http://h/"}"#,
            "`command` is missing",
        ),
        (r#"{"type":"sse","command":"x"}"#, "`url` is missing"),
        (
            r#"{"type":"sse","transport":"http","url":"http://h/"}"#,
            "different things",
        ),
        (r#"{"url":"http://h/","command":"x"}"#, "has both"),
        ("{}", "has neither"),
        ("7", "must be an object, and is a number"),
    ] {
        let mistake = mistake(entry);
        assert!(mistake.contains(words), "{entry}: {mistake}");
    }
}

#[test]
fn every_field_of_a_child_is_read() {
    let child = stdio(
        r#"{"command":"npx","args":["-y","server"],"env":{"TOKEN":"${SET}","B":{"env":"SET"}},
            "envFrom":["LANG"],"inheritEnv":true,"allowUnsafeEnv":["NODE_OPTIONS"],"cwd":"sub"}"#,
    );
    assert_eq!(child.args, ["-y", "server"]);
    let names: Vec<_> = child.env.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["TOKEN", "B"]);
    assert_eq!(child.env_from, ["LANG"]);
    assert!(child.inherit_env);
    assert_eq!(child.allow_unsafe_env, ["NODE_OPTIONS"]);
    assert_eq!(child.cwd.as_deref(), Some(std::path::Path::new("sub")));
}

#[test]
fn what_any_server_can_have_is_read() {
    let one = server(
        r#"{"url":"https://h/","protocolVersion":"2025-06-18","enabledTools":["a"],
            "disabledTools":["b"],"toolNamePrefix":"x_","startupTimeout":"1m 30s",
            "toolTimeout":"500ms","disabled":true,"auth":null}"#,
    );
    assert_eq!(one.protocol, Some(ProtocolVersion::V2025_06_18));
    assert_eq!(one.enabled_tools.unwrap(), ["a"]);
    assert_eq!(one.disabled_tools, ["b"]);
    assert_eq!(one.tool_name_prefix.as_deref(), Some("x_"));
    assert_eq!(one.startup_timeout, Some(Duration::from_secs(90)));
    assert_eq!(one.tool_timeout, Some(Duration::from_millis(500)));
    assert!(one.disabled);
    assert_eq!(
        server(r#"{"command":"x","protocolVersion":"auto"}"#).protocol,
        None
    );
    for (entry, words) in [
        (
            r#"{"command":"x","toolTimeout":30}"#,
            "write a time such as",
        ),
        (
            r#"{"command":"x","toolTimeout":"soon"}"#,
            "not a time such as `30s`",
        ),
        (
            r#"{"command":"x","startupTimeout":"0s"}"#,
            "not a time such as `30s`",
        ),
        (
            r#"{"command":"x","protocolVersion":"1.0"}"#,
            "neither `auto` nor one of 2026-07-28",
        ),
        (
            r#"{"command":"x","disabled":"yes"}"#,
            "must be `true` or `false`, and is a string",
        ),
    ] {
        let mistake = mistake(entry);
        assert!(mistake.contains(words), "{entry}: {mistake}");
    }
}

#[test]
fn credentials_stay_references_until_they_are_read() {
    let one = http(
        r#"{"url":"http://h/","headers":{"Authorization":"Bearer ${SURELY_UNSET_VARIABLE}",
            "X-Tenant":"${SURELY_UNSET_VARIABLE:-acme}"},"headersHelper":"helper --of 'one server'",
            "auth":{"type":"command","command":["prog","arg"]}}"#,
    );
    assert_eq!(one.headers.len(), 2);
    assert_eq!(
        one.headers_helper.unwrap(),
        ["helper", "--of", "one server"]
    );
    assert!(matches!(one.auth, Some(AuthConfig::Command(words)) if words == ["prog", "arg"]));
    let bearer = http(r#"{"url":"http://h/","auth":{"type":"bearer","token":{"file":"t"}}}"#);
    assert!(matches!(bearer.auth, Some(AuthConfig::Bearer(_))));
}

#[tokio::test]
async fn an_unset_variable_names_server_field_and_variable() {
    let one = http(r#"{"url":"http://h/","headers":{"A":"${SET}","B":"x-${UNSET}"}}"#);
    let resolved = one.headers[0].1.resolve(&scope()).await.unwrap();
    assert_eq!(resolved.expose_secret(), "test-value");
    let error = one.headers[1].1.resolve(&scope()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        error.to_string(),
        "line 1: server `one`, field `headers.B`: environment variable `UNSET` is not set"
    );
}

#[test]
fn oauth_is_read_whole() {
    let one = http(
        r#"{"url":"http://h/","auth":{"type":"oauth","grant":"client_credentials",
            "client_id":"c","client_secret":"${SET}",
            "token_endpoint_auth_method":"client_secret_post","scopes":"a b","dpop":"prefer",
            "assertion_audience":"token_endpoint","idp":{"issuer":"https://idp/"}}}"#,
    );
    let Some(AuthConfig::OAuth(oauth)) = one.auth else {
        panic!("no OAuth");
    };
    assert_eq!(oauth.grant, OAuthGrant::ClientCredentials);
    assert_eq!(oauth.client_auth, Some(ClientAuthMethod::SecretPost));
    assert_eq!(oauth.scopes, ["a", "b"]);
    assert_eq!(oauth.dpop, Dpop::Prefer);
    assert_eq!(oauth.assertion_audience, AssertionAudience::TokenEndpoint);
    assert_eq!(oauth.idp.unwrap().issuer.as_deref(), Some("https://idp/"));
}

#[test]
fn unknown_fields_are_warned_about_with_the_nearest_name() {
    assert_eq!(
        warnings(
            r#"{"url":"http://h/","header":{},"auth":{"type":"bearer","token":"${T}","tokn":1}}"#
        ),
        [
            "line 1: server `one`, field `header`: unknown field; did you mean `headers`?",
            "line 1: server `one`, field `auth.tokn`: unknown field; did you mean `token`?",
        ]
    );
    assert_eq!(
        warnings(r#"{"command":"x","headers":{},"autoApprove":[]}"#),
        [
            "line 1: server `one`, field `autoApprove`: unknown field",
            "line 1: server `one`, field `headers`: has no effect on a server of this type",
        ]
    );
}

#[test]
fn mistakes_are_placed_and_never_show_a_value() {
    for (entry, place) in [
        (
            r#"{"url":"canary"}"#,
            "field `url`: begins with neither `https://`",
        ),
        (
            r#"{"url":"http://:canary"}"#,
            "field `url`: the URL is malformed",
        ),
        (r#"{"url":"ftp://canary/"}"#, "field `url`"),
        (r#"{"url":"http://user:canary@h/"}"#, "field `url`"),
        (
            r#"{"url":"http://${CANARY}/canary"}"#,
            "`headers`, `env` and `auth` only",
        ),
        (
            r#"{"url":"http://h/","headers":{"A":["canary"]}}"#,
            "field `headers.A`",
        ),
        (
            r#"{"url":"http://h/","headers":{"A":{"evn":"canary"}}}"#,
            "field `headers.A`",
        ),
        (
            r#"{"url":"http://h/","headers":{"A":"${canary canary}"}}"#,
            "field `headers.A`",
        ),
        (
            r#"{"url":"http://h/","headers":"canary"}"#,
            "field `headers`",
        ),
        (
            r#"{"url":"http://h/","headersHelper":"a 'canary"}"#,
            "field `headersHelper`",
        ),
        (
            r#"{"url":"http://h/","auth":{"type":"bearer","token":7}}"#,
            "field `auth.token`",
        ),
        (
            r#"{"url":"http://h/","auth":{"type":"bearer"}}"#,
            "field `auth`: `token` is missing",
        ),
        (
            r#"{"url":"http://h/","auth":{"type":"canary"}}"#,
            "field `auth.type`",
        ),
        (
            r#"{"url":"http://h/","auth":{"token":"canary"}}"#,
            "field `auth`: `type` is missing",
        ),
        (
            r#"{"command":"x","args":["--key","${CANARY}"]}"#,
            "field `args.1`: every user",
        ),
        (
            r#"{"command":"x","args":[{"env":"CANARY"}]}"#,
            "field `args.0`: every user",
        ),
        (r#"{"command":"x","env":{"A":1}}"#, "field `env.A`"),
        (
            r#"{"command":"x","env":{"A":"canary","A":"canary"}}"#,
            "field `env.A`: is given twice",
        ),
        (r#"{"command":["canary"]}"#, "field `command`"),
    ] {
        let mistake = mistake(entry);
        assert!(mistake.starts_with("line 2: server `one`"), "{mistake}");
        assert!(mistake.contains(place), "{entry}: {mistake}");
        let shown = mistake.to_lowercase();
        assert!(!shown.contains("canary"), "{mistake}");
    }
}

#[test]
fn a_wrong_entry_does_not_lose_the_others() {
    let config = config(r#"{"mcpServers":{"bad":{"url":7},"good":{"command":"x"}}}"#);
    assert!(config.server("bad").is_err());
    assert!(config.server("good").is_ok());
    let error = config.server("goood").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownServer);
    assert!(error.to_string().ends_with("there is good, bad"), "{error}");
}

#[test]
fn texts_that_are_no_configuration_say_why() {
    for (text, words) in [
        (
            "{\n\"mcpServers\": {\n",
            "line 3: not JSON: EOF while parsing an object",
        ),
        ("[]", "line 1: must be an object, and is a list"),
        ("{}", "has neither `mcpServers` nor `servers`"),
        (r#"{"mcpServer":{}}"#, "is it `mcpServer`?"),
        (
            r#"{"mcpServers":[]}"#,
            "field `mcpServers`: must be an object",
        ),
        (
            r#"{"mcpServers":{"a":{}},"servers":{"a":{}}}"#,
            "stands in both",
        ),
        (r#"{"mcpServers":{"a":{},"a":{}}}"#, "is given twice"),
    ] {
        let error = Config::parse(text).unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Config::parse(&deep).is_err());
}

#[test]
fn files_are_named_and_paths_start_at_their_folder() {
    let missing = Config::load("no/such/mcp.json").unwrap_err();
    assert!(
        missing
            .to_string()
            .starts_with("no/such/mcp.json: the file cannot be read")
    );
    let first = config(r#"{"servers":{"a":{"command":"1"},"b":{"command":"2"}}}"#);
    let second = config(r#"{"servers":{"c":{"command":"3"},"a":{"command":"4"}}}"#);
    let merged = first.merge(second);
    assert_eq!(merged.names().collect::<Vec<_>>(), ["a", "b", "c"]);
    let Endpoint::Stdio(a) = &merged.server("a").unwrap().endpoint else {
        panic!("not a child");
    };
    assert_eq!(a.command, "4");
}
