"""Holds on bills (账单锁定): what a withholding batch collects nobody else can pay meanwhile.

A hold is known by account, month and batch. The same one again is answered as the first was; one that has ended is not
made again.
"""

import sqlite3
from collections.abc import Iterator

from scripts.tools.marketing_simulator.clock import Clock
from scripts.tools.marketing_simulator.effects import AlreadyDone, Applied, EffectWriter
from scripts.tools.marketing_simulator.fields import ACCOUNT, REQUEST_ID, Fields
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.payment_rows import open_bills
from scripts.tools.marketing_simulator.queries import Queries
from scripts.tools.marketing_simulator.responses import Code, Refusal, success

MOST_ACCOUNTS = 100
OF_BATCH = "SELECT released FROM hold WHERE number = ? AND month = ? AND batch = ?"
HOLD = "INSERT INTO hold (number, month, batch, channel, released) VALUES (?, ?, ?, ?, 0)"
RELEASE = "UPDATE hold SET released = 1 WHERE number = ? AND month = ? AND batch = ? AND NOT released"


class Holds:
    """The interfaces of holds, and the list of open bills that tells them."""

    def __init__(self, connection: sqlite3.Connection, effects: EffectWriter, queries: Queries, clock: Clock) -> None:
        self._connection = connection
        self._effects = effects
        self._queries = queries
        self._clock = clock

    def interfaces(self) -> Iterator[Interface]:
        """What the marketing system offers of them."""
        yield Interface("/api/owe/list", query=self.owed)
        yield Interface("/api/bill/lock", effect=self.lock)
        yield Interface("/api/bill/unlock", effect=self.unlock)

    def owed(self, fields: Fields) -> bytes:
        """`/api/owe/list`: the open bills of some accounts; those that do not exist or are closed are in `noneList`."""
        accounts = fields.texts("consNos", 13, MOST_ACCOUNTS)
        if not accounts or not all(ACCOUNT.fullmatch(account) for account in accounts):
            raise Refusal(Code.INVALID_FIELD, "consNos")
        as_of = fields.optional_day("calcDate") or self._clock.today()
        unknown, lines = [], []
        for account in accounts:
            try:
                found = self._queries.account(account)
            except Refusal:
                found = None
            if found is None or found.closed:
                unknown.append(account)
                continue
            lines += [
                {
                    "consNo": account,
                    "billNo": f"{account}-{bill.month}",
                    "amtYm": str(bill.month),
                    "rcvblAmt": bill.amount_fen,
                    "penaltyAmt": bill.penalty_fen,
                    "dueDate": bill.due_date,
                    "lockBatch": bill.held_by,
                }
                for bill in open_bills(self._connection, found.number, as_of)
            ]
        return success({"calcDate": as_of.isoformat(), "oweList": lines, "noneList": unknown}).encode()

    async def lock(self, fields: Fields) -> Applied:
        """`/api/bill/lock`: all of the bills, or none."""
        request_id, account, months, batch = _asked(fields)
        channel = fields.text("chnlCode", 32)
        found = self._queries.account(account)
        if found.closed:
            raise Refusal(Code.ACCOUNT_CLOSED)

        def perform(connection: sqlite3.Connection) -> str | AlreadyDone:
            open_now = {bill.month: bill for bill in open_bills(connection, found.number, self._clock.today())}
            new = []
            for month in months:
                known = connection.execute(OF_BATCH, (found.number, month, batch)).fetchone()
                if known is not None and known[0]:
                    raise Refusal(Code.HOLD_ENDED, str(month))
                if known is not None:
                    continue
                bill = open_now.get(month)
                if bill is None:
                    raise Refusal(Code.BILL_NOT_OPEN, str(month))
                if bill.held_by is not None:
                    raise Refusal(Code.BILL_FROZEN, str(month))
                new.append(month)
            connection.executemany(HOLD, [(found.number, month, batch, channel) for month in new])
            answer = _answer(request_id, account, batch, months)
            return answer if new else AlreadyDone(answer)

        return await self._effects.apply(request_id, "bill/lock", perform, once=False)

    async def unlock(self, fields: Fields) -> Applied:
        """`/api/bill/unlock`: what this batch does not hold stays as it is, and is not in the answer."""
        request_id, account, months, batch = _asked(fields)
        found = self._queries.account(account)

        def perform(connection: sqlite3.Connection) -> str | AlreadyDone:
            ended = [month for month in months if connection.execute(RELEASE, (found.number, month, batch)).rowcount]
            answer = _answer(request_id, account, batch, ended)
            return answer if ended else AlreadyDone(answer)

        return await self._effects.apply(request_id, "bill/unlock", perform, once=True)


def _asked(fields: Fields) -> tuple[str, str, tuple[int, ...], str]:
    months = fields.months("ymList")
    if not months:
        raise Refusal(Code.INVALID_FIELD, "ymList")
    return (
        fields.text("reqId", 64, REQUEST_ID),
        fields.text("consNo", 13, ACCOUNT),
        months,
        fields.text("batchNo", 64, REQUEST_ID),
    )


def _answer(request_id: str, account: str, batch: str, months: tuple[int, ...] | list[int]) -> str:
    return success(
        {"reqId": request_id, "consNo": account, "batchNo": batch, "ymList": [str(month) for month in months]}
    )
