"""A fastmcp server whose tools are for holders of a JWT.

It verifies HS256 with the secret in TESTBED_JWT_SECRET, issuer TESTBED_JWT_ISSUER
and audience TESTBED_JWT_AUDIENCE. It listens on loopback, on a port that the
kernel picks, and says which (`testbed: listening on <port>`). It ends when its
standard input closes, so it cannot outlive the test's process.
"""

import os
import socket
import sys
import threading

from fastmcp import FastMCP
from fastmcp.server.auth import require_scopes
from fastmcp.server.auth.providers.jwt import JWTVerifier
from fastmcp.server.dependencies import get_access_token

mcp = FastMCP(
    name="testbed-jwt",
    version="1.0.0",
    auth=JWTVerifier(
        public_key=os.environ["TESTBED_JWT_SECRET"],
        algorithm="HS256",
        issuer=os.environ["TESTBED_JWT_ISSUER"],
        audience=os.environ["TESTBED_JWT_AUDIENCE"],
    ),
)


@mcp.tool(annotations={"readOnlyHint": True})
def whoami() -> str:
    """The subject of the token that came with this request."""
    token = get_access_token()
    return token.claims["sub"] if token else "nobody"


@mcp.tool(annotations={"readOnlyHint": True})
def add(a: int, b: int) -> int:
    """The sum of two integers."""
    return a + b


@mcp.tool(auth=require_scopes("tools:write"))
def remember(note: str) -> str:
    """Needs the scope tools:write; others do not see it."""
    return f"remembered {len(note)} characters"


def end_with_parent() -> None:
    """Wait for the end of standard input, then end at once."""
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"testbed: listening on {listener.getsockname()[1]}", file=sys.stderr, flush=True)
    mcp.run(transport="http", sockets=[listener], show_banner=False)
