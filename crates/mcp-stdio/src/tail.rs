//! The last bytes of something endless.

use std::collections::VecDeque;
use std::fmt;

use crate::secrets::Secrets;

#[derive(Debug)]
pub(crate) struct Tail {
    bytes: VecDeque<u8>,
    capacity: usize,
    truncated: bool,
}

impl Tail {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            bytes: VecDeque::new(),
            capacity,
            truncated: false,
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let surplus = bytes.len().saturating_sub(self.capacity);
        let kept = bytes.get(surplus..).unwrap_or_default();
        let excess = (self.bytes.len() + kept.len()).saturating_sub(self.capacity);
        self.truncated |= surplus + excess > 0;
        self.bytes.drain(..excess.min(self.bytes.len()));
        self.bytes.extend(kept);
    }

    /// What is kept, as text that may be shown: without secrets and control characters.
    pub(crate) fn text(&self, secrets: &Secrets) -> String {
        let (front, back) = self.bytes.as_slices();
        let whole = [front, back].concat();
        let text = String::from_utf8_lossy(&whole);
        let text = if self.truncated {
            secrets.without_torn_start(&text)
        } else {
            &text
        };
        let shown = |character: char| {
            let layout = matches!(character, '\n' | '\t');
            if character.is_control() && !layout {
                ' '
            } else {
                character
            }
        };
        secrets.redact(text).trim().chars().map(shown).collect()
    }
}

/// A server did not get ready in time: what it wrote meanwhile. The source of the
/// [`Failure::Timeout`](mcp_core::Failure).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct NotReady {
    /// The end of its standard error, secrets replaced; of its standard output when it wrote nothing
    /// else.
    pub stderr: String,
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 2048;
        let tail = self.stderr.trim();
        if tail.is_empty() {
            return f.write_str("the server is not ready; it wrote nothing to standard error");
        }
        // All of it is in the field.
        let start = tail.len().saturating_sub(SHOWN);
        let start = (start..tail.len()).find(|&at| tail.is_char_boundary(at));
        let shown = start.and_then(|start| tail.get(start..)).unwrap_or(tail);
        let cut = if shown.len() < tail.len() { "…" } else { "" };
        write!(f, "the server is not ready; it wrote: {cut}{shown}")
    }
}

impl std::error::Error for NotReady {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept() {
        let mut tail = Tail::new(8);
        tail.push(b"0123");
        tail.push(b"4567");
        assert_eq!(tail.text(&Secrets::default()), "01234567");
        tail.push(b"89");
        assert_eq!(tail.text(&Secrets::default()), "23456789");
        tail.push(&[b'x'; 100]);
        assert_eq!(tail.text(&Secrets::default()), "xxxxxxxx");
    }

    #[test]
    fn a_secret_is_not_shown_in_parts() {
        let secrets = Secrets::new(["canary-token"]);
        let mut tail = Tail::new(16);
        tail.push(b"with canary-token: no\x1b[0m");
        assert_eq!(tail.text(&secrets), ": no [0m");
    }

    #[test]
    fn the_end_of_it_is_shown() {
        let shown = |stderr: String| NotReady { stderr }.to_string();
        assert!(shown(" \n".to_owned()).contains("wrote nothing"));
        let long = shown("é".repeat(60_000) + "waiting for the database\n");
        assert!(long.len() < 2_200 && long.ends_with("éwaiting for the database"));
    }
}
