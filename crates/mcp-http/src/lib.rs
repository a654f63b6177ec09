//! MCP over HTTP: Streamable HTTP in every protocol version and HTTP+SSE, on one guarded hyper client.
