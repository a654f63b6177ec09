//! Walks JSON whose parts are wanted with their places, reading every byte once.

use std::borrow::Cow;

use serde::Deserialize;

/// A place in a text. Values are read by `serde_json`; only objects and arrays are walked here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// The text is not what was expected at the cursor.
#[derive(Debug)]
pub(super) struct Unexpected(pub(super) Option<serde_json::Error>);

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// What is left of the text, from the next value or sign on.
    pub(super) fn rest(&mut self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let trimmed = rest.trim_ascii_start();
        self.at += rest.len() - trimmed.len();
        trimmed
    }

    /// Goes on behind so many bytes of the rest.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Reads one value, whole.
    pub(super) fn value<T: Deserialize<'a>>(&mut self) -> Result<T, Unexpected> {
        let rest = self.rest();
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<T>();
        let value = values.next().ok_or(Unexpected(None))?;
        let value = value.map_err(|error| Unexpected(Some(error)))?;
        self.skip(values.byte_offset());
        Ok(value)
    }

    /// Walks an object: `member` reads the value of each key.
    pub(super) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &str) -> Result<(), Unexpected>,
    ) -> Result<(), Unexpected> {
        self.sequence(b'{', b'}', |cursor| {
            if !cursor.rest().starts_with('"') {
                return Err(Unexpected(None));
            }
            let Key(key) = cursor.value()?;
            if !cursor.take(b':') {
                return Err(Unexpected(None));
            }
            member(cursor, &key)
        })
    }

    /// Walks an array: `item` reads each item.
    pub(super) fn array(
        &mut self,
        item: impl FnMut(&mut Self) -> Result<(), Unexpected>,
    ) -> Result<(), Unexpected> {
        self.sequence(b'[', b']', item)
    }

    /// Whether nothing but white space is left.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.rest().is_empty()
    }

    fn sequence(
        &mut self,
        open: u8,
        close: u8,
        mut part: impl FnMut(&mut Self) -> Result<(), Unexpected>,
    ) -> Result<(), Unexpected> {
        if !self.take(open) {
            return Err(Unexpected(None));
        }
        if self.take(close) {
            return Ok(());
        }
        loop {
            part(self)?;
            if self.take(close) {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(Unexpected(None));
            }
        }
    }

    fn take(&mut self, sign: u8) -> bool {
        let is_there = self.rest().as_bytes().first() == Some(&sign);
        if is_there {
            self.skip(1);
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::IgnoredAny;

    fn keys(text: &str) -> Option<Vec<String>> {
        let (mut cursor, mut keys) = (Cursor::new(text), Vec::new());
        let walked = cursor.object(|cursor, key| {
            keys.push(key.to_owned());
            cursor.value::<IgnoredAny>().map(drop)
        });
        (walked.is_ok() && cursor.is_at_end()).then_some(keys)
    }

    #[test]
    fn what_is_json_is_walked_and_nothing_else() {
        assert_eq!(keys(" {} ").unwrap(), [""; 0]);
        let text = "{ \"a\" : 1 ,\n\"\\u0062\":[{\"c\":\"}\"}], \"d\":null}";
        assert_eq!(keys(text).unwrap(), ["a", "b", "d"]);
        for broken in [
            "",
            "[]",
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1 \"b\":2}",
            "{a:1}",
            "{1:1}",
            "{\"a\":1}}",
            "{\"a\":[1}",
            "{,}",
            "{\"a\":tru}",
            "{\"a\":1x}",
        ] {
            assert_eq!(keys(broken), None, "{broken}");
        }
    }
}
