"""The Python SDK as a contender: `sdk.py <kept|fresh|load> <url> <calls>`, one line of JSON.

`kept` holds one session for all calls. `fresh` opens one for each call and closes it: what loaders
of agent frameworks do. `load` also loads the tools before that, in a session of its own: what they
do where each request of a user has credentials of its own.
"""

import asyncio
import json
import sys
import time
from contextlib import asynccontextmanager

from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

TOOL = "weather"
ARGUMENTS = {"city": "Zurich", "days": 3, "units": "metric"}
TOKEN = "test-token-alice"


@asynccontextmanager
async def session(url):
    """What `Client(url)` is, with a token."""
    async with create_mcp_http_client(headers={"authorization": f"Bearer {TOKEN}"}) as http:
        async with Client(streamable_http_client(url, http_client=http)) as client:
            yield client


async def call(client):
    result = await client.call_tool(TOOL, ARGUMENTS)
    if result.is_error or result.content[0].text != "it is sunny":
        raise SystemExit("not the answer of the server")


async def measured(once, warm_up, calls):
    for _ in range(warm_up):
        await once()
    took = []
    began, cpu = time.perf_counter_ns(), time.process_time_ns()
    last = began
    for _ in range(calls):
        await once()
        now = time.perf_counter_ns()
        took.append(now - last)
        last = now
    used = time.process_time_ns() - cpu
    took.sort()
    return {
        "cpu_ns": used / calls,
        "wall_ns": (last - began) / calls,
        "p50_ns": took[calls // 2],
        "allocations": 0,
        "allocated_bytes": 0,
    }


async def main(pattern, url, calls):
    if pattern in ("fresh", "load"):

        async def once():
            if pattern == "load":
                async with session(url) as client:
                    await client.list_tools()
            async with session(url) as client:
                await call(client)

        return await measured(once, 2, calls)
    async with session(url) as client:
        return await measured(lambda: call(client), 50, calls)


pattern, url, calls = sys.argv[1:]
print(json.dumps(asyncio.run(main(pattern, url, int(calls)))))
