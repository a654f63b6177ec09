//! What is made of a result once it is there.

use mcp_core::wire::{ToolCollector, ToolsPage};
use mcp_core::{Error, ToolOutput};
use serde_json::value::RawValue;

/// Makes of a result what the caller wants. Any closure over the result is one.
pub(crate) trait Take<T> {
    /// Reads the result.
    fn take(&mut self, result: &RawValue) -> Result<T, Error>;

    /// Reads the result out of a whole answer, where that is quicker; `None` where it is anything
    /// but a complete result for this id, which is then read like any other message.
    fn take_whole(&mut self, answer: &[u8], id: u64) -> Option<Result<T, Error>> {
        let _ = (answer, id);
        None
    }

    /// Reads a tool's output that is one already.
    fn take_output(&mut self, output: ToolOutput) -> Result<T, Error> {
        let result = serde_json::from_str(output.raw());
        self.take(result.map_err(|error| Error::protocol_because("no result", error))?)
    }
}

impl<T, F: FnMut(&RawValue) -> Result<T, Error>> Take<T> for F {
    fn take(&mut self, result: &RawValue) -> Result<T, Error> {
        self(result)
    }
}

/// Reads what a tool answered.
pub(crate) struct Output;

impl Take<ToolOutput> for Output {
    fn take(&mut self, result: &RawValue) -> Result<ToolOutput, Error> {
        ToolOutput::parse(result)
    }

    fn take_whole(&mut self, answer: &[u8], id: u64) -> Option<Result<ToolOutput, Error>> {
        ToolOutput::parse_answer(answer, id).map(Ok)
    }

    fn take_output(&mut self, output: ToolOutput) -> Result<ToolOutput, Error> {
        Ok(output)
    }
}

/// Collects the pages of a list of tools; gives where the next one begins.
pub(crate) struct Pages<'l> {
    pub(crate) collector: ToolCollector<'l>,
    /// Whether some definition may mirror arguments in headers.
    pub(crate) mirrors: bool,
}

impl<'l> Pages<'l> {
    pub(crate) fn new(collector: ToolCollector<'l>) -> Self {
        Self {
            collector,
            mirrors: false,
        }
    }

    fn add(&mut self, page: &ToolsPage<'_>) -> Result<Option<String>, Error> {
        self.mirrors |= page.may_mirror();
        self.collector.add(page)
    }
}

impl Take<Option<String>> for Pages<'_> {
    fn take(&mut self, result: &RawValue) -> Result<Option<String>, Error> {
        self.add(&ToolsPage::parse(result)?)
    }

    fn take_whole(&mut self, answer: &[u8], id: u64) -> Option<Result<Option<String>, Error>> {
        let page = ToolsPage::parse_answer(answer, id)?;
        Some(self.add(&page))
    }
}
