//! The `auth` field: how a token is had.

use super::error::{ConfigError, ConfigWarning};
use super::fields::{Field, Fields};
use super::secret::ConfiguredSecret;
use super::table::{Form, Known, field, words};

/// How a token is had.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AuthConfig {
    /// The token itself, by reference.
    Bearer(ConfiguredSecret),
    /// A program and its arguments that prints a token.
    Command(Vec<String>),
    /// An authorization server.
    OAuth(Box<OAuthConfig>),
}

/// What the file says about an authorization server. Everything is optional.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct OAuthConfig {
    /// How tokens are asked for.
    pub grant: OAuthGrant,
    /// The client's identifier, where it is registered already.
    pub client_id: Option<String>,
    /// The client's secret.
    pub client_secret: Option<ConfiguredSecret>,
    /// How the client proves who it is; `None` takes the strongest that is offered.
    pub client_auth: Option<ClientAuthMethod>,
    /// A PKCS#8 PEM key for `private_key_jwt`.
    pub private_key: Option<ConfiguredSecret>,
    /// The key's identifier.
    pub key_id: Option<String>,
    /// The key's algorithm.
    pub algorithm: Option<String>,
    /// Whom assertions are addressed to.
    pub assertion_audience: AssertionAudience,
    /// The URL of a client ID metadata document.
    pub client_metadata_url: Option<String>,
    /// Scopes to ask for at least.
    pub scopes: Vec<String>,
    /// The issuer, pinned.
    pub issuer: Option<String>,
    /// The resource, overridden.
    pub resource: Option<String>,
    /// Where the user is sent back to.
    pub redirect_uri: Option<String>,
    /// An assertion, read anew at each use.
    pub assertion: Option<ConfiguredSecret>,
    /// A subject token, read anew at each use.
    pub subject_token: Option<ConfiguredSecret>,
    /// Whether tokens are bound to a key.
    pub dpop: Dpop,
    /// The identity provider of the grant `enterprise`.
    pub idp: Option<Box<OAuthConfig>>,
    /// The token endpoint, of an identity provider that publishes no metadata.
    pub token_endpoint: Option<String>,
}

/// How tokens are asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum OAuthGrant {
    /// The user consents in a browser.
    #[default]
    AuthorizationCode,
    /// The client acts for itself.
    ClientCredentials,
    /// A signed assertion (RFC 7523).
    JwtBearer,
    /// Another token (RFC 8693).
    TokenExchange,
    /// The company's identity provider vouches.
    Enterprise,
    /// The user consents on another device (RFC 8628).
    DeviceCode,
}

impl OAuthGrant {
    /// The extension of MCP that the grant belongs to; a client declares it to the server.
    pub fn extension(self) -> Option<&'static str> {
        match self {
            Self::ClientCredentials => Some("io.modelcontextprotocol/oauth-client-credentials"),
            Self::Enterprise => Some("io.modelcontextprotocol/enterprise-managed-authorization"),
            _ => None,
        }
    }
}

/// How a client proves who it is at the token endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClientAuthMethod {
    /// `client_secret_basic`
    SecretBasic,
    /// `client_secret_post`
    SecretPost,
    /// `private_key_jwt`
    PrivateKeyJwt,
    /// `none`
    None,
}

/// Whom a client's assertions are addressed to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum AssertionAudience {
    /// The issuer.
    #[default]
    Issuer,
    /// The token endpoint.
    TokenEndpoint,
}

/// Whether tokens are bound to a key (RFC 9449).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Dpop {
    /// No.
    #[default]
    Off,
    /// Yes, and a token of type `Bearer` is accepted.
    Prefer,
    /// Yes, and a token of type `Bearer` is an error.
    Require,
}

#[derive(Clone, Copy)]
enum Kind {
    Bearer,
    Command,
    OAuth,
}

const KINDS: &[(&str, Kind)] = &[
    ("bearer", Kind::Bearer),
    ("command", Kind::Command),
    ("oauth", Kind::OAuth),
];

const GRANTS: &[(&str, OAuthGrant)] = &[
    ("authorization_code", OAuthGrant::AuthorizationCode),
    ("client_credentials", OAuthGrant::ClientCredentials),
    ("jwt_bearer", OAuthGrant::JwtBearer),
    ("token_exchange", OAuthGrant::TokenExchange),
    ("enterprise", OAuthGrant::Enterprise),
    ("device_code", OAuthGrant::DeviceCode),
];

const METHODS: &[(&str, ClientAuthMethod)] = &[
    ("client_secret_basic", ClientAuthMethod::SecretBasic),
    ("client_secret_post", ClientAuthMethod::SecretPost),
    ("private_key_jwt", ClientAuthMethod::PrivateKeyJwt),
    ("none", ClientAuthMethod::None),
];

const AUDIENCES: &[(&str, AssertionAudience)] = &[
    ("issuer", AssertionAudience::Issuer),
    ("token_endpoint", AssertionAudience::TokenEndpoint),
];

/// What `auth` of type `bearer` may have.
pub(super) const BEARER_FIELDS: &[Known] = &[
    field("type", Form::Words(|| words(KINDS)), "How a token is had."),
    field("token", Form::Secret, "The token."),
];

/// What `auth` of type `command` may have.
pub(super) const COMMAND_FIELDS: &[Known] = &[
    field("type", Form::Words(|| words(KINDS)), "How a token is had."),
    field(
        "command",
        Form::CommandLine,
        "Prints a bare token, or `{\"access_token\":…,\"expires_in\":…}`. It sees MCPT_SERVER, \
         MCPT_USER and MCPT_TENANT, and runs again when its token expires or a 401 comes.",
    ),
];

/// What `auth` of type `oauth` may have.
pub(super) const OAUTH_FIELDS: &[Known] = &[
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
pub(super) const IDP_FIELDS: &[Known] = &[
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

impl AuthConfig {
    pub(crate) fn read(
        field: &Field<'_>,
        warnings: &mut Vec<ConfigWarning>,
    ) -> Result<Self, ConfigError> {
        let entries = field.entries()?;
        let kind = entries.iter().find(|entry| entry.name() == "type");
        let kind = kind
            .ok_or_else(|| field.wrong("`type` is missing: `bearer`, `command` or `oauth`"))?
            .one_of(KINDS)?;
        let missing = |what: &str| field.wrong(format!("`{what}` is missing"));
        let known: &'static [&'static [Known]] = match kind {
            Kind::Bearer => &[BEARER_FIELDS],
            Kind::Command => &[COMMAND_FIELDS],
            Kind::OAuth => {
                return OAuthConfig::read(field, &[OAUTH_FIELDS], warnings)
                    .map(Box::new)
                    .map(Self::OAuth);
            }
        };
        let mut fields = Fields::of(field.node(), field.place(), known, warnings)?;
        fields.take("type");
        let read = if matches!(kind, Kind::Bearer) {
            let token = fields.read("token", Field::secret)?;
            Self::Bearer(token.ok_or_else(|| missing("token"))?)
        } else {
            let command = fields.read("command", Field::command_line)?;
            Self::Command(command.ok_or_else(|| missing("command"))?)
        };
        Ok(read)
    }
}

impl OAuthConfig {
    /// Every secret that it refers to.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &ConfiguredSecret> {
        let all = [Some(self), self.idp.as_deref()];
        all.into_iter().flatten().flat_map(|config| {
            let secrets = [
                &config.client_secret,
                &config.private_key,
                &config.assertion,
                &config.subject_token,
            ];
            secrets.into_iter().flatten()
        })
    }

    fn read(
        field: &Field<'_>,
        known: &'static [&'static [Known]],
        warnings: &mut Vec<ConfigWarning>,
    ) -> Result<Self, ConfigError> {
        let mut fields = Fields::of(field.node(), field.place(), known, warnings)?;
        let mut left = Vec::new();
        // An identity provider's entry knows fewer fields, and one of its own.
        let mut take = |name: &'static str| {
            let mut all = known.iter().copied().flatten();
            let is_known = all.any(|known| known.name == name);
            is_known.then(|| fields.take(name)).flatten()
        };
        let idp = take("idp");
        let text = |field: Option<Field<'_>>| field.map(|field| field.plain()).transpose();
        let secret = |field: Option<Field<'_>>| field.map(|field| field.secret()).transpose();
        let read = Self {
            grant: take("grant")
                .map(|grant| grant.one_of(GRANTS))
                .transpose()?
                .unwrap_or_default(),
            client_id: text(take("client_id"))?,
            client_secret: secret(take("client_secret"))?,
            client_auth: take("token_endpoint_auth_method")
                .map(|it| it.one_of(METHODS))
                .transpose()?,
            private_key: secret(take("private_key"))?,
            key_id: text(take("key_id"))?,
            algorithm: text(take("algorithm"))?,
            assertion_audience: take("assertion_audience")
                .map(|it| it.one_of(AUDIENCES))
                .transpose()?
                .unwrap_or_default(),
            client_metadata_url: text(take("client_metadata_url"))?,
            scopes: take("scopes")
                .map(|it| scopes(&it))
                .transpose()?
                .unwrap_or_default(),
            issuer: text(take("issuer"))?,
            resource: text(take("resource"))?,
            redirect_uri: text(take("redirect_uri"))?,
            assertion: secret(take("assertion"))?,
            subject_token: secret(take("subject_token"))?,
            token_endpoint: text(take("token_endpoint"))?,
            dpop: take("dpop")
                .map(|it| dpop(&it))
                .transpose()?
                .unwrap_or_default(),
            idp: idp
                .map(|idp| Self::read(&idp, &[IDP_FIELDS], &mut left).map(Box::new))
                .transpose()?,
        };
        warnings.extend(left);
        Ok(read)
    }
}

/// A list, or one text with spaces between, as OAuth itself writes scopes.
fn scopes(field: &Field<'_>) -> Result<Vec<String>, ConfigError> {
    match field.node().string() {
        Some(text) => Ok(text.split_ascii_whitespace().map(str::to_owned).collect()),
        None => field.strings(),
    }
}

fn dpop(field: &Field<'_>) -> Result<Dpop, ConfigError> {
    match (field.node().boolean(), field.node().string().as_deref()) {
        (Some(true), _) => Ok(Dpop::Require),
        (Some(false), _) => Ok(Dpop::Off),
        (None, Some("prefer")) => Ok(Dpop::Prefer),
        _ => Err(field.wrong("is not `true`, `false` or `\"prefer\"`")),
    }
}
