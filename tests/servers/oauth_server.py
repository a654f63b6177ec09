"""A fastmcp server whose users authorize at another server.

It publishes protected resource metadata that names TESTBED_JWT_ISSUER, and verifies
that server's tokens (HS256 with the secret in TESTBED_JWT_SECRET, audience: its own
URL).
"""

import os

from fastmcp import FastMCP
from fastmcp.server.auth import RemoteAuthProvider
from fastmcp.server.auth.providers.jwt import JWTVerifier
from fastmcp.server.dependencies import get_access_token
from pydantic import AnyHttpUrl
from tether import listener, serve

listening = listener()
base = f"http://127.0.0.1:{listening.getsockname()[1]}"
issuer = os.environ["TESTBED_JWT_ISSUER"]

mcp = FastMCP(
    name="testbed-oauth",
    version="1.0.0",
    auth=RemoteAuthProvider(
        token_verifier=JWTVerifier(
            public_key=os.environ["TESTBED_JWT_SECRET"],
            algorithm="HS256",
            issuer=issuer,
            audience=f"{base}/mcp",
            required_scopes=["tools:read"],
        ),
        authorization_servers=[AnyHttpUrl(issuer)],
        base_url=base,
    ),
)


@mcp.tool(annotations={"readOnlyHint": True})
def whoami() -> str:
    """The subject of the token that came with this request."""
    token = get_access_token()
    return (token.claims.get("sub") or token.client_id) if token else "nobody"


@mcp.tool(annotations={"readOnlyHint": True})
def token_id() -> str:
    """Which token came with this request."""
    token = get_access_token()
    return token.claims["jti"] if token else "none"


if __name__ == "__main__":
    serve(mcp, listening)
