"""One run of the contract: the peer's system opened as the bridge opens it, and everything heard that is said of it."""

import argparse
import asyncio
import io
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import structlog

from intranet_bridge.contract.peer import ACCOUNT, COMMAND, OTHER, QUERY, Peer, owed
from intranet_bridge.marketing import Adapter, Finding, MarketingRequest, Outcome, always
from intranet_bridge.marketing.kinds import kind
from intranet_bridge.settings import BridgeSettings
from intranet_bridge.trial import trial
from protocol.operations import Operation

SLACK_S = 3.0
"""How much later than it should an answer may be, on a busy machine."""
PERSON = {
    "contact_name": "欧阳云舒",
    "contact_phone": "13977215846",
    "address": "云河市望江里77号",
    "content": "表箱焦糊味",
}


def settings_of(peer: Peer) -> BridgeSettings:
    """The bridge's settings with the peer as their only system. Raises ValueError as for an operator's file."""
    operations = {name: {**binding, "system": "peer"} for name, binding in peer.bindings.items()}
    return BridgeSettings.model_validate(
        {
            "link": {"brokers": ["localhost:1"], "ca": "unused", "certificate": "unused", "key": "unused"},
            "keys": {"keyring": "unused", "trusted": "unused"},
            "store": {"file": "unused"},
            "systems": {"peer": dict(peer.system)},
            "operations": operations,
        }
    )


class Bench:
    """The two adapters. What they give is kept in `said`, to be searched for what nobody may say."""

    def __init__(self, peer: Peer, adapters: dict[str, Adapter]) -> None:
        self.peer, self._adapters, self.said = peer, adapters, [repr(adapters)]

    def request(
        self, operation: Operation, id: str, account: str = ACCOUNT, may_send: Callable[[], bool] = always
    ) -> MarketingRequest:
        """A request of one of the two operations."""
        body = {"account": account}
        if operation is COMMAND:
            body |= {"type": "fault-repair", **PERSON}
        return MarketingRequest(id, operation.requests.validate_python(body), may_send=may_send)

    async def call(
        self,
        operation: Operation,
        id: str = "contract-1",
        *,
        account: str = ACCOUNT,
        within_s: float = 5.0,
        may_send: Callable[[], bool] = always,
    ) -> Outcome:
        """What a call came to; fails if it takes longer than it may."""
        asked = self.request(operation, id, account, may_send)
        adapter = self._adapters[operation.name]
        return cast(Outcome, await self._timed(adapter.call(asked, within_s), within_s, asked))

    async def inquire(self, id: str = "contract-1", *, within_s: float = 5.0) -> Finding:
        """What an inquiry about a command found; fails as `call` does."""
        asked = self.request(COMMAND, id)
        found = await self._timed(self._adapters[COMMAND.name].inquire(asked, within_s), within_s, asked)
        return cast(Finding, found)

    async def _timed(self, call: Awaitable[Any], within_s: float, asked: MarketingRequest) -> Any:
        started = time.monotonic()
        outcome = await call
        took_s = time.monotonic() - started
        self.said += [repr(outcome), str(getattr(outcome, "reason", "")), repr(asked)]
        assert took_s < within_s + SLACK_S, f"{took_s:.1f} s, where {within_s} s were given: {outcome!r}"
        return outcome


def run(peer: Peer, steps: Callable[[Bench], Awaitable[None]]) -> None:
    """Open the peer's system, do the steps, close it; then nothing that was said holds a value of anybody's."""
    settings = settings_of(peer)
    section = settings.all_systems["peer"]

    async def perform() -> Bench:
        system = kind(section.adapter).open("peer", section)
        try:
            adapters = {
                name: system.adapter(operation, settings.operations[name])
                for name, operation in ((QUERY.name, QUERY), (COMMAND.name, COMMAND))
            }
            await system.start()
            bench = Bench(peer, adapters)
            bench.said += [repr(system), repr(section), repr(list(system.samples()))]
            await steps(bench)
            bench.said.append(repr(list(system.samples())))
            return bench
        finally:
            await asyncio.wait_for(system.close(), 30)

    with overheard() as logged:
        bench = asyncio.run(perform())
    assert_discreet(peer, [*bench.said, *logged])


def tried(peer: Peer, folder: Path, *arguments: str) -> tuple[int, str]:
    """`intranet-bridge try`: the exit status, and all that it printed. `folder` is for a saved answer."""
    parser = argparse.ArgumentParser()
    trial.add_command(parser.add_subparsers())
    out = io.StringIO()
    with overheard() as logged:
        status = trial.run(
            settings_of(peer), parser.parse_args(["try", *arguments]), lambda line: print(line, file=out)
        )
    assert_discreet(peer, logged)
    for secret in peer.secrets:
        assert secret not in out.getvalue(), "the trial shows a secret"
    return status, out.getvalue()


def values(peer: Peer) -> Iterator[str]:
    """What is a customer's own, or a secret: in no reason, no log, no repr."""
    yield from (ACCOUNT, OTHER, *PERSON.values(), *peer.secrets)
    for account in (ACCOUNT, OTHER):
        answer = owed(account)
        yield str(answer["total"])
        yield str(answer["unpaid"][0]["amount"])


def assert_discreet(peer: Peer, said: list[str]) -> None:
    """Fails if one of the texts holds a value."""
    for text in said:
        for value in values(peer):
            assert value not in text, f"a value of the request or the answer is told: {text[:2000]}"


@contextmanager
def overheard() -> Iterator[list[str]]:
    """All that is logged meanwhile, by structlog or the standard library, at every level a bridge can be set to."""
    heard: list[str] = []

    def note(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        error = event.get("exc_info")
        heard.append(repr(dict(event)))
        if isinstance(error, BaseException):
            heard.append("".join(traceback.format_exception(error)))
        raise structlog.DropEvent

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(self.format(record))

    root, handler = logging.getLogger(), Handler()
    level, before = root.level, structlog.get_config()["processors"]
    processors = before[:]
    before[:] = [note]  # in place: loggers made before have this list
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield heard
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        before[:] = processors
