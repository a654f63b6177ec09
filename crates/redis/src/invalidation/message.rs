//! Invalidations as they travel.

use mcp_core::replicas::Invalidation;
use serde::{Deserialize, Serialize};

use super::generation::Generation;

/// What is said, before a number is put in front of it.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Body {
    /// Who says it.
    pub(super) from: String,
    pub(super) forget: Vec<Invalidation>,
}

/// What is heard: the number, a space, the body. A Redis that is full cannot count; a message then
/// has a dash in place of its number.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) at: Option<Generation>,
    pub(super) body: Body,
}

impl Message {
    /// `None` for something else than was written here: by a later release, or somebody else.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (at, body) = text.split_once(' ')?;
        let at = match at {
            "-" => None,
            at => Some(at.parse().ok()?),
        };
        let body = serde_json::from_str(body).ok()?;
        Some(Self { at, body })
    }
}

#[cfg(test)]
mod tests {
    use mcp_core::ServerId;
    use mcp_core::replicas::Cause;

    use super::*;

    #[test]
    fn messages_are_read_as_they_are_written() {
        let server = ServerId::new("github").unwrap();
        let forget = vec![Invalidation::of_server(&server, Cause::ToolsChanged)];
        let from = "00ff".to_owned();
        let body = serde_json::to_string(&Body { from, forget }).unwrap();
        let text = format!("00112233445566aa:17 {body}");
        assert_eq!(
            text,
            r#"00112233445566aa:17 {"from":"00ff","forget":[{"what":"server","server":"github","why":"tools_changed"}]}"#
        );
        let read = Message::read(text.as_bytes()).unwrap();
        assert_eq!(read.at, "00112233445566aa:17".parse().ok());
        assert_eq!((&*read.body.from, read.body.forget.len()), ("00ff", 1));
        let uncounted = format!("- {body}");
        assert_eq!(Message::read(uncounted.as_bytes()).unwrap().at, None);
        for odd in ["", "x", "1 {}", "a:b {}", "a:1 {\"from\":1}", "- []"] {
            assert!(Message::read(odd.as_bytes()).is_none(), "{odd}");
        }
        assert!(Message::read(&[0xff, b' ']).is_none());
    }
}
