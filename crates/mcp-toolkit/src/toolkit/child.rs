//! What a child process is given of its principal, as credentials.

use mcp_auth::{
    CredentialError, CredentialProvider, CredentialRequest, Credentials, MaybeReady, Principal,
    ServerId, SharedProvider,
};

/// Tells whose child a child is: nothing is sent, and the fingerprint changes with any of the
/// variables that come from a provider. Values behind references are the same for everybody; the
/// server itself looks at them again.
#[derive(Debug)]
pub(super) struct ChildCredentials(pub(super) Vec<SharedProvider>);

impl CredentialProvider for ChildCredentials {
    fn credentials<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<Credentials, CredentialError>> {
        let mut found = Vec::with_capacity(self.0.len());
        for provider in &self.0 {
            match provider.credentials(request).now() {
                Ok(Ok(own)) => found.push(own),
                Ok(Err(error)) => return MaybeReady::ready(Err(error)),
                Err(_) => {
                    return MaybeReady::new(async move {
                        let mut found = Vec::with_capacity(self.0.len());
                        for provider in &self.0 {
                            found.push(provider.credentials(request).await?);
                        }
                        beside(&found)
                    });
                }
            }
        }
        MaybeReady::ready(beside(&found))
    }

    fn logged_out<'a>(
        &'a self,
        request: CredentialRequest<'a>,
    ) -> MaybeReady<'a, Result<(), CredentialError>> {
        MaybeReady::new(async move {
            let mut outcome = Ok(());
            for provider in &self.0 {
                let told = provider.logged_out(request).await;
                outcome = outcome.and(told);
            }
            outcome
        })
    }

    fn logged_out_elsewhere(&self, server: &ServerId, whom: &dyn Fn(&Principal) -> bool) {
        for provider in &self.0 {
            provider.logged_out_elsewhere(server, whom);
        }
    }
}

fn beside(found: &[Credentials]) -> Result<Credentials, CredentialError> {
    let mut all = Credentials::builder();
    for own in found {
        all = all.beside(&own.fingerprint());
        if let Some(end) = own.expires_at() {
            all = all.expires_at(end);
        }
    }
    Ok(all.build()?)
}
