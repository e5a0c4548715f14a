"""What a callback's name is resolved to is judged."""

import asyncio
from socket import AF_INET
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver

from dmz_front.callbacks.addresses import Refused
from dmz_front.callbacks.resolver import GuardedResolver


class Names(AbstractResolver):
    """A name server that says something else each time."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def resolve(self, host: str, port: int = 0, family: Any = AF_INET) -> Any:
        return [
            {"hostname": host, "host": one, "port": port, "family": AF_INET, "proto": 0, "flags": 0}
            for one in self.answers.pop(0)
        ]

    async def close(self) -> None:
        pass


def test_a_name_is_judged_by_what_it_resolves_to_for_each_connection() -> None:
    resolver = GuardedResolver((), Names(["8.8.8.8", "10.0.0.1"], ["127.0.0.1"], []))
    assert [one["host"] for one in asyncio.run(resolver.resolve("app.example", 443))] == ["8.8.8.8"]
    with pytest.raises(Refused, match=r"127\.0\.0\.1 is not an address of the public internet"):
        asyncio.run(resolver.resolve("app.example", 443))
    assert asyncio.run(resolver.resolve("app.example", 443)) == []
