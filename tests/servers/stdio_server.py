"""A small fastmcp server over stdio, for the tests of this workspace."""

import os

from fastmcp import FastMCP

server = FastMCP("notes")


@server.tool
def add(a: int, b: int) -> int:
    """Adds two integers."""
    return a + b


@server.tool
def variable(name: str) -> str:
    """Says whether this process has a variable."""
    return os.environ.get(name, "")


server.run(show_banner=False)
