//! What every MCP transport has in common: the ToolServer trait, call context, error taxonomy, limits and wire format.
