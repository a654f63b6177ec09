//! Where records go.

use std::fmt;
use std::io::{self, Write};

use super::AuditRecord;

/// Takes records, on a thread of its own: it may block.
pub trait AuditSink: fmt::Debug + Send {
    /// Takes one record.
    ///
    /// # Errors
    /// When it could not be kept. It is not tried again.
    fn write(&mut self, record: &AuditRecord) -> io::Result<()>;

    /// Called when no record is waiting. What [`write`](Self::write) took counts as kept: a sink that
    /// only buffers there has lost it when this fails.
    ///
    /// # Errors
    /// When what was taken could not be kept.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a sink that fails or is too slow means for calls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SinkPolicy {
    /// Calls go on; records are lost and counted.
    Drop,
    /// No call is made once the sink is known to fail, or while 1,024 records wait for it. The denials
    /// are records themselves: with the first one that is kept, calls go on. Unrecorded are at most
    /// the calls whose records were waiting when the sink began to fail, and those that were under
    /// way: a record is written when its call is over.
    Deny,
}

/// Writes one line of JSON per record, to a file or anything else.
pub struct JsonLines<W> {
    writer: W,
}

impl<W: Write + Send> JsonLines<W> {
    /// Lines to a writer; a `BufWriter` is worth its while, it is flushed whenever no record waits.
    /// Where no record may be lost ([`SinkPolicy::Deny`]), give the file itself: what a buffer takes
    /// is not yet written.
    pub fn new(writer: W) -> Self {
        Self { writer }
    }
}

impl<W: Write + Send> AuditSink for JsonLines<W> {
    fn write(&mut self, record: &AuditRecord) -> io::Result<()> {
        // One write per line, so that lines of several processes do not mix.
        let mut line = record.to_json();
        line.push('\n');
        self.writer.write_all(line.as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl<W> fmt::Debug for JsonLines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JsonLines")
    }
}
