"""aiohttp, with one session."""

import asyncio
import ssl
from collections.abc import Mapping

import aiohttp

from tests.interop.clients.python.calls import CA, Answer, run_async


async def main() -> None:
    context = ssl.create_default_context(cafile=CA or None)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:

        async def send(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
            async with session.request(method, url, headers=headers, data=body or None) as answer:
                return answer.status, await answer.text(), answer.headers["Request-Id"]

        await run_async(send)


asyncio.run(main())
