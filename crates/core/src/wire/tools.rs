//! What a page of `tools/list` says, and the pages together.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{CacheScope, Error, Limits, ServerInfo, SkippedTool, ToolDefinition, ToolListing};

/// A server may vouch for at most a day; what says more is clamped.
const MAX_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// How much of a broken tool's name is repeated in the report.
const MAX_SKIPPED_NAME: usize = 128;

/// One page of `tools/list`, borrowed from its text.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct ToolsPage<'a> {
    /// The definitions, not yet looked into.
    #[serde(borrow)]
    pub tools: Vec<&'a RawValue>,
    /// Where the next page begins. An empty text is a cursor too (server/utilities/pagination).
    #[serde(borrow, default, rename = "nextCursor")]
    pub next_cursor: Option<Cow<'a, str>>,
    /// How long the page is good for, in milliseconds.
    #[serde(default, rename = "ttlMs")]
    ttl_ms: Option<serde_json::Number>,
    #[serde(borrow, default, rename = "cacheScope")]
    cache_scope: Option<Cow<'a, str>>,
}

impl<'a> ToolsPage<'a> {
    /// Reads the `result` of a `tools/list` answer.
    ///
    /// # Errors
    /// [`Failure::Protocol`](crate::Failure) when it is no such result.
    pub fn parse(result: &'a RawValue) -> Result<Self, Error> {
        if !result.get().starts_with('{') {
            return Err(Error::protocol("the tool list is not an object"));
        }
        serde_json::from_str(result.get())
            .map_err(|error| Error::protocol_because("the tool list is malformed", error))
    }

    fn ttl(&self) -> Option<Duration> {
        // 0, negative and nonsense mean stale at once (server/utilities/caching).
        let milliseconds = self.ttl_ms.as_ref()?.as_f64().unwrap_or(0.0).max(0.0);
        Some(
            Duration::try_from_secs_f64(milliseconds / 1000.0)
                .map_or(MAX_TTL, |ttl| ttl.min(MAX_TTL)),
        )
    }

    fn scope(&self) -> CacheScope {
        match self.cache_scope.as_deref() {
            Some("public") => CacheScope::Public,
            _ => CacheScope::Private,
        }
    }
}

/// Puts the pages together into a listing, within bounds.
///
/// One tool with a broken definition, or with the name of another, is skipped and reported; the
/// rest load.
#[derive(Debug)]
pub struct ToolCollector<'l> {
    listing: ToolListing,
    limits: &'l Limits,
    names: HashSet<Box<str>>,
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
            self.add_tool(tool.get())?;
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

    fn add_tool(&mut self, raw: &str) -> Result<(), Error> {
        if self.listing.tools.len() + self.listing.skipped.len() >= self.limits.tools {
            return Err(Error::limit("tools", self.limits.tools, "tools"));
        }
        let skipped = match ToolDefinition::parse(raw) {
            Ok(tool) if self.names.insert(tool.name().into()) => {
                self.listing.tools.push(Arc::new(tool));
                return Ok(());
            }
            Ok(tool) => SkippedTool::new(tool.name(), "another tool has the same name"),
            Err(error) => SkippedTool::new(name_of(raw), error.to_string()),
        };
        tracing::warn!(tool = skipped.name, reason = skipped.reason, "tool skipped");
        self.listing.skipped.push(skipped);
        Ok(())
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
    use super::*;
    use crate::ErrorKind;

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
