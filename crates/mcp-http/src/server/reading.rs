//! Whose answer is read, and what it means that it cannot be.

use std::error::Error as _;
use std::sync::Arc;

use mcp_core::auth::Credentials;
use mcp_core::wire::Malformed;
use mcp_core::{CallContext, Error, ErrorKind, Failure};

use super::batch::Messages;
use super::rpc::Rpc;
use super::sent::Sent;
use super::session::SessionKey;
use crate::client::{HttpResponse, HttpUrl};

/// Whose answer is read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) rpc: &'a Rpc<'a>,
    pub(crate) id: u64,
    pub(crate) url: &'a HttpUrl,
    pub(crate) context: &'a CallContext,
    /// `None` in a stateless dialect, where servers ask nothing and nothing is resumed.
    pub(crate) session: Option<&'a SessionKey>,
}

impl Reading<'_> {
    /// What the server was told, as far as it is nobody else's business.
    pub(super) fn sent<'s>(&'s self, credentials: &'s Credentials) -> Sent<'s> {
        Sent {
            credentials,
            session: self.session,
            url: self.url,
        }
    }

    /// The messages of a body or an event: one, or a batch of them (2025-03-26, basic).
    pub(super) fn messages<'m>(&self, text: &'m [u8]) -> Result<Messages<'m>, Error> {
        if self.session.is_none() {
            return Ok(Messages::one(text));
        }
        Messages::of(text)
    }

    /// There is no answer: a call may have run, and the caller has to know.
    pub(super) fn lost(&self, error: Error) -> Error {
        let is_known = error.kind() == ErrorKind::LimitExceeded;
        if self.rpc.tool().is_none() || is_known {
            return error;
        }
        Error::outcome_unknown(error)
    }

    /// There is half an answer, because the connection ended under it.
    pub(super) fn cut_off(&self, error: Error) -> Error {
        if self.rpc.tool().is_some() {
            return self.lost(error);
        }
        let peer = self.url.peer().to_owned();
        let source = Some(Arc::new(error) as _);
        Failure::Connect { peer, source }.into()
    }

    /// The rest of a body does not come.
    pub(super) fn unread(&self, error: Error) -> Error {
        if HttpResponse::broke_off(&error) {
            self.cut_off(error)
        } else {
            self.lost(error)
        }
    }

    /// A message that cannot be read: cut off, or wrong.
    pub(super) fn unreadable(&self, error: Error) -> Error {
        let malformed = error.source().and_then(|it| it.downcast_ref::<Malformed>());
        if malformed.is_some_and(Malformed::is_cut_off) {
            self.cut_off(error)
        } else {
            error
        }
    }
}
