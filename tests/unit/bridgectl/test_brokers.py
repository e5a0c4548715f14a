"""A broker that cannot be reached: said once, with the reason and what to do, by every command that needs it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bridgectl import brokers
from bridgectl.brokers import NoBroker, connected
from bridgectl.doctor import health
from bridgectl.doctor.finding import Status
from protocol.runtime.settings import LinkSection

SECTION = LinkSection.model_construct(
    brokers=("broker.dmz:61616",), ca=Path("ca.pem"), certificate=Path("monitor.pem"), key=Path("monitor.key")
)


class Down:
    """A link that never comes up."""

    def __init__(self, trouble: str) -> None:
        self.trouble = trouble
        self.closed = False

    async def start(self) -> None:
        """Begins."""

    async def ready(self) -> None:
        """Never returns."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Ended."""
        self.closed = True


def down(monkeypatch: pytest.MonkeyPatch, trouble: str) -> Down:
    link = Down(trouble)
    monkeypatch.setattr(brokers, "stomp_link", lambda *_: link)
    return link


async def use(patience_s: float) -> Any:
    async with connected(SECTION, "bridgectl", patience_s) as link:
        return link


def test_why_no_broker_answers_and_what_to_do_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    link = down(monkeypatch, "broker.dmz:61616: 10.0.0.7:61616: Connection refused")
    with pytest.raises(NoBroker) as refused:
        asyncio.run(use(0))
    assert "broker.dmz:61616: 10.0.0.7:61616: Connection refused" in str(refused.value)
    assert "bridgectl status" in str(refused.value)
    assert link.closed


def test_a_broker_that_only_keeps_silent_is_told_from_one_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    down(monkeypatch, "")
    with pytest.raises(NoBroker, match="no answer within 0 s"):
        asyncio.run(use(0))


def test_doctor_does_not_suspect_the_monitors_certificate_where_nothing_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    down(monkeypatch, "broker.dmz:61616: 10.0.0.7:61616: Connection refused")
    [finding] = health.statistics(SECTION, "main", 0)
    assert finding.status is Status.FAIL
    assert "Connection refused" in finding.seen
    assert "certificate" not in finding.action
