//! A principal's name for other processes.

use std::fmt;
use std::str::FromStr;

use mcp_auth::Principal;
use serde::{Deserialize, Serialize};

/// Names a principal, its tenant included, in what leaves the process: the same in every replica, of
/// one size, and not the user's identifier. A first byte that is cheap to make
/// ([`shard_of`](Self::shard_of)), then a digest (BLAKE3).
///
/// It keeps identifiers out of logs and keys of the carrier. Whoever can guess an identifier can
/// tell that it is meant: it is no secret and protects none.
#[derive(Clone, Copy, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(into = "String", try_from = "String")]
pub struct PrincipalTag([u8; 16]);

/// What the digest is for; a digest for something else is another.
const CONTEXT: &str = "mcp-toolkit 2026-11-25 principal of an invalidation or a quota";

impl PrincipalTag {
    /// The tag of a principal.
    pub fn of(principal: &Principal) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        for part in parts(principal) {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let mut tag = [0; 16];
        hasher.finalize_xof().fill(&mut tag);
        tag[0] = Self::shard_of(principal);
        Self(tag)
    }

    /// Whether it is this principal's. For most that it is not, one look is enough.
    pub fn names(&self, principal: &Principal) -> bool {
        self.shard() == Self::shard_of(principal) && *self == Self::of(principal)
    }

    /// One of 256 groups of principals.
    pub fn shard(&self) -> u8 {
        self.0[0]
    }

    /// The group of a principal, without its whole tag: a few nanoseconds. The same in every
    /// replica, whatever it was built with. Users who choose their names can choose to share one;
    /// nothing but speed may depend on it.
    pub fn shard_of(principal: &Principal) -> u8 {
        // FNV-1a, then a multiplication that brings all bits to the top.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for part in parts(principal) {
            for byte in part.bytes().chain([0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        hash.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0]
    }
}

/// Nothing and an empty text cannot be confused: identifiers are not empty.
fn parts(principal: &Principal) -> [&str; 2] {
    [principal.tenant().unwrap_or_default(), principal.user()]
}

/// Thirty-two hexadecimal digits, which [`FromStr`] reads.
impl fmt::Display for PrincipalTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PrincipalTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrincipalTag({self})")
    }
}

impl FromStr for PrincipalTag {
    type Err = NotATag;

    fn from_str(text: &str) -> Result<Self, NotATag> {
        let (digits, rest) = text.as_bytes().as_chunks::<2>();
        let digits: &[[u8; 2]; 16] = digits.try_into().map_err(|_| NotATag)?;
        if !rest.is_empty() {
            return Err(NotATag);
        }
        let mut tag = [0; 16];
        for (byte, [high, low]) in tag.iter_mut().zip(digits) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self(tag))
    }
}

fn digit(byte: u8) -> Result<u8, NotATag> {
    let value = char::from(byte).to_digit(16).ok_or(NotATag)?;
    u8::try_from(value).map_err(|_| NotATag)
}

impl From<PrincipalTag> for String {
    fn from(tag: PrincipalTag) -> Self {
        tag.to_string()
    }
}

impl TryFrom<String> for PrincipalTag {
    type Error = NotATag;

    fn try_from(text: String) -> Result<Self, NotATag> {
        text.parse()
    }
}

/// A text that is no tag.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a principal's tag has 32 hexadecimal digits")]
pub struct NotATag;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_the_same_in_every_release() {
        // Replicas of two releases must agree: these never change.
        let alice = Principal::new("alice").unwrap();
        let hers = Principal::in_tenant("acme", "alice").unwrap();
        insta(&alice, "14c18a2343c4e56f458d6e91b76e9537");
        insta(&hers, "71c37ef0cf1ffacfd12d4f60c8a34902");
    }

    fn insta(principal: &Principal, expected: &str) {
        let tag = PrincipalTag::of(principal);
        assert_eq!(tag.to_string(), expected);
        assert_eq!(expected.parse(), Ok(tag));
        assert!(tag.names(principal));
        assert!(!format!("{tag:?}").contains("alice"));
    }

    #[test]
    fn parts_are_never_joined() {
        let tag = |tenant: &str, user: &str| {
            PrincipalTag::of(&Principal::in_tenant(tenant, user).unwrap())
        };
        assert_ne!(tag("c", "a:b"), tag("b:c", "a"));
        assert_ne!(tag("ab", "c"), tag("a", "bc"));
        let plain = PrincipalTag::of(&Principal::new("alice").unwrap());
        assert_ne!(plain, tag("acme", "alice"));
    }

    #[test]
    fn broken_tags_are_refused() {
        for broken in [
            "",
            "00",
            &"0".repeat(31),
            &"0".repeat(33),
            &"g".repeat(32),
            &"é".repeat(16),
        ] {
            assert_eq!(broken.parse::<PrincipalTag>(), Err(NotATag), "{broken}");
        }
    }

    #[test]
    fn groups_are_about_the_same_size() {
        let mut sizes = [0_u32; 256];
        for n in 0..25_600 {
            let user = Principal::in_tenant("acme", format!("user-{n}@example.com")).unwrap();
            sizes[usize::from(PrincipalTag::shard_of(&user))] += 1;
        }
        let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
        assert!(*least > 50 && *most < 160, "{least} to {most}");
    }
}
