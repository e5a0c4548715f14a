"""One stand for all system tests that leave it as they found it."""

from collections.abc import Iterator

import httpx
import pytest

from scripts.stand.stand import Stand
from tests.support.stands import client, standing


@pytest.fixture(scope="session")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with standing(tmp_path_factory.mktemp("system")) as stand:
        yield stand


@pytest.fixture
def http(stand: Stand) -> Iterator[httpx.Client]:
    with client(stand) as http:
        yield http
