//! What a page of `tools/list` says, and the pages together.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::cursor::{Cursor, Unexpected};
use crate::{
    CacheScope, Error, HeaderParams, Limits, ServerInfo, SkippedTool, ToolDefinition, ToolListing,
};

/// A server may vouch for at most a day; what says more is clamped.
const MAX_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// How much of a broken tool's name is repeated in the report.
const MAX_SKIPPED_NAME: usize = 128;

/// How many definitions of a page are read in passing. The rest waits until it is known whether the
/// limits allow it.
const READ_IN_PASSING: usize = 1_024;

/// One page of `tools/list`.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ToolsPage<'a> {
    /// Where the next page begins. An empty text is a cursor too (server/utilities/pagination).
    pub next_cursor: Option<Cow<'a, str>>,
    tools: Vec<Listed<'a>>,
    /// How long the page is good for, in milliseconds.
    ttl_ms: Option<serde_json::Number>,
    cache_scope: Option<Cow<'a, str>>,
    result_type: Option<Cow<'a, str>>,
    /// Whether some definition mirrors arguments in headers, maybe.
    mirrors: bool,
}

#[derive(Debug)]
enum Listed<'a> {
    Read(Arc<ToolDefinition>),
    Unread(&'a str),
}

/// Text, or null.
#[derive(Deserialize)]
struct MaybeText<'a>(#[serde(borrow)] Option<Cow<'a, str>>);

impl<'a> ToolsPage<'a> {
    /// Reads the `result` of a `tools/list` answer.
    ///
    /// # Errors
    /// [`Failure::Protocol`](crate::Failure) when it is no such result.
    pub fn parse(result: &'a RawValue) -> Result<Self, Error> {
        if !result.get().starts_with('{') {
            return Err(Error::protocol("the tool list is not an object"));
        }
        let read = Self::read(&mut Cursor::new(result.get()));
        read.map_err(|Unexpected(error)| match error {
            Some(error) => Error::protocol_because("the tool list is malformed", error),
            None => Error::protocol("the tool list is malformed"),
        })
    }

    /// Reads a whole answer to `tools/list`, every byte once: a list is the longest thing that most
    /// servers ever send. `None` where the text is anything but a complete result for this id;
    /// [`Message`](super::Message) tells what it is then.
    pub fn parse_answer(text: &'a [u8], id: u64) -> Option<Self> {
        let mut cursor = Cursor::new(std::str::from_utf8(text).ok()?);
        let (mut page, mut is_ours, mut is_plain) = (None, false, true);
        let walked = cursor.object(|cursor, key| {
            match key {
                "jsonrpc" => drop(cursor.value::<IgnoredAny>()?),
                "id" => is_ours = cursor.value::<&RawValue>()?.get().parse() == Ok(id),
                "result" if page.is_none() => page = Some(Self::read(cursor)?),
                _ => is_plain = false,
            }
            // The rest is not worth the walk.
            if is_plain {
                Ok(())
            } else {
                Err(Unexpected(None))
            }
        });
        let is_whole = walked.is_ok() && cursor.is_at_end();
        let complete = |page: &Self| matches!(page.result_type.as_deref(), None | Some("complete"));
        page.filter(|page| is_whole && is_ours && complete(page))
    }

    /// Whether some definition of the page may mirror arguments in headers; a quick look at the
    /// text spares a look at each schema.
    pub fn may_mirror(&self) -> bool {
        self.mirrors
    }

    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Unexpected> {
        let mut page = Self::default();
        let mut has_tools = false;
        let text = cursor.rest();
        cursor.object(|cursor, key| {
            match key {
                "tools" if !has_tools => {
                    has_tools = true;
                    cursor.array(|cursor| page.read_tool(cursor))?;
                }
                "tools" => return Err(Unexpected(None)),
                "nextCursor" => MaybeText(page.next_cursor) = cursor.value()?,
                "ttlMs" => page.ttl_ms = cursor.value()?,
                "cacheScope" => MaybeText(page.cache_scope) = cursor.value()?,
                "resultType" => MaybeText(page.result_type) = cursor.value()?,
                _ => drop(cursor.value::<IgnoredAny>()?),
            }
            Ok(())
        })?;
        let text = text.get(..text.len() - cursor.rest().len()).unwrap_or(text);
        page.mirrors = HeaderParams::may_be_in(text);
        if has_tools {
            Ok(page)
        } else {
            Err(Unexpected(None))
        }
    }

    fn read_tool(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Unexpected> {
        let rest = cursor.rest();
        if self.tools.len() < READ_IN_PASSING
            && let Some((Ok(tool), end)) = ToolDefinition::parse_first(rest)
        {
            cursor.skip(end);
            self.tools.push(Listed::Read(Arc::new(tool)));
        } else {
            let unread: &RawValue = cursor.value()?;
            self.tools.push(Listed::Unread(unread.get()));
        }
        Ok(())
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
    fn a_whole_answer_is_read_where_it_is_one() {
        let tools = r#"{"tools":[{"name":"a","inputSchema":{}} , 5],"nextCursor":"c"}"#;
        let names = |text: &str| {
            let page = ToolsPage::parse_answer(text.as_bytes(), 7)?;
            let limits = Limits::default();
            let mut collector = ToolCollector::new(ServerInfo::default(), &limits);
            assert_eq!(collector.add(&page).unwrap().as_deref(), Some("c"));
            assert_eq!(collector.listing.skipped.len(), 1);
            Some(collector.tools()[0].name().to_owned())
        };
        for whole in [
            format!(r#"{{"jsonrpc":"2.0","id":7,"result":{tools}}}"#),
            format!(" {{ \"result\" : {tools} ,\n\"id\":7, \"jsonrpc\":\"2.0\" }}\n"),
        ] {
            assert_eq!(names(&whole).as_deref(), Some("a"), "{whole}");
        }
        let complete = tools.replacen('{', r#"{"resultType":"complete","#, 1);
        assert!(names(&format!(r#"{{"id":7,"result":{complete}}}"#)).is_some());
        let asking = tools.replacen('{', r#"{"resultType":"input_required","#, 1);
        for other in [
            format!(r#"{{"id":7,"result":{asking}}}"#),
            format!(r#"{{"id":8,"result":{tools}}}"#),
            format!(r#"{{"id":"7","result":{tools}}}"#),
            format!(r#"{{"result":{tools}}}"#),
            format!(r#"{{"id":7,"result":{tools}"#),
            format!(r#"{{"id":7,"result":{tools}}} x"#),
            format!(r#"{{"id":7,"result":{tools},"error":{{}}}}"#),
            format!(r#"{{"id":7,"result":{tools},"result":{tools}}}"#),
            format!(r#"{{"id":7,"method":"x","result":{tools}}}"#),
            r#"{"id":7,"result":{}}"#.to_owned(),
            r#"{"id":7,"result":[]}"#.to_owned(),
            r#"{"id":7,"error":{"code":1,"message":""}}"#.to_owned(),
        ] {
            assert_eq!(names(&other), None, "{other}");
        }
        assert!(ToolsPage::parse_answer(b"{\"id\":7,\"result\":\xff}", 7).is_none());
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
