//! A tool's whole answer, read in one look where it is what is hoped for.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer as _, de};

/// What a tool answered, where nothing else is to come.
#[derive(Debug)]
pub(crate) struct CompleteResult<'a> {
    /// As it stands in the answer.
    pub(crate) text: &'a str,
    pub(crate) is_error: bool,
}

impl<'a> CompleteResult<'a> {
    /// Reads an answer, every byte once. `None` where the text is anything but a complete result for
    /// this id: [`Message`](super::Message) tells what it is then.
    pub(crate) fn of_answer(text: &'a [u8], id: u64) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut reader = serde_json::Deserializer::from_str(text);
        let result = reader.deserialize_map(Answer { text, id }).ok()?;
        reader.end().ok()?;
        Some(result)
    }
}

/// Reads an answer, and finds where in it the result stands: the keys tell, which are borrowed.
struct Answer<'a> {
    text: &'a str,
    id: u64,
}

impl<'a> Answer<'a> {
    /// What stands before a key.
    fn before(&self, key: &str) -> Option<&'a str> {
        let quote = (key.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize + 1)?;
        Some(self.text.get(..quote)?.trim_ascii_end())
    }

    /// The result: it begins with the brace before its first key, and ends with the one before the
    /// key that follows, or before the end of the answer.
    fn result(&self, first: &str, next: Option<&str>) -> Option<&'a str> {
        let start = self.before(first)?.strip_suffix('{')?.len();
        let end = match next {
            Some(key) => self.before(key)?.strip_suffix(',')?,
            None => self.text.trim_ascii_end().strip_suffix('}')?,
        };
        self.text.get(start..end.trim_ascii_end().len())
    }
}

impl<'de> Visitor<'de> for Answer<'de> {
    type Value = CompleteResult<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut is_ours, mut result, mut next) = (false, None, None);
        while let Some(key) = map.next_key::<&str>()? {
            if result.is_some() {
                next.get_or_insert(key);
            }
            match key {
                "jsonrpc" => drop(map.next_value::<IgnoredAny>()?),
                "id" if !is_ours => {
                    is_ours = map.next_value::<u64>()? == self.id;
                    if !is_ours {
                        return Err(unexpected());
                    }
                }
                "result" if result.is_none() => result = Some(map.next_value::<Shape<'de>>()?),
                // The rest is not worth reading.
                _ => return Err(unexpected()),
            }
        }
        let Shape { first, is_error } = result.filter(|_| is_ours).ok_or_else(unexpected)?;
        let text = self.result(first, next).ok_or_else(unexpected)?;
        Ok(CompleteResult { text, is_error })
    }
}

/// What has to be looked at of a result at once.
struct Shape<'a> {
    /// Its first key.
    first: &'a str,
    is_error: bool,
}

impl<'de> Deserialize<'de> for Shape<'de> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shaped;
        impl<'de> Visitor<'de> for Shaped {
            type Value = Shape<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a result with something in it")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape<'de>, A::Error> {
                let mut first = None;
                let (mut content, mut is_error, mut kind) = (None, None, None);
                while let Some(key) = map.next_key::<&str>()? {
                    first.get_or_insert(key);
                    // One that comes twice is left to whoever says what is wrong with it.
                    let is_new = match key {
                        "content" => content
                            .replace(map.next_value::<Option<Vec<IgnoredAny>>>()?)
                            .is_none(),
                        "isError" => is_error
                            .replace(map.next_value::<Option<bool>>()?)
                            .is_none(),
                        "resultType" => kind.replace(map.next_value::<Option<&str>>()?).is_none(),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            true
                        }
                    };
                    if !is_new {
                        return Err(unexpected());
                    }
                }
                // Other types have more to come (2026-07-28, basic).
                if !matches!(kind.flatten(), None | Some("complete")) {
                    return Err(unexpected());
                }
                Ok(Shape {
                    first: first.ok_or_else(unexpected)?,
                    is_error: is_error.flatten().unwrap_or(false),
                })
            }
        }
        deserializer.deserialize_map(Shaped)
    }
}

fn unexpected<E: de::Error>() -> E {
    E::custom("not what was hoped for")
}

#[cfg(test)]
mod tests {
    use crate::ToolOutput;

    fn read(answer: &str) -> Option<ToolOutput> {
        ToolOutput::parse_answer(answer.as_bytes(), 7)
    }

    #[test]
    fn what_is_complete_is_read_as_it_stands() {
        for raw in [
            r#"{"content":[]}"#,
            r#"{"resultType":"complete","content":[{"type":"text","text":"}"}],"isError":true}"#,
            r#"{ "resultType" : null , "content":null,"own":{"isError":0} }"#,
            r#"{"isError":null,"structuredContent":{"result":{}, "id" : 9}}"#,
        ] {
            for answer in [
                format!(r#"{{"jsonrpc":"2.0","id":7,"result":{raw}}}"#),
                format!(" {{ \"result\" : {raw} ,\n\"id\":7, \"jsonrpc\":\"2.0\" }}\n"),
            ] {
                let parsed = ToolOutput::parse(serde_json::from_str(raw).unwrap()).unwrap();
                let walked = read(&answer).unwrap();
                assert_eq!(walked.is_error(), parsed.is_error(), "{answer}");
                assert_eq!(walked.raw(), raw, "{answer}");
            }
        }
    }

    #[test]
    fn any_other_result_is_left_alone() {
        for raw in [
            r#"{"resultType":"input_required"}"#,
            r#"{"resultType":"later"}"#,
            r#"{"resultType":7}"#,
            r#"{"content":{}}"#,
            r#"{"content":nil}"#,
            r#"{"content":[}"#,
            r#"{"content":[],"content":[]}"#,
            r#"{"isError":"yes"}"#,
            r#"{"isError":null,"isError":true}"#,
            // Rare enough.
            r#"{"\u0069sError":true}"#,
            "{}",
            "[]",
            "null",
        ] {
            let answer = format!(r#"{{"id":7,"result":{raw}}}"#);
            assert!(read(&answer).is_none(), "{raw}");
        }
    }

    #[test]
    fn any_other_message_is_left_alone() {
        assert!(read(r#"{"id":7,"result":{"a":1}}"#).is_some());
        for other in [
            r#"{"id":8,"result":{"a":1}}"#,
            r#"{"id":"7","result":{"a":1}}"#,
            r#"{"id":7.0,"result":{"a":1}}"#,
            r#"{"result":{"a":1}}"#,
            r#"{"id":7,"result":{"a":1}"#,
            r#"{"id":7,"result":{"a":1}} x"#,
            r#"{"id":7,"result":{"a":1},"error":{}}"#,
            r#"{"id":7,"result":{"a":1},"result":{"a":1}}"#,
            r#"{"id":8,"id":7,"result":{"a":1}}"#,
            r#"{"id":7,"id":7,"result":{"a":1}}"#,
            r#"{"id":7,"method":"x","result":{"a":1}}"#,
            r#"{"id":7,"error":{"code":1,"message":""}}"#,
            r#"[{"id":7,"result":{"a":1}}]"#,
        ] {
            assert!(read(other).is_none(), "{other}");
        }
        assert!(ToolOutput::parse_answer(b"{\"id\":7,\"result\":{\"a\":\"\xff\"}}", 7).is_none());
    }
}
