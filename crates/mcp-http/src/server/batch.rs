//! Messages of a server where there may be several in one text (2025-03-26, basic).

use mcp_core::Error;
use mcp_core::wire::Message;
use serde_json::value::RawValue;

/// What a text holds: one message, or a batch of them.
pub(super) enum Messages<'m> {
    One(Option<&'m [u8]>),
    Batch(std::vec::IntoIter<&'m RawValue>),
}

impl<'m> Messages<'m> {
    /// The one message that a text is.
    pub(super) fn one(text: &'m [u8]) -> Self {
        Self::One(Some(text))
    }

    /// The messages of a text that may be a batch.
    pub(super) fn of(text: &'m [u8]) -> Result<Self, Error> {
        let text = text.trim_ascii();
        if text.first() != Some(&b'[') {
            return Ok(Self::one(text));
        }
        let batch: Vec<&RawValue> = serde_json::from_slice(text)
            .map_err(|error| Error::protocol_because("a batch is malformed", error))?;
        Ok(Self::Batch(batch.into_iter()))
    }
}

impl<'m> Iterator for Messages<'m> {
    type Item = Result<Message<'m>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = match self {
            Self::One(text) => text.take()?,
            Self::Batch(batch) => batch.next()?.get().as_bytes(),
        };
        Some(Message::parse(text))
    }
}
