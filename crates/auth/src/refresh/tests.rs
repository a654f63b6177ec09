//! Tokens in time: the rows of the threat list, on a paused or a manual clock.

mod away;
mod cancellation;
mod failing;
mod herd;
mod lifetimes;
mod rejections;
mod sharing;

use std::sync::{Arc, Mutex};

use http::StatusCode;

use crate::testing::ScriptedSource;
use crate::{
    CredentialError, CredentialEvent, CredentialProvider, CredentialRequest, Credentials,
    Principal, Recovery, RefreshingToken, Rejection, ServerId,
};

fn ids() -> (ServerId, Principal) {
    (
        ServerId::new("test-server").unwrap(),
        Principal::new("alice").unwrap(),
    )
}

async fn ask(provider: &dyn CredentialProvider) -> Result<Credentials, CredentialError> {
    let (server, principal) = ids();
    provider
        .credentials(CredentialRequest::new(&server, &principal))
        .await
}

/// What is given without waiting, if anything is.
fn ask_now(provider: &dyn CredentialProvider) -> Option<Credentials> {
    let (server, principal) = ids();
    let request = CredentialRequest::new(&server, &principal);
    provider.credentials(request).now().ok()?.ok()
}

async fn reject(
    provider: &dyn CredentialProvider,
    credentials: &Credentials,
) -> Result<Recovery, CredentialError> {
    let (server, principal) = ids();
    let request = CredentialRequest::new(&server, &principal);
    let rejection = Rejection::new(request, credentials, StatusCode::UNAUTHORIZED);
    provider.rejected(rejection).await
}

fn is(credentials: &Credentials, token: &str) -> bool {
    *credentials == Credentials::bearer(token).unwrap()
}

/// A provider over the source with exact moments, and a diary of what it told.
fn exact(source: &ScriptedSource) -> (Arc<RefreshingToken>, Arc<Mutex<Vec<String>>>) {
    let diary = Arc::new(Mutex::new(Vec::new()));
    let pen = Arc::clone(&diary);
    let provider = RefreshingToken::new(source.clone())
        .jitter(0.0)
        .on_event(move |event| {
            let line = match event {
                CredentialEvent::Refreshed { reason, .. } => reason.as_str().to_owned(),
                CredentialEvent::Adopted { .. } => "adopted".to_owned(),
                CredentialEvent::RefreshFailed { error, .. } => format!("failed: {error}"),
                CredentialEvent::Rejected { .. } => "401".to_owned(),
            };
            pen.lock().unwrap().push(line);
        });
    (Arc::new(provider), diary)
}

/// Lets tasks that are ready run.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
