//! `expires_in` as token endpoints really send it.

use std::time::Duration;

use crate::Expiry;

/// No answer is believed for longer than this: 366 days.
const MAX_SECONDS: f64 = 366.0 * 24.0 * 3600.0;

impl Expiry {
    /// From the JSON text of `expires_in` in a token response (RFC 6749, section 5.1).
    ///
    /// `3600`, `3600.5`, `"3600"` and `1e3` are lifetimes; more than a year is cut to a year; zero
    /// and less mean that the token has already ended. `null`, text without a number and anything
    /// else mean [`Expiry::Unknown`], as does a field that is not there.
    ///
    /// ```
    /// use std::time::Duration;
    /// use mcp_auth::Expiry;
    ///
    /// assert_eq!(Expiry::from_expires_in("\"300\""), Expiry::In(Duration::from_secs(300)));
    /// assert_eq!(Expiry::from_expires_in("-1"), Expiry::In(Duration::ZERO));
    /// assert_eq!(Expiry::from_expires_in("null"), Expiry::Unknown);
    /// ```
    pub fn from_expires_in(json: &str) -> Self {
        let text = json.trim();
        let text = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .unwrap_or(text);
        text.trim()
            .parse()
            .map_or(Self::Unknown, Self::from_seconds)
    }

    /// From a number of seconds; as [`Expiry::from_expires_in`].
    pub fn from_seconds(seconds: f64) -> Self {
        if seconds.is_nan() {
            return Self::Unknown;
        }
        Self::In(Duration::from_secs_f64(seconds.clamp(0.0, MAX_SECONDS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_values() {
        let seconds = |seconds| Expiry::In(Duration::from_secs(seconds));
        for (json, expiry) in [
            ("3600", seconds(3600)),
            (" \" 3600 \" ", seconds(3600)),
            ("1e3", seconds(1000)),
            ("0", seconds(0)),
            ("-0.0", seconds(0)),
            ("-3600", seconds(0)),
            ("\"-1\"", seconds(0)),
            ("1000000000000", seconds(366 * 86_400)),
            ("1e400", seconds(366 * 86_400)),
            ("null", Expiry::Unknown),
            ("", Expiry::Unknown),
            ("\"soon\"", Expiry::Unknown),
            ("\"\"", Expiry::Unknown),
            ("true", Expiry::Unknown),
            ("[3600]", Expiry::Unknown),
            ("{}", Expiry::Unknown),
            ("nan", Expiry::Unknown),
        ] {
            assert_eq!(Expiry::from_expires_in(json), expiry, "{json}");
        }
        assert_eq!(
            Expiry::from_expires_in("0.5"),
            Expiry::In(Duration::from_millis(500))
        );
    }
}
