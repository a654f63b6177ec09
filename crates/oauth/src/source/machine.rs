//! Tokens for which nobody has to be asked.

use mcp_core::auth::{SecretString, Token};

use super::{Source, with_requested};
use crate::discovery::Discovered;
use crate::grant::{self, Enterprise, Grant, ID_JAG};
use crate::token_endpoint::TokenEndpoint;
use crate::{Dpop, OAuthError};

impl Source {
    /// A token for which nobody has to be asked.
    pub(super) async fn grant(
        &self,
        machine: &Grant,
        discovered: &Discovered,
        wanted: Vec<String>,
    ) -> Result<Token, OAuthError> {
        for kind in machine.types() {
            if !discovered.server.may_grant(kind) {
                return Err(OAuthError::config(format!(
                    "the authorization server does not offer the grant `{kind}`"
                )));
            }
        }
        let (client, _) = self.core.identify(discovered, None).await?;
        let principal = &self.state.principal;
        let fields = match machine {
            Grant::ClientCredentials => grant::client_credentials(discovered, &wanted),
            Grant::JwtBearer(assertion) => {
                let assertion = assertion.assertion(principal).await?;
                grant::jwt_bearer(assertion, discovered, &wanted)
            }
            Grant::TokenExchange(exchange) => {
                grant::token_exchange(exchange, discovered, principal, &wanted).await?
            }
            Grant::Enterprise(enterprise) => {
                let assertion = self.vouched(enterprise, discovered, &wanted).await?;
                grant::jwt_bearer(assertion, discovered, &wanted)
            }
            Grant::AuthorizationCode | Grant::DeviceCode => {
                return Err(OAuthError::config("this grant needs a person"));
            }
        };
        let key = self.key(discovered).await?;
        let endpoint = self
            .core
            .endpoint(discovered, client.as_ref(), key.as_deref());
        let token = endpoint.token(&fields).await?;
        Ok(with_requested(token, &wanted))
    }

    /// The identity provider's word for the user, for one use.
    async fn vouched(
        &self,
        enterprise: &Enterprise,
        discovered: &Discovered,
        wanted: &[String],
    ) -> Result<SecretString, OAuthError> {
        let (provider, client) = enterprise.provider(&self.core.wire).await?;
        let endpoint = TokenEndpoint {
            wire: &self.core.wire,
            server: &provider,
            client: client.as_ref(),
            key: None,
            dpop: Dpop::Off,
            nonces: &self.core.nonces,
            now: self.core.clock.wall(),
        };
        let principal = &self.state.principal;
        let fields = enterprise
            .exchange_fields(discovered, principal, wanted)
            .await?;
        let issued = endpoint.issue(&fields).await?;
        if issued.kind.as_deref() != Some(ID_JAG) {
            return Err(OAuthError::protocol(
                "the identity provider gave a token of another type than was asked for",
            ));
        }
        Ok(issued.token.access().clone())
    }
}
