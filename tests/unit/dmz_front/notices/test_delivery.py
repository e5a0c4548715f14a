"""Notices at the front: recorded once, delivered in order, asked for, given up, delivered again."""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dmz_front.callbacks.client import Answer
from dmz_front.notices.deliverer import targets
from dmz_front.notices.rows import NOTICES
from protocol import destinations
from protocol.errors import BridgeError
from protocol.lifecycle import State
from protocol.notices import EXAMPLES, RECEIPT, TYPE, Dispatch, NoticeKind, Receipt
from protocol.runtime.control import Peer
from tests.unit.dmz_front.harness import Harness, Say, code_of, turns

pytestmark = pytest.mark.anyio

PEER = Peer(0, 1)
SECRET = b"s" * 24
AT = "2026-07-01T08:00:00+08:00"


class Receiver:
    """In place of the network: answers by a script, 200 by default."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.script: Callable[[str], Answer] = lambda id: Answer(200)
        self.gate: asyncio.Event | None = None
        self.running = self.most = 0
        self.closed = False

    async def post(self, headers: Mapping[str, str], body: bytes, now_s: float) -> Answer:
        self.running += 1
        self.most = max(self.most, self.running)
        if self.gate is not None:
            await self.gate.wait()
        self.running -= 1
        self.got.append((headers["webhook-id"], json.loads(body)))
        return self.script(headers["webhook-id"])

    async def close(self) -> None:
        self.closed = True

    @property
    def ids(self) -> list[str]:
        return [id for id, _ in self.got]


class Scene:
    def __init__(self, harness: Harness, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.harness, self.folder = harness, folder
        self.receivers: dict[str, Receiver] = {}
        patch.setattr("dmz_front.callbacks.client.CallbackClient", self._client)
        patch.setattr("dmz_front.notices.deliverer.random.random", lambda: 0.0)
        harness.options["callbacks"] = {}
        harness.bridge.script = lambda asked: None if asked.attributes.type == RECEIPT else Say(result=b"{}")

    def _client(self, section: Any) -> Receiver:
        return self.receivers.setdefault(section.url, Receiver())

    def callback(self, name: str, **more: Any) -> None:
        secret = self.folder / f"{name}.secret"
        secret.write_text("whsec_" + base64.b64encode(SECRET).decode())
        secret.chmod(0o600)
        self.harness.options["callbacks"][name] = {
            "application": name, "url": f"https://{name}.example/hook", "secrets": (secret,),
        } | more  # fmt: skip

    def receiver(self, name: str) -> Receiver:
        return self.receivers[f"https://{name}.example/hook"]

    async def notice(
        self, id: str, *, application: str = "wechat", stream: str = "a", sequence: int = 1, kind: str = "bill-issued"
    ) -> None:
        dispatch = Dispatch(
            application=application, stream=stream * 22, sequence=sequence, kind=kind, at=AT,
            data=EXAMPLES[NoticeKind(kind)],
        )  # fmt: skip
        bridge = self.harness.bridge
        sealed = bridge.sealed(id, Say(result=dispatch.payload()), operation=TYPE)
        bridge.send(destinations.command_replies("front-1"), sealed)
        await self.settle()

    async def settle(self) -> None:
        """Until what came is recorded and what can be delivered is."""
        for _ in range(6):
            await turns()
            await self.harness.front.router.drain()
            await self.harness.front.store.read(lambda connection: None)
            self.harness.front.deliverer.hurry()
        await turns()

    async def until(self, holds: Callable[[], Any]) -> None:
        for _ in range(200):
            if holds():
                return
            await self.settle()
        raise AssertionError("not within the time")

    async def asked(self, **more: Any) -> list[Any]:
        """What is listed, once something is: an attempt is written down after it was made."""
        for _ in range(200):
            if found := await self.ask("notices", **more):
                return list(found)
            await self.settle()
        raise AssertionError("not within the time")

    async def ask(self, question: str, **more: Any) -> Any:
        answer = self.harness.front.notice_administration.answers()[question]
        return await answer(more, PEER)

    def receipts(self) -> list[str]:
        return [
            id for one in self.harness.bridge.taken if one.attributes.type == RECEIPT
            for id in Receipt.from_payload(one.payload).recorded
        ]  # fmt: skip


@pytest.fixture
def scene(harness: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(harness, tmp_path, monkeypatch)


async def test_a_notice_is_recorded_once_confirmed_each_time_and_delivered(scene: Scene) -> None:
    scene.callback("wechat")
    await scene.harness.start()
    await scene.notice("n-1")
    await scene.until(lambda: scene.receiver("wechat").got)
    await scene.notice("n-1")
    assert scene.receiver("wechat").ids == ["n-1"]
    document = scene.receiver("wechat").got[0][1]
    assert (document["id"], document["type"], document["sequence"]) == ("n-1", "bill-issued", 1)
    assert document["data"] == EXAMPLES[NoticeKind.BILL_ISSUED]
    assert scene.receipts() == ["n-1", "n-1"]
    content = b"".join(path.read_bytes() for path in scene.folder.glob("front.sqlite3*"))
    assert b"3210000000001" not in content


async def test_the_next_of_an_account_waits_for_the_one_before_and_other_accounts_do_not(scene: Scene) -> None:
    scene.callback("wechat")
    await scene.harness.start()
    receiver = scene.receiver("wechat")
    receiver.script = lambda id: Answer(503, "HTTP 503") if id == "a-1" else Answer(200)
    for sequence in (1, 2):
        await scene.notice(f"a-{sequence}", sequence=sequence)
    await scene.notice("b-1", stream="b")
    await scene.until(lambda: "b-1" in receiver.ids)
    assert "a-2" not in receiver.ids
    receiver.script = lambda id: Answer(200)
    scene.harness.clock.now += 60_000
    await scene.until(lambda: "a-2" in receiver.ids)
    assert [id for id in receiver.ids if id.startswith("a")][-2:] == ["a-1", "a-2"]


async def test_one_that_came_while_the_clock_was_ahead_does_not_wait_for_it(scene: Scene) -> None:
    scene.callback("wechat")
    await scene.harness.start()
    receiver = scene.receiver("wechat")
    receiver.gate = asyncio.Event()
    scene.harness.clock.now += 600_000
    for sequence in (1, 2):
        await scene.notice(f"a-{sequence}", sequence=sequence)
    await scene.until(lambda: receiver.running == 1)
    scene.harness.clock.now -= 600_000
    receiver.gate.set()
    await scene.until(lambda: receiver.ids == ["a-1", "a-2"])


async def test_a_slow_receiver_holds_up_nobody_else_and_has_no_more_than_it_may_bear(scene: Scene) -> None:
    scene.callback("slow", outstanding=2)
    scene.callback("wechat")
    await scene.harness.start()
    slow = scene.receiver("slow")
    slow.gate = asyncio.Event()
    for number in range(6):
        await scene.notice(f"s-{number}", application="slow", stream=chr(97 + number))
        await scene.notice(f"w-{number}", stream=chr(97 + number))
    await scene.until(lambda: len(scene.receiver("wechat").ids) == 6)
    assert slow.got == []
    slow.gate.set()
    await scene.until(lambda: len(slow.ids) == 6)
    assert slow.most == 2


async def test_what_was_read_ahead_is_delivered_after_a_reload_and_what_is_on_its_way_is_sent_once(
    scene: Scene,
) -> None:
    scene.callback("wechat", outstanding=1)
    await scene.harness.start()
    deliverer, receiver = scene.harness.front.deliverer, scene.receiver("wechat")
    receiver.gate = asyncio.Event()
    for stream in ("a", "b", "c"):
        await scene.notice(f"{stream}-1", stream=stream)
    target = deliverer._targets["wechat"]
    await scene.until(lambda: target.running == 1)
    receiver.gate.set()
    receiver.gate = asyncio.Event()
    await scene.until(lambda: receiver.ids == ["a-1"] and target.ready)
    settings = scene.harness.front.settings
    deliverer.use(settings.notices, targets(settings.callbacks))
    receiver.gate.set()
    await scene.until(lambda: len(receiver.ids) == 3)
    assert sorted(receiver.ids) == ["a-1", "b-1", "c-1"]


async def test_a_callback_that_became_anothers_gets_nothing_of_whose_it_was(scene: Scene) -> None:
    scene.callback("wechat")
    await scene.harness.start()
    front, receiver = scene.harness.front, scene.receiver("wechat")
    receiver.script = lambda id: Answer(503, "HTTP 503")
    await scene.notice("n-1")
    await scene.until(lambda: receiver.ids == ["n-1"])
    receiver.script = lambda id: Answer(200)
    theirs = front.settings.callbacks["wechat"].model_copy(update={"application": "alipay"})
    front.deliverer.use(front.settings.notices, targets({"wechat": theirs}))
    scene.harness.clock.now += 60_000
    await scene.notice("n-2", application="alipay")
    await scene.until(lambda: "n-2" in receiver.ids)
    await scene.settle()
    assert receiver.ids == ["n-1", "n-2"]
    later = scene.harness.clock.now + 1
    await front.notices.give_up(later, {"wechat": "wechat"})
    assert await scene.ask("notices", states=["dead"], application="", limit=10) == []
    await front.notices.give_up(later, {"wechat": "alipay"})
    dead = await scene.ask("notices", states=["dead"], application="", limit=10)
    assert [one["id"] for one in dead] == ["n-1"]
    await scene.ask("redeliver-notices", ids=["n-1"])
    await front.notices.give_up(later + 1, {})
    assert len(await scene.ask("notices", states=["dead"], application="", limit=10)) == 1


async def test_what_is_not_accepted_for_days_is_dead_shown_and_delivered_again_by_command(scene: Scene) -> None:
    scene.callback("wechat")
    await scene.harness.start()
    receiver = scene.receiver("wechat")
    receiver.script = lambda id: Answer(500, "HTTP 500")
    await scene.notice("n-1")
    await scene.until(lambda: receiver.ids)
    scene.harness.clock.now += 73 * 3_600_000
    await scene.until(lambda: len(receiver.ids) >= 2)
    await scene.settle()
    await scene.notice("n-2", sequence=2)  # what is dead blocks nothing
    [listed] = await scene.asked(states=["dead"])
    assert (listed["id"], listed["state"], listed["fault"], listed["attempts"]) == ("n-1", "dead", "HTTP 500", 2)
    assert (await scene.ask("notice", id="n-1"))["callback"] == "wechat"
    await scene.harness.front.housekeeping.count()
    assert scene.harness.front.housekeeping.notices.dead == 1
    receiver.script = lambda id: Answer(200)
    assert await scene.ask("redeliver-notices", application="wechat") == {"count": 1}
    scene.harness.front.deliverer._targets["wechat"].rests_until = 0
    await scene.until(lambda: receiver.ids[-1:] == ["n-1"] or "n-1" in receiver.ids[2:])
    with pytest.raises(BridgeError, match="name notices, or an application"):
        await scene.ask("redeliver-notices")
    with pytest.raises(BridgeError, match="there is no notice"):
        await scene.ask("notice", id="n-9")


async def test_a_receiver_that_is_gone_is_not_tried_again(scene: Scene) -> None:
    scene.callback("wechat")
    await scene.harness.start()
    scene.receiver("wechat").script = lambda id: Answer(410, "HTTP 410")
    await scene.notice("n-1")
    await scene.until(lambda: scene.receiver("wechat").ids)
    assert [one["state"] for one in await scene.asked(states=["dead"])] == ["dead"]


async def test_one_who_asks_gets_pages_in_order_and_only_its_own(scene: Scene) -> None:
    await scene.harness.start()
    await scene.harness.grant("alipay", "notices")
    await scene.harness.grant("other", "bills")
    for number in range(1, 4):
        await scene.notice(f"n-{number}", sequence=number)
    await scene.notice("x-1", application="alipay")
    first = (await scene.harness.call("GET", "/v1/notices?limit=2")).json()
    assert [one["id"] for one in first["notices"]] == ["n-1", "n-2"]
    assert first["more"] is True
    second = (await scene.harness.call("GET", f"/v1/notices?limit=2&after={first['next']}")).json()
    assert ([one["id"] for one in second["notices"]], second["more"]) == (["n-3"], False)
    again = (await scene.harness.call("GET", f"/v1/notices?after={second['next']}")).json()
    assert (again["notices"], again["next"]) == ([], second["next"])
    theirs = (await scene.harness.call("GET", "/v1/notices", app="alipay")).json()
    assert [one["id"] for one in theirs["notices"]] == ["x-1"]
    assert code_of(await scene.harness.call("GET", "/v1/notices", app="other")) == (403, "forbidden-scope")
    assert (await scene.harness.call("GET", "/v1/notices", app=None)).status_code == 401
    for wrong in ("after=x", "limit=0", "limit=201", "after=-1"):
        assert code_of(await scene.harness.call("GET", f"/v1/notices?{wrong}"))[0] == 400


async def test_one_that_cannot_be_opened_any_more_hides_none_that_come_after_it(scene: Scene) -> None:
    await scene.harness.start()
    for number in range(1, 4):
        await scene.notice(f"n-{number}", sequence=number)
    lost = NOTICES.update().where(NOTICES.c.id == "n-1").values(envelope=b"sealed to a key that is gone")
    await scene.harness.front.store.write(lambda connection: connection.execute(lost).rowcount)
    first = (await scene.harness.call("GET", "/v1/notices?limit=2")).json()
    assert ([one["id"] for one in first["notices"]], first["more"]) == (["n-2"], True)
    second = (await scene.harness.call("GET", f"/v1/notices?limit=2&after={first['next']}")).json()
    assert ([one["id"] for one in second["notices"]], second["more"]) == (["n-3"], False)


async def test_a_sandbox_gets_an_example_of_each_kind(scene: Scene) -> None:
    await scene.harness.start()
    await scene.harness.grant("trial", "notices", sandbox=True)
    page = await scene.harness.call("GET", "/v1/notices", app="trial")
    assert page.headers["sandbox"].startswith("?1")
    assert [one["type"] for one in page.json()["notices"]] == list(NoticeKind)


async def test_a_command_names_a_callback_for_its_outcome(scene: Scene) -> None:
    scene.callback("wechat")
    await scene.harness.start()
    scene.harness.bridge.script = lambda asked: None
    accepted = await scene.harness.order(prefer="respond-async", callback="wechat")
    assert accepted.status_code == 202
    id = accepted.json()["request_id"]
    await scene.harness.settle()
    [asked] = scene.harness.bridge.taken
    scene.harness.bridge.reply(asked, Say(State.REFUSED, "no-such-account", "没有这个户号"))
    await scene.until(lambda: scene.receiver("wechat").got)
    name, document = scene.receiver("wechat").got[0]
    assert name == f"{id}-refused"
    assert document["type"] == "command-outcome"
    assert document["data"]["request_id"] == id
    assert document["data"]["refusal"]["code"] == "no-such-account"
    assert (await scene.harness.call("GET", "/v1/notices")).json()["notices"] == []


@pytest.mark.parametrize("name", ["nobody", "alipay"])
async def test_a_callback_that_is_not_the_applications_is_refused(scene: Scene, name: str) -> None:
    scene.callback("alipay")
    await scene.harness.start()
    assert code_of(await scene.harness.order(callback=name)) == (400, "malformed-header")


async def test_what_was_not_recorded_as_delivered_is_delivered_again_with_its_id(scene: Scene) -> None:
    scene.callback("wechat")
    await scene.harness.start()
    delivered = scene.harness.front.notices.delivered
    failures = ["disk"]

    async def fails_once(id: str) -> None:
        if failures:
            raise OSError(failures.pop())
        await delivered(id)

    scene.harness.front.notices.delivered = fails_once  # type: ignore[method-assign]
    await scene.notice("n-1")
    await scene.until(lambda: scene.receiver("wechat").ids)
    await scene.settle()
    deliverer = scene.harness.front.deliverer
    target = deliverer._targets["wechat"]
    target.rests_until = 0
    deliverer._go(target)  # it waits for its second to be over, if it has read again already
    await scene.until(lambda: len(scene.receiver("wechat").ids) == 2)
    assert set(scene.receiver("wechat").ids) == {"n-1"}
    for _ in range(50):
        if not await scene.ask("notices"):
            break
        await scene.settle()
    assert await scene.ask("notices") == []
