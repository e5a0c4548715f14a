"""What every test shares: a failure of a test on a stand shows what the stand's processes said last."""

from collections.abc import Generator

import pytest

from scripts.stand.stand import Stand
from tests.support.postgres import database_url, postgres

__all__ = ["database_url", "postgres"]

_LINES = 40


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the tails of the stand's logs: a failure on another machine cannot be looked at there."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for name, stand in item.funcargs.items():
            if isinstance(stand, Stand):
                report.sections += [(f"{name}: {file}", text) for file, text in _tails(stand)]
    return report


def _tails(stand: Stand) -> list[tuple[str, str]]:
    logs = sorted(stand.logs.glob("*.log")) if stand.logs.is_dir() else []
    return [(log.name, "\n".join(log.read_text(errors="replace").splitlines()[-_LINES:])) for log in logs]
