//! The ways in which a peer writes what it was sent.

mod base64;
mod escapes;

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem;
use secrecy::{ExposeSecret as _, SecretString};

/// What stands in a secret's place.
pub(crate) const MARK: &str = "[redacted]";

/// Secrets shorter than this are not searched for: a two-letter tenant id would blank out half of
/// every message.
const MIN_BYTES: usize = 6;

/// A secret to look for: as it is; as JSON, URLs and HTML write it; in Base64, by itself or within
/// something longer; and the beginning of one of these where the text was cut off within it.
pub(crate) struct Needle {
    secret: SecretString,
    /// What stands in the Base64 of whatever holds the secret.
    encoded: Vec<SecretString>,
}

impl Needle {
    /// `None` for a secret that is too short to be looked for.
    pub(crate) fn new(secret: SecretString) -> Option<Self> {
        let bytes = secret.expose_secret().as_bytes();
        if bytes.len() < MIN_BYTES {
            return None;
        }
        let encoded = base64::within(bytes);
        Some(Self { secret, encoded })
    }

    /// How long the secret is, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.secret.expose_secret().len()
    }

    /// The text without the secret. Takes time that grows with the text, for each way of writing
    /// that there are signs of.
    pub(crate) fn redact<'t>(&self, mut text: Cow<'t, str>) -> Cow<'t, str> {
        let secret = self.secret.expose_secret();
        text = without(text, |text| {
            let end = torn(text.as_bytes(), secret.as_bytes());
            let whole = memmem::find_iter(text.as_bytes(), secret);
            let whole = whole.map(|at| at..at + secret.len());
            whole.chain(end.map(|at| at..text.len())).collect()
        });
        for escape in escapes::ALL {
            text = without(text, |text| escapes::find(text, secret.as_bytes(), escape));
        }
        for encoded in &self.encoded {
            let encoded = encoded.expose_secret().as_bytes();
            text = without(text, |text| base64::find(text, encoded));
        }
        text
    }
}

/// The text without a secret, for one look.
pub(crate) fn redact<'t>(text: Cow<'t, str>, secret: &str) -> Cow<'t, str> {
    match Needle::new(secret.into()) {
        Some(needle) => needle.redact(text),
        None => text,
    }
}

/// The text with the mark in place of what was found, which comes in order.
fn without(text: Cow<'_, str>, find: impl FnOnce(&str) -> Vec<Range<usize>>) -> Cow<'_, str> {
    let found = find(&text);
    if found.is_empty() {
        return text;
    }
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    for range in found {
        if range.start < at {
            // Two that overlap are one.
            at = at.max(range.end);
            continue;
        }
        kept.push_str(text.get(at..range.start).unwrap_or_default());
        kept.push_str(MARK);
        at = range.end;
    }
    kept.push_str(text.get(at..).unwrap_or_default());
    Cow::Owned(kept)
}

/// Where the beginning of a secret stands at the end of a text.
fn torn(text: &[u8], secret: &[u8]) -> Option<usize> {
    // Only where the first bytes stand can more of it stand.
    let first = secret.get(..MIN_BYTES)?;
    let from = text.len().saturating_sub(secret.len() - 1);
    let end = text.get(from..)?;
    let mut starts = memmem::find_iter(end, first).map(|at| from + at);
    starts.find(|&at| text.get(at..).is_some_and(|end| secret.starts_with(end)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::base64::Engine as _;
    use ::base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    fn shown(text: &str, secret: &str) -> String {
        redact(text.into(), secret).into_owned()
    }

    #[test]
    fn secrets_are_found_however_they_are_written() {
        let secret = r#"canary/key+1=="x\"#;
        for text in [
            r#"got canary/key+1=="x\ here"#,
            r#"got canary/key+1==\"x\\ here"#,
            r#"got canary\/key+1==\"x\\ here"#,
            r"got canary\u002fkey\u002B1\u003d=\u0022x\\ here",
            "got canary%2Fkey%2B1%3D%3D%22x%5C here",
            "got canary%2fkey%2b1%3d%3d%22x%5c here",
            "got %63anary/key%2b1==%22x\\ here",
            "got canary/key+1==&quot;x\\ here",
            "got canary&#x2F;key&#43;1&#x3d;=&#34;x&#92; here",
            "got canary&sol;key&plus;1&equals;&equals;&quot;x&#x5c; here",
        ] {
            assert_eq!(shown(text, secret), "got [redacted] here", "{text}");
        }
    }

    #[test]
    fn a_secret_that_was_cut_off_is_found() {
        assert_eq!(shown("got canary-to", "canary-token"), "got [redacted]");
        assert_eq!(shown("canary", "canary-token"), "[redacted]");
        for text in [
            r"got canary\/to",
            r"got canary\",
            "got canary%2",
            "got canary&#4",
        ] {
            assert_eq!(shown(text, "canary/token"), "got [redacted]", "{text}");
        }
        assert_eq!(
            shown("é canary-canary-t", "canary-token"),
            "é canary-[redacted]"
        );
        for harmless in [
            "got cana",
            "canary-tok and more",
            "",
            "é",
            "100% \\ & &; %zz",
        ] {
            let text = Cow::Borrowed(harmless);
            let redacted = redact(text, "canary-token");
            assert!(matches!(redacted, Cow::Borrowed(_)), "{harmless}");
            assert_eq!(redacted, harmless);
        }
        assert_eq!(shown("short", "short"), "short");
    }

    #[test]
    fn a_secret_is_found_in_the_base64_of_whatever_holds_it() {
        let secret = "canary-token??>>~";
        for before in [
            "",
            "x",
            "xy",
            "Bearer ",
            "user:",
            "{\"authorization\":\"Bearer ",
        ] {
            for after in ["", "z", "\"}"] {
                let held = format!("{before}{secret}{after}");
                for encoded in [STANDARD.encode(&held), URL_SAFE_NO_PAD.encode(&held)] {
                    let text = format!("got {encoded}, no");
                    assert_eq!(shown(&text, secret), "got [redacted], no", "{held}");
                    // Cut off within it.
                    let cut = text.get(..text.len() - 12).unwrap();
                    let left = shown(cut, secret);
                    assert!(left.starts_with("got [redacted]"), "{held}: {left}");
                }
            }
        }
        let other = STANDARD.encode("canary-other");
        assert_eq!(shown(&other, secret), other);
    }

    #[test]
    fn several_are_all_found() {
        let text = "canary-token, canary%2Dtoken, canary-token and Y2FuYXJ5LXRva2Vu";
        assert_eq!(
            shown(text, "canary-token"),
            "[redacted], [redacted], [redacted] and [redacted]"
        );
        assert_eq!(
            shown("aaaaaaaaaaaaaa!", "aaaaaa"),
            "[redacted][redacted]aa!"
        );
    }
}
