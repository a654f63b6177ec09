//! What is to be forgotten, and why.

use mcp_auth::{Principal, ServerId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::PrincipalTag;

/// Something that no replica may go by any more.
///
/// To forget too much is always right, only slower.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Invalidation {
    /// What is to be forgotten.
    #[serde(flatten)]
    pub scope: Scope,
    /// Why.
    #[serde(rename = "why")]
    pub cause: Cause,
}

/// How much is to be forgotten.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scope {
    /// What a principal has of one server, with whatever credentials.
    PrincipalAt {
        /// Whose.
        who: PrincipalTag,
        /// The server, by its name, which is the same in all replicas.
        #[serde(with = "name")]
        server: ServerId,
    },
    /// What a principal has of any server.
    Principal {
        /// Whose.
        who: PrincipalTag,
    },
    /// What anybody has of one server.
    Server {
        /// The server, by its name, which is the same in all replicas.
        #[serde(with = "name")]
        server: ServerId,
    },
    /// Everything.
    Everything,
}

/// Why something is to be forgotten.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// The principal logged out: besides what was loaded, credentials that are held in memory go.
    LoggedOut,
    /// The server, or who gives out credentials for it, turned the principal away.
    Refused,
    /// The server said that its tools changed.
    ToolsChanged,
    /// A tool's definition is not what it was.
    DefinitionsChanged,
    /// Somebody asked for it, or the reason is not known here.
    #[serde(other)]
    Asked,
}

impl Cause {
    /// The name that logs use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoggedOut => "logged_out",
            Self::Refused => "refused",
            Self::ToolsChanged => "tools_changed",
            Self::DefinitionsChanged => "definitions_changed",
            Self::Asked => "asked",
        }
    }
}

impl Invalidation {
    /// What a principal has, of one server or of all.
    pub fn of_principal(principal: &Principal, server: Option<&ServerId>, cause: Cause) -> Self {
        let who = PrincipalTag::of(principal);
        let scope = match server.cloned() {
            Some(server) => Scope::PrincipalAt { who, server },
            None => Scope::Principal { who },
        };
        Self { scope, cause }
    }

    /// What anybody has of a server.
    pub fn of_server(server: &ServerId, cause: Cause) -> Self {
        let server = server.clone();
        let scope = Scope::Server { server };
        Self { scope, cause }
    }

    /// Everything that anybody has.
    pub fn of_everything(cause: Cause) -> Self {
        let scope = Scope::Everything;
        Self { scope, cause }
    }
}

/// A server's name as text.
mod name {
    use super::{Deserialize, Deserializer, Serializer, ServerId};

    pub(super) fn serialize<S: Serializer>(id: &ServerId, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(id.as_str())
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<ServerId, D::Error> {
        let name = String::deserialize(from)?;
        ServerId::new(name).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_and_names_nobody() {
        let (alice, server) = (
            Principal::new("alice").unwrap(),
            ServerId::new("github").unwrap(),
        );
        for (sent, text) in [
            (
                Invalidation::of_principal(&alice, Some(&server), Cause::Refused),
                r#"{"what":"principal_at","who":"TAG","server":"github","why":"refused"}"#,
            ),
            (
                Invalidation::of_principal(&alice, None, Cause::LoggedOut),
                r#"{"what":"principal","who":"TAG","why":"logged_out"}"#,
            ),
            (
                Invalidation::of_server(&server, Cause::ToolsChanged),
                r#"{"what":"server","server":"github","why":"tools_changed"}"#,
            ),
            (
                Invalidation::of_everything(Cause::Asked),
                r#"{"what":"everything","why":"asked"}"#,
            ),
        ] {
            let tag = PrincipalTag::of(&alice).to_string();
            let written = serde_json::to_string(&sent).unwrap();
            assert_eq!(written, text.replace("TAG", &tag));
            assert_eq!(
                serde_json::from_str::<Invalidation>(&written).unwrap(),
                sent
            );
        }
        // Of a later release: a reason is only told, a scope has to be understood.
        let odd = r#"{"what":"everything","why":"full_moon","x":1}"#;
        let read: Invalidation = serde_json::from_str(odd).unwrap();
        assert_eq!(read.cause, Cause::Asked);
        assert!(serde_json::from_str::<Invalidation>(r#"{"what":"moon","why":"asked"}"#).is_err());
    }
}
