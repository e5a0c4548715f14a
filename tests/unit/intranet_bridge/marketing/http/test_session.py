"""The token of a session: one log-in for all, early renewal, a pause after a failure."""

import asyncio
from typing import Any

import pytest

from intranet_bridge.marketing.http.session import Grant, LoginFailed, Session, usable
from protocol.backoff import Backoff

pytestmark = pytest.mark.anyio


class Source:
    """Gives tokens, when `open` is set; fails with what is in `failures` first."""

    def __init__(self, lifetime_s: float | None = None) -> None:
        self.lifetime_s, self.failures = lifetime_s, list[Exception]()
        self.asked = 0
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self) -> Grant:
        self.asked += 1
        number = self.asked
        await self.open.wait()
        if self.failures:
            raise self.failures.pop(0)
        return Grant(f"token-{number}", self.lifetime_s)


class Stage:
    def __init__(self, lifetime_s: float | None = None) -> None:
        self.source, self.now = Source(lifetime_s), 1000.0
        self.session = Session("marketing", self.source, Backoff(1, 60, lambda: 0.0), lambda: self.now)


async def test_sixty_four_workers_log_in_once() -> None:
    stage = Stage()
    stage.source.open.clear()
    workers = [asyncio.ensure_future(stage.session.token(5)) for _ in range(64)]
    await asyncio.sleep(0)
    stage.source.open.set()
    assert set(await asyncio.gather(*workers)) == {"token-1"}
    assert await stage.session.token(5) == "token-1"
    assert (stage.source.asked, stage.session.logins) == (1, 1)


async def test_who_gives_up_ends_nobody_elses_log_in() -> None:
    stage = Stage()
    stage.source.open.clear()
    with pytest.raises(LoginFailed, match="too long") as raised:
        await stage.session.token(0.001)
    assert not raised.value.denied
    waiting = asyncio.ensure_future(stage.session.token(5))
    cancelled = asyncio.ensure_future(stage.session.token(5))
    await asyncio.sleep(0)
    cancelled.cancel()
    stage.source.open.set()
    assert await waiting == "token-1"
    assert stage.source.asked == 1


async def test_only_the_token_that_is_held_can_be_turned_away() -> None:
    stage = Stage()
    old = await stage.session.token(5)
    stage.session.turned_away(old)
    new = await stage.session.token(5)
    for _ in range(64):  # the answers to what was asked with the old one
        stage.session.turned_away(old)
    assert await stage.session.token(5) == new
    assert stage.source.asked == 2


async def test_it_is_renewed_early_while_the_old_one_still_serves() -> None:
    stage = Stage(lifetime_s=100)
    assert await stage.session.token(5) == "token-1"
    stage.now += 89
    assert await stage.session.token(5) == "token-1"
    assert stage.source.asked == 1
    stage.source.open.clear()
    stage.now += 2
    assert await stage.session.token(5) == "token-1"
    stage.source.open.set()
    await asyncio.sleep(0.01)
    assert await stage.session.token(5) == "token-2"
    assert stage.source.asked == 2
    stage.now += 101
    assert await stage.session.token(5) == "token-3"


async def test_a_failed_log_in_is_followed_by_a_pause_that_grows(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage()
    stage.source.failures = [LoginFailed("HTTP 401", denied=True) for _ in range(3)]
    for pause_s in (1, 2, 4):
        asked = stage.source.asked
        for _ in range(10):
            with pytest.raises(LoginFailed, match=r"^log-in: HTTP 401$") as raised:
                await stage.session.token(5)
            assert raised.value.denied
        assert stage.source.asked == asked + 1
        stage.now += pause_s - 0.01
        with pytest.raises(LoginFailed):
            await stage.session.token(5)
        assert stage.source.asked == asked + 1
        stage.now += 0.02
    assert await stage.session.token(5) == "token-4"
    assert (stage.session.logins, stage.session.failures) == (1, 3)


async def test_a_defect_of_the_source_is_a_failure_and_tells_nothing() -> None:
    stage = Stage()
    stage.source.failures = [RuntimeError("secret")]
    with pytest.raises(LoginFailed, match="RuntimeError") as raised:
        await stage.session.token(5)
    assert "secret" not in str(raised.value)


async def test_closing_ends_a_log_in() -> None:
    stage = Stage()
    stage.source.open.clear()
    waiting = asyncio.ensure_future(stage.session.token(5))
    await asyncio.sleep(0)
    await stage.session.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize("token", [None, "", " x", "a\r\nX: y", "张", "x" * 9000, {"a": 1}, True])
def test_what_cannot_be_sent_is_no_token(token: Any) -> None:
    with pytest.raises(LoginFailed):
        usable(token)


def test_a_number_is_a_token() -> None:
    assert usable(471112) == "471112"
    assert "471112" not in repr(Grant("471112"))
