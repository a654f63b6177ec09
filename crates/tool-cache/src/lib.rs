//! Loaded MCP tools per server, user and token, with a TTL.
