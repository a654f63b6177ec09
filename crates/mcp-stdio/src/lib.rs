//! MCP over a child process: environment policy, process group, stderr, exit.
