//! What `WWW-Authenticate` says.

use std::fmt;

use http::HeaderValue;

use crate::Credentials;

/// A server sends a handful of challenges; past these bounds the rest is ignored.
const MAX_CHALLENGES: usize = 16;
const MAX_PARAMETERS: usize = 32;
const MAX_BYTES: usize = 16 * 1024;

/// One challenge of `WWW-Authenticate` (RFC 9110, section 11.6.1; RFC 6750, section 3).
///
/// Scheme and parameter names are compared without case, as the RFC demands.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Challenge {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// All challenges of a response, in its order, over all header lines.
    ///
    /// Values that echo a secret of `sent` are redacted. Text that is not a challenge is skipped:
    /// a malformed header must not hide a well-formed one beside it.
    pub fn parse<'v>(
        values: impl IntoIterator<Item = &'v HeaderValue>,
        sent: &Credentials,
    ) -> Vec<Self> {
        let mut challenges = Vec::new();
        for value in values {
            let Ok(text) = value.to_str() else { continue };
            let text = text.get(..MAX_BYTES).unwrap_or(text);
            Parser {
                text: &sent.redact(text),
                at: 0,
            }
            .challenges(&mut challenges);
        }
        challenges
    }

    /// The scheme as the server wrote it, such as `Bearer` or `DPoP`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Whether this is a challenge of the scheme.
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// A parameter's value.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self
            .parameters
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The error code, such as `invalid_token` or `insufficient_scope` (RFC 6750, section 3.1).
    pub fn error(&self) -> Option<&str> {
        self.parameter("error")
    }

    /// The scopes that the request needs.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.parameter("scope")
            .into_iter()
            .flat_map(|scopes| scopes.split_ascii_whitespace())
    }

    /// Where the protected resource's metadata is (RFC 9728, section 5.1).
    pub fn resource_metadata(&self) -> Option<&str> {
        self.parameter("resource_metadata")
    }
}

/// Shows the scheme and the parameters that say what to do; free text of the server stays out.
impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenge")
            .field("scheme", &self.scheme)
            .field("error", &self.error())
            .field("scope", &self.parameter("scope"))
            .finish_non_exhaustive()
    }
}

/// Reads `scheme [token68 | name=value, …], scheme …`; commas separate both parameters and
/// challenges, so a word decides by what follows it.
struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl Parser<'_> {
    fn challenges(&mut self, found: &mut Vec<Challenge>) {
        while self.at < self.text.len() && found.len() < MAX_CHALLENGES {
            self.skip(|byte| byte == b',' || is_space(byte));
            let Some(scheme) = self.word() else {
                // Not a word: step over one character and look again.
                self.at += self.rest().chars().next().map_or(1, char::len_utf8);
                continue;
            };
            let mut challenge = Challenge {
                scheme: scheme.to_owned(),
                parameters: Vec::new(),
            };
            self.parameters(&mut challenge.parameters);
            found.push(challenge);
        }
    }

    fn parameters(&mut self, found: &mut Vec<(String, String)>) {
        loop {
            let start = self.at;
            self.skip(|byte| byte == b',' || is_space(byte));
            let Some(name) = self.word().map(str::to_owned) else {
                break;
            };
            self.skip(is_space);
            if !self.eat('=') {
                // The word is not a parameter but the next scheme, or a token68 right behind ours.
                if found.is_empty() && !self.text[start..self.at].contains(',') {
                    self.skip(|byte| !is_space(byte) && byte != b',');
                    continue;
                }
                self.at = start;
                break;
            }
            self.skip(is_space);
            let value = if self.eat('"') {
                self.quoted()
            } else {
                self.bare()
            };
            if found.len() < MAX_PARAMETERS {
                found.push((name, value));
            }
        }
    }

    fn quoted(&mut self) -> String {
        let mut value = String::new();
        let mut escaped = false;
        for (offset, character) in self.rest().char_indices() {
            match character {
                _ if escaped => {
                    value.push(character);
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => {
                    self.at += offset + 1;
                    return value;
                }
                _ => value.push(character),
            }
        }
        self.at = self.text.len();
        value
    }

    fn bare(&mut self) -> String {
        let start = self.at;
        self.skip(|byte| !is_space(byte) && byte != b',');
        self.text[start..self.at].to_owned()
    }

    fn word(&mut self) -> Option<&str> {
        let start = self.at;
        self.skip(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
        (self.at > start).then(|| &self.text[start..self.at])
    }

    fn skip(&mut self, wanted: impl Fn(u8) -> bool) {
        let rest = self.rest().bytes();
        self.at += rest
            .take_while(|&byte| byte.is_ascii() && wanted(byte))
            .count();
    }

    fn eat(&mut self, character: char) -> bool {
        let eaten = self.rest().starts_with(character);
        self.at += usize::from(eaten);
        eaten
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }
}

fn is_space(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &[&str]) -> Vec<Challenge> {
        let values: Vec<_> = lines.iter().map(|line| line.parse().unwrap()).collect();
        Challenge::parse(&values, &Credentials::anonymous())
    }

    #[test]
    fn several_challenges_over_several_lines() {
        let found = parse(&[
            r#"Bearer realm="a, b", error="insufficient_scope", scope="read write""#,
            r#"DPoP algs="ES256 RS256", Basic realm=plain, Negotiate YWJjZA=="#,
        ]);
        let schemes: Vec<_> = found.iter().map(Challenge::scheme).collect();
        assert_eq!(schemes, ["Bearer", "DPoP", "Basic", "Negotiate"]);
        assert_eq!(found[0].parameter("REALM"), Some("a, b"));
        assert_eq!(found[0].error(), Some("insufficient_scope"));
        assert_eq!(found[0].scopes().collect::<Vec<_>>(), ["read", "write"]);
        assert_eq!(found[1].parameter("algs"), Some("ES256 RS256"));
        assert_eq!(found[2].parameter("realm"), Some("plain"));
    }

    #[test]
    fn case_escapes_and_spaces() {
        let found = parse(&[r#"bEaReR  ERROR = "a\"b" ,resource_metadata="https://x.test/p?q=1""#]);
        assert!(found[0].is("bearer"));
        assert_eq!(found[0].error(), Some("a\"b"));
        assert_eq!(found[0].resource_metadata(), Some("https://x.test/p?q=1"));
    }

    #[test]
    fn hostile_text_ends() {
        for text in [
            "",
            ",,,,",
            "\"",
            "=\"",
            "Bearer error=\"unterminated",
            "a=b",
            "Bearer",
            "[]",
        ] {
            let _ = parse(&[text]);
        }
        let many = "Bearer a=b, ".repeat(1000);
        assert!(parse(&[&many]).len() <= MAX_CHALLENGES);
    }

    #[test]
    fn an_echoed_token_is_redacted() {
        let sent = Credentials::bearer("canary-token").unwrap();
        let value = r#"Bearer error_description="bad token canary-token""#
            .parse()
            .unwrap();
        let found = Challenge::parse([&value], &sent);
        assert_eq!(
            found[0].parameter("error_description"),
            Some("bad token [redacted]")
        );
    }
}
