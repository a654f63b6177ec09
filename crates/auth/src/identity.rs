//! Who is calling and which server is called: the two halves of every key.

use std::fmt;
use std::sync::Arc;

/// The longest identifier, in bytes, that names a user, a tenant or a server.
///
/// Identifiers become parts of keys that live as long as a cache entry; a bound keeps a hostile
/// one from holding memory.
pub(crate) const MAX_ID_BYTES: usize = 512;

/// The user on whose behalf a call is made, with the tenant that the user belongs to, if any.
///
/// Both parts are compared on their own and never joined into one string: user `b:c` of tenant
/// `a` is not user `c` of tenant `a:b`. Cloning is cheap.
///
/// ```
/// use mcp_auth::Principal;
///
/// let alice = Principal::new("alice")?;
/// let hers = Principal::in_tenant("acme", "alice")?;
/// assert_ne!(alice, hers);
/// assert_eq!(hers.to_string(), "alice@acme");
/// # Ok::<(), mcp_auth::InvalidIdentity>(())
/// ```
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Principal {
    tenant: Option<Arc<str>>,
    user: Arc<str>,
}

impl Principal {
    /// A user without a tenant.
    ///
    /// # Errors
    /// When `user` is empty, longer than 512 bytes or holds a control character.
    pub fn new(user: impl AsRef<str>) -> Result<Self, InvalidIdentity> {
        Ok(Self {
            tenant: None,
            user: checked("user", user.as_ref())?,
        })
    }

    /// A user of a tenant.
    ///
    /// # Errors
    /// When either part is empty, longer than 512 bytes or holds a control character.
    pub fn in_tenant(
        tenant: impl AsRef<str>,
        user: impl AsRef<str>,
    ) -> Result<Self, InvalidIdentity> {
        Ok(Self {
            tenant: Some(checked("tenant", tenant.as_ref())?),
            user: checked("user", user.as_ref())?,
        })
    }

    /// The principal of a process that serves one person: user `local`, no tenant.
    pub fn local() -> Self {
        static LOCAL: std::sync::LazyLock<Principal> = std::sync::LazyLock::new(|| Principal {
            tenant: None,
            user: Arc::from("local"),
        });
        LOCAL.clone()
    }

    /// The user's identifier.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The tenant's identifier, if the user belongs to one.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }
}

impl Default for Principal {
    fn default() -> Self {
        Self::local()
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Principal({self})")
    }
}

/// For people to read; two different principals may print alike, so never use it as a key.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tenant {
            Some(tenant) => write!(f, "{}@{tenant}", self.user),
            None => f.write_str(&self.user),
        }
    }
}

impl TryFrom<&str> for Principal {
    type Error = InvalidIdentity;

    fn try_from(user: &str) -> Result<Self, Self::Error> {
        Self::new(user)
    }
}

impl TryFrom<String> for Principal {
    type Error = InvalidIdentity;

    fn try_from(user: String) -> Result<Self, Self::Error> {
        Self::new(user)
    }
}

impl From<&Principal> for Principal {
    fn from(principal: &Principal) -> Self {
        principal.clone()
    }
}

/// The name that a server has in this process, such as its key in a configuration file.
///
/// It is chosen by whoever configures the server, never taken from what the server says of itself
/// (specification 2026-07-28, basic: `serverInfo` is self-reported and names nobody).
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServerId(Arc<str>);

impl ServerId {
    /// A server's name.
    ///
    /// # Errors
    /// When `name` is empty, longer than 512 bytes or holds a control character.
    pub fn new(name: impl AsRef<str>) -> Result<Self, InvalidIdentity> {
        Ok(Self(checked("server", name.as_ref())?))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerId({self})")
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<&str> for ServerId {
    type Error = InvalidIdentity;

    fn try_from(name: &str) -> Result<Self, Self::Error> {
        Self::new(name)
    }
}

impl TryFrom<String> for ServerId {
    type Error = InvalidIdentity;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(name)
    }
}

impl From<&ServerId> for ServerId {
    fn from(server: &ServerId) -> Self {
        server.clone()
    }
}

/// An identifier that cannot name anybody. Says which part and why, not the identifier.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the {part} identifier {problem}")]
pub struct InvalidIdentity {
    part: &'static str,
    problem: &'static str,
}

impl From<std::convert::Infallible> for InvalidIdentity {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

fn checked(part: &'static str, id: &str) -> Result<Arc<str>, InvalidIdentity> {
    let problem = if id.is_empty() {
        "is empty"
    } else if id.len() > MAX_ID_BYTES {
        "is longer than 512 bytes"
    } else if id.chars().any(char::is_control) {
        "holds a control character"
    } else {
        return Ok(Arc::from(id));
    };
    Err(InvalidIdentity { part, problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_never_joined() {
        let one = Principal::in_tenant("c", "a:b").unwrap();
        let other = Principal::in_tenant("b:c", "a").unwrap();
        assert_ne!(one, other);
        assert_ne!(
            Principal::new("alice").unwrap(),
            Principal::in_tenant("t", "alice").unwrap()
        );
    }

    #[test]
    fn identifiers_are_bounded_and_clean() {
        for bad in [String::new(), "a\0b".into(), "a\nb".into(), "x".repeat(513)] {
            assert!(Principal::new(&bad).is_err());
            assert!(Principal::in_tenant(&bad, "u").is_err());
            assert!(ServerId::new(&bad).is_err());
        }
        assert!(Principal::new("x".repeat(512)).is_ok());
    }
}
