"""How a server here listens, and how it ends.

It listens on loopback, on a port that the kernel picks, and says which (`testbed: listening on
<port>`). It ends when its standard input closes, so it cannot outlive the test's process.
"""

import os
import socket
import sys
import threading

from fastmcp import FastMCP


def listener() -> socket.socket:
    """A socket on loopback, before anybody hears of it."""
    return socket.create_server(("127.0.0.1", 0))


def serve(mcp: FastMCP, listening: socket.socket) -> None:
    """Says where it listens, and serves until standard input ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    port = listening.getsockname()[1]
    print(f"testbed: listening on {port}", file=sys.stderr, flush=True)
    mcp.run(transport="http", sockets=[listening], show_banner=False)


def _end_with_parent() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)
