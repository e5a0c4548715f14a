"""Commands for another region's bridge: two whole bridges with keys of their own, each with a front that routes."""

import asyncio
import datetime
import json
import time
from collections.abc import Awaitable, Callable
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_json

from bridgectl import keys
from dmz_front.submissions import Submissions
from intranet_bridge import app, links
from intranet_bridge.bound import Bound
from intranet_bridge.commands.forwarding import predecessors
from intranet_bridge.marketing import Answered, NotApplied, Refused, Unknown
from intranet_bridge.peers import Peers
from intranet_bridge.settings import BridgeSettings
from intranet_bridge.settlement_sections.peers import PeerSection
from protocol.destinations import commands, dead_letters, submissions
from protocol.envelope import Kind, Opener, Sealer
from protocol.errors import BridgeError, ConfigurationError, EnvelopeError
from protocol.frames import pack, unpack
from protocol.lifecycle import State
from protocol.link.lane import Lane
from protocol.link.memory import MemoryBroker, MemoryLink
from protocol.link.port import AckMode, Delivery, Outgoing, Subscription
from protocol.messages import Attributes, Reply, Role
from protocol.runtime.daemon import Daemon
from protocol.runtime.keyfiles import load_keyring
from protocol.submissions import TYPE, Submission
from tests.unit.forked import dies_at
from tests.unit.intranet_bridge.commands.test_local import ROOT, Asking, Remembering, command, with_part
from tests.unit.intranet_bridge.harness import (
    BILL_BODY,
    DONE,
    LOST,
    OPERATIONS,
    ORDER_BODY,
    Marketing,
    Stage,
    until,
    wall,
)

HOME, EAST = "main", "east"
ALLOWED = ["work-order", "bill-query"]
BILLS = OPERATIONS["bill-query"]
ASKED = BILLS.requests.validate_json(BILL_BODY)


class Region:
    """A bridge, its front, its keys and its marketing system."""

    def __init__(self, folder: Path, broker: MemoryBroker, region: str, front: str) -> None:
        self.folder, self.broker, self.region, self.front = folder / region, broker, region, front
        keys.init(self.folder, now=datetime.datetime.now(datetime.UTC))
        self.trusted = self.folder / keys.TRUSTED
        self.ring = load_keyring(keys.keyring_path(self.folder, Role.BRIDGE), self.trusted)
        self.front_ring = load_keyring(keys.keyring_path(self.folder, Role.FRONT), self.trusted)
        self.marketing = {name: Marketing(Answered(DONE)) for name in OPERATIONS}
        self.peers: dict[str, Any] = {}
        self.bridge: app.Bridge
        self.part: Asking
        self.submissions: Submissions
        self.daemon = Daemon()

    async def start(self, parts: list[Asking], **settings: Any) -> None:
        values = {
            "name": f"bridge-{self.region}", "region": self.region,
            "link": {"brokers": ["localhost:1"], "ca": "x", "certificate": "x", "key": "x"},
            "keys": {"keyring": "x", "trusted": "x"},
            "store": {"file": str(self.folder / "bridge.sqlite3")},
            "commands": {"retry_min_s": 0.01, "retry_max_s": 0.05, "sweep_s": 0.05},
            "marketing": {"url": "http://localhost:1"},
            "operations": {"bill-query": {"path": "/", "response": "@"}},
            "presence_interval_s": 0.05, "drain_s": 1,
            "settlement": {"front": self.front, "peers": self.peers, "resend_after_s": 0.2},
        }  # fmt: skip
        self.bridge = app.Bridge(
            BridgeSettings.model_validate(values | settings), keyring=self.ring,
            links={name: MemoryLink(self.broker) for name in (*links.LINKS, links.SUBMISSION_LINK)},
            bound=Bound({}, self.marketing),
        )  # fmt: skip
        self.part = parts[-1]
        self.daemon = Daemon()
        await self.bridge.start(self.daemon)

    async def route(self, *regions: str) -> None:
        """Have its front route."""
        link, out = MemoryLink(self.broker), MemoryLink(self.broker)
        self.submissions = Submissions(
            link=link, lane=Lane(out, persistent=True), opener=Opener(self.front_ring), front=self.front,
            regions=frozenset(regions), clock=wall,
        )  # fmt: skip
        await link.start()
        await out.start()
        self.submissions.start()

    async def row(self, id: str) -> Any:
        from sqlalchemy import select

        from intranet_bridge.inbox.rows import INBOX

        statement = select(INBOX).where(INBOX.c.id == id)
        return await self.bridge.store.read(lambda connection: connection.execute(statement).first())

    async def until_state(self, id: str, state: str) -> None:
        end = time.monotonic() + 60
        while (now := (await self.row(id)).state) != state:
            assert time.monotonic() < end, f"still {now}, not {state}"
            await asyncio.sleep(0.005)


class Both:
    """Two regions on one broker."""

    def __init__(self, folder: Path, parts: list[Asking]) -> None:
        self.broker, self.parts = MemoryBroker(), parts
        self.home = Region(folder, self.broker, HOME, "front-1")
        self.east = Region(folder, self.broker, EAST, "front-2")
        self.home.peers = {EAST: {"trusted": str(self.east.trusted)}}
        self.east.peers = {HOME: {"trusted": str(self.home.trusted), "operations": ALLOWED}}
        self.dead: list[Delivery] = []
        self.link = MemoryLink(self.broker)

    async def open(self) -> None:
        await self.link.start()
        await self.link.ready()
        for queue in (submissions("front-1"), submissions("front-2"), commands(HOME), commands(EAST)):
            self.link.subscribe(Subscription(dead_letters(queue), self.dead.append, AckMode.AUTO, 100))

    async def start(self) -> None:
        for region, other in ((self.home, EAST), (self.east, HOME)):
            await region.start(self.parts)
            await region.route(other)

    async def stop(self) -> None:
        for region in (self.home, self.east):
            await region.daemon.stop()
            await region.submissions.close()

    async def ask(self, *ids: str, operation: str = "work-order") -> None:
        internal = self.home.bridge.internal
        asked = [command(id, operation, region=EAST) for id in ids]
        await self.home.bridge.store.write(lambda connection: internal.record(connection, asked))
        internal.begin()


def scene(act: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    def test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **given: Any) -> None:
        (tmp_path / "stage").mkdir()
        parts = with_part(Stage(tmp_path / "stage", monkeypatch), monkeypatch)
        monkeypatch.setattr("intranet_bridge.commands.forwarding.CATALOGUE", OPERATIONS)

        async def life() -> None:
            both = Both(tmp_path, parts)
            await both.open()
            async with asyncio.timeout(180):
                await act(both, **given)

        asyncio.run(life())

    fixtures = [name for name in signature(act).parameters if name != "both"]
    test.__name__, test.__doc__ = act.__name__, act.__doc__
    test.__signature__ = Signature(  # type: ignore[attr-defined]  # what pytest asks fixtures for
        [Parameter(name, Parameter.KEYWORD_ONLY) for name in ("tmp_path", "monkeypatch", *fixtures)]
    )
    return test


@scene
async def test_line_of_other_company(both: Both) -> None:
    """It is done there, once, and told here, once; nothing is called here."""
    await both.start()
    await both.ask("o1-1", "o1-2", "o1-1")
    for id in ("o1-1", "o1-2"):
        await both.home.part.until_told(id, "succeeded")
    await both.ask("o1-1")
    assert both.east.marketing["work-order"].calls == ["o1-1", "o1-2"]
    assert not both.home.marketing["work-order"].calls
    there, here = await both.east.row("o1-1"), await both.home.row("o1-1")
    assert (there.source, there.reply_to, there.state) == ("main/bridge-main/settlement", "peer:main", "succeeded")
    assert (here.reply_to, here.state, here.envelope) == ("local:asking", "succeeded", b"")
    assert both.home.submissions.routed >= 2
    assert not await both.east.part.told("o1-1")
    assert not both.dead
    await both.stop()


@scene
async def test_the_way_between_reads_nothing(both: Both) -> None:
    await both.home.start(both.parts)
    await both.home.route(EAST)
    link, seen = MemoryLink(both.broker), list[Delivery]()
    await link.start()
    link.subscribe(Subscription(commands(EAST), seen.append, AckMode.AUTO, 100))
    await both.ask("o1-1")
    await until(lambda: seen)
    await until(lambda: both.home.bridge.internal.report().elsewhere == 1)  # nobody there answers it
    report = both.home.bridge.internal.report()
    assert report.elsewhere_since == (await both.home.row("o1-1")).received_at
    [envelope] = unpack(seen[0].body)
    assert json.loads(ORDER_BODY)["account"].encode() not in envelope
    for ring in (both.home.front_ring, both.east.front_ring, both.home.ring):
        with pytest.raises(EnvelopeError):
            Opener(ring).authentic(envelope)
    await both.home.daemon.stop()
    await both.home.submissions.close()


@scene
async def test_the_order_of_one_account_outlives_the_way(both: Both) -> None:
    """Of three commands the way gives the last first: it waits for those that it follows."""
    await both.home.start(both.parts)
    await both.east.start(both.parts)
    await both.east.route(HOME)
    link, kept = MemoryLink(both.broker), list[Delivery]()
    await link.start()
    link.subscribe(Subscription(submissions("front-1"), kept.append, AckMode.AUTO, 100))
    await both.ask("o1-1", "o1-2", "o1-3")
    opener, on_the_way = Opener(both.home.front_ring), dict[str, bytes]()

    def all_sent() -> bool:
        for delivery in kept:
            for envelope in unpack(delivery.body):
                opened = opener.open(envelope, now_ms=wall(), expect=Kind.REPLY)
                routed = Submission.from_payload(Reply.from_payload(opened.attributes, opened.payload).result)
                said = both.east.bridge.forwarding.peers.opened(routed.envelope)  # type: ignore[union-attr]
                on_the_way.setdefault(said.id, routed.envelope)  # type: ignore[union-attr]
        return len(on_the_way) == 3

    await until(all_sent)
    for id in on_the_way:  # of one receipt for them all
        await both.home.until_state(id, "sent")
    for id, there in (("o1-3", 1), ("o1-2", 2), ("o1-1", 3)):
        assert not both.east.marketing["work-order"].calls
        await both.east.bridge.forwarding.take(on_the_way[id], 0)  # type: ignore[union-attr]
        assert len(both.east.bridge.ordering) == there
    for id in ("o1-1", "o1-2", "o1-3"):
        await both.home.part.until_told(id, "succeeded")
    assert both.east.marketing["work-order"].calls == ["o1-1", "o1-2", "o1-3"]
    await both.home.daemon.stop()
    await both.east.daemon.stop()
    await both.east.submissions.close()


@scene
async def test_what_is_lost_on_the_way_goes_again(both: Both) -> None:
    """Whatever was lost, request or reply, and though both bridges were stopped between."""
    await both.home.start(both.parts)
    await both.ask("o1-1")  # nobody routes yet
    await until(lambda: both.broker.depth(submissions("front-1")))
    await both.home.daemon.stop()
    await both.home.start(both.parts)
    await both.home.route(EAST)
    await both.east.start(both.parts)
    await until(lambda: both.east.marketing["work-order"].calls)
    await both.east.daemon.stop()
    await both.east.start(both.parts)
    await both.east.route(HOME)
    await both.home.part.until_told("o1-1", "succeeded")
    assert both.east.marketing["work-order"].calls == ["o1-1"]
    await both.stop()


@scene
async def test_one_that_may_have_been_called_before_is_worked_on_though_its_commit_is_done_twice(both: Both) -> None:
    """As the store does it whose connection broke after the commit. The inbox there has forgotten what came before."""
    await both.start()
    east = both.east.bridge
    write, forwarding = east.store.write, east.forwarding
    assert forwarding is not None

    async def twice(work: Any) -> Any:
        await write(work)
        return await write(work)

    async def take(envelope: bytes, _since: int) -> None:
        await forwarding.take(envelope, wall() + 60_000)

    east.store.write = twice  # type: ignore[method-assign]
    east.command_intake._from_peer = take
    both.east.marketing["work-order"].findings = [Answered(DONE)]
    await both.ask("o1-1")
    await both.home.part.until_told("o1-1", "succeeded")
    marketing = both.east.marketing["work-order"]
    assert (marketing.calls, marketing.inquiries) == ([], ["o1-1"])
    await both.stop()


@scene
async def test_held_there_is_told_here_and_decided_there(both: Both) -> None:
    both.east.marketing["delicate"].script = [LOST]
    await both.start()
    assert both.east.bridge.forwarding is not None
    both.east.bridge.forwarding.peers._peers[HOME].operations = frozenset({"delicate"})  # type: ignore[misc]  # of no shipped catalogue
    await both.ask("o1-1", operation="delicate")
    await both.home.part.until_told("o1-1", "held")
    with pytest.raises(BridgeError, match="in the hands of the bridge of east"):
        await both.home.bridge.administration.resolve({"id": "o1-1", "choice": "applied", "note": "n"}, ROOT)
    await both.east.bridge.administration.resolve({"id": "o1-1", "choice": "applied", "note": "n"}, ROOT)
    await both.home.part.until_told("o1-1", "held", "succeeded")
    await both.stop()


@scene
async def test_what_it_may_not_ask_for_is_not_done(both: Both) -> None:
    await both.start()
    await both.ask("o1-1", operation="delicate")
    await both.home.part.until_told("o1-1", "failed")
    assert await both.home.part.told("o1-1") == [("failed", "not-admitted")]
    assert not both.east.marketing["delicate"].calls
    with pytest.raises(ValueError, match=r"not one of settlement\.peers"):
        await both.home.bridge.store.write(
            lambda connection: both.home.bridge.internal.record(connection, [command("o1-2", region="west")])
        )
    await both.stop()


@scene
async def test_an_id_of_its_own_is_not_the_others(both: Both) -> None:
    await both.start()
    await both.east.part.ask("o1-1")
    await both.east.part.until_told("o1-1", "succeeded")
    await both.ask("o1-1")
    await both.home.part.until_told("o1-1", "failed")
    assert await both.home.part.told("o1-1") == [("failed", "id-taken")]
    assert both.east.marketing["work-order"].calls == ["o1-1"]
    await both.stop()


@scene
async def test_a_front_routes_to_the_regions_it_is_told_and_only_for_its_bridge(both: Both) -> None:
    await both.home.route("west")
    now = wall()

    def sealed(ring: Any, type: str = TYPE, region: str = EAST) -> bytes:
        about = Attributes("s-1", "bridge-1", type, now)
        payload = Reply(about, State.SUCCEEDED, result=Submission(region, b"x").payload()).payload()
        return Sealer(ring, to=Role.FRONT).seal(Kind.REPLY, about, payload, now_ms=now)

    wrong = [sealed(both.east.ring, region="west"), sealed(both.home.ring, "x", "west")]
    unrouted = [sealed(both.home.ring), sealed(both.home.ring)]
    for envelope in (*wrong, *unrouted, sealed(both.home.ring, region="west")):
        await both.link.send(Outgoing(submissions("front-1"), pack([envelope]), persistent=True))
    await until(lambda: both.home.submissions.routed)
    await until(lambda: len(both.dead) == 2)  # but not what comes again until it is routed
    assert both.broker.depth(commands("west")) == 1
    [told] = both.home.submissions.report()
    assert (told.region, told.count) == (EAST, 2)
    assert ("dmz_front_submissions_unrouted_total", {"region": EAST}, 2) in [
        (name, labels, value) for name, _, labels, value in both.home.submissions.samples()
    ]
    await both.home.submissions.close()


@scene
async def test_a_query_is_answered_there_or_not_at_all(both: Both) -> None:
    marketing = both.east.marketing["bill-query"]
    answer = to_json(BILLS.example_answer)
    marketing.script = [Answered(answer), Refused("no-such-account", "unknown"), LOST, Answered(b"{}")]
    await both.start()
    assert both.home.bridge.forwarding is not None
    ask = both.home.bridge.forwarding.queries.ask
    assert await ask(EAST, "bill-query", ASKED, 5) == Answered(answer)
    assert await ask(EAST, "bill-query", ASKED, 5) == Refused("no-such-account", "unknown")
    assert isinstance(await ask(EAST, "bill-query", ASKED, 5), NotApplied)
    assert isinstance(await ask(EAST, "bill-query", ASKED, 5), Unknown)  # not an answer of the catalogue's
    assert isinstance(await ask("west", "bill-query", ASKED, 5), NotApplied)
    arrears = OPERATIONS["arrears-query"].requests.validate_python({"account": "3210000000001"})
    refused = await ask(EAST, "arrears-query", arrears, 5)
    assert (refused, len(marketing.calls)) == (NotApplied("not-admitted", reached=False), 4)
    marketing.gate = asyncio.Event()
    late = await ask(EAST, "bill-query", ASKED, 0.1)
    assert isinstance(late, Unknown)
    assert late.timed_out
    marketing.gate.set()
    await until(lambda: not marketing.running)
    marketing.script = [Answered(answer)]
    assert await both.home.part.ports.elsewhere(EAST, "bill-query", ASKED) == Answered(answer)
    assert not both.dead
    await both.stop()


@pytest.mark.parametrize(
    "point",
    [
        "bridge.received-uncommitted:2", "bridge.received-committed", "bridge.called", "bridge.finished-committed",
        "bridge.peer-told-uncommitted", "bridge.peer-told-committed", "bridge.taken-uncommitted",
        "front.submission-delivered", "front.submission-sent:2",
    ],
)  # fmt: skip
def test_killed_anywhere_it_is_done_once_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """All die at once, the broker too, with what it had."""
    (tmp_path / "stage").mkdir()
    parts = with_part(Stage(tmp_path / "stage", monkeypatch), monkeypatch)
    both = Both(tmp_path, parts)
    applied = both.east.marketing["work-order"] = Remembering(tmp_path / "applied")

    async def life() -> None:
        await both.start()
        await both.ask("o1-1")
        await asyncio.sleep(60)

    async def afterwards() -> None:
        await both.start()
        await both.ask("o1-1")
        await both.home.part.until_told("o1-1", "succeeded")
        await both.stop()

    dies_at(point, life)
    asyncio.run(afterwards())
    assert applied.applied == ["o1-1"]


def test_a_predecessor_is_the_one_before_of_the_same_key() -> None:
    unfinished = [("1", "a"), ("2", "b"), ("3", "a"), ("4", "a"), ("5", "c")]
    assert predecessors(unfinished) == {"3": "1", "4": "3"}


# --- what is between ----------------------------------------------------------------------------------------


@pytest.fixture
def peers(tmp_path: Path) -> tuple[Peers, Peers]:
    made = {region: Region(tmp_path, MemoryBroker(), region, "front-1") for region in (HOME, EAST)}
    section = {region: PeerSection(trusted=one.trusted, operations=("work-order",)) for region, one in made.items()}
    home, east = (
        Peers(made[one].ring, {other: section[other]}, name="b", region=one, clock=wall)
        for one, other in ((HOME, EAST), (EAST, HOME))
    )
    return home, east


def test_nobody_opens_what_is_not_for_it(peers: tuple[Peers, Peers]) -> None:
    home, east = peers
    request = home.request(EAST, "o1-1", "work-order", 1, ORDER_BODY)
    assert (east.signed(request), home.signed(request)) == (True, False)
    assert east.opened(request).body == ORDER_BODY  # type: ignore[union-attr]
    assert east.opened(request).after is None  # type: ignore[union-attr]
    follows = home.request(EAST, "o1-2", "work-order", 1, ORDER_BODY, after="o1-1")
    assert east.opened(follows).after == "o1-1"  # type: ignore[union-attr]
    with pytest.raises(EnvelopeError, match="own commands"):
        east.opened(home.request(EAST, "o1-2", "work-order", 1, b"", after="01a22937-6c36-7ad9-a710-2f4938307587"))
    reply = east.reply(HOME, Reply(Attributes("o1-1", "", "work-order", 0), State.SUCCEEDED, result=DONE))
    assert home.opened(reply).reply.result == DONE  # type: ignore[union-attr]
    for who, what in ((home, request), (east, reply), (east, request[:-1] + b"x"), (east, b"")):
        with pytest.raises(EnvelopeError):
            who.opened(what)
    with pytest.raises(EnvelopeError, match="another region"):
        east.opened(_for_west(home))
    with pytest.raises(EnvelopeError, match="own commands"):
        east.opened(home.request(EAST, "01a22937-6c36-7ad9-a710-2f4938307587", "work-order", 1, b""))


def _for_west(home: Peers) -> bytes:
    home._peers["west"] = home._peers[EAST]
    return home.request("west", "o1-1", "work-order", 1, b"")


def test_regions_that_share_keys_do_not_take_their_own_for_the_others(tmp_path: Path) -> None:
    one = Region(tmp_path, MemoryBroker(), HOME, "front-1")
    section = PeerSection(trusted=one.trusted, operations=("work-order",))
    home = Peers(one.ring, {EAST: section}, name="b", region=HOME, clock=wall)
    east = Peers(one.ring, {HOME: section}, name="b", region=EAST, clock=wall)
    request = home.request(EAST, "o1-1", "work-order", 1, ORDER_BODY)
    assert east.opened(request).region == HOME
    with pytest.raises(EnvelopeError, match="no peer of that region"):
        home.opened(request)  # fed back to who made it


def test_a_trusted_file_that_is_none_is_named(tmp_path: Path) -> None:
    one = Region(tmp_path, MemoryBroker(), HOME, "front-1")
    (tmp_path / "bad.json").write_text("{}")
    (tmp_path / "bad.json").chmod(0o644)
    with pytest.raises(ConfigurationError, match=r"settlement\.peers\.east"):
        Peers(one.ring, {EAST: PeerSection(trusted=tmp_path / "bad.json")}, name="b", region=HOME, clock=wall)
