//! The pages of `tools/list` together, within bounds.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::Deserialize;

use super::tools::{Listed, ToolsPage};
use crate::{CacheScope, Error, Limits, ServerInfo, SkippedTool, ToolDefinition, ToolListing};

/// How much of a broken tool's name is repeated in the report.
const MAX_SKIPPED_NAME: usize = 128;

/// Puts the pages together into a listing, within bounds.
///
/// One tool with a broken definition, or with the name of another, is skipped and reported; the
/// rest load.
#[derive(Debug)]
pub struct ToolCollector<'l> {
    listing: ToolListing,
    limits: &'l Limits,
    names: HashSet<ByName>,
    cursors: HashSet<Box<str>>,
    pages: usize,
}

impl<'l> ToolCollector<'l> {
    /// Nothing collected yet.
    pub fn new(server: ServerInfo, limits: &'l Limits) -> Self {
        Self {
            listing: ToolListing::new(server),
            limits,
            names: HashSet::new(),
            cursors: HashSet::new(),
            pages: 0,
        }
    }

    /// Adds a page; gives the cursor of the next one.
    ///
    /// # Errors
    /// [`Failure::LimitExceeded`](crate::Failure) past the limits of pages or tools,
    /// [`Failure::Protocol`](crate::Failure) when a cursor comes back that was already followed.
    pub fn add(&mut self, page: &ToolsPage<'_>) -> Result<Option<String>, Error> {
        for tool in &page.tools {
            self.add_tool(tool)?;
        }
        // The list is as fresh as its stalest page and as private as its most private one.
        self.listing.ttl = match (self.listing.ttl, page.ttl()) {
            (Some(known), Some(ttl)) => Some(known.min(ttl)),
            (known, ttl) => known.or(ttl),
        };
        let first = self.pages == 0;
        if first || page.scope() == CacheScope::Private {
            self.listing.cache_scope = page.scope();
        }
        self.pages += 1;
        let Some(cursor) = page.next_cursor.as_deref() else {
            return Ok(None);
        };
        if self.pages >= self.limits.pages {
            return Err(Error::limit("pages", self.limits.pages, "pages of tools"));
        }
        if !self.cursors.insert(cursor.into()) {
            return Err(Error::protocol("the tool list repeats a page without end"));
        }
        Ok(Some(cursor.to_owned()))
    }

    /// Leaves a tool out for a reason of the transport's own.
    pub fn skip(&mut self, tool: &ToolDefinition, reason: impl Into<String>) {
        self.listing.tools.retain(|kept| kept.name() != tool.name());
        self.listing
            .skipped
            .push(SkippedTool::new(tool.name(), reason));
    }

    /// The tools so far, for a transport that looks at each.
    pub fn tools(&self) -> &[Arc<ToolDefinition>] {
        &self.listing.tools
    }

    /// All pages together.
    pub fn finish(self) -> ToolListing {
        self.listing
    }

    fn add_tool(&mut self, listed: &Listed<'_>) -> Result<(), Error> {
        if self.listing.tools.len() + self.listing.skipped.len() >= self.limits.tools {
            return Err(Error::limit("tools", self.limits.tools, "tools"));
        }
        let read = match listed {
            Listed::Read(tool) => Ok(Arc::clone(tool)),
            Listed::Unread(raw) => ToolDefinition::parse(raw)
                .map(Arc::new)
                .map_err(|error| SkippedTool::new(name_of(raw), error.to_string())),
        };
        let skipped = match read {
            Ok(tool) if self.names.insert(ByName(Arc::clone(&tool))) => {
                self.listing.tools.push(tool);
                return Ok(());
            }
            Ok(tool) => SkippedTool::new(tool.name(), "another tool has the same name"),
            Err(skipped) => skipped,
        };
        tracing::warn!(tool = skipped.name, reason = skipped.reason, "tool skipped");
        self.listing.skipped.push(skipped);
        Ok(())
    }
}

/// A tool that is found by its name.
#[derive(Debug)]
struct ByName(Arc<ToolDefinition>);

impl PartialEq for ByName {
    fn eq(&self, other: &Self) -> bool {
        self.0.name() == other.0.name()
    }
}

impl Eq for ByName {}

impl Hash for ByName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name().hash(state);
    }
}

/// The name of a definition that is broken elsewhere.
fn name_of(raw: &str) -> String {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let name = serde_json::from_str::<Named>(raw)
        .map(|named| named.name)
        .unwrap_or_default();
    super::message::clean(&name, MAX_SKIPPED_NAME)
}

#[cfg(test)]
mod tests {
    use super::super::tools::{MAX_TTL, READ_IN_PASSING};
    use super::*;
    use crate::ErrorKind;
    use std::time::Duration;

    fn add(collector: &mut ToolCollector<'_>, page: &str) -> Result<Option<String>, Error> {
        collector.add(&ToolsPage::parse(serde_json::from_str(page).unwrap()).unwrap())
    }

    #[test]
    fn one_broken_tool_does_not_lose_the_others() {
        let limits = Limits::default();
        let mut collector = ToolCollector::new(ServerInfo::default(), &limits);
        let page = r#"{"tools":[{"name":"a","inputSchema":{}},{"name":"b"},5,
            {"name":"a","inputSchema":{}},{"name":"c","inputSchema":{}}]}"#;
        assert_eq!(add(&mut collector, page).unwrap(), None);
        let listing = collector.finish();
        let names: Vec<_> = listing.tools.iter().map(|tool| tool.name()).collect();
        assert_eq!(names, ["a", "c"]);
        let skipped: Vec<_> = listing
            .skipped
            .iter()
            .map(|tool| tool.name.as_str())
            .collect();
        assert_eq!(skipped, ["b", "", "a"]);
    }

    #[test]
    fn definitions_past_those_read_in_passing_are_read_too() {
        let limits = Limits::default();
        let mut collector = ToolCollector::new(ServerInfo::default(), &limits);
        let count = READ_IN_PASSING + 10;
        let tool = |n| format!(r#"{{"name":"t{n}","inputSchema":{{"n":{n}}}}}"#);
        let tools: Vec<_> = (0..count).map(tool).collect();
        let page = format!(r#"{{"tools":[{}]}}"#, tools.join(","));
        add(&mut collector, &page).unwrap();
        assert_eq!(collector.tools().len(), count);
        for (n, read) in collector.tools().iter().enumerate() {
            assert_eq!(read.raw(), tool(n));
        }
    }

    #[test]
    fn cursors_end() {
        let limits = Limits::default();
        let mut collector = ToolCollector::new(ServerInfo::default(), &limits);
        let page = r#"{"tools":[],"nextCursor":""}"#;
        assert_eq!(add(&mut collector, page).unwrap().as_deref(), Some(""));
        assert_eq!(
            add(&mut collector, page).unwrap_err().kind(),
            ErrorKind::Protocol
        );

        let mut collector = ToolCollector::new(ServerInfo::default(), &limits);
        let end = (0..=limits.pages)
            .map(|n| {
                add(
                    &mut collector,
                    &format!(r#"{{"tools":[],"nextCursor":"{n}"}}"#),
                )
            })
            .find_map(Result::err);
        assert_eq!(end.unwrap().kind(), ErrorKind::LimitExceeded);
    }

    #[test]
    fn freshness_is_clamped_and_private_wins() {
        let limits = Limits::default();
        let ttl = |text: &str| {
            let mut collector = ToolCollector::new(ServerInfo::default(), &limits);
            add(&mut collector, &format!(r#"{{"tools":[],"ttlMs":{text}}}"#)).unwrap();
            collector.finish().ttl
        };
        assert_eq!(ttl("1500"), Some(Duration::from_millis(1500)));
        assert_eq!(ttl("-5"), Some(Duration::ZERO));
        assert_eq!(ttl("1e300"), Some(MAX_TTL));
        assert_eq!(ttl("null"), None);

        let mut collector = ToolCollector::new(ServerInfo::default(), &limits);
        add(
            &mut collector,
            r#"{"tools":[],"cacheScope":"public","nextCursor":"1"}"#,
        )
        .unwrap();
        assert_eq!(collector.listing.cache_scope, CacheScope::Public);
        add(
            &mut collector,
            r#"{"tools":[],"cacheScope":"private","nextCursor":"2"}"#,
        )
        .unwrap();
        add(&mut collector, r#"{"tools":[],"cacheScope":"public"}"#).unwrap();
        assert_eq!(collector.finish().cache_scope, CacheScope::Private);
    }
}
