//! What a page of `tools/list` says.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::cursor::{Cursor, Unexpected};
use crate::{CacheScope, Error, HeaderParams, ToolDefinition};

/// A server may vouch for at most a day; what says more is clamped.
pub(super) const MAX_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// How many definitions of a page are read in passing. The rest waits until it is known whether the
/// limits allow it.
pub(super) const READ_IN_PASSING: usize = 1_024;

/// One page of `tools/list`.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ToolsPage<'a> {
    /// Where the next page begins. An empty text is a cursor too (server/utilities/pagination).
    pub next_cursor: Option<Cow<'a, str>>,
    pub(super) tools: Vec<Listed<'a>>,
    /// How long the page is good for, in milliseconds.
    ttl_ms: Option<serde_json::Number>,
    cache_scope: Option<Cow<'a, str>>,
    result_type: Option<Cow<'a, str>>,
    /// Whether some definition mirrors arguments in headers, maybe.
    mirrors: bool,
}

#[derive(Debug)]
pub(super) enum Listed<'a> {
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
                "id" if !is_ours => {
                    is_ours = cursor.value::<&RawValue>()?.get().parse() == Ok(id);
                    is_plain &= is_ours;
                }
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

    pub(super) fn ttl(&self) -> Option<Duration> {
        // 0, negative and nonsense mean stale at once (server/utilities/caching).
        let milliseconds = self.ttl_ms.as_ref()?.as_f64().unwrap_or(0.0).max(0.0);
        Some(
            Duration::try_from_secs_f64(milliseconds / 1000.0)
                .map_or(MAX_TTL, |ttl| ttl.min(MAX_TTL)),
        )
    }

    pub(super) fn scope(&self) -> CacheScope {
        match self.cache_scope.as_deref() {
            Some("public") => CacheScope::Public,
            _ => CacheScope::Private,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ToolCollector;
    use crate::{Limits, ServerInfo};

    #[test]
    fn a_whole_answer_is_read_where_it_is_one() {
        let tools = r#"{"tools":[{"name":"a","inputSchema":{}} , 5],"nextCursor":"c"}"#;
        let names = |text: &str| {
            let page = ToolsPage::parse_answer(text.as_bytes(), 7)?;
            let limits = Limits::default();
            let mut collector = ToolCollector::new(ServerInfo::default(), &limits);
            assert_eq!(collector.add(&page).unwrap().as_deref(), Some("c"));
            let listing = collector.finish();
            assert_eq!(listing.skipped.len(), 1);
            Some(listing.tools[0].name().to_owned())
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
            format!(r#"{{"id":8,"id":7,"result":{tools}}}"#),
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
}
