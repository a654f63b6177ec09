//! The ways in which a peer writes what it was sent.

use std::borrow::Cow;

/// What stands in a secret's place.
const MARK: &str = "[redacted]";

/// Secrets shorter than this are not searched for: a two-letter tenant id would blank out half of
/// every message.
const MIN_BYTES: usize = 6;

/// The text without a secret: as it is, as JSON writes it, as a URL writes it, and the beginning of
/// one of these where the text was cut off within it.
pub(crate) fn redact<'t>(mut text: Cow<'t, str>, secret: &str) -> Cow<'t, str> {
    if secret.len() < MIN_BYTES {
        return text;
    }
    text = without(text, secret);
    let odd =
        |byte: u8| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'.' | b'_' | b'~');
    if !secret.bytes().any(odd) {
        return text;
    }
    if text.contains('\\') {
        text = without(text, &in_json(secret, false));
        // Some writers of JSON escape the slash.
        text = without(text, &in_json(secret, true));
    }
    if text.contains('%') {
        text = without(text, &in_url(secret, odd, char::to_ascii_uppercase));
        text = without(text, &in_url(secret, odd, char::to_ascii_lowercase));
    }
    text
}

fn without<'t>(text: Cow<'t, str>, secret: &str) -> Cow<'t, str> {
    let text = if text.contains(secret) {
        Cow::Owned(text.replace(secret, MARK))
    } else {
        text
    };
    match torn(&text, secret) {
        Some(at) => Cow::Owned(format!("{}{MARK}", text.get(..at).unwrap_or_default())),
        None => text,
    }
}

/// Where the beginning of a secret stands at the end of a text.
fn torn(text: &str, secret: &str) -> Option<usize> {
    // Only where the first bytes stand can more of it stand.
    let first = secret.get(..MIN_BYTES)?;
    let from = text.len().saturating_sub(secret.len());
    let from = (from..=text.len()).find(|&at| text.is_char_boundary(at))?;
    let end = text.get(from..)?;
    let mut starts = end.match_indices(first).map(|(at, _)| from + at);
    starts.find(|&at| text.get(at..).is_some_and(|end| secret.starts_with(end)))
}

fn in_json(secret: &str, slashes: bool) -> String {
    let mut escaped = String::with_capacity(secret.len() + 8);
    for character in secret.chars() {
        if matches!(character, '"' | '\\') || (slashes && character == '/') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

fn in_url(secret: &str, odd: impl Fn(u8) -> bool, case: impl Fn(&char) -> char) -> String {
    let mut escaped = String::with_capacity(3 * secret.len());
    for byte in secret.bytes() {
        if odd(byte) {
            escaped.push('%');
            for digit in [byte >> 4, byte & 0xf] {
                escaped.extend(char::from_digit(digit.into(), 16).map(|digit| case(&digit)));
            }
        } else {
            escaped.push(byte.into());
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

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
            "got canary%2Fkey%2B1%3D%3D%22x%5C here",
            "got canary%2fkey%2b1%3d%3d%22x%5c here",
        ] {
            assert_eq!(shown(text, secret), "got [redacted] here", "{text}");
        }
    }

    #[test]
    fn a_secret_that_was_cut_off_is_found() {
        assert_eq!(shown("got canary-to", "canary-token"), "got [redacted]");
        assert_eq!(shown("canary", "canary-token"), "[redacted]");
        assert_eq!(shown(r"got canary\/to", "canary/token"), "got [redacted]");
        assert_eq!(
            shown("é canary-canary-t", "canary-token"),
            "é canary-[redacted]"
        );
        for harmless in ["got cana", "canary-tok and more", "", "é"] {
            let text = Cow::Borrowed(harmless);
            let redacted = redact(text, "canary-token");
            assert!(matches!(redacted, Cow::Borrowed(_)), "{harmless}");
            assert_eq!(redacted, harmless);
        }
        assert_eq!(shown("short", "short"), "short");
    }
}
