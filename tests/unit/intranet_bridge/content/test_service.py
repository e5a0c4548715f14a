"""Texts from draft to answer on a real database: a second person, times, versions, several bridges, imports."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from intranet_bridge.content.kinds import KINDS, fields_of
from intranet_bridge.content.life import EDIT, REVIEW, Act, Stage
from intranet_bridge.content.records import NotAllowed, Version, Who, Written
from intranet_bridge.content.section import ContentSection
from intranet_bridge.content.service import Content
from intranet_bridge.hot_data.hot import HotData
from intranet_bridge.hot_data.section import HotSection
from intranet_bridge.marketing import Answered, Fault, MarketingRequest, NotApplied, Outcome, Refused, Unknown
from intranet_bridge.store import MIGRATIONS
from protocol.operations import CATALOGUE
from protocol.runtime.control import Peer
from protocol.runtime.store import Store
from tests.unit.acts import transacting
from tests.unit.intranet_bridge.content.test_kinds import GOOD

pytestmark = pytest.mark.anyio
NOW = 1_790_000_000_000
LI, WANG = Who("li", frozenset({EDIT})), Who("wang", frozenset({EDIT, REVIEW}))
ROOT = Peer(os.getuid(), 1)
NAMES = ("news-list", "news-item", "faq", "outage-notices")


class Marketing:
    """What outage-notices is bound to besides."""

    timeout_s, settle_s = 5.0, 0.0

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome

    async def call(self, asked: MarketingRequest, timeout_s: float) -> Outcome:
        return self.outcome

    async def inquire(self, asked: MarketingRequest, timeout_s: float) -> Any:
        raise AssertionError


class World:
    """Bridges of one database."""

    def __init__(self, folder: Path) -> None:
        self.now, self.allowed = NOW, True
        self.bound: Marketing | None = None
        self.acts: list[tuple[str, str, dict[str, Any]]] = []
        self.store = Store(f"sqlite:///{folder / 'bridge.sqlite3'}", MIGRATIONS.prepare)
        self.content, self.hot = self.bridge()

    def bridge(self) -> tuple[Content, HotData]:
        hot = HotData(HotSection.model_validate({"operations": {"news-list": {"lifetime_s": 60}}}))

        async def act(name: str, by: str, /, **details: Any) -> None:
            self.acts.append((name, by, details))

        made = Content(
            ContentSection(operations=NAMES), store=self.store, hot=hot, under=lambda name: self.bound,
            allowed=lambda: self.allowed, clock=lambda: self.now, transact=transacting(self.store, act),
        )  # fmt: skip
        return made, hot

    async def ask(self, operation: str, content: Content | None = None, **body: Any) -> Any:
        entry = CATALOGUE[operation]
        asked = MarketingRequest("id", entry.requests.validate_python(body))
        outcome = await (content or self.content).adapters()[operation].call(asked, 5.0)
        return entry.responses.validate_json(outcome.result) if isinstance(outcome, Answered) else outcome

    async def titles(self, content: Content | None = None) -> list[str]:
        return [one.title for one in (await self.ask("news-list", content)).items]

    async def done(self, version: Version, *acts: tuple[Act, Who]) -> Version:
        for wanted, who in acts:
            version = await self.content.do(version.item, version.version, version.changes, wanted, who)
        return version


REVIEWED = ((Act.SUBMIT, LI), (Act.APPROVE, WANG))
PUBLISHED = (*REVIEWED, (Act.PUBLISH, LI))


def news(title: str = "一", number: str = "7", **times: int) -> Written:
    return Written("news", number, fields_of(KINDS["news"], GOOD["news"] | {"title": title}), **times)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    await made.store.start()
    await made.content.look()
    yield made
    await made.store.close()


async def test_only_what_a_second_person_approved_is_answered(world: World) -> None:
    draft = await world.content.create(news(), LI)
    version = await world.done(draft, (Act.SUBMIT, LI))
    with pytest.raises(NotAllowed, match="Your role"):
        await world.done(version, (Act.APPROVE, LI))
    assert await world.titles() == []
    version = await world.done(version, (Act.APPROVE, WANG))
    assert await world.titles() == []
    version = await world.done(version, (Act.PUBLISH, LI))
    assert await world.titles() == ["一"]
    assert (await world.ask("news-item", news="7")).body.startswith("七月起")
    await world.done(version, (Act.WITHDRAW, LI))
    assert await world.titles() == []
    assert [(name, by) for name, by, _ in world.acts] == [
        ("content-save", "li"), ("content-submit", "li"), ("content-approve", "wang"), ("content-publish", "li"),
        ("content-withdraw", "li"),
    ]  # fmt: skip
    assert world.acts[-1][2] == {"kind": "news", "number": "7", "version": 1}


async def test_a_reviewer_who_changed_a_word_is_an_author(world: World) -> None:
    draft = await world.content.create(news(), LI)
    draft = await world.content.save(draft.item, draft.changes, news("二"), WANG)
    assert draft.standing.authors == ("li", "wang")
    with pytest.raises(NotAllowed, match="a second person"):
        await world.done(draft, *REVIEWED)


async def test_a_new_version_takes_the_place_of_the_one_before_when_it_is_published(world: World) -> None:
    first = await world.done(await world.content.create(news(), LI), *PUBLISHED)
    world.now += 86_400_000
    second = await world.content.save(first.item, first.changes, news("二"), LI)
    assert (second.version, await world.titles()) == (2, ["一"])
    await world.done(second, *PUBLISHED)
    assert await world.titles() == ["二"]
    versions, acts = await world.content.item(first.item)
    assert [one.standing.stage for one in versions] == [Stage.PUBLISHED, Stage.WITHDRAWN]
    assert versions[0].first_at == NOW
    assert [(one.version, one.act) for one in reversed(acts)][-4:] == [
        (2, "save"), (2, "submit"), (2, "approve"), (2, "publish")
    ]  # fmt: skip


async def test_who_acts_on_what_was_changed_meanwhile_is_told(world: World) -> None:
    draft = await world.content.create(news(), LI)
    await world.content.save(draft.item, draft.changes, news("二"), LI)
    for acting in (
        world.content.save(draft.item, draft.changes, news("三"), WANG),
        world.done(draft, (Act.SUBMIT, LI)),
    ):
        with pytest.raises(NotAllowed, match="meanwhile"):
            await acting
    submitted = await world.done((await world.content.item(draft.item))[0][0], (Act.SUBMIT, LI))
    with pytest.raises(NotAllowed, match="in review"):
        await world.content.save(draft.item, submitted.changes, news("三"), LI)


async def test_the_clock_publishes_and_withdraws(world: World) -> None:
    timed = news(publish_at=NOW + 10_000, withdraw_at=NOW + 20_000)
    await world.done(await world.content.create(timed, LI), *REVIEWED)
    world.now = NOW + 9_999
    await world.content.look()
    assert await world.titles() == []
    world.now, world.allowed = NOW + 10_000, False  # its lease may be over
    await world.content.look()
    assert await world.titles() == []
    world.allowed = True
    await world.content.look()
    assert await world.titles() == ["一"]
    world.now = NOW + 20_000
    await world.content.look()
    assert await world.titles() == []
    assert [(name, by) for name, by, _ in world.acts[-2:]] == [
        ("content-publish", "clock"),
        ("content-withdraw", "clock"),
    ]


async def test_another_bridge_of_the_database_says_the_same_and_drops_what_it_kept(world: World) -> None:
    other, hot = world.bridge()
    await other.look()
    dropped = []
    hot.clear = lambda operations=None, by="": dropped.append((operations, by)) or 0  # type: ignore[method-assign, func-returns-value]
    await other.look()
    assert dropped == []
    await world.done(await world.content.create(news(), LI), *PUBLISHED)
    assert await world.titles(other) == []
    await other.look()
    assert await world.titles(other) == ["一"]
    assert dropped == [(NAMES, "content")]


async def test_publishing_ends_what_is_kept(world: World) -> None:
    entry = CATALOGUE["news-list"]
    asked = MarketingRequest("id", entry.requests.validate_python({}))
    from protocol.messages import Attributes

    question = world.hot.question(Attributes("id", "front-1/x", "news-list", 0), asked)
    world.hot.landed(world.hot.begin(question, asked), await world.content.adapters()["news-list"].call(asked, 1.0))
    assert world.hot.kept(question) is not None
    await world.done(await world.content.create(news(), LI), *PUBLISHED)
    assert world.hot.kept(question) is None


async def test_outages_of_an_account_are_the_marketing_systems(world: World) -> None:
    written = Written("outage", "TD1", fields_of(KINDS["outage"], GOOD["outage"]))
    await world.done(await world.content.create(written, LI), *PUBLISHED)
    assert [
        one.notice for one in (await world.ask("outage-notices", first_day="2026-07-24", last_day="2026-07-24")).notices
    ] == ["TD1"]
    assert await world.ask("outage-notices", account="3210000000001") == Refused("not-by-account")
    world.bound = Marketing(Answered(b'{"account":"3210000000001","notices":[]}'))
    assert (await world.ask("outage-notices", account="3210000000001")).notices == ()
    for trouble in (NotApplied("down", reached=False), Unknown("slow", timed_out=True)):
        world.bound = Marketing(trouble)
        found = await world.ask("outage-notices", account="3210000000001")
        assert isinstance(found, Unknown)
        assert found.fault is Fault.ANSWER  # the circuit stays closed for who asks by area


async def test_numbers_are_given_and_taken_once(world: World) -> None:
    assert (await world.content.create(news(number=""), LI)).number == "1"
    await world.content.create(news(number="41"), LI)
    assert (await world.content.create(news(number=""), LI)).number == "42"
    with pytest.raises(NotAllowed, match="this number"):
        await world.content.create(news(number="41"), LI)


async def told(world: World, question: str, **request: Any) -> Any:
    return await world.content.answers()[question](request, ROOT)


async def imported(world: World, *rows: dict[str, Any], **how: bool) -> list[Any]:
    return [
        (one["outcome"], one["complaints"])
        for one in (await told(world, "content-import", rows=list(rows), **how))["rows"]
    ]


async def test_an_import_makes_drafts_and_the_same_file_changes_nothing(world: World) -> None:
    row = {"kind": "news", "number": "7", "publish_at": "2026-12-01 08:00", **GOOD["news"]}
    assert await imported(world, row, check=True) == [("new", [])]
    assert (await told(world, "content-list"))["items"] == []
    assert await imported(world, row, submit=True) == [("new", [])]
    assert await imported(world, row) == [("unchanged", [])]
    (one,) = (await told(world, "content-list", stage="in-review"))["items"]
    assert (one["number"], one["publish_at"], one["live"]) == ("7", "2026-12-01 08:00:00", False)
    assert one["authors"][0].startswith("bridgectl:")
    ((outcome, complaints),) = await imported(world, row | {"title": "二"})
    assert (outcome, complaints[0]["field"]) == ("wrong", "number")
    shown = await told(world, "content-show", kind="news", number="7")
    version = (await world.content.newest("news", ""))[0][0]
    await world.done(version, (Act.APPROVE, WANG))
    assert [one["act"] for one in shown["acts"]] == ["submit", "save"]
    world.now = NOW + 400 * 86_400_000
    await world.content.look()
    exported = await told(world, "content-export", kind="news")
    assert exported == {"rows": [{**row, "publish_at": "2026-12-01 08:00:00"}], "more": False}
    assert await imported(world, exported["rows"][0], check=True) == [("unchanged", [])]
    assert await imported(world, row | {"title": "二"}, check=True) == [("changed", [])]


async def test_what_is_wrong_with_a_row_is_said_with_its_field(world: World) -> None:
    rows: list[dict[str, Any]] = [
        {"kind": "x", "number": "1"}, {"kind": "news", **GOOD["news"]},
        {"kind": "news", "number": "a b", **GOOD["news"]},
        {"kind": "news", "number": "1", "publish_at": "soon", **GOOD["news"]},
        {"kind": "news", "number": "1", "title": "x"},
    ]  # fmt: skip
    found = await imported(world, *rows)
    assert [complaints[0]["field"] for _, complaints in found] == ["kind", "number", "number", "publish_at", "body"]
    sheet = {"kind": "faq", "number": "1", "question": "q", "answer": "a", "position": "x", "odd": ""}
    assert (await imported(world, sheet, texts=True))[0][1][0]["field"] == "position"
    assert await imported(world, sheet | {"position": ""}, texts=True) == [("new", [])]
    assert (await imported(world, sheet | {"position": "", "odd": "x"}, texts=True))[0][1][0]["field"] == "odd"
