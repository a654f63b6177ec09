//! What stands under a token's key: a revision and the id of its writing, then the token, sealed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mcp_core::auth::{
    Expiry, ExposeSecret as _, Revision, Save, SealingKeys, StoreError, StoreErrorKind,
    StoredToken, Token,
};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

/// The revision and the id of the writing, in hexadecimal. The scripts know these numbers.
pub(super) const HEAD: usize = 16 + 16;

/// How bodies are kept.
#[derive(Clone, Debug)]
pub(super) enum Sealing {
    Keys(SealingKeys),
    Plain,
}

/// A token in JSON. Names are short: there are many of these.
#[derive(Deserialize, Serialize)]
struct Body<'a> {
    #[serde(rename = "a", borrow)]
    access: Cow<'a, str>,
    #[serde(rename = "r", borrow, default, skip_serializing_if = "Option::is_none")]
    refresh: Option<Cow<'a, str>>,
    /// Milliseconds since 1970.
    #[serde(rename = "o")]
    obtained_at: u64,
    /// Milliseconds since 1970; absent when it does not end.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<String>>,
    #[serde(
        rename = "x",
        borrow,
        default,
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    extras: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

impl Sealing {
    /// A body for the key of this name.
    pub(super) fn seal(&self, name: &str, save: &Save<'_>) -> Result<Vec<u8>, StoreError> {
        let token = save.token;
        let body = Body {
            access: token.access().expose_secret().into(),
            refresh: token
                .refresh_token()
                .map(|refresh| refresh.expose_secret().into()),
            obtained_at: millis(save.obtained_at),
            expires_at: end(token.expiry(), save.obtained_at).map(millis),
            scopes: token.scopes().map(<[String]>::to_vec),
            extras: token
                .extras()
                .map(|(name, value)| (name.into(), value.expose_secret().into()))
                .collect(),
        };
        // Room for all, so that growing leaves no copies behind.
        let mut text = Zeroizing::new(Vec::with_capacity(2 * body.size() + 4096));
        serde_json::to_writer(&mut *text, &body).map_err(|_| {
            StoreError::new(StoreErrorKind::Corrupt, "the token cannot be written out")
        })?;
        match self {
            Self::Keys(keys) => keys.seal(name.as_bytes(), &text),
            Self::Plain => Ok(text.to_vec()),
        }
    }

    /// The token under the key of this name.
    pub(super) fn open(&self, name: &str, value: &[u8]) -> Result<StoredToken, StoreError> {
        let (head, body) = value.split_at_checked(HEAD).ok_or_else(corrupt)?;
        let revision = revision(head)?;
        let text = match self {
            Self::Keys(keys) => keys.open(name.as_bytes(), body)?,
            Self::Plain if body.first() == Some(&b'{') => Zeroizing::new(body.to_vec()),
            Self::Plain => {
                return Err(StoreError::new(
                    StoreErrorKind::UnknownKey,
                    "what is stored is sealed, and no key is configured here",
                ));
            }
        };
        // What the parser says of a mistake may quote the token.
        let body: Body<'_> = serde_json::from_slice(&text).map_err(|_| corrupt())?;
        let mut token = Token::new(&*body.access).with_expiry(match body.expires_at {
            Some(end) => time(end).map_or(Expiry::Unknown, Expiry::At),
            None => Expiry::Never,
        });
        if let Some(refresh) = &body.refresh {
            token = token.with_refresh_token(&**refresh);
        }
        if let Some(scopes) = &body.scopes {
            token = token.with_scopes(scopes);
        }
        for (name, value) in &body.extras {
            token = token.with_extra(&**name, &**value);
        }
        let obtained_at = time(body.obtained_at).unwrap_or(UNIX_EPOCH);
        Ok(StoredToken::new(token, obtained_at, revision))
    }
}

impl Body<'_> {
    fn size(&self) -> usize {
        let extras = self.extras.values().map(|value| value.len());
        self.access.len() + self.refresh.as_ref().map_or(0, |it| it.len()) + extras.sum::<usize>()
    }
}

/// What was read may be copies of secrets: they are wiped.
impl Drop for Body<'_> {
    fn drop(&mut self) {
        let wipe = |text: &mut Cow<'_, str>| {
            if let Cow::Owned(text) = text {
                text.zeroize();
            }
        };
        wipe(&mut self.access);
        self.refresh.as_mut().map(wipe);
        self.extras.values_mut().for_each(wipe);
    }
}

pub(super) fn revision(head: &[u8]) -> Result<Revision, StoreError> {
    let digits = head.get(..16).and_then(|it| std::str::from_utf8(it).ok());
    digits
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .map(Revision::new)
        .ok_or_else(corrupt)
}

/// How long what is stored stays there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lives {
    /// A token whose refresh token's end is not known, after its last refresh.
    pub(super) refresh: Duration,
    /// A token without a refresh token, after its end.
    pub(super) grace: Duration,
    /// What has no end of its own, after its last use.
    pub(super) idle: Duration,
}

impl Lives {
    /// How long Redis keeps it, in milliseconds.
    pub(super) fn of(&self, save: &Save<'_>, now: SystemTime) -> u128 {
        let token = save.token;
        let until = |end: SystemTime| end.duration_since(now).unwrap_or_default() + self.grace;
        let life = match (token.refresh_token(), token.refresh_end()) {
            (Some(_), Some(end)) => until(end),
            (Some(_), None) => self.refresh,
            (None, _) => end(token.expiry(), save.obtained_at).map_or(self.idle, until),
        };
        millis_of(life)
    }

    /// How long it is kept from this use on, in milliseconds, if that is what decides.
    pub(super) fn after_use(&self, token: &Token) -> Option<u128> {
        let is_endless = token.refresh_token().is_none() && token.expiry() == Expiry::Never;
        is_endless.then(|| millis_of(self.idle))
    }
}

/// As Redis takes it: longer than nothing, and not so long that points in time overflow.
fn millis_of(life: Duration) -> u128 {
    life.min(super::LONGEST).as_millis().max(1)
}

/// When the access token ends. One of unknown end is not believed to be endless: it counts as ended,
/// which costs one refresh.
fn end(expiry: Expiry, obtained_at: SystemTime) -> Option<SystemTime> {
    match expiry {
        Expiry::Never => None,
        Expiry::At(end) => Some(end),
        Expiry::In(lifetime) => Some(obtained_at.checked_add(lifetime).unwrap_or(obtained_at)),
        _ => Some(obtained_at),
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn time(millis: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}

fn corrupt() -> StoreError {
    StoreError::new(
        StoreErrorKind::Corrupt,
        "what is stored under the key is not a token",
    )
}
