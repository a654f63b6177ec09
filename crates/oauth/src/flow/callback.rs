//! What comes back from the authorization endpoint, believed in the right order: the state, then the
//! issuer, and only then the rest (RFC 9207; specification 2026-07-28, authorization).

use std::fmt;

use mcp_core::auth::SecretString;
use url::Url;

use super::Pending;
use crate::{OAuthError, wire};

/// A callback as it came, nothing of it believed yet.
pub(crate) struct Callback {
    pub(crate) state: String,
    code: Option<SecretString>,
    iss: Option<String>,
    error: Option<String>,
    description: Option<String>,
}

/// Reads a callback URL. Text around it, as pasted by people, is cut off.
pub(crate) fn read(url: &str) -> Result<Callback, OAuthError> {
    let malformed = || OAuthError::protocol("that is not a callback URL of an authorization");
    let url = Url::parse(url.trim()).map_err(|_| malformed())?;
    let mut callback = Callback {
        state: String::new(),
        code: None,
        iss: None,
        error: None,
        description: None,
    };
    let mut seen: Vec<String> = Vec::new();
    for (name, value) in url.query_pairs() {
        // RFC 6749, section 3.1: no parameter more than once.
        if seen.iter().any(|seen| *seen == name) {
            return Err(malformed());
        }
        match &*name {
            "state" => callback.state = value.into_owned(),
            "code" => callback.code = Some(value.into_owned().into()),
            "iss" => callback.iss = Some(value.into_owned()),
            "error" => callback.error = Some(value.into_owned()),
            "error_description" => callback.description = Some(value.into_owned()),
            _ => continue,
        }
        seen.push(name.into_owned());
    }
    if callback.state.is_empty() {
        return Err(OAuthError::protocol("the callback has no `state`"));
    }
    Ok(callback)
}

impl Callback {
    /// The code, if this is the callback of that authorization and says yes.
    pub(crate) fn code(self, pending: &Pending) -> Result<SecretString, OAuthError> {
        if self.state != pending.state {
            return Err(OAuthError::protocol("the callback has another `state`"));
        }
        match &self.iss {
            Some(iss) if *iss != pending.issuer => {
                return Err(OAuthError::protocol(
                    "the callback comes from another issuer (`iss`) than the user was sent to",
                ));
            }
            None if pending.names_issuer => {
                return Err(OAuthError::protocol(
                    "the callback does not name its issuer (`iss`) although the authorization server says that it does",
                ));
            }
            _ => {}
        }
        if let Some(error) = &self.error {
            return Err(refusal(error, self.description.as_deref()));
        }
        self.code
            .ok_or_else(|| OAuthError::protocol("the callback has neither a code nor an error"))
    }
}

fn refusal(error: &str, description: Option<&str>) -> OAuthError {
    let detail = wire::shown(description, []);
    match error {
        "access_denied"
        | "login_required"
        | "consent_required"
        | "interaction_required"
        | "account_selection_required" => OAuthError::Denied {
            code: error.to_owned(),
            detail,
        },
        "server_error" | "temporarily_unavailable" => {
            OAuthError::unavailable(format!("authorization ({error})"))
        }
        other => OAuthError::Refused {
            what: "the authorization request",
            code: wire::code(other),
            detail,
        },
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback")
            .field("error", &self.error.as_deref().map(wire::code))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcp_core::auth::ExposeSecret as _;

    fn pending(names_issuer: bool) -> Pending {
        Pending {
            state: "s1".to_owned(),
            verifier: "test-verifier".to_owned(),
            issuer: "https://as.test".to_owned(),
            names_issuer,
            redirect_uri: "http://127.0.0.1:1/callback".to_owned(),
            resource: "https://mcp.test".to_owned(),
            scopes: Vec::new(),
            client_id: "c".to_owned(),
            registration: None,
            tenant: None,
            user: "alice".to_owned(),
        }
    }

    fn code(query: &str, names_issuer: bool) -> Result<SecretString, OAuthError> {
        read(&format!("http://127.0.0.1:1/callback?{query}"))?.code(&pending(names_issuer))
    }

    #[test]
    fn the_issuer_table_of_the_specification_holds() {
        for (iss, names_issuer, fine) in [
            ("&iss=https%3A%2F%2Fas.test", true, true),
            ("", true, false),
            ("&iss=https%3A%2F%2Fevil.test", true, false),
            ("&iss=https%3A%2F%2Fas.test", false, true),
            ("", false, true),
            ("&iss=https%3A%2F%2Fevil.test", false, false),
            // No normalisation of any kind.
            ("&iss=https%3A%2F%2Fas.test%2F", false, false),
            ("&iss=https%3A%2F%2FAS.test", false, false),
            ("&iss=https%3A%2F%2Fas.test%3A443", true, false),
        ] {
            let result = code(&format!("code=test-code&state=s1{iss}"), names_issuer);
            assert_eq!(result.is_ok(), fine, "{iss} {names_issuer}");
        }
        assert_eq!(
            code("code=x%2By&state=s1", false).unwrap().expose_secret(),
            "x+y"
        );
    }

    #[test]
    fn an_error_is_shown_only_after_state_and_issuer_fit() {
        let denied = code("error=access_denied&error_description=no&state=s1", false);
        assert!(matches!(denied, Err(OAuthError::Denied { .. })));
        for query in [
            "error=access_denied&error_description=canary&state=other",
            "error=access_denied&error_description=canary",
            "error=access_denied&error_description=canary&state=s1&iss=https%3A%2F%2Fevil.test",
        ] {
            let error = code(query, false).unwrap_err();
            assert!(matches!(error, OAuthError::Protocol { .. }), "{query}");
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }

    #[test]
    fn a_parameter_that_comes_twice_is_not_believed() {
        assert!(code("code=a&code=b&state=s1", false).is_err());
        assert!(code("code=a&state=s1&state=s1", false).is_err());
        assert!(code("state=s1", false).is_err());
    }

    #[test]
    fn nothing_secret_is_printed() {
        let callback = read("http://127.0.0.1/?code=canary&state=canary").unwrap();
        assert!(!format!("{callback:?} {:?}", pending(true)).contains("canary"));
        assert!(!format!("{:?}", pending(true)).contains("test-verifier"));
    }
}
