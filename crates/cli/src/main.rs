//! A command to list and call the tools of MCP servers, and to say why a server does not answer.
fn main() {}
