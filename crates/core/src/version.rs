//! The protocol's versions.

use std::fmt;

use crate::Error;

/// How many of a server's versions are named in an error.
const NAMED: usize = 8;

/// A version of MCP, ordered by age.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum ProtocolVersion {
    /// 2024-11-05: HTTP+SSE and stdio.
    V2024_11_05,
    /// 2025-03-26: Streamable HTTP, batches.
    V2025_03_26,
    /// 2025-06-18: structured output, the version header.
    V2025_06_18,
    /// 2025-11-25: the last version with a handshake and sessions.
    V2025_11_25,
    /// 2026-07-28: stateless, metadata on every request.
    V2026_07_28,
}

impl ProtocolVersion {
    /// Every version, newest first.
    pub const ALL: [Self; 5] = [
        Self::V2026_07_28,
        Self::V2025_11_25,
        Self::V2025_06_18,
        Self::V2025_03_26,
        Self::V2024_11_05,
    ];

    /// The newest version that begins with `initialize`.
    pub const LATEST_LEGACY: Self = Self::V2025_11_25;

    /// The newest version without a handshake.
    pub const LATEST: Self = Self::V2026_07_28;

    /// As it is written on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The version that is written so, if it is known here.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|version| version.as_str() == text)
    }

    /// The newest version that is known here and that a server listed. For transports.
    pub fn newest_common(listed: &[String]) -> Option<Self> {
        let is_listed = |version: &Self| listed.iter().any(|listed| listed == version.as_str());
        Self::ALL.into_iter().find(is_listed)
    }

    /// The error that there is no version which both sides speak, naming what the server listed. Only
    /// what is written as a version is named: anything else may be what was sent to the server. For
    /// transports.
    pub fn none_in_common(listed: &[String]) -> Error {
        let dates = listed.iter().filter(|listed| is_date(listed));
        let named: Vec<&str> = dates.take(NAMED).map(String::as_str).collect();
        let theirs = match (named.as_slice(), listed) {
            ([], []) => "none".to_owned(),
            ([], _) => "none that is written as one".to_owned(),
            (named, _) => named.join(", "),
        };
        let ours = Self::ALL.map(Self::as_str).join(", ");
        Error::protocol(format!(
            "no common protocol version; the server speaks {theirs}, this client {ours}"
        ))
    }

    /// Whether every request carries its own metadata and there is no handshake.
    pub const fn is_stateless(self) -> bool {
        matches!(self, Self::V2026_07_28)
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Versions are dates (2026-07-28, basic/versioning).
fn is_date(text: &str) -> bool {
    let fits = |(at, byte): (usize, u8)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    text.len() == 10 && text.bytes().enumerate().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_of_a_servers_are_named() {
        let shown = |listed: &[&str]| {
            let listed: Vec<_> = listed.iter().map(|&it| it.to_owned()).collect();
            ProtocolVersion::none_in_common(&listed).to_string()
        };
        let both = shown(&["2030-01-01", "test-token-canary"]);
        assert!(
            both.contains("speaks 2030-01-01, this client 2026-07-28"),
            "{both}"
        );
        assert!(!both.contains("canary"));
        assert!(!shown(&["test-token-canary"]).contains("canary"));
        assert!(shown(&[]).contains("speaks none, this"));
        assert!(shown(&["2030-01-01"; 1000]).len() < 300);
    }
}
