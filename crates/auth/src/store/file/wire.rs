//! The format of a token's file: JSON, version 1.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::store::{Revision, StoreError, StoreErrorKind, StoredToken, TokenKey};
use crate::{Expiry, Token};

const VERSION: u32 = 1;

/// One token with the key it belongs to. The one place where tokens are written out; it has no
/// `Debug`.
#[derive(Deserialize, Serialize)]
pub(super) struct Record<'a> {
    version: u32,
    revision: u64,
    #[serde(borrow)]
    server: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    tenant: Option<Cow<'a, str>>,
    #[serde(borrow)]
    user: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    issuer: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    client: Option<Cow<'a, str>>,
    /// Milliseconds since 1970.
    obtained_at: u64,
    /// Milliseconds since 1970; absent when it does not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    #[serde(borrow)]
    access_token: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<String>>,
    #[serde(borrow, default, skip_serializing_if = "BTreeMap::is_empty")]
    extras: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

impl<'a> Record<'a> {
    pub(super) fn new(
        key: &'a TokenKey,
        token: &'a Token,
        obtained_at: SystemTime,
        revision: Revision,
    ) -> Self {
        Self {
            version: VERSION,
            revision: revision.number(),
            server: key.server().as_str().into(),
            tenant: key.principal().tenant().map(Into::into),
            user: key.principal().user().into(),
            issuer: key.issuer().map(Into::into),
            client: key.client().map(Into::into),
            obtained_at: millis(obtained_at),
            expires_at: match token.expiry() {
                Expiry::At(end) => Some(millis(end)),
                Expiry::In(lifetime) => Some(
                    millis(obtained_at)
                        .saturating_add(u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX)),
                ),
                // A token of unknown end is not believed to be endless: it counts as ended, which
                // costs one refresh.
                Expiry::Unknown => Some(millis(obtained_at)),
                Expiry::Never => None,
            },
            access_token: token.access().expose_secret().into(),
            refresh_token: token
                .refresh_token()
                .map(|token| token.expose_secret().into()),
            scopes: token.scopes().map(<[String]>::to_vec),
            extras: token
                .extras()
                .map(|(name, value)| (name.into(), value.expose_secret().into()))
                .collect(),
        }
    }

    fn is_of(&self, key: &TokenKey) -> bool {
        self.server == key.server().as_str()
            && self.tenant.as_deref() == key.principal().tenant()
            && self.user == key.principal().user()
            && self.issuer.as_deref() == key.issuer()
            && self.client.as_deref() == key.client()
    }
}

/// What was read may be copies of secrets: they are wiped.
impl Drop for Record<'_> {
    fn drop(&mut self) {
        let wipe = |text: &mut Cow<'_, str>| {
            if let Cow::Owned(text) = text {
                text.zeroize();
            }
        };
        wipe(&mut self.access_token);
        self.refresh_token.as_mut().map(wipe);
        self.extras.values_mut().for_each(wipe);
    }
}

pub(super) fn write(record: &Record<'_>) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    // Room for all, so that growing leaves no copies behind.
    let size = record.access_token.len()
        + record.refresh_token.as_ref().map_or(0, |token| token.len())
        + record
            .extras
            .values()
            .map(|value| value.len())
            .sum::<usize>();
    let mut content = Zeroizing::new(Vec::with_capacity(2 * size + 8192));
    serde_json::to_writer(&mut *content, record)
        .map_err(|_| StoreError::new(StoreErrorKind::Corrupt, "the token cannot be written out"))?;
    Ok(content)
}

pub(super) fn read(content: &[u8], key: &TokenKey) -> Result<StoredToken, StoreError> {
    let corrupt = |message| StoreError::new(StoreErrorKind::Corrupt, message);
    // What the parser says of a mistake may quote the file.
    let record: Record<'_> = serde_json::from_slice(content)
        .map_err(|_| corrupt("the token's file holds something else"))?;
    if record.version != VERSION {
        return Err(corrupt("the token's file is of another version"));
    }
    if !record.is_of(key) {
        return Err(corrupt("the token's file is of another key"));
    }
    let mut token = Token::new(&*record.access_token).with_expiry(match record.expires_at {
        Some(end) => time(end).map_or(Expiry::Unknown, Expiry::At),
        None => Expiry::Never,
    });
    if let Some(refresh) = &record.refresh_token {
        token = token.with_refresh_token(&**refresh);
    }
    if let Some(scopes) = &record.scopes {
        token = token.with_scopes(scopes);
    }
    for (name, value) in &record.extras {
        token = token.with_extra(&**name, &**value);
    }
    let obtained_at = time(record.obtained_at).unwrap_or(UNIX_EPOCH);
    Ok(StoredToken::new(
        token,
        obtained_at,
        Revision::new(record.revision),
    ))
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn time(millis: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}
