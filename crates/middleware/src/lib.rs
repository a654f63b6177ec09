//! What happens around a tool call: audit, timeout, and your own hooks.
