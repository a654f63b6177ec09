//! Secrets taken out of text that others wrote.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use secrecy::SecretString;

use crate::echo::{MARK, Needle};

/// What follows an announcement and is shorter than this is left alone.
const MIN_BYTES: usize = 6;
/// A word this long that mixes letters and digits is taken for a secret.
const SUSPECT_BYTES: usize = 20;
/// Words after which a value is taken for a secret.
const NAMES: [&str; 9] = [
    "token",
    "secret",
    "password",
    "passwd",
    "authorization",
    "bearer",
    "basic",
    "key",
    "apikey",
];

/// Takes secrets out of foreign text: a child's stderr, a server's error body.
///
/// It knows the secrets that it was given, however they are written: as they are, as JSON, URLs and
/// HTML write them, in Base64, and cut off by the end of the text. With [`Redactor::suspicious`] it
/// also takes out what merely looks like one. Printing it shows how many it knows.
///
/// ```
/// use mcp_auth::Redactor;
///
/// let redactor = Redactor::new(["test-token-alice".into()]);
/// assert_eq!(redactor.redact("no user for test-token-alice"), "no user for [redacted]");
/// ```
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Arc<[Needle]>,
    suspicious: bool,
}

impl Redactor {
    /// Takes out these. Those under six bytes are left alone.
    pub fn new(secrets: impl IntoIterator<Item = SecretString>) -> Self {
        let mut secrets: Vec<_> = secrets.into_iter().filter_map(Needle::new).collect();
        // The longest first: one secret may be part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self {
            secrets: secrets.into(),
            suspicious: false,
        }
    }

    /// Takes out as well what looks like a secret: what follows `Bearer`, `token=` or `password:`,
    /// and long words that mix letters and digits. For text that is shown to people, where a lost
    /// word costs less than a leaked one.
    pub fn suspicious(mut self) -> Self {
        self.suspicious = true;
        self
    }

    /// The text without secrets.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for secret in self.secrets.iter() {
            text = secret.redact(text);
        }
        if self.suspicious {
            text = match without_suspects(&text) {
                Some(redacted) => Cow::Owned(redacted),
                None => text,
            };
        }
        text
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor")
            .field("secrets", &self.secrets.len())
            .field("suspicious", &self.suspicious)
            .finish()
    }
}

/// `None` when nothing is suspicious.
fn without_suspects(text: &str) -> Option<String> {
    let mut redacted = String::with_capacity(text.len());
    let mut changed = false;
    // Whether the word before announced a secret, and how much may stand between.
    let mut announced = false;
    let mut rest = text;
    while !rest.is_empty() {
        let word = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
        let (found, behind) = rest.split_at(word);
        if found.is_empty() {
            let between = behind.find(in_word).unwrap_or(behind.len());
            let (between, behind) = behind.split_at(between);
            redacted.push_str(between);
            announced &= between
                .chars()
                .all(|c| matches!(c, ' ' | '\t' | ':' | '=' | '"' | '\''));
            rest = behind;
            continue;
        }
        let name = found.trim_end_matches('=');
        let is_name = announces(name);
        if is_name {
            redacted.push_str(found);
        } else if suspect(found) || (announced && found.len() >= MIN_BYTES) {
            redacted.push_str(MARK);
            changed = true;
        } else {
            redacted.push_str(found);
        }
        announced = is_name;
        rest = behind;
    }
    changed.then_some(redacted)
}

fn announces(word: &str) -> bool {
    let last = word.rsplit(['_', '-', '.']).next().unwrap_or(word);
    NAMES.iter().any(|name| last.eq_ignore_ascii_case(name))
}

fn suspect(word: &str) -> bool {
    let digits = word.bytes().any(|byte| byte.is_ascii_digit());
    let letters = word.bytes().any(|byte| byte.is_ascii_alphabetic());
    word.len() >= SUSPECT_BYTES && digits && letters
}

fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '+')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_secrets_go_the_longest_first() {
        let redactor = Redactor::new(["canary".into(), "canary-long".into(), "ab".into()]);
        assert_eq!(
            redactor.redact("canary-long, canary, ab"),
            "[redacted], [redacted], ab"
        );
        assert!(matches!(redactor.redact("nothing"), Cow::Borrowed(_)));
        assert!(!format!("{redactor:?}").contains("canary"));
    }

    #[test]
    fn suspects_go_and_words_stay() {
        let redactor = Redactor::default().suspicious();
        for (text, shown) in [
            ("Bearer abcdef", "Bearer [redacted]"),
            ("token=hunter2", "token=[redacted]"),
            ("API_KEY: 'hunter2'", "API_KEY: '[redacted]'"),
            (
                "got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln",
                "got [redacted]",
            ),
            (
                "no such file or directory: /usr/local/bin/helper",
                "no such file or directory: /usr/local/bin/helper",
            ),
            ("bad token", "bad token"),
            (
                "connection refused (os error 111)",
                "connection refused (os error 111)",
            ),
        ] {
            assert_eq!(redactor.redact(text), shown);
        }
    }
}
