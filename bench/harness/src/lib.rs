//! What the programs that measure have in common: `mcp-bench`, `mcp-load`, and `xtask`, which runs
//! them.
#![forbid(unsafe_code)]

pub mod command;
pub mod machine;
pub mod process;
pub mod report;
pub mod statistics;
pub mod wakefulness;
