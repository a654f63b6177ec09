//! What a child sees of the world: its environment variables.

mod policy;
mod unsafe_names;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;

use mcp_auth::{ExposeSecret, Fingerprint, Principal, SecretScope, SecretString, ServerId};
use mcp_core::Error;

pub use self::policy::EnvPolicy;
pub use self::unsafe_names::runs_other_code;
pub use self::value::EnvValue;
use self::value::{ask, bare, resolve_secret};
use crate::secrets::Secrets;

/// The environment of a server's children, not yet resolved.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    pub(crate) policy: EnvPolicy,
    /// The last one of a name wins.
    pub(crate) named: Vec<(String, EnvValue)>,
    /// Variables of this process that are passed on.
    pub(crate) passed: Vec<String>,
    pub(crate) allowed: BTreeSet<String>,
    pub(crate) scope: SecretScope,
}

/// The environment of one child.
pub(crate) struct Resolved {
    pub(crate) variables: BTreeMap<OsString, OsString>,
    pub(crate) secrets: Secrets,
    pub(crate) fingerprint: Fingerprint,
    /// What the providers gave, in the order of their variables.
    pub(crate) credentials: Vec<Fingerprint>,
}

impl Environment {
    /// Refuses names that no variable can have and those that run other code.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let names = self.named.iter().map(|(name, _)| name);
        for name in names.chain(&self.passed) {
            if name.is_empty() || name.contains(['=', '\0']) {
                let shown = name.escape_debug();
                return Err(Error::config(format!("no variable can be named `{shown}`")));
            }
            if runs_other_code(name) && !self.allowed.contains(name) {
                return Err(Error::config(format!(
                    "the variable `{name}` makes a loader or an interpreter run other code; \
                     if that is meant, name it with `allow_unsafe_env`"
                )));
            }
        }
        Ok(())
    }

    /// Whether there is anything whose value may change from one child to the next.
    pub(crate) fn is_fixed(&self) -> bool {
        self.named.iter().all(|(_, value)| match value {
            EnvValue::Secret(reference) => reference.is_literal(),
            EnvValue::Credential(_) => false,
        })
    }

    /// Whether the providers still give what a child was started with. Cheap: they cache.
    pub(crate) async fn is_current(
        &self,
        given: &[Fingerprint],
        server: &ServerId,
        principal: &Principal,
    ) -> Result<bool, Error> {
        let providers = self.named.iter().filter_map(|(_, value)| match value {
            EnvValue::Credential(provider) => Some(provider),
            EnvValue::Secret(_) => None,
        });
        for (provider, given) in providers.zip(given) {
            let credentials = ask(provider, server, principal).await?;
            if credentials.fingerprint() != *given {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(crate) async fn resolve(
        &self,
        server: &ServerId,
        principal: &Principal,
    ) -> Result<Resolved, Error> {
        let mut named: BTreeMap<&str, SecretString> = BTreeMap::new();
        for name in &self.passed {
            let value = std::env::var_os(name)
                .ok_or_else(|| Error::config(format!("the variable `{name}` is not set")))?;
            let value = value
                .into_string()
                .map_err(|_| Error::config(format!("the variable `{name}` is not UTF-8 text")))?;
            named.insert(name, value.into());
        }
        let scope = self.scope_of(server, principal);
        let mut credentials = Vec::new();
        for (name, value) in &self.named {
            let value = match value {
                EnvValue::Secret(reference) => resolve_secret(name, reference, &scope).await?,
                EnvValue::Credential(provider) => {
                    let given = ask(provider, server, principal).await?;
                    credentials.push(given.fingerprint());
                    bare(name, &given)?
                }
            };
            if value.expose_secret().contains('\0') {
                return Err(Error::config(format!(
                    "the value of the variable `{name}` holds a NUL"
                )));
            }
            named.insert(name, value);
        }
        let fingerprint = if named.is_empty() {
            Fingerprint::anonymous()
        } else {
            let parts = named.iter();
            Fingerprint::of(
                parts.flat_map(|(name, value)| [name.as_bytes(), value.expose_secret().as_bytes()]),
            )
        };
        let secrets = Secrets::new(named.values().map(ExposeSecret::expose_secret));
        let mut variables: BTreeMap<OsString, OsString> = self.policy.ambient().collect();
        for (name, value) in named {
            // On Windows `Path` and `PATH` are one variable, and the named one is meant.
            #[cfg(windows)]
            variables.retain(|known, _| !known.eq_ignore_ascii_case(name));
            variables.insert(name.into(), value.expose_secret().into());
        }
        Ok(Resolved {
            variables,
            secrets,
            fingerprint,
            credentials,
        })
    }

    fn scope_of(&self, server: &ServerId, principal: &Principal) -> SecretScope {
        let scope = self.scope.clone();
        let scope = scope.with_variable("MCPT_SERVER", server.as_str());
        let scope = scope.with_variable("MCPT_USER", principal.user());
        match principal.tenant() {
            Some(tenant) => scope.with_variable("MCPT_TENANT", tenant),
            None => scope,
        }
    }
}

/// Names only.
impl fmt::Debug for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolved")
            .field("variables", &self.variables.keys().collect::<Vec<_>>())
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::sync::Arc;

    use mcp_auth::{Bearer, SecretRef, SharedProvider};

    use super::*;
    use crate::environment::policy::CLEAN;

    async fn resolve(environment: &Environment) -> Result<Resolved, Error> {
        let (server, principal) = (ServerId::new("s").unwrap(), Principal::local());
        environment.resolve(&server, &principal).await
    }

    fn value<'a>(resolved: &'a Resolved, name: &str) -> Option<&'a str> {
        resolved.variables.get(OsStr::new(name))?.to_str()
    }

    #[tokio::test]
    async fn named_values_win_whatever_the_policy() {
        for policy in [EnvPolicy::Clean, EnvPolicy::Only, EnvPolicy::Inherit] {
            let environment = Environment {
                policy,
                named: vec![("PATH".into(), "/named".into())],
                passed: vec!["PATH".into()],
                ..Environment::default()
            };
            let resolved = resolve(&environment).await.unwrap();
            assert_eq!(value(&resolved, "PATH"), Some("/named"));
        }
    }

    #[tokio::test]
    async fn the_clean_list_is_short() {
        let resolved = resolve(&Environment::default()).await.unwrap();
        let names: Vec<_> = resolved.variables.keys().collect();
        assert!(
            names
                .iter()
                .all(|name| CLEAN.contains(&name.to_str().unwrap())),
            "{names:?}"
        );
        assert!(value(&resolved, "PATH").is_some());
        assert_eq!(resolved.fingerprint, Fingerprint::anonymous());
        let only = Environment {
            policy: EnvPolicy::Only,
            ..Environment::default()
        };
        assert!(resolve(&only).await.unwrap().variables.is_empty());
    }

    #[test]
    fn other_peoples_code_is_refused_by_name() {
        let mut environment = Environment {
            named: vec![("LD_PRELOAD".into(), "/tmp/canary-value.so".into())],
            ..Environment::default()
        };
        let error = environment.check().unwrap_err().to_string();
        assert!(
            error.contains("LD_PRELOAD") && !error.contains("canary"),
            "{error}"
        );
        environment.allowed.insert("LD_PRELOAD".into());
        environment.check().unwrap();
        environment.passed.push("NODE_OPTIONS".into());
        assert!(environment.check().is_err());
        environment.passed = vec!["A=B".into()];
        assert!(environment.check().is_err());
    }

    #[tokio::test]
    async fn what_is_unset_is_named() {
        let passed = Environment {
            passed: vec!["MCP_STDIO_NOT_SET".into()],
            ..Environment::default()
        };
        let reference = SecretRef::env("MCP_STDIO_NOT_SET").unwrap();
        let referred = Environment {
            named: vec![("TOKEN".into(), reference.into())],
            ..Environment::default()
        };
        for environment in [passed, referred] {
            let error = resolve(&environment).await.unwrap_err();
            assert_eq!(error.kind(), mcp_core::ErrorKind::Config);
            assert!(error.to_string().contains("MCP_STDIO_NOT_SET"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_credential_comes_without_its_header() {
        let provider: SharedProvider = Arc::new(Bearer::new("test-token-alice").unwrap());
        let environment = Environment {
            named: vec![("TOKEN".into(), provider.into())],
            ..Environment::default()
        };
        assert!(!environment.is_fixed());
        let resolved = resolve(&environment).await.unwrap();
        assert_eq!(value(&resolved, "TOKEN"), Some("test-token-alice"));
        assert_eq!(resolved.secrets.redact("test-token-alice"), "[redacted]");
        let printed = format!("{resolved:?} {environment:?}");
        assert!(!printed.contains("test-token"), "{printed}");
    }
}
