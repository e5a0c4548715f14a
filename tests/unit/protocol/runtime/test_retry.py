"""What must be done at last: tried again after each failure, and its result given."""

import asyncio

import pytest

from protocol.backoff import Backoff
from protocol.runtime.retry import until_done

pytestmark = pytest.mark.anyio


async def test_it_is_tried_until_it_succeeds_with_waits_that_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    heard: list[tuple[str, int]] = []
    outcomes: list[Exception | str] = [OSError(), ValueError(), OSError(), "done"]

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def attempt() -> str:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(asyncio, "sleep", sleep)
    backoff = Backoff(0.1, 0.3, lambda: 0.0)
    assert await until_done(attempt, backoff, lambda error, n: heard.append((type(error).__name__, n))) == "done"
    assert waits == pytest.approx([0.1, 0.2, 0.3])
    assert heard == [("OSError", 1), ("ValueError", 2), ("OSError", 3)]


async def test_who_is_cancelled_does_not_go_on() -> None:
    async def attempt() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await until_done(attempt, Backoff(0.1, 0.3, lambda: 0.0), lambda error, n: pytest.fail(f"{error} {n}"))
