//! Which servers are meant: those of the files, or the one on the command line.

use std::path::Path;

use mcp_auth::{Principal, SecretRef, ServerId};
use mcp_core::Error;
use mcp_http::HttpUrl;
use mcp_toolkit::config::{
    AuthConfig, Config, ConfigWarning, ConfiguredSecret, Endpoint, HttpConfig, HttpTransport,
    ServerConfig, StdioConfig,
};

use crate::args::{CommonArgs, TargetArgs, TransportArg};
use crate::terminal::{self, Role};

/// The name of a server that stands in no file.
pub(crate) const ADHOC: &str = "adhoc";

/// A server that was asked for, and what is known of it.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) name: String,
    pub(crate) server: Result<ServerConfig, Error>,
    /// What in its entry works and is probably not what was meant.
    pub(crate) warnings: Vec<ConfigWarning>,
}

impl Chosen {
    fn new(name: &str, server: Result<ServerConfig, Error>) -> Self {
        Self {
            name: name.to_owned(),
            server,
            warnings: Vec::new(),
        }
    }
}

/// The servers of these names; all that are not disabled when none is named.
///
/// # Errors
/// When no file can be read. A server that is unknown or wrong is one of the chosen.
pub(crate) fn to_list(
    names: &[String],
    common: &CommonArgs,
    target: &TargetArgs,
) -> Result<Vec<Chosen>, Error> {
    if target.is_given() {
        return Ok(vec![Chosen::new(ADHOC, adhoc(target))]);
    }
    let config = config(&common.configs)?;
    warn(&config, names);
    Ok(select(&config, names))
}

fn select(config: &Config, names: &[String]) -> Vec<Chosen> {
    if !names.is_empty() {
        return names.iter().map(|name| chosen(config, name)).collect();
    }
    let enabled = config
        .servers()
        .filter(|(_, entry)| !entry.is_ok_and(|server| server.disabled));
    let chosen: Vec<_> = enabled.map(|(name, _)| chosen(config, name)).collect();
    if chosen.is_empty() && config.names().next().is_some() {
        let words = "every server of the file is `disabled`; name one to ask it all the same";
        terminal::complain(Role::Warning, "warning", words);
    }
    chosen
}

/// The same servers, to be examined: what is odd in their entries is told with them.
///
/// # Errors
/// When no file can be read.
pub(crate) fn to_examine(
    names: &[String],
    common: &CommonArgs,
    target: &TargetArgs,
) -> Result<Vec<Chosen>, Error> {
    if target.is_given() {
        return to_list(names, common, target);
    }
    Ok(select(&config(&common.configs)?, names))
}

/// The one server of this name, or the one on the command line.
///
/// # Errors
/// When no file can be read, or the server is unknown or wrong.
pub(crate) fn to_call(
    name: &str,
    common: &CommonArgs,
    target: &TargetArgs,
) -> Result<ServerConfig, Error> {
    if target.is_given() {
        return adhoc(target);
    }
    let config = config(&common.configs)?;
    warn(&config, &[name.to_owned()]);
    config.server(name).cloned()
}

/// On whose behalf.
pub(crate) fn principal(common: &CommonArgs) -> Result<Principal, Error> {
    Ok(match (&common.tenant, &common.user) {
        (None, None) => Principal::local(),
        (None, Some(user)) => Principal::new(user)?,
        (Some(tenant), user) => {
            let local = Principal::local();
            Principal::in_tenant(tenant, user.as_deref().unwrap_or(local.user()))?
        }
    })
}

fn chosen(config: &Config, name: &str) -> Chosen {
    // What is odd in the file itself concerns all its servers.
    let own = |warning: &&ConfigWarning| warning.server().is_none_or(|server| server == name);
    Chosen {
        warnings: config.warnings().iter().filter(own).cloned().collect(),
        ..Chosen::new(name, config.server(name).cloned())
    }
}

fn config(paths: &[impl AsRef<Path>]) -> Result<Config, Error> {
    if !paths.is_empty() {
        let mut all = Config::default();
        for path in paths {
            all = all.merge(Config::load(path)?);
        }
        return Ok(all);
    }
    let defaults = Config::default_paths();
    if let Some(path) = defaults.iter().find(|path| path.exists()) {
        return Ok(Config::load(path)?);
    }
    let looked: Vec<_> = defaults
        .iter()
        .map(|path| format!("`{}`", path.display()))
        .collect();
    Err(Error::config(format!(
        "there is no file {}; name one with `--config`, or a server with `--url` or `--stdio`",
        looked.join(" or ")
    )))
}

/// Warnings about servers that nobody asked for are not shown.
fn warn(config: &Config, names: &[String]) {
    for warning in config.warnings() {
        let asked = |server: &str| names.is_empty() || names.iter().any(|name| name == server);
        if warning.server().is_none_or(asked) {
            terminal::complain(Role::Warning, "warning", &warning.to_string());
        }
    }
}

/// The server on the command line.
fn adhoc(target: &TargetArgs) -> Result<ServerConfig, Error> {
    let endpoint = match &target.url {
        Some(url) => Endpoint::Http(http(url, target)?),
        None => Endpoint::Stdio(stdio(target)?),
    };
    Ok(ServerConfig::new(ServerId::new(ADHOC)?, endpoint))
}

fn http(url: &str, target: &TargetArgs) -> Result<HttpConfig, Error> {
    let url = HttpUrl::parse(url).map_err(|error| wrong("--url", &error))?;
    let mut http = HttpConfig::new(url);
    http.transport = match target.transport {
        None | Some(TransportArg::Auto) => HttpTransport::Auto,
        Some(TransportArg::Http) => HttpTransport::Http,
        Some(TransportArg::Sse) => HttpTransport::Sse,
    };
    for header in &target.headers {
        let (name, value) = header
            .split_once(':')
            .ok_or_else(|| mistake("--header", "is not `NAME: VALUE`"))?;
        let value = secret("--header", value.trim_matches([' ', '\t']))?;
        http.headers.push((name.trim().to_owned(), value));
    }
    if let Some(variable) = &target.bearer_env {
        let reference = SecretRef::env(variable).map_err(|error| wrong("--bearer-env", &error))?;
        let token = ConfiguredSecret::named(reference, ADHOC, "--bearer-env");
        http.auth = Some(AuthConfig::Bearer(token));
    }
    if let Some(command) = &target.bearer_command {
        let words = shlex::split(command).unwrap_or_default();
        if words.is_empty() {
            return Err(mistake(
                "--bearer-command",
                "names no program, or has a quote that is not closed",
            ));
        }
        http.auth = Some(AuthConfig::Command(words));
    }
    Ok(http)
}

fn stdio(target: &TargetArgs) -> Result<StdioConfig, Error> {
    let (program, args) = target
        .child
        .split_first()
        .ok_or_else(|| mistake("--stdio", "names no program after `--`"))?;
    let mut stdio = StdioConfig::new(program);
    stdio.args = args.to_vec();
    for pair in &target.env {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| mistake("--env", "is not `NAME=VALUE`"))?;
        stdio.env.push((name.to_owned(), secret("--env", value)?));
    }
    stdio.env_from.clone_from(&target.env_from);
    stdio.inherit_env = target.inherit_env;
    stdio.cwd.clone_from(&target.cwd);
    Ok(stdio)
}

fn secret(option: &str, value: &str) -> Result<ConfiguredSecret, Error> {
    let reference = SecretRef::template(value).map_err(|error| wrong(option, &error))?;
    Ok(ConfiguredSecret::named(reference, ADHOC, option))
}

fn mistake(option: &str, problem: &str) -> Error {
    Error::config(format!("server `{ADHOC}`, field `{option}`: {problem}"))
}

fn wrong(option: &str, error: &dyn std::error::Error) -> Error {
    match error.source() {
        Some(cause) => mistake(option, &format!("{error}: {cause}")),
        None => mistake(option, &error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn target(words: &[&str]) -> TargetArgs {
        let argv = ["mcpt", "tools"].iter().chain(words);
        match Cli::try_parse_from(argv).unwrap().command {
            Command::Tools(tools) => tools.target,
            _ => unreachable!("it says `tools`"),
        }
    }

    #[test]
    fn a_server_of_the_command_line_is_read_whole() {
        let server = adhoc(&target(&[
            "--url",
            "http://h/mcp",
            "--transport",
            "sse",
            "--header",
            "X-A:  b:c ",
            "--bearer-env",
            "T",
        ]));
        let server = server.unwrap();
        assert_eq!(server.id.as_str(), "adhoc");
        let Endpoint::Http(http) = server.endpoint else {
            panic!("not HTTP");
        };
        assert_eq!(http.transport, HttpTransport::Sse);
        assert_eq!(http.headers[0].0, "X-A");
        assert!(matches!(http.auth, Some(AuthConfig::Bearer(_))));

        let server = adhoc(&target(&[
            "--stdio",
            "--env",
            "A=b=c",
            "--env-from",
            "LANG",
            "--inherit-env",
            "--cwd",
            "/",
            "--",
            "prog",
            "-x",
            "${LITERAL}",
        ]));
        let Endpoint::Stdio(stdio) = server.unwrap().endpoint else {
            panic!("not stdio");
        };
        assert_eq!(stdio.args, ["-x", "${LITERAL}"]);
        assert_eq!(stdio.env[0].0, "A");
        assert!(stdio.inherit_env);
    }

    #[test]
    fn mistakes_name_the_option_and_no_value() {
        for (words, option) in [
            (&["--url", "canary"][..], "--url"),
            (&["--url", "http://u:canary@h/"], "--url"),
            (&["--url", "http://h/", "--header", "canary"], "--header"),
            (
                &["--url", "http://h/", "--header", "A: ${canary"],
                "--header",
            ),
            (
                &["--url", "http://h/", "--bearer-env", "can ary"],
                "--bearer-env",
            ),
            (
                &["--url", "http://h/", "--bearer-command", "'canary"],
                "--bearer-command",
            ),
            (&["--stdio", "--env", "canary", "--", "x"], "--env"),
        ] {
            let error = adhoc(&target(words)).unwrap_err();
            assert_eq!(error.kind(), mcp_core::ErrorKind::Config);
            let shown = crate::failure::words(&error);
            assert!(shown.contains(option), "{shown}");
            assert!(
                !shown.contains("canary") && !shown.contains("can ary"),
                "{shown}"
            );
        }
    }
}
