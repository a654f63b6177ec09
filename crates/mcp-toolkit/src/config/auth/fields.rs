//! What `auth` may hold, and the words that its fields take.

use super::{AssertionAudience, ClientAuthMethod, OAuthGrant};
use crate::config::table::{Form, Known, field, words};

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Bearer,
    Command,
    OAuth,
}

pub(super) const KINDS: &[(&str, Kind)] = &[
    ("bearer", Kind::Bearer),
    ("command", Kind::Command),
    ("oauth", Kind::OAuth),
];

pub(super) const GRANTS: &[(&str, OAuthGrant)] = &[
    ("authorization_code", OAuthGrant::AuthorizationCode),
    ("client_credentials", OAuthGrant::ClientCredentials),
    ("jwt_bearer", OAuthGrant::JwtBearer),
    ("token_exchange", OAuthGrant::TokenExchange),
    ("enterprise", OAuthGrant::Enterprise),
    ("device_code", OAuthGrant::DeviceCode),
];

pub(super) const METHODS: &[(&str, ClientAuthMethod)] = &[
    ("client_secret_basic", ClientAuthMethod::SecretBasic),
    ("client_secret_post", ClientAuthMethod::SecretPost),
    ("private_key_jwt", ClientAuthMethod::PrivateKeyJwt),
    ("none", ClientAuthMethod::None),
];

pub(super) const AUDIENCES: &[(&str, AssertionAudience)] = &[
    ("issuer", AssertionAudience::Issuer),
    ("token_endpoint", AssertionAudience::TokenEndpoint),
];

/// What `auth` of type `bearer` may have.
pub(in crate::config) const BEARER_FIELDS: &[Known] = &[
    field("type", Form::Words(|| words(KINDS)), "How a token is had."),
    field("token", Form::Secret, "The token."),
];

/// What `auth` of type `command` may have.
pub(in crate::config) const COMMAND_FIELDS: &[Known] = &[
    field("type", Form::Words(|| words(KINDS)), "How a token is had."),
    field(
        "command",
        Form::CommandLine,
        "Prints a bare token, or `{\"access_token\":…,\"expires_in\":…}`. It sees MCPT_SERVER, \
         MCPT_USER and MCPT_TENANT, and runs again when its token expires or a 401 comes.",
    ),
];

/// What `auth` of type `oauth` may have.
pub(in crate::config) const OAUTH_FIELDS: &[Known] = &[
    field("type", Form::Words(|| words(KINDS)), "How a token is had."),
    field(
        "grant",
        Form::Words(|| words(GRANTS)),
        "How tokens are asked for; `authorization_code` where nothing is said.",
    ),
    field(
        "client_id",
        Form::Text,
        "The client's identifier, where it is registered already. Without one, and without a \
         metadata document, the client registers itself.",
    ),
    field("client_secret", Form::Secret, "The client's secret."),
    field(
        "token_endpoint_auth_method",
        Form::Words(|| words(METHODS)),
        "How the client proves who it is; the strongest that is offered where nothing is said.",
    ),
    field(
        "private_key",
        Form::Secret,
        "For `private_key_jwt`: a key, PKCS#8 PEM.",
    ),
    field("key_id", Form::Text, "The key's identifier."),
    field(
        "algorithm",
        Form::Text,
        "The key's algorithm, such as `ES256`.",
    ),
    field(
        "assertion_audience",
        Form::Words(|| words(AUDIENCES)),
        "Whom the client's assertions are addressed to; `issuer` where nothing is said.",
    ),
    field(
        "client_metadata_url",
        Form::Text,
        "The URL of a client ID metadata document; used where the authorization server supports it.",
    ),
    field(
        "scopes",
        Form::Scopes,
        "Asked for at least, added to those of the challenge.",
    ),
    field("issuer", Form::Text, "The authorization server, pinned."),
    field(
        "resource",
        Form::Text,
        "What tokens are asked for, overridden.",
    ),
    field(
        "redirect_uri",
        Form::Text,
        "Where the user comes back to; a free loopback port and the path `/callback` where nothing \
         is said.",
    ),
    field(
        "assertion",
        Form::Secret,
        "For `jwt_bearer` and `enterprise`: an assertion. A file is read anew at each use.",
    ),
    field(
        "subject_token",
        Form::Secret,
        "For `token_exchange` and `enterprise`: another token. A file is read anew at each use.",
    ),
    field(
        "idp",
        Form::IdentityProvider,
        "For `enterprise`: the company's identity provider.",
    ),
    field(
        "dpop",
        Form::Dpop,
        "Whether tokens are bound to a key; with `prefer`, a token that is not is taken too.",
    ),
];

/// What `idp` may have.
pub(in crate::config) const IDP_FIELDS: &[Known] = &[
    field("issuer", Form::Text, "The identity provider."),
    field(
        "token_endpoint",
        Form::Text,
        "Its token endpoint, where it publishes no metadata.",
    ),
    field("client_id", Form::Text, "Who the client is to it."),
    field("client_secret", Form::Secret, "The client's secret."),
    field(
        "token_endpoint_auth_method",
        Form::Words(|| words(METHODS)),
        "How the client proves who it is.",
    ),
    field("private_key", Form::Secret, "A key, PKCS#8 PEM."),
    field("key_id", Form::Text, "The key's identifier."),
    field("algorithm", Form::Text, "The key's algorithm."),
    field(
        "subject_token",
        Form::Secret,
        "The user's identity token. A file is read anew at each use.",
    ),
];
