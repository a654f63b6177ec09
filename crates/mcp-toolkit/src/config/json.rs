//! JSON with comments, read so that the order of keys and the line of every value are known.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A value within the text that it was read from.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    text: &'a str,
    raw: &'a RawValue,
}

/// What a value is, in the words of an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

/// A text that is not JSON: the line, and what was expected there.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) line: usize,
    pub(crate) problem: String,
}

impl<'a> Node<'a> {
    /// The whole of a text.
    pub(crate) fn parse(text: &'a str) -> Result<Self, SyntaxError> {
        let raw = serde_json::from_str(text).map_err(|error| SyntaxError::of(&error, text))?;
        Ok(Self { text, raw })
    }

    pub(crate) fn shape(self) -> Shape {
        match self.raw.get().as_bytes().first() {
            Some(b'{') => Shape::Object,
            Some(b'[') => Shape::Array,
            Some(b'"') => Shape::String,
            Some(b't' | b'f') => Shape::Boolean,
            Some(b'n') | None => Shape::Null,
            Some(_) => Shape::Number,
        }
    }

    /// The line that it begins in, from 1.
    pub(crate) fn line(self) -> usize {
        // Both point into the same text, so the difference is where the value begins.
        let offset = self.raw.get().as_ptr() as usize - self.text.as_ptr() as usize;
        let before = self.text.get(..offset).unwrap_or_default();
        1 + before.matches('\n').count()
    }

    /// The entries of an object in their order; `None` if it is none.
    pub(crate) fn entries(self) -> Option<Vec<(String, Self)>> {
        let Entries(entries) = self.read(Shape::Object)?;
        let text = self.text;
        let nodes = entries
            .into_iter()
            .map(|(key, raw)| (key, Self { text, raw }));
        Some(nodes.collect())
    }

    /// The items of an array; `None` if it is none.
    pub(crate) fn items(self) -> Option<Vec<Self>> {
        let items: Vec<&'a RawValue> = self.read(Shape::Array)?;
        let text = self.text;
        Some(items.into_iter().map(|raw| Self { text, raw }).collect())
    }

    pub(crate) fn string(self) -> Option<String> {
        self.read(Shape::String)
    }

    pub(crate) fn boolean(self) -> Option<bool> {
        self.read(Shape::Boolean)
    }

    pub(crate) fn raw(self) -> &'a str {
        self.raw.get()
    }

    fn read<T: Deserialize<'a>>(self, shape: Shape) -> Option<T> {
        if self.shape() != shape {
            return None;
        }
        serde_json::from_str(self.raw.get()).ok()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "nothing",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "a list",
            Self::Object => "an object",
        })
    }
}

impl SyntaxError {
    fn of(error: &serde_json::Error, text: &str) -> Self {
        let words = error.to_string();
        // The line is told on its own.
        let problem = words.split(" at line ").next().unwrap_or_default();
        let line = text.split('\n').nth(error.line().saturating_sub(1));
        let rest = line.and_then(|line| line.get(error.column().saturating_sub(1)..));
        let quote = |c: char| matches!(c, '\'' | '\u{2018}'..='\u{201f}');
        let problem = match rest.and_then(|rest| rest.chars().next()) {
            Some(c) if quote(c) => format!("{problem}; JSON wants straight double quotes"),
            _ => problem.to_owned(),
        };
        Self {
            line: error.line(),
            problem,
        }
    }
}

struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// The text with comments and trailing commas made blank. Nothing moves, so lines stay right.
pub(crate) fn without_comments(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    if bytes.starts_with(b"\xef\xbb\xbf") {
        blank(&mut bytes, 0, 3);
    }
    let mut at = 0;
    let mut comma = None;
    while let Some(&byte) = bytes.get(at) {
        let next = bytes.get(at + 1).copied();
        let end = match (byte, next) {
            (b'"', _) => end_of_string(&bytes, at),
            (b'/', Some(b'/')) => {
                let end = find(&bytes, at, b"\n");
                blank(&mut bytes, at, end);
                end
            }
            (b'/', Some(b'*')) => {
                let end = find(&bytes, at + 2, b"*/").saturating_add(2);
                blank(&mut bytes, at, end);
                end
            }
            _ => at + 1,
        };
        match byte {
            b',' => comma = Some(at),
            b'}' | b']' => {
                if let Some(comma) = comma.take() {
                    blank(&mut bytes, comma, comma + 1);
                }
            }
            b'/' | b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => comma = None,
        }
        at = end;
    }
    // Only ASCII was replaced, and comments as a whole, so it is UTF-8 still.
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

fn find(bytes: &[u8], start: usize, what: &[u8]) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let found = rest.windows(what.len()).position(|window| window == what);
    found.map_or(bytes.len(), |found| start + found)
}

fn blank(bytes: &mut [u8], start: usize, end: usize) {
    let end = end.min(bytes.len());
    for byte in bytes.get_mut(start..end).unwrap_or_default() {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_trailing_commas_go_and_nothing_moves() {
        let text = "{ // é\n \"a\": \"http://x/*,}*/\", /* b\n, ] */ \"c\": [1, 2, ], // end\n}";
        let plain = without_comments(text);
        assert_eq!(plain.matches('\n').count(), text.matches('\n').count());
        assert_eq!(plain.len(), text.len());
        let value: serde_json::Value = serde_json::from_str(&plain).unwrap();
        assert_eq!(
            value,
            serde_json::json!({ "a": "http://x/*,}*/", "c": [1, 2] })
        );
    }

    #[test]
    fn broken_texts_stay_broken() {
        for text in [
            "{,}",
            "[1,,]",
            "\"",
            "\"\\",
            "/*",
            "//",
            "/",
            "{\"a\":1 /* ",
            "[1 2,]",
        ] {
            let plain = without_comments(text);
            assert_eq!(plain.len(), text.len(), "{text}");
            if text != "{,}" {
                assert!(Node::parse(&plain).is_err(), "{text}");
            }
        }
    }

    #[test]
    fn order_and_lines_are_known() {
        let text = "{\"z\": 1,\n \"a\":\n {\"k\": true}}";
        let entries = Node::parse(text).unwrap().entries().unwrap();
        let seen: Vec<_> = entries
            .iter()
            .map(|(key, node)| (key.as_str(), node.line(), node.shape()))
            .collect();
        assert_eq!(seen, [("z", 1, Shape::Number), ("a", 3, Shape::Object)]);
        let inner = entries[1].1.entries().unwrap();
        assert_eq!(inner[0].1.line(), 3);
    }
}
