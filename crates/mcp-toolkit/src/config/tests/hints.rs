//! Mistakes that people make, and whether what they are told helps them.

use super::*;

/// What is wrong with a whole text.
fn wrong(text: &str) -> String {
    Config::parse(text).unwrap_err().to_string()
}

#[test]
fn files_without_servers() {
    assert!(wrong("").contains("is empty"));
    assert!(wrong("\u{feff} // nothing yet\n").contains("is empty"));
    let flat = wrong(r#"{"version": 1, "github": {"url": "https://example.com/"}}"#);
    assert!(
        flat.contains("`github` looks like a server: put it into `mcpServers`"),
        "{flat}"
    );
    let other = wrong(r#"{"theme": {"name": "dark"}}"#);
    assert!(other.ends_with("has neither `mcpServers` nor `servers`"));
    assert!(wrong(r#"{"mcpservers": {}}"#).contains("is it `mcpservers`?"));
}

#[test]
fn quotes_that_a_word_processor_made() {
    for text in [
        "{'mcpServers': {}}",
        "{\u{201c}mcpServers\u{201d}: {}}",
        "{\"mcpServers\":\n {\"a\": {\"command\": \u{2018}x\u{2019}}}}",
    ] {
        let told = wrong(text);
        assert!(told.contains("straight double quotes"), "{told}");
    }
    assert!(!wrong("{mcpServers: {}}").contains("quotes"));
}

#[test]
fn files_that_are_no_utf_8() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mcp.json");
    let text = r#"{"mcpServers": {}}"#;
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [b"\xff\xfe".as_slice(), &wide].concat();
    let latin = b"{\"mcpServers\": {\"caf\xe9\": {}}}".to_vec();
    for (bytes, words) in [
        (wide, "is not UTF-8, but UTF-16, it seems; save it as UTF-8"),
        (
            marked,
            "is not UTF-8, but UTF-16, it seems; save it as UTF-8",
        ),
        (latin, "is not UTF-8; save it as UTF-8"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let told = Config::load(&path).unwrap_err().to_string();
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn entries_that_are_nearly_right() {
    for (entry, words) in [
        (
            r#"{"comand": "x"}"#,
            "has neither `url` nor `command`; is it `comand`?",
        ),
        (
            r#"{"command": "x", "toolTimeout": 30}"#,
            "field `toolTimeout`: has no unit; write a time such as `\"30s\"`",
        ),
        (
            r#"{"command": "x", "startupTimeout": "2.5"}"#,
            "field `startupTimeout`: has no unit",
        ),
        (
            r#"{"command": "x", "toolTimeout": "soon"}"#,
            "is not a time such as",
        ),
        (
            r#"{"url": "example.com/mcp"}"#,
            "field `url`: begins with neither `https://` nor `http://`",
        ),
        (
            r#"{"url": "https://example.com/", "auth": "oauth"}"#,
            "field `auth`: is an object, such as `{\"type\": \"oauth\"}`",
        ),
        (
            r#"{"command": "x", "env": {"NODE_OPTIONS": "--x"}}"#,
            "field `env.NODE_OPTIONS`: `NODE_OPTIONS` makes a loader",
        ),
        (
            r#"{"command": "x", "envFrom": ["HOME", "LD_PRELOAD"]}"#,
            "field `envFrom.1`: `LD_PRELOAD` makes a loader",
        ),
        (
            r#"{"command": "x", "maxChildren": 0}"#,
            "field `maxChildren`: must be a whole number from 1",
        ),
        (
            r#"{"command": "x", "maxChildren": 1.5}"#,
            "field `maxChildren`: must be a whole number from 1",
        ),
        (
            r#"{"command": "x", "maxChildren": "8"}"#,
            "must be a whole number, and is a string",
        ),
    ] {
        let told = mistake(entry);
        assert!(told.contains(words), "{told}");
        assert!(told.starts_with("line 2: server `one`"), "{told}");
    }
    let meant =
        r#"{"command": "x", "env": {"NODE_OPTIONS": "--x"}, "allowUnsafeEnv": ["NODE_OPTIONS"]}"#;
    assert_eq!(stdio(meant).allow_unsafe_env, ["NODE_OPTIONS"]);
}

#[test]
fn a_bound_on_children_reaches_the_server() {
    assert_eq!(
        stdio(r#"{"command": "x", "maxChildren": 8}"#).max_children,
        Some(8)
    );
    assert_eq!(stdio(r#"{"command": "x"}"#).max_children, None);
    let told = warnings(r#"{"url": "https://example.com/", "maxChildren": 8}"#);
    assert!(told[0].contains("has no effect on a server of this type"));
}

#[test]
fn a_home_that_no_shell_writes_out() {
    let told = warnings(r#"{"command": "~/bin/x", "cwd": "~/data"}"#);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("field `command`: no shell reads this"));
    assert!(told[1].contains("field `cwd`: no shell reads this"));
    assert!(warnings(r#"{"command": "x", "cwd": "/~"}"#).is_empty());
}
