//! What a notice of progress says.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ProgressUpdate;

/// The parameters of `notifications/progress` about a request of ours, which number their tokens.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// The token of the request.
    #[serde(rename = "progressToken")]
    pub token: u64,
    #[serde(rename = "progress")]
    done: f64,
    #[serde(default)]
    total: Option<f64>,
    #[serde(borrow, default)]
    message: Option<Cow<'a, str>>,
}

impl<'a> Progress<'a> {
    /// Reads one; `None` where it is about no request of ours.
    pub fn read(params: Option<&'a RawValue>) -> Option<Self> {
        serde_json::from_str(params?.get()).ok()
    }

    /// Tells it to whoever hears it, without what `redact` takes out of the server's words.
    pub fn tell(
        &self,
        redact: impl for<'t> Fn(&'t str) -> Cow<'t, str>,
        hear: impl FnOnce(ProgressUpdate<'_>),
    ) {
        let message = self.message.as_deref().map(redact);
        hear(ProgressUpdate::new(
            self.done,
            self.total,
            message.as_deref(),
        ));
    }
}
