//! The last bytes of something endless.

use std::collections::VecDeque;

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
}
