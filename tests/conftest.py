"""What every test shares: when a test on a testbed fails, the ends of the testbed's logs are shown; with `-n`, tests
are scheduled by tests/support/scheduling.py.
"""

import gc
import logging
import os
from collections.abc import Generator, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

from scripts.tools.testbed.testbed import Testbed
from tests.support.mariadb import mariadb
from tests.support.postgres import database_url, postgres, reused
from tests.support.reaper import reaper
from tests.support.scheduling import Scheduling, rank

__all__ = ["database_url", "mariadb", "postgres", "reused"]

_LINES = 40

# How long an example takes is the machine's business, which may be busy; what never ends, the timeout ends.
settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")

# An exception that is logged is shown as Python shows it: with the values of all variables and in colours, which nobody
# reads of a test that passes, one takes as long as several tests.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

# What bridgectl says is compared in English, whatever the language of who runs the tests.
os.environ["LC_ALL"] = "C.UTF-8"

# A test's broker lives for seconds: Java's optimising compiler would take more of them than it gives back.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")


@pytest.fixture(scope="session", autouse=True)
def _reaped() -> Iterator[None]:
    """Nothing is left behind by a process of pytest, not even by one that is killed."""
    with reaper():
        yield


@pytest.fixture(scope="session", autouse=True)
def _template(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Certificates, keys and an application key are made once for all testbeds that do not bring their own: to make
    them is five programs' starts."""
    shared = tmp_path_factory.getbasetemp()
    Testbed.template = (shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared) / "template"


@pytest.fixture(autouse=True)
def _logging_restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging as it was, after a test that sets it up; and no logger keeps what it was first used with, so that the
    next test can capture it."""
    configure = structlog.configure

    def uncached(**options: Any) -> None:
        configure(**{**options, "cache_logger_on_first_use": False})

    monkeypatch.setattr(structlog, "configure", uncached)
    root = logging.getLogger()
    before, handlers, level = structlog.get_config(), root.handlers[:], root.level
    yield
    configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling:
    """For `-n`: by units of ours."""
    return Scheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Without the garbage collector, for which nothing of thousands of tests is garbage; nor does it look at them
    again while they run."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--rare`: everything."""
    parser.addoption("--rare", action="store_true", help="run those marked rare too: further cells of dear matrices")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without the rare ones, unless they are asked for; in a worker of many, what takes long begins first."""
    if not config.getoption("rare"):
        rare = [item for item in items if item.get_closest_marker("rare")]
        config.hook.pytest_deselected(items=rare)
        items[:] = [item for item in items if not item.get_closest_marker("rare")]
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: rank(item.nodeid))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the tails of the testbed's logs: a failure on another machine cannot be looked at there."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for name, testbed in item.funcargs.items():
            if isinstance(testbed, Testbed):
                report.sections += [(f"{name}: {file}", text) for file, text in _tails(testbed)]
    return report


def _tails(testbed: Testbed) -> list[tuple[str, str]]:
    logs = sorted(testbed.logs.glob("*.log")) if testbed.logs.is_dir() else []
    return [(log.name, "\n".join(log.read_text(errors="replace").splitlines()[-_LINES:])) for log in logs]
