//! Tokens that a command prints.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use zeroize::Zeroize;

use crate::secret::{CommandLine, SecretScope, run};
use crate::{CredentialError, Expiry, MaybeReady, Token, TokenContext, TokenSource};

/// A source of tokens that runs a command: it prints a bare token, or a JSON object with
/// `access_token` and maybe `expires_in`, `refresh_token` and `scope`.
///
/// No shell looks at the command. It has 30 seconds and may print 64 KiB; both its stdin and the
/// terminal are out of its reach, and what it writes to stderr is shown, secrets removed, when it
/// fails.
///
/// ```
/// use mcp_auth::{CommandToken, RefreshingToken};
///
/// let provider = RefreshingToken::new(
///     CommandToken::new("corp-token", ["--audience", "mcp"]).with_variable("MCPT_USER", "alice"),
/// );
/// ```
#[derive(Clone)]
pub struct CommandToken {
    line: CommandLine,
    scope: SecretScope,
}

impl CommandToken {
    /// Runs this program with these arguments, which every user of the machine can see.
    pub fn new<A: Into<String>>(
        program: impl Into<String>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        Self {
            line: CommandLine::new(program, arguments),
            scope: SecretScope::new(),
        }
    }

    /// Lets the command see one more environment variable.
    pub fn with_variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.scope = self.scope.with_variable(name, value);
        self
    }

    /// Runs the command in these surroundings.
    pub fn with_scope(mut self, scope: SecretScope) -> Self {
        self.scope = scope;
        self
    }
}

impl TokenSource for CommandToken {
    fn token(&self, _: TokenContext) -> MaybeReady<'_, Result<Token, CredentialError>> {
        MaybeReady::new(async {
            let printed = run(&self.line, &self.scope).await?;
            token(&printed).map_err(|what| {
                CredentialError::unavailable(format!("{} printed {what}", self.line))
            })
        })
    }
}

impl fmt::Debug for CommandToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandToken")
            .field("command", &self.line)
            .field("scope", &self.scope)
            .finish()
    }
}

fn token(printed: &SecretString) -> Result<Token, &'static str> {
    let text = printed.expose_secret().trim();
    if !text.starts_with('{') {
        return Ok(Token::new(text));
    }
    let mut answer: Value =
        serde_json::from_str(text).map_err(|_| "something that begins like JSON and is not")?;
    let Some(Value::String(access)) = answer.get_mut("access_token").map(Value::take) else {
        return Err("a JSON object without a string `access_token`");
    };
    let mut token = Token::new(access);
    if let Some(Value::String(refresh)) = answer.get_mut("refresh_token").map(Value::take) {
        token = token.with_refresh_token(refresh);
    }
    if let Some(lifetime) = answer.get("expires_in") {
        token = token.with_expiry(Expiry::from_expires_in(&lifetime.to_string()));
    }
    if let Some(scope) = answer.get("scope").and_then(Value::as_str) {
        token = token.with_scopes(scope.split_ascii_whitespace());
    }
    wipe(answer);
    Ok(token)
}

/// Wipes the strings of an answer that held tokens.
pub(crate) fn wipe(value: Value) {
    match value {
        Value::String(mut text) => text.zeroize(),
        Value::Array(values) => values.into_iter().for_each(wipe),
        Value::Object(fields) => fields.into_iter().for_each(|(_, value)| wipe(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn bare_tokens_and_objects() {
        let parse = |text: &str| token(&text.into());
        let bare = parse(" test-token \n").unwrap();
        assert_eq!(bare.access().expose_secret(), "test-token");
        assert_eq!(bare.expiry(), Expiry::Unknown);
        let object = parse(
            r#"{"access_token":"test-token","expires_in":"300","refresh_token":"r","scope":"a b"}"#,
        )
        .unwrap();
        assert_eq!(object.expiry(), Expiry::In(Duration::from_secs(300)));
        assert!(object.refresh_token().is_some());
        assert_eq!(object.scopes().unwrap(), ["a", "b"]);
        for wrong in ["{canary", r#"{"token":"canary"}"#, r#"{"access_token":1}"#] {
            assert!(!parse(wrong).unwrap_err().contains("canary"));
        }
    }

    #[tokio::test]
    async fn the_command_sees_its_variables() {
        let source = CommandToken::new("sh", ["-c", "echo test-token-$MCPT_USER"])
            .with_variable("MCPT_USER", "alice");
        let token = source.token(TokenContext::default()).await.unwrap();
        assert_eq!(token.access().expose_secret(), "test-token-alice");
    }
}
