//! Definitions written down: to start without asking the servers, and to notice what changed.

mod drift;

use std::collections::HashMap;
use std::sync::Arc;

use mcp_core::{Error, ServerId, ServerInfo, ToolDefinition, ToolListing};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use self::drift::{ChangedTool, Drift, FieldChange, ToolRef};
use crate::ToolSet;

/// The definitions of a set, as they were when somebody looked at them.
///
/// Written as JSON, one tool a line, so that a version control system shows what changed. It is used
/// in two ways: [`ToolSetBuilder::pinned`](crate::ToolSetBuilder::pinned) leaves out tools that are
/// not in it or are no longer the same, and [`listing`](Self::listing) stands in for a server's
/// list.
#[derive(Clone, Debug)]
pub struct ToolLock {
    servers: Vec<LockedServer>,
}

#[derive(Clone, Debug)]
struct LockedServer {
    id: ServerId,
    info: ServerInfo,
    tools: Vec<Arc<ToolDefinition>>,
    fingerprints: HashMap<Box<str>, String>,
}

/// The shape of the file.
#[derive(Deserialize, Serialize)]
struct File {
    version: u32,
    servers: Vec<FileServer>,
}

#[derive(Deserialize, Serialize)]
struct FileServer {
    id: String,
    name: String,
    server_version: String,
    tools: Vec<Box<RawValue>>,
}

const VERSION: u32 = 1;

impl ToolSet {
    /// The definitions as they are now, to be written down once somebody has approved of them.
    pub fn lock(&self) -> ToolLock {
        let servers = self.servers().iter().enumerate().map(|(index, server)| {
            LockedServer::new(
                server.id.clone(),
                server.info.clone(),
                self.definitions_of(index).map(Arc::clone).collect(),
            )
        });
        ToolLock {
            servers: servers.collect(),
        }
    }
}

impl ToolLock {
    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// [`Failure::Config`](mcp_core::Failure::Config) when it is something else.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let file: File = serde_json::from_str(text)
            .map_err(|error| Error::config_because("the tool lock cannot be read", error))?;
        if file.version != VERSION {
            return Err(Error::config(format!(
                "the tool lock has version {}, and {VERSION} is known here",
                file.version
            )));
        }
        let servers = file.servers.into_iter().map(|server| {
            let tools = server.tools.iter().map(|tool| {
                ToolDefinition::parse(tool.get())
                    .map(Arc::new)
                    .map_err(|error| {
                        Error::config_because("a definition in the tool lock is broken", error)
                    })
            });
            let mut info = ServerInfo::default();
            info.name = server.name;
            info.version = server.server_version;
            let tools = tools.collect::<Result<_, Error>>()?;
            Ok(LockedServer::new(ServerId::new(server.id)?, info, tools))
        });
        Ok(Self {
            servers: servers.collect::<Result<_, Error>>()?,
        })
    }

    /// The lock as JSON, with a line break at its end. Holds what the servers said of their tools
    /// and nothing of any user.
    pub fn to_json(&self) -> String {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let mut json = format!("{{\"version\":{VERSION},\"servers\":[");
        for (index, server) in self.servers.iter().enumerate() {
            json.push_str(if index == 0 { "\n" } else { ",\n" });
            for (key, value) in [
                ("{\"id\":", server.id.as_str()),
                (",\"name\":", &server.info.name),
                (",\"server_version\":", &server.info.version),
            ] {
                json.push_str(key);
                json.push_str(&text(value));
            }
            json.push_str(",\"tools\":[");
            for (index, tool) in server.tools.iter().enumerate() {
                json.push_str(if index == 0 { "\n" } else { ",\n" });
                // Between tokens a line break says nothing, and within a text there is none.
                json.extend(tool.raw().chars().filter(|c| !matches!(c, '\n' | '\r')));
            }
            json.push_str("]}");
        }
        json.push_str("]}\n");
        json
    }

    /// A server's list as it was locked, to make a set of without asking the server. It has no end
    /// of its own and is for everybody who may read the lock.
    pub fn listing(&self, server: &ServerId) -> Option<ToolListing> {
        let locked = self.server(server)?;
        let mut listing = ToolListing::new(locked.info.clone());
        listing.tools.clone_from(&locked.tools);
        Some(listing)
    }

    /// The servers that are in it.
    pub fn servers(&self) -> impl Iterator<Item = &ServerId> {
        self.servers.iter().map(|server| &server.id)
    }

    /// Why a tool of a server is not the one that was locked; `None` if it is.
    pub(crate) fn objection(
        &self,
        server: &ServerId,
        tool: &ToolDefinition,
    ) -> Option<&'static str> {
        let locked = self
            .server(server)
            .and_then(|locked| locked.fingerprints.get(tool.name()));
        match locked {
            None => Some("it is not in the tool lock"),
            Some(fingerprint) if *fingerprint != tool.fingerprint() => {
                Some("it has changed since it was locked")
            }
            Some(_) => None,
        }
    }

    fn server(&self, id: &ServerId) -> Option<&LockedServer> {
        self.servers.iter().find(|server| server.id == *id)
    }
}

impl LockedServer {
    fn new(id: ServerId, info: ServerInfo, tools: Vec<Arc<ToolDefinition>>) -> Self {
        let fingerprint = |tool: &Arc<ToolDefinition>| (tool.name().into(), tool.fingerprint());
        Self {
            fingerprints: tools.iter().map(fingerprint).collect(),
            id,
            info,
            tools,
        }
    }

    fn tool(&self, name: &str) -> Option<&Arc<ToolDefinition>> {
        self.tools.iter().find(|tool| tool.name() == name)
    }
}

#[cfg(test)]
mod tests;
