"""One testbed for all tests here: each leaves it as it found it."""

from collections.abc import Iterator

import pytest

from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import running_testbed


@pytest.fixture(scope="package")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    with running_testbed(tmp_path_factory.mktemp("interop")) as testbed:
        yield testbed
