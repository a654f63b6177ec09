//! How far a call has come through the onion, for who has to write it down.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::AgentTool;

/// Nothing has been reached: more layers are left than there can be.
const NOTHING: usize = usize::MAX;

/// What lies within every layer.
const TOOL: usize = 0;

/// How far in a call has come. Can be looked at while the call is under way, and after it ended.
#[derive(Clone, Copy, Debug)]
pub struct Course<'c> {
    tool: &'c AgentTool,
    mark: &'c Mark,
}

/// The innermost thing that a call has come to, however often it was tried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reached<'c> {
    /// Nothing yet.
    Nothing,
    /// A middleware, by its name. What it answers, it answers in the tool's place.
    Middleware(&'c str),
    /// The tool itself, with arguments that fit.
    Tool,
}

/// How many layers were left when the call came furthest, plus one; none when it came to the tool.
#[derive(Debug)]
pub(crate) struct Mark(AtomicUsize);

impl Mark {
    pub(crate) fn new() -> Self {
        Self(AtomicUsize::new(NOTHING))
    }

    pub(super) fn layer(&self, left_within: usize) {
        self.0.fetch_min(left_within + 1, Ordering::Relaxed);
    }

    pub(super) fn tool(&self) {
        self.0.store(TOOL, Ordering::Relaxed);
    }
}

impl<'c> Course<'c> {
    pub(super) fn new(tool: &'c AgentTool, mark: &'c Mark) -> Self {
        Self { tool, mark }
    }

    /// How far in the call has come by now.
    pub fn reached(&self) -> Reached<'c> {
        match self.mark.0.load(Ordering::Relaxed) {
            NOTHING => Reached::Nothing,
            TOOL => Reached::Tool,
            left => {
                let layer = self.tool.middleware().iter().rev().nth(left - 1);
                layer.map_or(Reached::Nothing, |layer| Reached::Middleware(layer.name()))
            }
        }
    }
}
