//! What sets with the same content share.

use std::sync::{Arc, LazyLock};

use mcp_core::{ServerId, ServerInfo, SkippedTool};

use crate::shared::Pool;
use crate::tool::Listed;

/// A server of a set.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LoadedServer {
    /// Its name here.
    pub id: ServerId,
    /// What it said of itself.
    pub info: ServerInfo,
    /// The tools that were left out, and why.
    pub skipped: Vec<SkippedTool>,
}

impl LoadedServer {
    pub(crate) fn new(id: ServerId, info: ServerInfo, skipped: Vec<SkippedTool>) -> Self {
        Self { id, info, skipped }
    }
}

/// Named tools of servers, without anything of a principal's.
#[derive(Debug)]
pub(crate) struct Catalog {
    pub(crate) servers: Box<[LoadedServer]>,
    pub(crate) tools: Box<[Entry]>,
    /// Places in `tools`, by name.
    by_name: Box<[u32]>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) listed: Arc<Listed>,
    /// The place of its server in `servers`.
    pub(crate) server: u32,
}

impl Catalog {
    /// The one value of the process for this content. Names are unique.
    pub(crate) fn shared(servers: &[LoadedServer], tools: &[(Arc<Listed>, u32)]) -> Arc<Self> {
        static POOL: LazyLock<Pool<Catalog>> = LazyLock::new(Pool::default);
        let parts: Vec<_> = tools
            .iter()
            .map(|(listed, server)| (Arc::as_ptr(&listed.shared), &*listed.name, *server))
            .collect();
        let ids: Vec<_> = servers.iter().map(|server| &server.id).collect();
        let hash = POOL.hash(&(ids, parts));
        let same = |known: &Self| {
            *known.servers == *servers
                && known.tools.len() == tools.len()
                && known
                    .tools
                    .iter()
                    .zip(tools)
                    .all(|(entry, (listed, server))| {
                        entry.server == *server
                            && entry.listed.name == listed.name
                            && Arc::ptr_eq(&entry.listed.shared, &listed.shared)
                    })
        };
        POOL.find_or_insert(hash, same, || {
            let entries = tools.iter().map(|(listed, server)| Entry {
                listed: Arc::clone(listed),
                server: *server,
            });
            let tools: Box<[Entry]> = entries.collect();
            let name = |place: &u32| tools.get(*place as usize).map(|entry| &*entry.listed.name);
            let mut by_name: Vec<u32> = (0_u32..).take(tools.len()).collect();
            by_name.sort_unstable_by(|a, b| name(a).cmp(&name(b)));
            Self {
                servers: servers.into(),
                by_name: by_name.into(),
                tools,
            }
        })
    }

    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        let name_at = |place: &u32| {
            self.tools
                .get(*place as usize)
                .map(|entry| &*entry.listed.name)
        };
        let found = self
            .by_name
            .binary_search_by(|place| name_at(place).cmp(&Some(name)));
        let place = self.by_name.get(found.ok()?)?;
        usize::try_from(*place).ok()
    }
}
