"""What is published, as the bridge answers it: to fronts (catalogue, protocol/operations/public.py), and to
administrators of its host (`bridgectl content`).

All that is published is in memory. Whatever publishes or withdraws makes a new edition in the database; a bridge that
sees one reads anew and drops what it keeps of such answers: several bridges of one database say the same after LOOK_S.
"""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection

from intranet_bridge.content import answers, records
from intranet_bridge.content.answers import Items, local
from intranet_bridge.content.kinds import KINDS, OPERATIONS, Complaint, Unfit, fields_of, of_texts
from intranet_bridge.content.life import EDIT, Act, Stage, due
from intranet_bridge.content.records import CLOCK, NotAllowed, Version, Who, Written
from intranet_bridge.content.section import ContentSection
from intranet_bridge.content.times import moment_ms
from intranet_bridge.hot_data.hot import HotData
from intranet_bridge.marketing import Adapter, Fault, MarketingRequest, NotApplied, Outcome, Refused, Unknown
from intranet_bridge.own import Handler, OwnOperation
from protocol.errors import BridgeError
from protocol.messages import uuid7
from protocol.operations import CATALOGUE, Operation
from protocol.operations.public import NOT_BY_ACCOUNT
from protocol.runtime.audit import Transact
from protocol.runtime.clock import Clock
from protocol.runtime.control import Answer, Peer
from protocol.runtime.jobs import Jobs
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.store import Store

log = logger(__name__)

LOOK_S = 5.0
"""How often it is looked what is due, and what other bridges have published."""
MOST_ROWS = 50
"""Of an import, in one question."""
_RESERVED = ("kind", "number", "publish_at", "withdraw_at")
_ACCOUNTS_ELSEWHERE = Refused(NOT_BY_ACCOUNT.code)

Under = Callable[[str], Adapter | None]


class Content:
    """All of one bridge."""

    def __init__(
        self,
        section: ContentSection,
        *,
        store: Store,
        hot: HotData,
        under: Under,
        allowed: Callable[[], bool],
        clock: Clock,
        transact: Transact,
    ) -> None:
        """`under`: what an operation is bound to besides. `allowed`: whether this bridge's lease holds."""
        self.operations = section.operations
        self._store, self._hot, self._under, self._allowed = store, hot, under, allowed
        self._clock, self._transact = clock, transact
        self._edition: int | None = None
        self._items: dict[str, Items] = {}
        self._jobs, self._reading = Jobs(), asyncio.Lock()
        self.counts: Counter[str] = Counter()
        """Acts, by what was done."""

    # --- answering ------------------------------------------------------------------------------------------

    def adapters(self) -> dict[str, Adapter]:
        """Of the operations that are answered from here."""
        handlers = self.handlers()
        made: dict[str, Adapter] = {}
        for name in self.operations:
            kind = OutagesOperation if name == "outage-notices" else OwnOperation
            made[name] = kind(CATALOGUE[name], handlers[name])
        if isinstance(outages := made.get("outage-notices"), OutagesOperation):
            outages.under = lambda: self._under("outage-notices")
        return made

    def handlers(self) -> dict[str, Handler]:
        """Who answers what of the catalogue."""

        def of(name: str, answer: Callable[[Items, Any], Any]) -> Handler:
            async def handle(asked: MarketingRequest) -> Any:
                return answer(self._items.get(OPERATIONS[name], ()), asked.body)

            return handle

        def outages(items: Items, asked: Any) -> Any:
            return answers.outages(items, asked, answers.areas_of(self._items.get("outlet", ())), self._clock())

        told: dict[str, Callable[[Items, Any], Any]] = {
            "news-list": answers.news_list, "news-item": answers.news_item, "faq": answers.faq,
            "policy-texts": answers.policies, "outlets": answers.outlets, "outage-notices": outages,
        }  # fmt: skip
        return {name: of(name, answer) for name, answer in told.items()}

    # --- by the clock ---------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Read what is published, and look for what is due from now on."""
        await self._jobs.now_and_every(LOOK_S, "content", self.look)
        self._jobs.start()

    def standing(self) -> str:
        """What stands still for ever (runtime/watchdog.py)."""
        return self._jobs.standing()

    async def close(self) -> None:
        """Stop."""
        await self._jobs.close()

    async def look(self) -> None:
        """Do what is due, and read what others have published. Raises SQLAlchemyError."""
        now = self._clock()
        if self._allowed():
            for one in await self._store.read(lambda connection: records.due(connection, now)):
                if (wanted := due(one.standing, now)) is not None:
                    await self._done_by_clock(one, wanted, now)
        await self.refresh()

    async def _done_by_clock(self, one: Version, wanted: Act, now: int) -> None:
        with contextlib.suppress(NotAllowed):  # another bridge, or somebody, was faster
            await self._recorded(
                lambda connection: records.act(connection, one.item, one.version, one.changes, wanted, CLOCK, now),
                wanted, CLOCK.name,
            )  # fmt: skip

    async def refresh(self) -> None:
        """Read what is published, if there is a new edition. Raises SQLAlchemyError."""
        async with self._reading:
            edition = await self._store.read(records.edition)
            if edition == self._edition:
                return
            found = await self._store.scan(records.published)
            first, self._edition, self._items = self._edition is None, edition, self._read(found)
            if not first and self.operations:
                self._hot.clear(self.operations, by="content")

    def _read(self, found: Sequence[Version]) -> dict[str, Items]:
        items: dict[str, list[answers.Published]] = {}
        for one in found:
            try:
                fields = fields_of(KINDS[one.kind], one.values)
            except (Unfit, KeyError) as error:  # by a release that knew other fields
                log.error("content-unreadable", kind=one.kind, number=one.number, reason=str(error)[:200])
                continue
            first = one.first_at or one.published_at or one.changed_at
            items.setdefault(one.kind, []).append(answers.published(one.number, fields, first))
        return {kind: tuple(of_kind) for kind, of_kind in items.items()}

    # --- by staff and administrators -------------------------------------------------------------------------

    async def create(self, written: Written, who: Who, item: str = "") -> Version:
        """A first draft; of an `item` that is there already it is that one. Raises NotAllowed, SQLAlchemyError."""
        now = self._clock()
        if item and (known := await self._store.read(lambda connection: records.versions(connection, item))):
            return known[0]
        item = item or uuid7(now, os.urandom(10))
        create = partial(records.create, written=written, who=who, now=now, item=item)
        return await self._recorded(create, Act.SAVE, who.name)

    async def save(self, item: str, changes: int, written: Written, who: Who) -> Version:
        """Another state of the draft, or the next version's first. Raises NotAllowed, SQLAlchemyError."""
        now = self._clock()
        return await self._recorded(
            lambda connection: records.save(connection, item, changes, written, who, now), Act.SAVE, who.name
        )

    async def do(self, item: str, version: int, changes: int, wanted: Act, who: Who, remark: str = "") -> Version:
        """Submit, approve and so on. Raises NotAllowed, SQLAlchemyError."""
        now = self._clock()
        done = await self._recorded(
            lambda connection: records.act(connection, item, version, changes, wanted, who, now, remark),
            wanted, who.name,
        )  # fmt: skip
        await self.refresh()
        return done

    async def _recorded(self, work: Callable[[Connection], Version], done: Act, by: str) -> Version:
        made = await self._transact(
            work, f"content-{done}", by, lambda one: {"kind": one.kind, "number": one.number, "version": one.version}
        )
        self.counts[done] += 1
        return made

    async def newest(self, kind: str, stage: str) -> tuple[list[Version], frozenset[str]]:
        """Of each item the newest version, and the items of which one is published. Raises SQLAlchemyError."""
        found = await self._store.scan(lambda connection: records.newest(connection, kind, stage))
        live = await self._store.scan(lambda connection: records.published(connection, kind))
        return found, frozenset(one.item for one in live)

    async def item(self, item: str) -> tuple[list[Version], list[records.Done]]:
        """All versions, and what was done, the latest first; empty: there is none. Raises SQLAlchemyError."""
        return (
            await self._store.read(lambda connection: records.versions(connection, item)),
            await self._store.read(lambda connection: records.acts(connection, item)),
        )

    @property
    def now(self) -> int:
        """Epoch ms."""
        return self._clock()

    # --- administrators of this host -------------------------------------------------------------------------

    def answers(self) -> Mapping[str, Answer]:
        """What can be asked over the control socket."""
        return {
            "content-list": self._told_list, "content-show": self._told_item, "content-import": self._told_import,
            "content-export": self._told_export,
        }  # fmt: skip

    async def _told_list(self, request: Mapping[str, Any], _peer: Peer) -> Any:
        kind, stage = _kind(request, optional=True), str(request.get("stage", ""))
        if stage and stage not in set(Stage):
            raise BridgeError(f"stage: one of {', '.join(Stage)}")
        found, live = await self.newest(kind, stage)
        return {"items": [told(one) | {"live": one.item in live} for one in found]}

    async def _told_item(self, request: Mapping[str, Any], _peer: Peer) -> Any:
        kind, number = _kind(request), str(request.get("number", ""))
        item = await self._store.read(lambda connection: records.item_of(connection, kind, number))
        if item is None:
            raise BridgeError(f"there is no {kind} {number}")
        versions, acts = await self.item(item)
        return {
            "versions": [told(one) | {"fields": dict(one.values)} for one in versions],
            "acts": [
                {"version": one.version, "act": one.act, "by": one.who, "at": local(one.at), "remark": one.remark}
                for one in acts
            ],
        }

    async def _told_export(self, request: Mapping[str, Any], _peer: Peer) -> Any:
        """A part of what is published, or of the newest versions; `after` continues."""
        kind, after = _kind(request), str(request.get("after", ""))
        everything = bool(request.get("newest"))
        if everything:
            found = await self._store.scan(lambda connection: records.newest(connection, kind, "", 100_000))
        else:
            found = await self._store.scan(lambda connection: records.published(connection, kind))
        rest = sorted((one for one in found if one.number > after), key=lambda one: one.number)
        return {"rows": [row_of(one) for one in rest[:MOST_ROWS]], "more": len(rest) > MOST_ROWS}

    async def _told_import(self, request: Mapping[str, Any], peer: Peer) -> Any:
        """Rows that become drafts; `check`: only whether they could. Rows with anything wrong change nothing."""
        rows = request.get("rows")
        if not isinstance(rows, list) or not 1 <= len(rows) <= MOST_ROWS:
            raise BridgeError(f"rows: a list of 1 to {MOST_ROWS}")
        who = Who(f"bridgectl:{peer.behind(str(request.get('sudo_user', '')))}"[:160], frozenset({EDIT}))
        told_rows: list[dict[str, Any]] = []
        for row in rows:
            try:
                written = written_of(row, texts=bool(request.get("texts")))
                outcome = await self._imported(written, who, request)
                told_rows.append({"outcome": outcome, "complaints": []})
            except Unfit as error:
                complaints = [{"field": one.field, "why": one.why} for one in error.complaints]
                told_rows.append({"outcome": "wrong", "complaints": complaints})
            except NotAllowed as error:
                told_rows.append({"outcome": "wrong", "complaints": [{"field": "number", "why": str(error)}]})
        return {"rows": told_rows}

    async def _imported(self, written: Written, who: Who, request: Mapping[str, Any]) -> str:
        check, submit = bool(request.get("check")), bool(request.get("submit"))
        item = await self._store.read(lambda one: records.item_of(one, written.kind, written.number))
        if item is None:
            if check:
                return "new"
            made = await self.create(written, who)
        else:
            versions = await self._store.read(lambda connection: records.versions(connection, item))
            known = versions[0]
            if known.standing.stage is not Stage.WITHDRAWN and records.unchanged(known, written):
                return "unchanged"
            if known.standing.stage in (Stage.IN_REVIEW, Stage.APPROVED):
                raise NotAllowed(records.OPEN_ELSEWHERE)
            if check:
                return "changed"
            made = await self.save(item, known.changes, written, who)
        if submit:
            await self.do(made.item, made.version, made.changes, Act.SUBMIT, who)
        return "changed" if item else "new"

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        for act, count in dict(self.counts).items():
            yield "intranet_bridge_content_acts_total", "What was done with texts to publish", {"act": act}, count
        for kind, items in dict(self._items).items():
            yield "intranet_bridge_content_published", "What is published now", {"kind": kind}, len(items)


class OutagesOperation(OwnOperation):
    """Outages by area and days from here. Where an account lies the marketing system knows: who names one is answered
    by what the operation is bound to, if it is.
    """

    under: Callable[[], Adapter | None]

    def __init__(self, operation: Operation, handle: Handler) -> None:
        super().__init__(operation, handle)
        self.under = lambda: None

    async def call(self, asked: MarketingRequest, timeout_s: float) -> Outcome:
        """Have it answered."""
        if asked.body.account is None:
            return await super().call(asked, timeout_s)
        other = self.under()
        if other is None:
            return _ACCOUNTS_ELSEWHERE
        outcome = await other.call(asked, timeout_s)
        # the circuit is that of what is answered from here: another interface's trouble does not open it
        match outcome:
            case NotApplied(reason):
                return Unknown(reason, fault=Fault.ANSWER)
            case Unknown(reason, timed_out):
                return Unknown(reason, timed_out, Fault.ANSWER)
            case _:
                return outcome


def written_of(row: Any, *, texts: bool) -> Written:
    """A row of an import: kind, number, publish_at, withdraw_at, and the kind's fields. `texts`: all are texts, as a
    sheet's are. Raises Unfit.
    """
    if not isinstance(row, dict):
        raise Unfit([Complaint("", "is not an object of fields")])
    kind = KINDS.get(str(row.get("kind", "")))
    if kind is None:
        raise Unfit([Complaint("kind", f"is one of {', '.join(KINDS)}")])
    values = {name: value for name, value in row.items() if name not in _RESERVED}
    number = str(row.get("number") or "")
    if not number:
        raise Unfit([Complaint("number", "is missing: by it an item is known again")])
    if texts:
        known = {entry.name for entry in kind.entries}
        if unknown := [name for name, value in values.items() if name not in known and value]:
            raise Unfit([Complaint(name, "there is no such field") for name in unknown])
        values = of_texts(kind, {name: str(value) for name, value in values.items()})
    publish_at, withdraw_at = (moment_ms(name, str(row.get(name) or "")) for name in ("publish_at", "withdraw_at"))
    return Written(kind.name, records.checked_number(number), fields_of(kind, values), publish_at, withdraw_at)


def row_of(one: Version) -> dict[str, Any]:
    """The reverse: what an export has, and an import takes."""
    times = {"publish_at": one.standing.publish_at, "withdraw_at": one.standing.withdraw_at}
    said = {name: local(ms) for name, ms in times.items() if ms is not None}
    return {"kind": one.kind, "number": one.number, **said, **one.values}


def told(one: Version) -> dict[str, Any]:
    """A version in short."""
    standing = one.standing
    times = {
        "publish_at": standing.publish_at, "withdraw_at": standing.withdraw_at, "changed_at": one.changed_at,
        "published_at": one.published_at, "withdrawn_at": one.withdrawn_at,
    }  # fmt: skip
    return {
        "kind": one.kind, "number": one.number, "version": one.version, "stage": standing.stage.value,
        "heading": one.heading, "authors": list(standing.authors), "reviewer": one.reviewer,
        **{name: None if ms is None else local(ms) for name, ms in times.items()},
    }  # fmt: skip


def _kind(request: Mapping[str, Any], *, optional: bool = False) -> str:
    kind = str(request.get("kind", ""))
    if kind not in KINDS and not (optional and not kind):
        raise BridgeError(f"kind: one of {', '.join(KINDS)}")
    return kind
