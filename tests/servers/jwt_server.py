"""A fastmcp server whose tools are for holders of a JWT.

It verifies HS256 with the secret in TESTBED_JWT_SECRET, issuer TESTBED_JWT_ISSUER
and audience TESTBED_JWT_AUDIENCE.
"""

import os

from fastmcp import FastMCP
from fastmcp.server.auth import require_scopes
from fastmcp.server.auth.providers.jwt import JWTVerifier
from fastmcp.server.dependencies import get_access_token
from tether import listener, serve

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


if __name__ == "__main__":
    serve(mcp, listener())
