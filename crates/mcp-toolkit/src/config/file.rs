//! The file as a whole, and several of them together.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use mcp_core::{Error, Failure};

use super::error::{ConfigError, ConfigWarning, Place};
use super::fields::{Field, Fields};
use super::json::{Node, without_comments};
use super::nearest::nearest;
use super::server::{ServerConfig, Surroundings};
use super::table::{Form, Known, field};

/// The largest file, in bytes: hundreds of times what anybody writes by hand.
const MAX_BYTES: u64 = 4 << 20;

/// More names than this are not listed in an error.
const LISTED: usize = 12;

/// What the file itself may hold.
pub(super) const FIELDS: &[Known] = &[
    field("mcpServers", Form::Servers, "The servers, by name."),
    field(
        "servers",
        Form::Servers,
        "The servers, by name, as Visual Studio Code calls them.",
    ),
    field(
        "allowedHosts",
        Form::Hosts,
        "The only hosts that requests to these servers may go to, redirects and authorization \
         servers included: `api.example.com`, `*.example.com`, `localhost:8080`.",
    ),
    field("$schema", Form::AnyText, "The schema of this file."),
];

/// The servers of one or several files, in their order.
///
/// An entry that is wrong does not lose the others: its mistake is told when it is asked for.
#[derive(Clone, Debug, Default)]
pub struct Config {
    servers: IndexMap<String, Result<ServerConfig, ConfigError>>,
    warnings: Vec<ConfigWarning>,
}

impl Config {
    /// Reads a text.
    ///
    /// # Errors
    /// When it is not JSON, or has neither `mcpServers` nor `servers`.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        Self::read(text, None)
    }

    /// Reads a file. Relative paths in it start at its folder.
    ///
    /// # Errors
    /// When it cannot be read or is larger than 4 MiB, and as [`Config::parse`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path: Arc<Path> = path.as_ref().into();
        let wrong = |problem: String| {
            let place = Place {
                file: Some(Arc::clone(&path)),
                ..Place::default()
            };
            ConfigError::new(place, problem)
        };
        let text = read_bounded(&path).map_err(wrong)?;
        Self::read(&text, Some(path))
    }

    /// The places where the file is looked for, the first that exists is taken: `mcp.json` in the
    /// working directory, then `mcpt/mcp.json` in `$XDG_CONFIG_HOME` (`~/.config` where that is
    /// unset or relative).
    pub fn default_paths() -> Vec<PathBuf> {
        let set = |name| std::env::var_os(name).map(PathBuf::from);
        let home = || set("HOME").filter(|home| home.is_absolute());
        let config = set("XDG_CONFIG_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| home().map(|home| home.join(".config")));
        let mut paths = vec![PathBuf::from("mcp.json")];
        paths.extend(config.map(|config| config.join("mcpt").join("mcp.json")));
        paths
    }

    /// Adds the servers of another file. Where both have a server, the other's entry counts.
    pub fn merge(mut self, other: Self) -> Self {
        self.servers.extend(other.servers);
        self.warnings.extend(other.warnings);
        self
    }

    /// The names of all servers, in the file's order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.servers.keys().map(String::as_str)
    }

    /// A server's entry.
    ///
    /// # Errors
    /// [`Failure::UnknownServer`] with the names that are known, [`Failure::Config`] when the entry
    /// is wrong.
    pub fn server(&self, name: &str) -> Result<&ServerConfig, Error> {
        match self.servers.get(name) {
            Some(Ok(server)) => Ok(server),
            Some(Err(error)) => Err(error.clone().into()),
            None => Err(Failure::UnknownServer {
                name: name.to_owned(),
                candidates: self.candidates(name),
            }
            .into()),
        }
    }

    /// Every entry, right or wrong, in the file's order.
    pub fn servers(&self) -> impl Iterator<Item = (&str, Result<&ServerConfig, &ConfigError>)> {
        let entries = self.servers.iter();
        entries.map(|(name, entry)| (name.as_str(), entry.as_ref()))
    }

    /// What works and is probably not what was meant, such as an unknown field.
    pub fn warnings(&self) -> &[ConfigWarning] {
        &self.warnings
    }

    fn read(text: &str, file: Option<Arc<Path>>) -> Result<Self, ConfigError> {
        let directory = file.as_deref().and_then(Path::parent).map(Path::to_owned);
        let place = Place {
            file,
            ..Place::default()
        };
        let text = without_comments(text);
        if text.trim().is_empty() {
            return Err(ConfigError::new(
                place,
                "is empty; it wants `{\"mcpServers\": {}}` at least",
            ));
        }
        let node = Node::parse(&text).map_err(|error| {
            let place = Place {
                line: Some(error.line),
                ..place.clone()
            };
            ConfigError::new(place, format!("not JSON: {}", error.problem))
        })?;
        let mut config = Self::default();
        let mut fields = Fields::of(node, &place, &[FIELDS], &mut config.warnings)?;
        let lists = [fields.take("mcpServers"), fields.take("servers")];
        if lists.iter().all(Option::is_none) {
            return Err(ConfigError::new(place, no_servers(&fields)));
        }
        let hosts = fields.read("allowedHosts", Field::hosts)?;
        fields.read("$schema", Field::string)?;
        let surroundings = Surroundings {
            directory: directory.as_deref(),
            hosts: hosts.as_ref(),
        };
        for entry in entries(lists)? {
            let read = ServerConfig::read(&entry, surroundings, &mut config.warnings);
            if config
                .servers
                .insert(entry.name().to_owned(), read)
                .is_some()
            {
                return Err(entry.wrong("stands in both `mcpServers` and `servers`"));
            }
        }
        Ok(config)
    }

    /// The likeliest first; all where they are few.
    fn candidates(&self, name: &str) -> Vec<String> {
        let near = nearest(name, self.names());
        let others = self.names().filter(|known| Some(*known) != near);
        let all = near.into_iter().chain(others);
        all.take(LISTED).map(str::to_owned).collect()
    }
}

/// What is wrong where no servers are named, and what may have been meant.
fn no_servers(fields: &Fields<'_>) -> String {
    let problem = "has neither `mcpServers` nor `servers`";
    let mut names = fields.names();
    if let Some(near) = names.find(|name| nearest(name, ["mcpServers", "servers"]).is_some()) {
        return format!("{problem}; is it `{near}`?");
    }
    let entries = fields
        .nodes()
        .filter_map(|(name, node)| Some((name, node.entries()?)));
    let is_server = |name: &String| matches!(name.as_str(), "command" | "url");
    let mut servers = entries.filter(|(_, entry)| entry.iter().any(|(name, _)| is_server(name)));
    match servers.next() {
        Some((name, _)) => {
            format!("{problem}; `{name}` looks like a server: put it into `mcpServers`")
        }
        None => problem.to_owned(),
    }
}

fn entries(lists: [Option<Field<'_>>; 2]) -> Result<Vec<Field<'_>>, ConfigError> {
    let mut all = Vec::new();
    for list in lists.into_iter().flatten() {
        all.extend(list.entries()?);
    }
    Ok(all)
}

/// The file's text, or why there is none.
fn read_bounded(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| format!("the file cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err("the file is larger than 4 MiB".to_owned());
    }
    // In UTF-16, every other byte of such a text is zero.
    let is_wide = bytes.contains(&0) || bytes.starts_with(b"\xff\xfe");
    let text = String::from_utf8(bytes).ok().filter(|_| !is_wide);
    text.ok_or_else(|| {
        let seems = if is_wide {
            ", but UTF-16, it seems"
        } else {
            ""
        };
        format!("the file is not UTF-8{seems}; save it as UTF-8")
    })
}
