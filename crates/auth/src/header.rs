//! Header names and values that hold credentials: checked where they are made.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use zeroize::{Zeroize as _, Zeroizing};

/// Headers that belong to the protocol or the connection; a credential may not set them.
const RESERVED: &[&str] = &[
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Families of reserved headers, by their beginning.
const RESERVED_PREFIXES: &[&str] = &["mcp-param-", "proxy-"];

/// The longest credential value, in bytes. Servers refuse far shorter ones; the bound keeps a
/// broken provider from filling memory.
const MAX_VALUE_BYTES: usize = 64 * 1024;

/// A header that cannot be sent. Names the header, never shows the value.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("header `{name}` {reason}")]
pub struct InvalidHeader {
    name: String,
    reason: InvalidHeaderReason,
}

impl InvalidHeader {
    pub(crate) fn new(name: &str, reason: InvalidHeaderReason) -> Self {
        // A name may be hostile too: show a printable beginning of it.
        let name = name
            .chars()
            .take(64)
            .map(|c| if c.is_ascii_graphic() { c } else { '?' });
        Self {
            name: name.collect(),
            reason,
        }
    }

    /// The header's name, with unprintable characters replaced.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is wrong with it.
    pub fn reason(&self) -> InvalidHeaderReason {
        self.reason
    }
}

/// Why a header cannot be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHeaderReason {
    /// The name is empty or has characters that no header name has (RFC 9110, section 5.6.2).
    #[error("has a name that is not a header name")]
    Name,
    /// The name is set by the protocol or the connection; remove it from the credentials.
    #[error("is set by the protocol and cannot be a credential")]
    Reserved,
    /// The value has a line break, a control character or a character outside ASCII.
    #[error("has a value with control characters or characters outside ASCII")]
    Value,
    /// The value is empty.
    #[error("has an empty value")]
    Empty,
    /// The value is longer than 64 KiB.
    #[error("has a value longer than 64 KiB")]
    TooLong,
    /// The same header was given twice.
    #[error("is given twice")]
    Conflict,
}

/// A checked name.
pub(crate) fn name(name: &str) -> Result<HeaderName, InvalidHeader> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| InvalidHeader::new(name, InvalidHeaderReason::Name))?;
    let lower = parsed.as_str();
    if RESERVED.contains(&lower) || RESERVED_PREFIXES.iter().any(|p| lower.starts_with(p)) {
        return Err(InvalidHeader::new(name, InvalidHeaderReason::Reserved));
    }
    Ok(parsed)
}

/// A checked, sensitive value in a buffer that is wiped when its last clone goes.
pub(crate) fn value(
    name: &HeaderName,
    secret: &SecretString,
) -> Result<HeaderValue, InvalidHeader> {
    let text = secret.expose_secret().trim_matches([' ', '\t']);
    if *name == http::header::AUTHORIZATION
        && let Some(token) = strip_bearer(text)
    {
        return bearer(token);
    }
    sensitive(name, Zeroizing::new(text.as_bytes().to_vec()))
}

/// `Bearer <token>`, whether or not the token already came with that word (RFC 6750, 2.1).
pub(crate) fn bearer_value(secret: &SecretString) -> Result<HeaderValue, InvalidHeader> {
    let text = secret.expose_secret().trim();
    bearer(strip_bearer(text).unwrap_or(text))
}

/// `<scheme> <token>`.
pub(crate) fn authorization_value(
    scheme: &str,
    secret: &SecretString,
) -> Result<HeaderValue, InvalidHeader> {
    let name = http::header::AUTHORIZATION;
    if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(InvalidHeader::new(
            name.as_str(),
            InvalidHeaderReason::Value,
        ));
    }
    schemed(scheme, secret.expose_secret().trim())
}

fn bearer(token: &str) -> Result<HeaderValue, InvalidHeader> {
    schemed("Bearer", token)
}

fn schemed(scheme: &str, token: &str) -> Result<HeaderValue, InvalidHeader> {
    let name = http::header::AUTHORIZATION;
    let problem = if token.is_empty() {
        Some(InvalidHeaderReason::Empty)
    } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some(InvalidHeaderReason::Value)
    } else {
        None
    };
    if let Some(reason) = problem {
        return Err(InvalidHeader::new(name.as_str(), reason));
    }
    let mut value = Zeroizing::new(Vec::with_capacity(scheme.len() + 1 + token.len()));
    value.extend_from_slice(scheme.as_bytes());
    value.push(b' ');
    value.extend_from_slice(token.as_bytes());
    sensitive(&name, value)
}

/// What follows the word `Bearer`, however often it stands there; `None` when it does not.
fn strip_bearer(text: &str) -> Option<&str> {
    let (scheme, rest) = match text.split_once([' ', '\t']) {
        Some((scheme, rest)) => (scheme, rest.trim_start_matches([' ', '\t'])),
        None => (text, ""),
    };
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| strip_bearer(rest).unwrap_or(rest))
}

/// The user and the password that a `Basic` value holds (RFC 7617, section 2).
pub(crate) fn basic_pair(token: &str) -> Option<Zeroizing<String>> {
    match String::from_utf8(STANDARD.decode(token).ok()?) {
        Ok(pair) => Some(Zeroizing::new(pair)),
        Err(error) => {
            error.into_bytes().zeroize();
            None
        }
    }
}

fn sensitive(name: &HeaderName, value: Zeroizing<Vec<u8>>) -> Result<HeaderValue, InvalidHeader> {
    let invalid = |reason| InvalidHeader::new(name.as_str(), reason);
    if value.is_empty() {
        return Err(invalid(InvalidHeaderReason::Empty));
    }
    if value.len() > MAX_VALUE_BYTES {
        return Err(invalid(InvalidHeaderReason::TooLong));
    }
    if !value.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        return Err(invalid(InvalidHeaderReason::Value));
    }
    // The header value shares this buffer instead of copying it, so dropping it wipes the secret.
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(value))
        .map_err(|_| invalid(InvalidHeaderReason::Value))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer_of(token: &str) -> Result<String, InvalidHeader> {
        bearer_value(&token.into()).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn bearer_is_never_doubled() {
        for given in [
            "t0k",
            " t0k ",
            "Bearer t0k",
            "bearer  t0k",
            "Bearer Bearer t0k",
            "t0k\n",
        ] {
            assert_eq!(bearer_of(given).unwrap(), "Bearer t0k", "{given:?}");
        }
        let name = http::header::AUTHORIZATION;
        let value = value(&name, &"BEARER Bearer t0k".into()).unwrap();
        assert_eq!(value, "Bearer t0k");
        assert!(value.is_sensitive());
    }

    #[test]
    fn bad_values_are_refused_without_being_shown() {
        for bad in [
            "canary\r\nX-Evil: 1",
            "canary\0",
            "canary é",
            "canary x",
            "Bearer",
        ] {
            let error = bearer_of(bad).unwrap_err();
            assert!(
                !format!("{error} {error:?}").contains("canary"),
                "{error:?}"
            );
        }
        let api_key = name("x-api-key").unwrap();
        for bad in ["a\nb", "a\rb", "a\0b", "\u{7f}", "ü", ""] {
            assert!(value(&api_key, &bad.into()).is_err(), "{bad:?}");
        }
        assert_eq!(value(&api_key, &" two words ".into()).unwrap(), "two words");
    }

    #[test]
    fn reserved_and_malformed_names_are_refused() {
        for reserved in [
            "Host",
            "content-length",
            "Mcp-Session-Id",
            "MCP-Protocol-Version",
            "Mcp-Method",
            "Accept",
            "Mcp-Param-Region",
            "Proxy-Authorization",
        ] {
            let error = name(reserved).unwrap_err();
            assert_eq!(error.reason(), InvalidHeaderReason::Reserved, "{reserved}");
        }
        for malformed in ["", "a b", "a:b", "a\r\nb", "é"] {
            assert_eq!(
                name(malformed).unwrap_err().reason(),
                InvalidHeaderReason::Name
            );
        }
    }
}
