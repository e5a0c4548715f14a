"""One bridge's withholding on a real database. What is around it is scripted: the marketing system's queries, the way
of internal commands (kept in the database, as the real ones are), the files (kept in a folder), and the notices.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, select, text

from intranet_bridge.at_rest import AtRest
from intranet_bridge.commands.internal import Consumer, InternalCommand, InternalOutcome
from intranet_bridge.files.service import ReceivedFile
from intranet_bridge.inbox.rows import STORE_KEY
from intranet_bridge.marketing import Answered, MarketingRequest, NotApplied, Outcome, Refused
from intranet_bridge.pushes.bodies import push_of
from intranet_bridge.settlement.ports import Ports
from intranet_bridge.settlement.withholding.rows import BATCHES, LINES
from intranet_bridge.settlement.withholding.service import Withholding, arrangements_of
from intranet_bridge.settlement_sections import SettlementSection
from intranet_bridge.store import MIGRATIONS
from protocol.errors import BridgeError
from protocol.keyring import Keyring
from protocol.lifecycle import State
from protocol.operations import CATALOGUE
from protocol.runtime.file_store import FileState
from protocol.runtime.store import Store
from protocol.times import CHINA
from tests.unit.acts import transacting
from tests.unit.clock import Clock

SAMPLES = Path(__file__).parents[4] / "data" / "settlement"
SECTION: dict[str, Any] = {
    "org": "SDDL", "unit": "37101", "bank": "013", "company": "power", "days": (25, 26), "target": "bank",
    "request_profile": "dkkk", "answer_profile": "redkkk",
}  # fmt: skip
FIRST = (
    ("3210000000003", "2026-10", "R201", 5860, 120, "120", "2088000000000013"),
    ("3210000000008", "2026-10", "R202", 1230, 0, "25", "2088000000000021"),
    ("0310000000001", "2026-10", "R203", 10000, 0, "210", "2088000000000039"),
    ("3210000000003", "2026-09", "R204", 700, 7, "14", "2088000000000013"),
)
SECOND = (
    ("3210000000001", "2026-10", "R301", 4300, 0, "88", "2088000000000054"),
    ("3210000000002", "2026-10", "R302", 1025, 5, "21", "2088000000000062"),
)
BATCH = "SDDL-37101-20261125"
GIVEN = "CREATE TABLE IF NOT EXISTS given (id VARCHAR(96) PRIMARY KEY, operation VARCHAR(64), body TEXT, region TEXT)"


def at(day: int, hour: int = 5, minute: int = 0, month: int = 11) -> int:
    """Epoch ms of a time in China."""
    return int(datetime(2026, month, day, hour, minute, tzinfo=CHINA).timestamp() * 1000)


class Commands:
    """The way of internal commands."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.takes: dict[str, Consumer] = {}

    def record(self, connection: Connection, commands: Sequence[InternalCommand]) -> None:
        for one in commands:
            row = {"id": one.id, "operation": one.operation, "body": one.body.model_dump_json(), "region": one.region}
            put = "INSERT INTO given VALUES (:id, :operation, :body, :region) ON CONFLICT DO NOTHING"
            connection.execute(text(put), row)

    def begin(self) -> None:
        pass

    def consume(self, consumer: str, take: Consumer, taken: Callable[[], None] | None = None) -> None:
        self.takes[consumer] = take

    async def given(self, operation: str = "") -> dict[str, dict[str, Any]]:
        """Id → body."""
        rows = await self._store.read(lambda c: c.execute(text("SELECT id, operation, body FROM given")).all())
        return {row.id: json.loads(row.body) for row in rows if operation in ("", row.operation)}

    async def comes(self, id: str, state: State = State.SUCCEEDED, code: str = "", **result: Any) -> None:
        """What became of one."""
        find = text("SELECT operation FROM given WHERE id = :id")
        operation = await self._store.read(lambda c: c.execute(find, {"id": id}).scalar_one())
        outcome = InternalOutcome(id, operation, state, code, "", json.dumps(result).encode())
        await self._store.write(lambda c: self.takes["withholding"](c, [outcome]))


class Folder:
    """Files, as far as they are used here."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self.came: list[ReceivedFile] = []
        self.listeners: list[Callable[[ReceivedFile], None]] = []
        self._content: dict[str, bytes] = {}
        self.damaged: set[str] = set()
        """Ids of those of which not all is kept any more."""
        self.states: dict[str, FileState] = {}
        self.files = SimpleNamespace(find=self._find, again=self._again)
        self.again: list[str] = []
        folder.mkdir(exist_ok=True)

    async def submit(self, target: str, profile: str, name: str, content: bytes) -> str:
        path = self._folder / name
        assert not path.exists() or path.read_bytes() == content, "other bytes under the same name"
        path.write_bytes(content)
        id = hashlib.sha256(f"{target}{profile}{name}".encode() + content).hexdigest()[:36]
        self.states.setdefault(id, FileState.SENDING)
        return id

    @property
    def sent(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self._folder.iterdir()}

    def handed_over(self) -> None:
        """The relay has laid all of it down."""
        self.states = dict.fromkeys(self.states, FileState.ACCEPTED)

    async def _find(self, id: str) -> Any:
        return SimpleNamespace(state=self.states[id]) if id in self.states else None

    async def _again(self, id: str, state: FileState, keep: bool) -> Any:
        if self.states[id] is FileState.SENDING:
            return None
        self.states[id] = state
        self.again.append(id)
        return SimpleNamespace(state=state)

    async def sweep(self) -> None:
        pass

    def arrives(self, name: str, content: bytes, profile: str = "redkkk", *, again: bool = False) -> str:
        """A file is accepted by the bridge. `again`: as another one, of the same bytes."""
        sha256 = hashlib.sha256(content).hexdigest()
        id = hashlib.sha256(f"{name}{sha256}{'again' * again}".encode()).hexdigest()[:36]
        after = self.came[-1].accepted_at if self.came else 0
        accepted_at = max(self._clock(), after + 1)  # as of the real ones: later than all before
        self.came.append(ReceivedFile(id, "bank", name, profile, len(content), sha256, accepted_at))
        self._content[id] = content
        for told in self.listeners:
            told(self.came[-1])
        return id

    async def received(
        self, profile: str = "", after: tuple[int, str] = (0, ""), limit: int = 100
    ) -> list[ReceivedFile]:
        mine = (one for one in self.came if profile in ("", one.profile))
        return [one for one in mine if (one.accepted_at, one.id) > after][:limit]

    async def content(self, id: str) -> AsyncIterator[bytes]:
        if id in self.damaged:
            raise BridgeError(f"chunk 1 of {id} is not there")
        data = self._content[id]
        for first in range(0, len(data), 100):
            yield data[first : first + 100]


class Marketing:
    """What is bound of the marketing system's queries, and what they say."""

    def __init__(self) -> None:
        self.bills: list[dict[str, Any]] | None = None
        self.agreements: list[dict[str, Any]] | None = None
        self.freezes = self.down = False

    @property
    def operations(self) -> frozenset[str]:
        bound = {"open-bills": self.bills is not None, "withholding-agreements": self.agreements is not None}
        return frozenset([name for name, there in bound.items() if there] + (["bill-freeze"] if self.freezes else []))

    def admit(self, operation: str) -> bool:
        return not self.down

    def release(self, operation: str) -> None:
        pass

    async def call(self, operation: str, asked: MarketingRequest) -> Outcome:
        if self.down:
            return NotApplied("down", reached=False)
        known = self.bills if operation == "open-bills" else self.agreements
        mine = [one for one in known or [] if one["account"] in asked.body.accounts]
        answer = {"bills": mine, "as_of": asked.body.as_of} if operation == "open-bills" else {"agreements": mine}
        entry = CATALOGUE[operation]
        return Answered(entry.answer(asked.body, entry.responses.validate_json(json.dumps(answer))))


class Told:
    """Notices that were published."""

    def __init__(self) -> None:
        self.notices: list[Any] = []

    def publish_in(self, connection: Connection, notice: Any, push_id: str) -> int:
        self.notices.append((push_id, notice))
        return 1

    def hurry(self) -> None:
        pass


class World:
    """One bridge."""

    def __init__(self, store: Store, at_rest: AtRest, folder: Path, clock: Clock, sections: dict[str, Any]) -> None:
        self.store, self.clock = store, clock
        self.commands, self.files = Commands(store), Folder(folder / "bank", clock)
        self.marketing, self.told = Marketing(), Told()
        self.acts: list[tuple[str, str]] = []

        async def act(what: str, by: str, /, **details: Any) -> None:
            self.acts.append((what, by))

        section = SettlementSection.model_validate({"companies": {"power": {}}, "withholding": sections}, strict=False)
        ports = Ports(
            store=store, at_rest=at_rest, commands=lambda: self.commands,
            calls=lambda: self.marketing, files=lambda: self.files,  # type: ignore[arg-type, return-value]
            notices=lambda: self.told, allowed=lambda: True, name="bridge-1", act=act,  # type: ignore[arg-type, return-value]
            transact=transacting(store, act), clock=clock,
        )  # fmt: skip
        self.part = Withholding(arrangements_of(section), ports)
        self.commands.consume("withholding", self.part._outcomes.take)
        self._requests = 0

    async def ask(self, operation: str, id: str = "", **body: Any) -> Any:
        """A command of the catalogue, as the bridge's own adapter has it done."""
        entry = CATALOGUE[operation]
        self._requests += 1
        asked = MarketingRequest(
            id or f"id-{self._requests}", entry.requests.validate_python(body), source="front-1/app"
        )
        answer = await self.part.handlers()[operation](asked)
        if isinstance(answer, Refused):
            assert answer.code in {refusal.code for refusal in entry.refusals}, answer.code
            return answer
        if not isinstance(answer, NotApplied):
            entry.answer(asked.body, answer)
        return answer

    async def charge(self, bill: tuple[Any, ...], **more: Any) -> Any:
        """A line of FIRST or SECOND."""
        names = ("account", "month", "bill", "amount", "penalty", "quantity", "bank_account")
        return await self.ask(
            "withholding-charge", agreement="WH000000000001", **dict(zip(names, bill, strict=True)) | more
        )

    async def sealed(self, bills: Sequence[tuple[Any, ...]] = FIRST, day: int = 25) -> None:
        """A batch of these is sent on that day."""
        for bill in bills:
            await self.charge(bill)
        self.clock.now = at(day, 6)
        await self.turn()

    async def turn(self) -> None:
        """Each job once, and once more for what follows of the first; the relay is quick."""
        await self.part.look()
        await self.part.look()
        self.files.handed_over()
        await self.part.look()

    async def answered(self, name: str, content: bytes | None = None) -> None:
        """An answer of the samples comes, or these bytes under the name."""
        data = (SAMPLES / name).read_bytes() if content is None else content
        self.clock.now += 1
        self.files.arrives(Path(name).name, data)
        await self.turn()

    async def retried(self) -> None:
        """The second batch: its third line is the retry of a bill that has a penalty by now."""
        for bill in SECOND:
            await self.charge(bill)
        self.marketing.bills = [
            {
                "account": account, "bill": bill, "month": month, "amount": amount, "penalty": penalty,
                "due_on": "2026-11-25",
            }
            for account, month, bill, amount, penalty, *_ in (*SECOND, (*FIRST[2][:4], 20))
        ]  # fmt: skip
        for hour in (5, 6):
            self.clock.now = at(26, hour)
            await self.turn()

    async def lines(self) -> dict[str, Any]:
        """Lines by their bill (what nobody asked for: by its number)."""
        rows = await self.store.read(lambda c: c.execute(select(LINES).order_by(LINES.c.id)).all())
        return {row.bill or row.det_id: row for row in rows}

    async def states(self) -> dict[str, str]:
        """Of the lines."""
        return {bill: row.state for bill, row in (await self.lines()).items()}

    async def batch(self, id: str = BATCH) -> Any:
        return await self.store.read(lambda c: c.execute(select(BATCHES).where(BATCHES.c.id == id)).first())

    async def pushed(self, id: str, **data: Any) -> None:
        """The marketing system says that a bill was issued."""
        push = push_of({"id": id, "kind": "bill-issued", "at": "2026-11-20T08:00:00+08:00", "data": data})
        await self.store.write(lambda connection: self.part.pushed(connection, push))

    async def refused(self, does: Any) -> str:
        """The words of a no."""
        try:
            await does
        except BridgeError as error:
            return str(error)
        raise AssertionError("it was done")


@asynccontextmanager
async def world(
    url: str, keyring: Keyring, folder: Path, now: int = 0, store: Store | None = None, **changes: Any
) -> AsyncIterator[World]:
    """A bridge on a database, or one more on it. `changes`: of the section; `name`: of its arrangement; `more`: further
    ones.
    """
    further, name = changes.pop("more", {}), changes.pop("name", "bank-a")
    store = Store(url, MIGRATIONS.prepare)
    await store.start()
    try:
        at_rest = AtRest(store, STORE_KEY, keyring)
        await at_rest.open()
        await store.write(lambda connection: connection.execute(text(GIVEN)))
        clock = Clock(now or at(24))
        yield World(store, at_rest, folder, clock, {name: SECTION | changes, **further})
    finally:
        await store.close()
