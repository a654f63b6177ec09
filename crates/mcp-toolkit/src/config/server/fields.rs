//! What an entry may hold, and the words that its fields take.

use mcp_core::ProtocolVersion;

use super::HttpTransport;
use crate::config::table::{Form, Known, field, words};

/// What any server may have.
pub(in crate::config) const FIELDS: &[Known] = &[
    field("type", Form::Words(kinds), "How the server is spoken to."),
    field("transport", Form::Words(kinds), "A synonym of `type`."),
    field(
        "protocolVersion",
        Form::Words(versions),
        "The version of MCP to speak; `auto` finds the newest that both sides know.",
    ),
    field(
        "enabledTools",
        Form::Texts,
        "Only these tools, by the server's own names.",
    ),
    field(
        "disabledTools",
        Form::Texts,
        "Not these tools, by the server's own names.",
    ),
    field(
        "toolNamePrefix",
        Form::Text,
        "What the names of the server's tools begin with here.",
    ),
    field(
        "startupTimeout",
        Form::Time,
        "Time until the server has told its version, such as `30s`.",
    ),
    field(
        "toolTimeout",
        Form::Time,
        "Time for a whole call, such as `30s`.",
    ),
    field(
        "disabled",
        Form::Boolean,
        "Whether it is left out unless it is asked for by name.",
    ),
];

/// What a server behind a URL may have besides.
pub(in crate::config) const HTTP_FIELDS: &[Known] = &[
    field("url", Form::Url, "Where the server is."),
    field("headers", Form::Secrets, "Headers of every request."),
    field(
        "headersHelper",
        Form::CommandLine,
        "A command that prints a JSON object of headers; run again when a 401 comes.",
    ),
    field("auth", Form::Auth, "How a token is had."),
    field(
        "allowedHosts",
        Form::Hosts,
        "The only hosts that requests may go to, redirects and the authorization server included; \
         within those that the file allows.",
    ),
];

/// What a child process may have besides.
pub(in crate::config) const STDIO_FIELDS: &[Known] = &[
    field("command", Form::Text, "The program."),
    field(
        "args",
        Form::Arguments,
        "Its arguments. Every user of the machine can see them: secrets belong in `env`.",
    ),
    field(
        "env",
        Form::Secrets,
        "Variables of the child, which win over inherited ones.",
    ),
    field(
        "envFrom",
        Form::Texts,
        "Variables of the parent that the child gets too.",
    ),
    field(
        "inheritEnv",
        Form::Boolean,
        "Whether the child gets all variables of the parent; otherwise HOME, LOGNAME, PATH, SHELL, \
         TERM and USER.",
    ),
    field(
        "allowUnsafeEnv",
        Form::Texts,
        "Variables that may be set although they make a loader or an interpreter run other code, \
         such as `NODE_OPTIONS`.",
    ),
    field(
        "cwd",
        Form::Text,
        "Where the child runs; relative to the file's folder.",
    ),
    field(
        "maxChildren",
        Form::Count,
        "How many processes of the server there may be at once, over all users, each of whom has one \
         of their own; 64 where nothing is said.",
    ),
];

#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Kind {
    Http(HttpTransport),
    Stdio,
}

pub(super) const KINDS: &[(&str, Kind)] = &[
    ("http", Kind::Http(HttpTransport::Http)),
    ("sse", Kind::Http(HttpTransport::Sse)),
    ("stdio", Kind::Stdio),
    ("streamable-http", Kind::Http(HttpTransport::Http)),
    ("streamable_http", Kind::Http(HttpTransport::Http)),
    ("streamableHttp", Kind::Http(HttpTransport::Http)),
];

/// What `type` may say of a server behind a URL.
#[cfg(any(test, feature = "schema"))]
pub(in crate::config) fn http_kinds() -> Vec<&'static str> {
    let http = KINDS.iter().filter(|(_, kind)| *kind != Kind::Stdio);
    http.map(|(word, _)| *word).collect()
}

fn kinds() -> Vec<&'static str> {
    words(KINDS)
}

fn versions() -> Vec<&'static str> {
    let known = ProtocolVersion::ALL.map(ProtocolVersion::as_str);
    std::iter::once("auto").chain(known).collect()
}
