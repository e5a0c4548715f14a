"""What the Python clients and the one of curl share: the calls of suite.py, the answers as lines of JSON."""

import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping

URL = os.environ["INTEROP_URL"]
KEY = os.environ["INTEROP_KEY"]
CA = os.environ.get("INTEROP_CA", "")

Answer = tuple[int, str, str]
"""Status, body, Request-Id."""


async def run_async(send: Callable[[str, str, Mapping[str, str], bytes], Awaitable[Answer]]) -> None:
    """Make the calls of standard input with `send(method, URL, headers, body)`."""
    command = ""
    for line in sys.stdin.buffer.read().decode().splitlines():
        call, method, path, authorised, key, body = line.split("\t")
        headers = {}
        if authorised == "1":
            headers["Authorization"] = f"Bearer {KEY}"
        if body:
            headers["Content-Type"] = "application/json"
        if key:
            headers |= {"Idempotency-Key": key, "Prefer": "wait=10"}
        try:
            status, text, id = await send(method, URL + path.replace("{id}", command), headers, body.encode())
        except Exception as error:
            status, text, id = 0, repr(error), ""
        if call == "command":
            command = id
        print(json.dumps({"call": call, "status": status, "body": text}), flush=True)


def run(send: Callable[[str, str, Mapping[str, str], bytes], Answer]) -> None:
    """The same for a client that blocks."""
    import asyncio

    async def sent(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        return send(method, url, headers, body)

    asyncio.run(run_async(sent))
