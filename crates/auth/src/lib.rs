//! Who calls an MCP server, and with what: principals, credential providers, fresh tokens, secrets that cannot be printed.
