"""One site and one stand on it for all tests here; each leaves it as it found it."""

from collections.abc import Iterator

import pytest

from scripts.tools.testbed.testbed import Stand
from tests.support.namespaces import why_not
from tests.support.site import Site, built, stand_on


@pytest.fixture(scope="package")
def site() -> Iterator[Site]:
    """The hosts."""
    if reason := why_not():
        pytest.skip(f"the one-way rule was NOT tested: {reason}")
    with built() as site:
        yield site


@pytest.fixture(scope="package")
def one_way(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """The product on them, running."""
    stand = stand_on(site, tmp_path_factory.mktemp("one-way"))
    try:
        stand.set_up()
        stand.start()
        yield stand
    finally:
        stand.stop()
