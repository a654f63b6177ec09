//! What a server said that it offers.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::wire::RpcError;
use crate::{Error, Failure, ProtocolVersion};

/// What a server offers, by its handshake or its answer to `server/discover`. For transports.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(from = "Said")]
pub struct Capabilities {
    features: [bool; FEATURES.len()],
    tells_tool_changes: bool,
}

/// The features of servers, and how their methods begin.
const FEATURES: [(&str, &str); 5] = [
    ("tools", "tools/"),
    ("resources", "resources/"),
    ("prompts", "prompts/"),
    ("completions", "completion/"),
    ("logging", "logging/"),
];

/// As it is written. What a feature says of itself may be of any size and shape, and is not kept.
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    tools: Option<Value>,
    #[serde(default)]
    resources: Option<IgnoredAny>,
    #[serde(default)]
    prompts: Option<IgnoredAny>,
    #[serde(default)]
    completions: Option<IgnoredAny>,
    #[serde(default)]
    logging: Option<IgnoredAny>,
}

impl From<Said> for Capabilities {
    fn from(said: Said) -> Self {
        let tools = said.tools.as_ref();
        Self {
            tells_tool_changes: tools.is_some_and(|tools| tools["listChanged"] == true),
            features: [
                tools.is_some(),
                said.resources.is_some(),
                said.prompts.is_some(),
                said.completions.is_some(),
                said.logging.is_some(),
            ],
        }
    }
}

impl Capabilities {
    /// Whether it has tools.
    pub fn has_tools(&self) -> bool {
        let [tools, ..] = self.features;
        tools
    }

    /// Whether it says when its tools change.
    pub fn tells_tool_changes(&self) -> bool {
        self.tells_tool_changes
    }

    /// Whether a method may be asked for. Where there is a handshake, what was not offered in it must
    /// not be (2025-11-25, basic/lifecycle). From 2026-07-28 on a server may be asked for anything
    /// without a word before, and says itself what it does not know; 2024-11-05 has no capability for
    /// completion.
    ///
    /// # Errors
    /// [`Failure::Rpc`] with code -32601, which is what the server would answer.
    pub fn permit(&self, method: &str, version: ProtocolVersion) -> Result<(), Error> {
        if version.is_stateless() {
            return Ok(());
        }
        let mut features = FEATURES.iter().zip(self.features);
        let feature = features.find(|((_, begin), _)| method.starts_with(begin));
        match feature {
            Some((("completions", _), _)) if version == ProtocolVersion::V2024_11_05 => Ok(()),
            Some(((name, _), false)) => Err(Failure::Rpc {
                code: RpcError::METHOD_NOT_FOUND,
                message: format!("it offers no {name}"),
            }
            .into()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(said: Value) -> Capabilities {
        serde_json::from_value(said).unwrap()
    }

    #[test]
    fn only_what_was_offered_may_be_asked_for() {
        let offered = read(json!({"resources": {"subscribe": true}, "prompts": null, "x": 1}));
        let version = ProtocolVersion::V2025_11_25;
        for (method, may) in [
            ("resources/list", true),
            ("resources/templates/list", true),
            ("prompts/get", false),
            ("tools/list", false),
            ("completion/complete", false),
            ("logging/setLevel", false),
            ("ping", true),
            ("vendor/thing", true),
        ] {
            let permitted = offered.permit(method, version);
            assert_eq!(permitted.is_ok(), may, "{method}");
            if let Err(error) = permitted {
                let Failure::Rpc { code, .. } = error.failure() else {
                    panic!("{error:?}");
                };
                assert_eq!(*code, -32601);
            }
        }
        let nothing = Capabilities::default();
        assert!(
            nothing
                .permit("tools/list", ProtocolVersion::LATEST)
                .is_ok()
        );
        let oldest = ProtocolVersion::V2024_11_05;
        assert!(nothing.permit("completion/complete", oldest).is_ok());
        assert!(nothing.permit("prompts/list", oldest).is_err());
    }

    #[test]
    fn a_feature_of_any_shape_is_one() {
        let offered = read(json!({"tools": true, "logging": []}));
        assert!(offered.has_tools() && !offered.tells_tool_changes());
        let offered = read(json!({"tools": {"listChanged": true}}));
        assert!(offered.tells_tool_changes());
        assert_eq!(read(json!({})), Capabilities::default());
    }
}
