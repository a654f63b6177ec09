//! Reading an entry.

use std::path::{Path, PathBuf};

use mcp_auth::ServerId;
use mcp_core::ProtocolVersion;
use mcp_http::{AllowedHosts, HttpUrl};

use super::fields::{FIELDS, HTTP_FIELDS, KINDS, Kind, STDIO_FIELDS};
use super::{Endpoint, HttpConfig, HttpTransport, ServerConfig, StdioConfig};
use crate::config::auth::AuthConfig;
use crate::config::error::{ConfigError, ConfigWarning, Place};
use crate::config::fields::{Field, Fields};
use crate::config::nearest::nearest;

/// What holds for every entry of a file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Surroundings<'a> {
    /// Where relative paths start.
    pub(crate) directory: Option<&'a Path>,
    /// The file's own `allowedHosts`.
    pub(crate) hosts: Option<&'a AllowedHosts>,
}

impl ServerConfig {
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
                let stdio = StdioConfig::read(&mut fields, &place, directory, warnings)?;
                Endpoint::Stdio(stdio)
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
    fn read(
        fields: &mut Fields<'_>,
        place: &Place,
        directory: Option<&Path>,
        warnings: &mut Vec<ConfigWarning>,
    ) -> Result<Self, ConfigError> {
        let missing = || ConfigError::new(place.clone(), "`command` is missing");
        let mut path = |field: &Field<'_>| {
            let text = field.plain()?;
            if text.starts_with("~/") {
                let problem = "no shell reads this, so `~` is not your home; write the whole path";
                warnings.push(ConfigWarning::new(field.place().clone(), problem));
            }
            Ok(text)
        };
        let command = fields.read("command", &mut path)?.ok_or_else(missing)?;
        let cwd = fields.read("cwd", &mut path)?.map(PathBuf::from);
        let allowed = fields.read("allowUnsafeEnv", Field::strings)?;
        let allowed = allowed.unwrap_or_default();
        let named = |field: &Field<'_>| {
            field
                .entries()?
                .iter()
                .try_for_each(|it| safe(it, it.name(), &allowed))?;
            field.secrets()
        };
        let passed = |field: &Field<'_>| {
            let items = field.items()?;
            let read = |item: &Field<'_>| {
                let name = item.string()?;
                safe(item, &name, &allowed).map(|()| name)
            };
            items.iter().map(read).collect()
        };
        Ok(Self {
            args: fields.read("args", arguments)?.unwrap_or_default(),
            env: fields.read("env", named)?.unwrap_or_default(),
            env_from: fields.read("envFrom", passed)?.unwrap_or_default(),
            inherit_env: fields
                .read("inheritEnv", Field::boolean)?
                .unwrap_or_default(),
            max_children: fields.read("maxChildren", Field::count)?,
            cwd: cwd.map(|cwd| match directory {
                Some(directory) => directory.join(cwd),
                None => cwd,
            }),
            allow_unsafe_env: allowed,
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
        (None, false, false) => {
            let mut names = fields.names();
            let near = names.find(|name| nearest(name, ["url", "command"]).is_some());
            let problem = match near {
                Some(near) => format!("has neither `url` nor `command`; is it `{near}`?"),
                None => "has neither `url` nor `command`".to_owned(),
            };
            Err(ConfigError::new(place.clone(), problem))
        }
    }
}

fn url(field: &Field<'_>) -> Result<HttpUrl, ConfigError> {
    let text = field.plain()?;
    if !text.contains("://") {
        return Err(field.wrong("begins with neither `https://` nor `http://`"));
    }
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

/// A variable that runs other code has to be meant.
fn safe(field: &Field<'_>, name: &str, allowed: &[String]) -> Result<(), ConfigError> {
    if !mcp_stdio::runs_other_code(name) || allowed.iter().any(|known| known == name) {
        return Ok(());
    }
    Err(field.wrong(format!(
        "`{name}` makes a loader or an interpreter run other code; if that is meant, list it in \
         `allowUnsafeEnv`"
    )))
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
