"""What an account has and owes (账户余额): money paid in advance, corrections in its favour, unpaid bills."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from scripts.tools.marketing_simulator.clock import Clock, legacy_time
from scripts.tools.marketing_simulator.fields import ACCOUNT, Fields
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.queries import Queries
from scripts.tools.marketing_simulator.responses import success

TABLES = """
CREATE TABLE advance (number INTEGER PRIMARY KEY, amount_fen INTEGER NOT NULL);
CREATE TABLE correction (
    id INTEGER PRIMARY KEY, number INTEGER NOT NULL, posted_on TEXT NOT NULL, amount_fen INTEGER NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX correction_by_number ON correction (number);
-- account ...001 has paid in advance, ...004 was billed too much once
INSERT INTO advance VALUES (1, 5000), (4, 120000);
INSERT INTO correction (number, posted_on, amount_fen, reason) VALUES (4, '2025-12-05', 1260, '电量退补')
"""
ADVANCE = "SELECT coalesce(sum(amount_fen), 0) FROM advance WHERE number = ?"
CORRECTIONS = "SELECT coalesce(sum(amount_fen), 0) FROM correction WHERE number = ?"


@dataclass(frozen=True, slots=True)
class Balance:
    """In fen; `owed_fen` with the penalty accrued by the business day."""

    prepaid_fen: int
    credit_fen: int
    owed_fen: int


class Balances:
    """Reads the database over a read-only connection."""

    def __init__(self, connection: sqlite3.Connection, queries: Queries, clock: Clock) -> None:
        self._connection = connection
        self._queries = queries
        self._clock = clock

    def interfaces(self) -> Iterator[Interface]:
        """What the marketing system offers of them."""
        yield Interface("/api/balance/query", query=self.query)

    def of(self, number: int) -> Balance:
        """The balance of the customer with this number."""
        [prepaid] = self._connection.execute(ADVANCE, (number,)).fetchone()
        [credit] = self._connection.execute(CORRECTIONS, (number,)).fetchone()
        return Balance(prepaid, credit, self._queries.owed_fen(number, self._clock.today()))

    def query(self, fields: Fields) -> bytes:
        """What is paid in advance, what is to be given back, what is owed; closed accounts have theirs too."""
        account = fields.text("consNo", 13, ACCOUNT)
        found = self._queries.account(account)
        balance = self.of(found.number)
        data = {
            "consNo": account,
            "consName": found.name,
            "calcTime": legacy_time(self._clock.now()),
            "preBal": balance.prepaid_fen,
            "rtnBal": balance.credit_fen,
            "oweAmt": balance.owed_fen,
            "acctBal": balance.prepaid_fen + balance.credit_fen - balance.owed_fen,
        }
        return success(data).encode()
