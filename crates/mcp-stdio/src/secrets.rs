//! The secrets that a child was given, kept out of what it writes.

use std::borrow::Cow;
use std::fmt;

use mcp_auth::{ExposeSecret, Redactor, SecretString};

/// Shorter values are not searched for: they would blacken ordinary text.
const MIN_REDACTED_BYTES: usize = 6;

/// A line of a secret of several lines, such as a key, is searched for from this length on.
const MIN_REDACTED_LINE_BYTES: usize = 16;

#[derive(Clone, Default)]
pub(crate) struct Secrets {
    whole: Vec<SecretString>,
    redactor: Redactor,
}

impl Secrets {
    pub(crate) fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut secrets = Vec::new();
        for value in values {
            if value.len() >= MIN_REDACTED_BYTES {
                secrets.push(SecretString::from(value));
            }
            if value.contains('\n') {
                let lines = value.lines().map(str::trim);
                let long = lines.filter(|line| line.len() >= MIN_REDACTED_LINE_BYTES);
                secrets.extend(long.map(SecretString::from));
            }
        }
        Self {
            redactor: Redactor::new(secrets.iter().cloned()),
            whole: secrets,
        }
    }

    /// The text without the secrets, however the child wrote them.
    pub(crate) fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.redactor.redact(text)
    }

    /// The text without the end of a secret that was cut off before it.
    pub(crate) fn without_torn_start<'t>(&self, text: &'t str) -> &'t str {
        let torn = self.texts().filter_map(|secret| {
            let mut ends = secret.char_indices().skip(1).map(|(at, _)| &secret[at..]);
            ends.find(|end| text.starts_with(end))
        });
        let longest = torn.map(str::len).max().unwrap_or(0);
        text.get(longest..).unwrap_or_default()
    }

    /// The text without the beginning of a secret that is cut off after it.
    pub(crate) fn without_torn_end<'t>(&self, text: &'t str) -> &'t str {
        let torn = self.texts().filter_map(|secret| {
            let mut starts = secret.char_indices().rev().map(|(at, _)| &secret[..at]);
            starts.find(|start| text.ends_with(start))
        });
        let longest = torn.map(str::len).max().unwrap_or(0);
        text.get(..text.len() - longest).unwrap_or_default()
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        self.whole.iter().map(ExposeSecret::expose_secret)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.whole.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_whole_and_torn() {
        let secrets = Secrets::new(["canary-token", "canary-token-2", "short"]);
        assert_eq!(secrets.redact("a canary-token-2 b"), "a [redacted] b");
        assert_eq!(secrets.redact("short"), "short");
        assert_eq!(secrets.redact("canary%2Dtoken"), "[redacted]");
        assert_eq!(secrets.redact("Y2FuYXJ5LXRva2Vu!"), "[redacted]!");
        assert_eq!(secrets.without_torn_start("ary-token b"), " b");
        assert_eq!(secrets.without_torn_end("b canary-to"), "b ");
        assert_eq!(secrets.without_torn_end("b"), "b");
        assert_eq!(format!("{secrets:?}"), "Secrets(2)");
    }

    #[test]
    fn a_key_is_found_line_by_line() {
        let secrets = Secrets::new(["-----BEGIN-----\ncanarycanarycanary\n-----END-----"]);
        assert_eq!(secrets.redact("got canarycanarycanary"), "got [redacted]");
    }
}
