//! What a bearer token says of itself, where it is a JWT. Nothing of it is believed; it only explains
//! what a server thinks of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcp_http::HttpUrl;
use serde_json::Value;

/// The claims that explain refusals (RFC 7519, section 4.1; RFC 9068).
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Claims {
    pub(crate) issuer: Option<String>,
    pub(crate) audiences: Vec<String>,
    /// `None` where the token does not say.
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) end: Option<SystemTime>,
    pub(crate) beginning: Option<SystemTime>,
}

impl Claims {
    /// Of an `Authorization` header's value.
    pub(crate) fn of(authorization: &str) -> Option<Self> {
        let token = authorization.split(' ').next_back()?;
        let mut parts = token.split('.');
        let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let claims: Value = serde_json::from_slice(&payload).ok()?;
        claims.as_object()?;
        let scopes = claims.get("scope").or_else(|| claims.get("scp"));
        Some(Self {
            issuer: claims["iss"].as_str().map(str::to_owned),
            audiences: texts(&claims["aud"]),
            scopes: scopes.map(|scopes| {
                let texts = texts(scopes);
                let words = texts.iter().flat_map(|text| text.split_whitespace());
                words.map(str::to_owned).collect()
            }),
            end: time(&claims["exp"]),
            beginning: time(&claims["nbf"]),
        })
    }

    /// Whether none of its audiences can mean this server.
    pub(crate) fn is_for_others(&self, server: &HttpUrl, resource: Option<&str>) -> bool {
        let bare = |text: &str| text.trim_end_matches('/').to_owned();
        let meant = |audience: &String| {
            resource.is_some_and(|resource| bare(resource) == bare(audience))
                || HttpUrl::parse(audience).is_ok_and(|it| it.same_origin(server))
        };
        // A name that is no URL may mean anything, unless the server says what it is called.
        let may_mean = |audience: &String| resource.is_none() && HttpUrl::parse(audience).is_err();
        !self.audiences.is_empty()
            && !self
                .audiences
                .iter()
                .any(|audience| meant(audience) || may_mean(audience))
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => {
            let texts = items.iter().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

fn time(value: &Value) -> Option<SystemTime> {
    let seconds = value
        .as_f64()
        .filter(|seconds| (0.0..1e12).contains(seconds))?;
    UNIX_EPOCH.checked_add(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = serde_json::json!({"alg": "none"});
        format!("Bearer {}.{}.test-signature", part(&head), part(claims))
    }

    #[test]
    fn claims_are_read_and_opaque_tokens_left_alone() {
        let claims = serde_json::json!({"iss": "https://as.test", "aud": ["a", "b"],
            "scope": "x y", "exp": 1_000, "nbf": -5});
        let claims = Claims::of(&header(&claims)).unwrap();
        assert_eq!(claims.audiences, ["a", "b"]);
        assert_eq!(claims.scopes.unwrap(), ["x", "y"]);
        assert_eq!(claims.end, Some(UNIX_EPOCH + Duration::from_secs(1_000)));
        assert_eq!(claims.beginning, None);
        for opaque in ["Bearer test-token", "", "Bearer a.b.c", "Bearer a.b.c.d"] {
            assert_eq!(Claims::of(opaque), None, "{opaque}");
        }
    }

    #[test]
    fn an_audience_means_this_server_or_another() {
        let server = HttpUrl::parse("https://mcp.test/mcp").unwrap();
        let others = |aud: Value, resource: Option<&str>| {
            let claims = Claims::of(&header(&serde_json::json!({ "aud": aud }))).unwrap();
            claims.is_for_others(&server, resource)
        };
        assert!(others("https://api.test/".into(), None));
        assert!(!others("https://mcp.test".into(), None));
        assert!(!others("some-name".into(), None));
        assert!(others("some-name".into(), Some("https://mcp.test/mcp")));
        assert!(!others(Value::Null, None));
    }
}
