"""The tables of payments, and what others read of them: which bills are open, what came through channels.

A bill that a payment settled has a row in `settled` while the payment stands; the generated bill itself never changes.
What becomes credit is added to `advance` (balances.py).
"""

import sqlite3
from dataclasses import dataclass
from datetime import date

from scripts.tools.marketing_simulator.tariff import penalty_fen

TABLES = """
CREATE TABLE payment (
    id INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL, kind TEXT NOT NULL, channel TEXT NOT NULL,
    serial TEXT NOT NULL, line INTEGER NOT NULL, account TEXT NOT NULL, number INTEGER NOT NULL,
    amount_fen INTEGER NOT NULL, paid_at TEXT NOT NULL, booked_on TEXT NOT NULL, months TEXT NOT NULL,
    credited_fen INTEGER NOT NULL, settled TEXT NOT NULL, balance_fen INTEGER NOT NULL, reversed INTEGER NOT NULL,
    UNIQUE (channel, serial, line)
);
CREATE INDEX payment_number ON payment (number);
CREATE TABLE settled (
    number INTEGER NOT NULL, month INTEGER NOT NULL, payment INTEGER NOT NULL, paid_fen INTEGER NOT NULL,
    paid_date TEXT NOT NULL, PRIMARY KEY (number, month)
) WITHOUT ROWID;
CREATE INDEX settled_payment ON settled (payment);
CREATE TABLE reversal (
    id INTEGER PRIMARY KEY AUTOINCREMENT, payment INTEGER NOT NULL UNIQUE, request_id TEXT NOT NULL,
    reason TEXT NOT NULL, refund TEXT NOT NULL, paid_at TEXT NOT NULL, booked_on TEXT NOT NULL, months TEXT NOT NULL,
    balance_fen INTEGER NOT NULL
);
CREATE TABLE hold (
    number INTEGER NOT NULL, month INTEGER NOT NULL, batch TEXT NOT NULL, channel TEXT NOT NULL,
    released INTEGER NOT NULL, PRIMARY KEY (number, month, batch)
) WITHOUT ROWID;
CREATE UNIQUE INDEX hold_in_force ON hold (number, month) WHERE NOT released;
CREATE TABLE agreement (
    id INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL, account TEXT NOT NULL, bank TEXT NOT NULL,
    bank_account TEXT NOT NULL, holder TEXT NOT NULL, signed_on TEXT NOT NULL, cancelled_on TEXT
);
CREATE UNIQUE INDEX agreement_in_force ON agreement (account) WHERE cancelled_on IS NULL;
CREATE TABLE points_exchange (
    id INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL, number INTEGER NOT NULL, reward TEXT NOT NULL,
    quantity INTEGER NOT NULL, points INTEGER NOT NULL
);
-- There from the start: prepayments of ...001 and ...005, and a withholding agreement of ...004.
INSERT INTO payment VALUES
    (1, 'first-1', '02', 'alipay', '2026070122001498760000000001', 1, '3210000000001', 1, 5000,
     '2026-07-01 09:00:00', '2026-07-01', '', 5000, '[]', 5000, 0),
    (2, 'first-2', '02', 'alipay', '2026070122001498760000000002', 1, '3210000000005', 5, 5000,
     '2026-07-01 09:10:00', '2026-07-01', '', 5000, '[]', 5000, 0);
INSERT INTO advance VALUES (5, 5000);
INSERT INTO agreement (request_id, account, bank, bank_account, holder, signed_on)
VALUES ('first-3', '3210000000004', 'ccb', '6217000000000000456', '示范户主', '2026-07-01');
"""

UNPAID_BILLS = (
    "SELECT month, kwh, amount_fen, due_date FROM bill WHERE number = ? AND paid_date IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM settled WHERE settled.number = bill.number AND settled.month = bill.month)"
    " ORDER BY month"
)
PAID_THROUGH_CHANNELS = (
    "SELECT paid_date, month, paid_fen FROM settled WHERE number = :number AND paid_fen > 0"
    " UNION ALL SELECT substr(paid_at, 1, 10), NULL, credited_fen FROM payment"
    " WHERE number = :number AND credited_fen > 0 AND NOT reversed"
)
"""Day, month (NULL: it became credit), fen."""

HELD = "SELECT month, batch, channel FROM hold WHERE number = ? AND NOT released"


@dataclass(frozen=True, slots=True)
class Bill:
    """An open bill and what it comes to by a day."""

    month: int
    amount_fen: int
    penalty_fen: int
    due_date: str
    held_by: str | None = None
    """The batch that collects it."""
    held_for: str | None = None
    """The channel that it is collected through."""

    @property
    def total(self) -> int:
        """What settles it."""
        return self.amount_fen + self.penalty_fen


def open_bills(connection: sqlite3.Connection, number: int, day: date) -> list[Bill]:
    """The bills not settled, the oldest first, with the penalty by `day`."""
    held = {month: (batch, channel) for month, batch, channel in connection.execute(HELD, (number,)).fetchall()}
    return [
        Bill(
            month, amount, penalty_fen(amount, (day - date.fromisoformat(due)).days), due,
            *held.get(month, (None, None)),
        )
        for month, _, amount, due in connection.execute(UNPAID_BILLS, (number,)).fetchall()
    ]  # fmt: skip
