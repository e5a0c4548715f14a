"""Clients that need no download, and one that is generated; `./scripts/interop` has all and writes docs/interop.md."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.tools.testbed.testbed import Testbed
from tests.interop.suite import CALLS, CLIENTS, TRANSPORTS, Client, Unavailable, ready, run, transport


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clients")


@pytest.fixture(scope="module", params=TRANSPORTS)
def environment(testbed: Testbed, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    with transport(testbed, request.param) as environment:
        yield environment


@pytest.mark.parametrize("client", [client for client in CLIENTS if client.in_short], ids=lambda one: one.name)
def test_seven_calls(client: Client, cache: Path, environment: dict[str, str], testbed: Testbed) -> None:
    try:
        ready(client, cache)
    except Unavailable as reason:
        pytest.skip(str(reason))
    assert run(client, cache, environment, testbed) == dict.fromkeys(CALLS, "")
