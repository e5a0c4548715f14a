"""One stand for all tests here: each leaves it as it found it."""

from collections.abc import Iterator

import pytest

from scripts.tools.testbed.testbed import Stand
from tests.support.stands import standing


@pytest.fixture(scope="session")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with standing(tmp_path_factory.mktemp("interop")) as stand:
        yield stand
