//! MCP tool definitions become agent tools: parameter models, validation, lossless output.
