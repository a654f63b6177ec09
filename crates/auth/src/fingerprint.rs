//! A name for a secret that tells nothing about it.

use std::fmt;
use std::sync::LazyLock;

/// Equality of secrets without the secrets: a keyed digest (BLAKE3) of what was sent.
///
/// The key is random and made once per process, so a fingerprint can be logged and used in keys:
/// it can be compared within the process and is worthless outside it, where the same token has
/// another fingerprint.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The fingerprint of some parts. The split matters: `["ab", "c"]` is not `["a", "bc"]`.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(&KEY);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut digest = [0; 16];
        digest.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(digest)
    }

    /// The fingerprint of several together, in their order.
    pub fn combined(parts: impl IntoIterator<Item = Self>) -> Self {
        let parts: Vec<_> = parts.into_iter().collect();
        Self::of(parts.iter().map(|part| &part.0[..]))
    }

    /// The fingerprint of having no credentials at all.
    pub fn anonymous() -> Self {
        Self([0; 16])
    }
}

/// Eight hexadecimal digits: enough to follow one token through a log.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::anonymous() {
            return f.write_str("anonymous");
        }
        self.0[..4]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

static KEY: LazyLock<[u8; 32]> = LazyLock::new(|| {
    let mut key = [0; 32];
    if getrandom::fill(&mut key).is_err() {
        // Without an entropy source, fall back to the hasher seeds of the standard library, which
        // differ per process as well.
        use std::hash::{BuildHasher, RandomState};
        for (index, chunk) in key.chunks_exact_mut(8).enumerate() {
            chunk.copy_from_slice(&RandomState::new().hash_one(index).to_le_bytes());
        }
    }
    key
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_split_of_parts_matters() {
        let of = |parts: &[&str]| Fingerprint::of(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(of(&["ab", "c"]), of(&["ab", "c"]));
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["abc"]), of(&["abc", ""]));
    }

    #[test]
    fn it_is_shown_as_eight_digits() {
        let shown = Fingerprint::of([&b"test-token"[..]]).to_string();
        assert_eq!(shown.len(), 8);
        assert!(shown.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
