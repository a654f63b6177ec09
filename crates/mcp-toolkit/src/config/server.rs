//! One entry of the file: a server, and how to reach it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mcp_auth::ServerId;
use mcp_core::ProtocolVersion;
use mcp_http::{AllowedHosts, HttpUrl};

use super::auth::AuthConfig;
use super::error::{ConfigError, ConfigWarning, Place};
use super::fields::{Field, Fields};
use super::secret::ConfiguredSecret;
use super::table::{Form, Known, field, words};

/// A server of the file, or one that is put together by hand.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The server's name here: its key in the file.
    pub id: ServerId,
    /// Where it is.
    pub endpoint: Endpoint,
    /// The protocol version to speak; `None` finds the newest that both sides know.
    pub protocol: Option<ProtocolVersion>,
    /// Only these tools, by the server's own names.
    pub enabled_tools: Option<Vec<String>>,
    /// Not these tools, by the server's own names.
    pub disabled_tools: Vec<String>,
    /// What exposed names begin with.
    pub tool_name_prefix: Option<String>,
    /// From nothing to a server that has told its version.
    pub startup_timeout: Option<Duration>,
    /// One whole call.
    pub tool_timeout: Option<Duration>,
    /// Left out unless it is asked for by name.
    pub disabled: bool,
}

/// Where a server is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Endpoint {
    /// Behind a URL.
    Http(HttpConfig),
    /// A child process.
    Stdio(StdioConfig),
}

/// A server behind a URL.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpConfig {
    /// Its URL.
    pub url: HttpUrl,
    /// How it is spoken to.
    pub transport: HttpTransport,
    /// Headers of every request.
    pub headers: Vec<(String, ConfiguredSecret)>,
    /// A program and its arguments that prints a JSON object of headers.
    pub headers_helper: Option<Vec<String>>,
    /// How a token is had.
    pub auth: Option<AuthConfig>,
    /// The only hosts that requests may go to: those of the file and those of the entry, where both
    /// say.
    pub allowed_hosts: Option<AllowedHosts>,
}

/// How a server behind a URL is spoken to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum HttpTransport {
    /// Streamable HTTP, and HTTP+SSE where the server turns out to be of that time.
    #[default]
    Auto,
    /// Streamable HTTP.
    Http,
    /// HTTP+SSE.
    Sse,
}

/// A child process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StdioConfig {
    /// The program.
    pub command: String,
    /// Its arguments. Every user of the machine can see them: secrets belong in `env`.
    pub args: Vec<String>,
    /// Variables, which win over inherited ones.
    pub env: Vec<(String, ConfiguredSecret)>,
    /// Variables of this process to pass on.
    pub env_from: Vec<String>,
    /// Whether the child gets all variables of this process.
    pub inherit_env: bool,
    /// Variables that may be set although they make a loader or interpreter run other code.
    pub allow_unsafe_env: Vec<String>,
    /// Where it runs.
    pub cwd: Option<PathBuf>,
}

/// What any server may have.
pub(super) const FIELDS: &[Known] = &[
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
pub(super) const HTTP_FIELDS: &[Known] = &[
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
pub(super) const STDIO_FIELDS: &[Known] = &[
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
];

/// What holds for every entry of a file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Surroundings<'a> {
    /// Where relative paths start.
    pub(crate) directory: Option<&'a Path>,
    /// The file's own `allowedHosts`.
    pub(crate) hosts: Option<&'a AllowedHosts>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Http(HttpTransport),
    Stdio,
}

const KINDS: &[(&str, Kind)] = &[
    ("http", Kind::Http(HttpTransport::Http)),
    ("sse", Kind::Http(HttpTransport::Sse)),
    ("stdio", Kind::Stdio),
    ("streamable-http", Kind::Http(HttpTransport::Http)),
    ("streamable_http", Kind::Http(HttpTransport::Http)),
    ("streamableHttp", Kind::Http(HttpTransport::Http)),
];

/// What `type` may say of a server behind a URL.
#[cfg(any(test, feature = "schema"))]
pub(super) fn http_kinds() -> Vec<&'static str> {
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

impl ServerConfig {
    /// A server with nothing said about it but where it is.
    pub fn new(id: ServerId, endpoint: Endpoint) -> Self {
        Self {
            id,
            endpoint,
            protocol: None,
            enabled_tools: None,
            disabled_tools: Vec::new(),
            tool_name_prefix: None,
            startup_timeout: None,
            tool_timeout: None,
            disabled: false,
        }
    }

    /// Reads an entry of the file.
    pub(crate) fn read(
        entry: &Field<'_>,
        surroundings: Surroundings<'_>,
        warnings: &mut Vec<ConfigWarning>,
    ) -> Result<Self, ConfigError> {
        let id = ServerId::new(entry.name()).map_err(|error| entry.wrong(error.to_string()))?;
        let place = Place {
            server: Some(id.as_str().into()),
            field: None,
            ..entry.place().clone()
        };
        let known = &[FIELDS, HTTP_FIELDS, STDIO_FIELDS];
        let mut fields = Fields::of(entry.node(), &place, known, warnings)?;
        let endpoint = match kind(&mut fields, &place)? {
            Kind::Http(transport) => {
                let http = HttpConfig::read(&mut fields, &place, surroundings.hosts, warnings)?;
                Endpoint::Http(HttpConfig { transport, ..http })
            }
            Kind::Stdio => {
                let directory = surroundings.directory;
                Endpoint::Stdio(StdioConfig::read(&mut fields, &place, directory)?)
            }
        };
        let read = Self {
            protocol: fields.read("protocolVersion", version)?.flatten(),
            enabled_tools: fields.read("enabledTools", Field::strings)?,
            disabled_tools: fields
                .read("disabledTools", Field::strings)?
                .unwrap_or_default(),
            tool_name_prefix: fields.read("toolNamePrefix", Field::plain)?,
            startup_timeout: fields.read("startupTimeout", Field::duration)?,
            tool_timeout: fields.read("toolTimeout", Field::duration)?,
            disabled: fields.read("disabled", Field::boolean)?.unwrap_or_default(),
            ..Self::new(id, endpoint)
        };
        fields.finish(warnings);
        Ok(read)
    }
}

impl HttpConfig {
    /// A server behind a URL, spoken to without credentials.
    pub fn new(url: HttpUrl) -> Self {
        Self {
            url,
            transport: HttpTransport::Auto,
            headers: Vec::new(),
            headers_helper: None,
            auth: None,
            allowed_hosts: None,
        }
    }

    fn read(
        fields: &mut Fields<'_>,
        place: &Place,
        of_file: Option<&AllowedHosts>,
        warnings: &mut Vec<ConfigWarning>,
    ) -> Result<Self, ConfigError> {
        let missing = || ConfigError::new(place.clone(), "`url` is missing");
        let field = fields.take("url").ok_or_else(missing)?;
        let url = url(&field)?;
        let own = fields.read("allowedHosts", Field::hosts)?;
        let hosts = match (own, of_file) {
            (Some(own), Some(of_file)) => Some(of_file.and(&own)),
            (own, of_file) => own.or_else(|| of_file.cloned()),
        };
        if let Some(hosts) = hosts.as_ref().filter(|hosts| !hosts.allow(&url)) {
            let peer = url.peer();
            return Err(field.wrong(format!("{peer} is not one of `allowedHosts` ({hosts})")));
        }
        let auth = fields.take("auth");
        Ok(Self {
            allowed_hosts: hosts,
            headers: fields.read("headers", Field::secrets)?.unwrap_or_default(),
            headers_helper: fields.read("headersHelper", Field::command_line)?,
            auth: auth
                .map(|auth| AuthConfig::read(&auth, warnings))
                .transpose()?,
            ..Self::new(url)
        })
    }
}

impl StdioConfig {
    /// A child process with the short safe environment.
    pub fn new(command: impl Into<String>) -> Self {
        Self {
            command: command.into(),
            args: Vec::new(),
            env: Vec::new(),
            env_from: Vec::new(),
            inherit_env: false,
            allow_unsafe_env: Vec::new(),
            cwd: None,
        }
    }

    fn read(
        fields: &mut Fields<'_>,
        place: &Place,
        directory: Option<&Path>,
    ) -> Result<Self, ConfigError> {
        let missing = || ConfigError::new(place.clone(), "`command` is missing");
        let command = fields.read("command", Field::plain)?.ok_or_else(missing)?;
        let list = |fields: &mut Fields<'_>, name| fields.read(name, Field::strings);
        let cwd = fields.read("cwd", Field::plain)?.map(PathBuf::from);
        Ok(Self {
            args: fields.read("args", arguments)?.unwrap_or_default(),
            env: fields.read("env", Field::secrets)?.unwrap_or_default(),
            env_from: list(fields, "envFrom")?.unwrap_or_default(),
            inherit_env: fields
                .read("inheritEnv", Field::boolean)?
                .unwrap_or_default(),
            allow_unsafe_env: list(fields, "allowUnsafeEnv")?.unwrap_or_default(),
            cwd: cwd.map(|cwd| match directory {
                Some(directory) => directory.join(cwd),
                None => cwd,
            }),
            ..Self::new(command)
        })
    }
}

/// What the entry says it is, or what its fields say.
fn kind(fields: &mut Fields<'_>, place: &Place) -> Result<Kind, ConfigError> {
    let (url, command) = (fields.has("url"), fields.has("command"));
    let said = fields.take("type");
    let synonym = fields.take("transport");
    let read = |field: &Option<Field<'_>>| field.as_ref().map(|it| it.one_of(KINDS)).transpose();
    let kind = match (read(&said)?, read(&synonym)?) {
        (Some(one), Some(other)) if one != other => {
            let problem = "`type` and `transport` say different things";
            return Err(ConfigError::new(place.clone(), problem));
        }
        (one, other) => one.or(other),
    };
    match (kind, url, command) {
        (Some(kind), ..) => Ok(kind),
        (None, true, false) => Ok(Kind::Http(HttpTransport::Auto)),
        (None, false, true) => Ok(Kind::Stdio),
        (None, true, true) => Err(ConfigError::new(
            place.clone(),
            "has both `url` and `command`; say with `type` which is meant",
        )),
        (None, false, false) => Err(ConfigError::new(
            place.clone(),
            "has neither `url` nor `command`",
        )),
    }
}

fn url(field: &Field<'_>) -> Result<HttpUrl, ConfigError> {
    let text = field.plain()?;
    HttpUrl::parse(&text).map_err(|error| {
        let cause = std::error::Error::source(&error);
        field.wrong(match cause {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        })
    })
}

fn version(field: &Field<'_>) -> Result<Option<ProtocolVersion>, ConfigError> {
    let text = field.string()?;
    if text == "auto" {
        return Ok(None);
    }
    ProtocolVersion::parse(&text).map(Some).ok_or_else(|| {
        let known = ProtocolVersion::ALL.map(ProtocolVersion::as_str).join(", ");
        field.wrong(format!("is neither `auto` nor one of {known}"))
    })
}

/// Arguments can be seen by every user of the machine, so no secret may become one.
fn arguments(field: &Field<'_>) -> Result<Vec<String>, ConfigError> {
    let items = field.items()?;
    let read = |item: &Field<'_>| {
        if item.is_reference() {
            return Err(item.wrong(
                "every user of the machine can see arguments, so a reference is not replaced here; \
                 give the value to the child with `env`",
            ));
        }
        item.string()
    };
    items.iter().map(read).collect()
}
