"""The face's running part: it keeps the read tables up to date, takes requests up, and writes what came of them.

A request is carried out once, whatever happens: the journal knows its REQ_ID from the transaction that applied it, so
one that was applied but not answered (the process died, the tables were out of reach) is answered from there. Faults
apply as on the other faces: a request that hangs stays at STATUS 0 as long as this process runs.
"""

import asyncio
import contextlib
import json
import sqlite3
import sys
import traceback
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from scripts.tools.marketing_simulator import journal
from scripts.tools.marketing_simulator.clock import Clock, legacy_time
from scripts.tools.marketing_simulator.faces.gbk import element_name, field_name
from scripts.tools.marketing_simulator.faces.sql.exports import Exports, Subject, subjects
from scripts.tools.marketing_simulator.faces.sql.store import Row, Store
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.responses import SUCCESS, Code, Refusal, to_json
from scripts.tools.marketing_simulator.server import Dropped, MarketingInterfaces

POLL_S = 0.05
AFTER_A_FAILURE_S = 1.0
MOST_WAITING = 100
"""Requests taken up at once from a table, beside those in hand."""
LARGEST_BATCH = 100
"""Subjects whose rows are replaced in one transaction."""
DONE, FAILED = "1", "9"
OWN = {"REQ_ID", "BIZ_CODE", "STATUS", "RTN_CODE", "RTN_MSG", "CREATE_TIME", "DONE_TIME"}
"""Columns that are no field of a request."""
RESULT = "R_"
"""What columns of an answer begin with."""


@dataclass(frozen=True, slots=True)
class RequestTable:
    """One request table."""

    name: str
    business: str | None = None
    """The only one, where there is no BIZ_CODE."""
    lists: frozenset[str] = frozenset()
    """Columns whose text is values joined by commas."""

    def body(self, row: Row) -> dict[str, Any]:
        """The fields of a request. Raises Refusal."""
        if "REQ_DATA" in row:
            return _object(row["REQ_DATA"])
        return {
            field_name(name): value.split(",") if name in self.lists else value
            for name, value in row.items()
            if name not in OWN and not name.startswith(RESULT) and value is not None
        }

    def result(self, answer: Mapping[str, Any]) -> Row:
        """The columns of an answer."""
        data = answer.get("data") or {}
        told = {f"{RESULT}{element_name(name)}": value for name, value in data.items()}
        code = {"STATUS": DONE, "RTN_CODE": answer["rtnCode"], "RTN_MSG": answer["rtnMsg"]}
        return {**code, "RSP_DATA": data, **told} if answer["rtnCode"] == SUCCESS else code


TABLES = (
    RequestTable("INF_REQ"),
    RequestTable("INF_WO_REQ", "WO_CREATE"),
    RequestTable("INF_PAY_REQ", lists=frozenset({"YM_LIST"})),
)


def business_code(path: str) -> str:
    """`/api/wo/cancel` as `WO_CANCEL`."""
    return path.removeprefix("/api/").replace("/", "_").upper()


class SqlFace:
    """The interface tables of one marketing system."""

    def __init__(
        self,
        store: Store,
        exports: Exports,
        interfaces: MarketingInterfaces,
        offered: Iterable[Interface],
        reading: sqlite3.Connection,
        clock: Clock,
    ) -> None:
        self._store, self._exports, self._interfaces = store, exports, interfaces
        self._reading, self._clock = reading, clock
        self._offered = {business_code(one.path): one for one in offered if one.effect is not None}
        self._changed: dict[Subject, None] = {}
        self._due: dict[Subject, datetime] = {}
        self._exporting = asyncio.Lock()
        self._exported_for = clock.today()
        self._in_hand: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._hanging: set[tuple[str, str]] = set()

    async def prepare(self) -> None:
        """Make the tables where they are missing, and fill the read tables. Raises SQLAlchemyError, StoreError."""
        await self._store.prepare()
        self._changed |= dict.fromkeys(self._exports.all())
        await self.export()
        await self._store.check()

    def applied(self, answer: bytes) -> None:
        """A request was applied, through whatever face: its rows are made anew."""
        self._changed |= dict.fromkeys(subjects(answer))

    async def run(self) -> None:
        """Take up requests and keep the read tables, until cancelled."""
        try:
            while True:
                try:
                    await self.turn()
                    await asyncio.sleep(POLL_S)
                except SQLAlchemyError as error:
                    print(f"interface tables: {type(error).__name__}", file=sys.stderr, flush=True)
                    await asyncio.sleep(AFTER_A_FAILURE_S)
        finally:
            for task in self._in_hand.values():
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*self._in_hand.values(), return_exceptions=True)

    def close(self) -> None:
        """Let go of the tables."""
        self._store.close()

    async def turn(self) -> None:
        """Take up the requests that wait, and write down what has changed. Raises SQLAlchemyError."""
        for table in TABLES:
            in_hand = sum(name == table.name for name, _ in (*self._in_hand, *self._hanging))
            for row in await self._store.waiting(table.name, MOST_WAITING + in_hand):
                key = table.name, str(row["REQ_ID"])
                if key not in self._in_hand and key not in self._hanging:
                    self._in_hand[key] = asyncio.create_task(self._carry_out(table, row))
        now, today = self._clock.now(), self._clock.today()
        if today != self._exported_for:
            self._changed |= dict.fromkeys(self._exports.daily())
            self._exported_for = today
        self._changed |= dict.fromkeys(subject for subject, due in self._due.items() if due <= now)
        await self.export()

    async def settle(self) -> None:
        """Wait for the requests that are in hand."""
        await asyncio.gather(*self._in_hand.values())

    async def export(self) -> None:
        """Write down the rows of all that has changed. Raises SQLAlchemyError."""
        async with self._exporting:
            left = deque(self._changed)
            while left:
                batch = [left.popleft() for _ in range(min(LARGEST_BATCH, len(left)))]
                exported = [(subject, self._exports.of(subject)) for subject in batch]
                for subject in batch:  # what changes from here on is exported again
                    self._changed.pop(subject, None)
                    self._due.pop(subject, None)
                try:
                    await self._store.replace([export.change for _, export in exported])
                except SQLAlchemyError:
                    self._changed |= dict.fromkeys(batch)
                    raise
                self._due |= {subject: export.until for subject, export in exported if export.until is not None}

    # --- one request ------------------------------------------------------------------------------------------

    async def _carry_out(self, table: RequestTable, row: Row) -> None:
        key = table.name, str(row["REQ_ID"])
        try:
            result = await self._result(table, row)
            if result is None:
                self._hanging.add(key)
                return
            await self.export()  # who reads after the answer reads what it says
            await self._store.answer(table.name, key[1], {**result, "DONE_TIME": legacy_time(self._clock.now())})
        except SQLAlchemyError as error:  # not answered: it is taken up again, and answered from the journal
            print(f"interface tables: {type(error).__name__}", file=sys.stderr, flush=True)
        finally:
            del self._in_hand[key]

    async def _result(self, table: RequestTable, row: Row) -> Row | None:
        """The columns to write; None: none, for ever."""
        try:
            stored = journal.stored_answer(self._reading, row["REQ_ID"])
            if stored is not None:
                return table.result(json.loads(stored))
            interface = self._offered.get(table.business or str(row["BIZ_CODE"]))
            if interface is None:
                raise Refusal(Code.MALFORMED, "BIZ_CODE")
            body = table.body(row) | {"reqId": row["REQ_ID"]}
            answer = await self._interfaces.answer(interface, to_json(body).encode())
            return None if answer is None else table.result(json.loads(answer))
        except Dropped:
            return None
        except Refusal as refusal:
            told = table.result(json.loads(refusal.body()))
            return told if refusal.code is not Code.SYSTEM else {**told, "STATUS": FAILED}
        except Exception:
            traceback.print_exc(file=sys.stderr)
            stored = journal.stored_answer(self._reading, row["REQ_ID"])
            if stored is not None:
                return table.result(json.loads(stored))
            return {**table.result(json.loads(Refusal(Code.SYSTEM).body())), "STATUS": FAILED}


def _object(written: str) -> dict[str, Any]:
    try:
        value = json.loads(written)
    except ValueError as error:
        raise Refusal(Code.MALFORMED, "REQ_DATA") from error
    if not isinstance(value, dict):
        raise Refusal(Code.MALFORMED, "REQ_DATA")
    return value
