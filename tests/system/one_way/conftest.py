"""One site and one testbed on it for all tests here; each leaves it as it found it."""

from collections.abc import Iterator

import pytest

from scripts.tools.testbed.testbed import Testbed
from tests.support.namespaces import why_not
from tests.support.site import Site, built, make_testbed


@pytest.fixture(scope="package")
def site() -> Iterator[Site]:
    """The hosts."""
    if reason := why_not():
        pytest.skip(f"the one-way rule was NOT tested: {reason}")
    with built() as site:
        yield site


@pytest.fixture(scope="package")
def one_way(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    """The product on them, running."""
    testbed = make_testbed(site, tmp_path_factory.mktemp("one-way"))
    try:
        testbed.set_up()
        testbed.start()
        yield testbed
    finally:
        testbed.stop()
