"""A reference promotion service (优惠券、红包、积分): reservations that are posted or voided at most once.

A coupon (`CP…`) is used whole, once, for at most its value. A red packet (`HB…`) and points (`JF…`, one fen each) have
a balance. A reservation is known by its name: the same content again is answered as the first was. At its `expTime` it
is over by itself. Voiding a name that is not known keeps it from being reserved later.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from scripts.tools.marketing_simulator.clock import CHINA_STANDARD_TIME, Clock, legacy_time
from scripts.tools.marketing_simulator.effects import AlreadyDone, Applied, EffectWriter
from scripts.tools.marketing_simulator.fields import ACCOUNT, REQUEST_ID, USER, Fields
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.responses import Code, Refusal, success

COUPON, RED_PACKET, POINTS = "01", "02", "03"
RESERVED, POSTED, VOIDED = "01", "02", "09"
LARGEST_AMOUNT = 10**10

TABLES = """
CREATE TABLE promotion (
    number TEXT PRIMARY KEY, kind TEXT NOT NULL, amount_fen INTEGER NOT NULL, payer TEXT, account TEXT,
    valid_until TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE reservation (
    name TEXT PRIMARY KEY, promotion TEXT NOT NULL, amount_fen INTEGER NOT NULL, payer TEXT, account TEXT,
    until TEXT NOT NULL, state TEXT NOT NULL, at TEXT NOT NULL, resolved_at TEXT
) WITHOUT ROWID;
CREATE INDEX reservation_of ON reservation (promotion);
-- There from the start, the last ones are for many payments: a thousand coupons of ten yuan.
INSERT INTO promotion VALUES
    ('CP0001', '01', 1000, 'demo-user', NULL, '2099-12-31 23:59:59'),
    ('CP0002', '01', 500, 'demo-user', NULL, '2020-12-31 23:59:59'),
    ('HB0001', '02', 888, NULL, NULL, '2099-12-31 23:59:59'),
    ('JF0001', '03', 100000, 'demo-user', NULL, '2099-12-31 23:59:59'),
    ('JF0004', '03', 5000, NULL, '3210000000004', '2099-12-31 23:59:59'),
    ('JF0000', '03', 1000000000, NULL, NULL, '2099-12-31 23:59:59');
WITH RECURSIVE many (n) AS (SELECT 1001 UNION ALL SELECT n + 1 FROM many WHERE n < 2000)
INSERT INTO promotion SELECT 'CP' || n, '01', 1000, NULL, NULL, '2099-12-31 23:59:59' FROM many
"""
PROMOTION = "SELECT kind, amount_fen, payer, account, valid_until FROM promotion WHERE number = ?"
RESERVATION = "SELECT promotion, amount_fen, payer, account, until, state FROM reservation WHERE name = ?"
IN_USE = (
    "SELECT count(*), coalesce(sum(amount_fen), 0) FROM reservation"
    " WHERE promotion = ? AND (state = '02' OR (state = '01' AND until > ?))"
)
RESERVE = (
    "INSERT INTO reservation (name, promotion, amount_fen, payer, account, until, state, at)"
    " VALUES (?, ?, ?, ?, ?, ?, '01', ?)"
)
RESOLVE = "UPDATE reservation SET state = ?, resolved_at = ? WHERE name = ? AND state = '01'"
NEVER_RESERVED = (
    "INSERT INTO reservation (name, promotion, amount_fen, until, state, at, resolved_at)"
    " VALUES (?, '', 0, ?, '09', ?, ?)"
)
BOOK = "SELECT name, promotion, amount_fen, until, state, at, resolved_at FROM reservation ORDER BY name"


@dataclass(frozen=True, slots=True)
class Reserved:
    """A reservation: a row of its table."""

    promotion: str
    amount_fen: int
    payer: str | None
    account: str | None
    until: str
    state: str

    @property
    def content(self) -> tuple[object, ...]:
        """What must be the same when it comes again."""
        return self.promotion, self.amount_fen, self.payer, self.account, self.until


class Promotions:
    """The interfaces of promotions."""

    def __init__(self, effects: EffectWriter, clock: Clock) -> None:
        self._effects = effects
        self._clock = clock

    def interfaces(self) -> Iterator[Interface]:
        """What the service offers."""
        yield Interface("/api/prom/reserve", effect=self.reserve)
        yield Interface("/api/prom/post", effect=self.post)
        yield Interface("/api/prom/void", effect=self.void)

    async def reserve(self, fields: Fields) -> Applied:
        """`/api/prom/reserve`."""
        request_id, name = fields.text("reqId", 64, REQUEST_ID), fields.text("rsvNo", 64, REQUEST_ID)
        wanted = Reserved(
            fields.text("promNo", 64, REQUEST_ID),
            fields.whole("amt", 1, LARGEST_AMOUNT),
            fields.optional_text("payer", 64, USER),
            fields.optional_text("consNo", 13, ACCOUNT),
            legacy_time(fields.moment("expTime")),
            RESERVED,
        )

        def perform(connection: sqlite3.Connection) -> str | AlreadyDone:
            now = legacy_time(self._clock.now())
            known = _found(connection, name)
            if known is not None:
                if known.content != wanted.content and known.promotion:
                    raise Refusal(Code.RESERVATION_CONFLICT)
                if known.state == VOIDED or _over(known, now):
                    raise Refusal(Code.RESERVATION_ENDED)
                return AlreadyDone(_reserved(request_id, name, known))
            _check(connection, wanted, now)
            row = (name, wanted.promotion, wanted.amount_fen, wanted.payer, wanted.account, wanted.until, now)
            connection.execute(RESERVE, row)
            return _reserved(request_id, name, wanted)

        return await self._effects.apply(request_id, "prom/reserve", perform, once=False)

    async def post(self, fields: Fields) -> Applied:
        """`/api/prom/post`: use it up."""
        request_id, name = fields.text("reqId", 64, REQUEST_ID), fields.text("rsvNo", 64, REQUEST_ID)

        def perform(connection: sqlite3.Connection) -> str | AlreadyDone:
            now = legacy_time(self._clock.now())
            known = _found(connection, name)
            if known is None:
                raise Refusal(Code.NO_SUCH_RESERVATION)
            if known.state == VOIDED or _over(known, now):
                raise Refusal(Code.RESERVATION_ENDED)
            answer = _resolved(request_id, name, known.amount_fen, POSTED)
            return answer if connection.execute(RESOLVE, (POSTED, now, name)).rowcount else AlreadyDone(answer)

        return await self._effects.apply(request_id, "prom/post", perform, once=False)

    async def void(self, fields: Fields) -> Applied:
        """`/api/prom/void`: give it back; also what is over, and what never was."""
        request_id, name = fields.text("reqId", 64, REQUEST_ID), fields.text("rsvNo", 64, REQUEST_ID)

        def perform(connection: sqlite3.Connection) -> str | AlreadyDone:
            now = legacy_time(self._clock.now())
            known = _found(connection, name)
            if known is None:
                connection.execute(NEVER_RESERVED, (name, now, now, now))
                return _resolved(request_id, name, 0, VOIDED)
            if known.state == POSTED:
                raise Refusal(Code.RESERVATION_POSTED)
            answer = _resolved(request_id, name, known.amount_fen, VOIDED)
            return answer if connection.execute(RESOLVE, (VOIDED, now, name)).rowcount else AlreadyDone(answer)

        return await self._effects.apply(request_id, "prom/void", perform, once=False)


def book(connection: sqlite3.Connection, now: datetime) -> list[dict[str, object]]:
    """Every reservation, for books to be compared; `state` is `reserved`, `posted`, `voided` or `expired`."""
    moment = legacy_time(now.astimezone(CHINA_STANDARD_TIME))
    names = {RESERVED: "reserved", POSTED: "posted", VOIDED: "voided"}
    return [
        {
            "reservation": name,
            "promotion": promotion,
            "amount": amount,
            "until": until,
            "state": "expired" if state == RESERVED and until <= moment else names[state],
            "at": at,
            "resolved_at": resolved_at,
        }
        for name, promotion, amount, until, state, at, resolved_at in connection.execute(BOOK).fetchall()
    ]


def _check(connection: sqlite3.Connection, wanted: Reserved, now: str) -> None:
    """Raises Refusal."""
    found = connection.execute(PROMOTION, (wanted.promotion,)).fetchone()
    if found is None:
        raise Refusal(Code.COUPON, "promNo")
    kind, amount, payer, account, valid_until = found
    uses, used = connection.execute(IN_USE, (wanted.promotion, now)).fetchone()
    if payer not in (None, wanted.payer) or account not in (None, wanted.account):
        raise Refusal(Code.COUPON, "payer")
    if valid_until <= now or wanted.until <= now:
        raise Refusal(Code.COUPON, "expTime")
    if wanted.amount_fen > amount - (0 if kind == COUPON else used) or (kind == COUPON and uses):
        raise Refusal(Code.COUPON, "amt")


def _found(connection: sqlite3.Connection, name: str) -> Reserved | None:
    row = connection.execute(RESERVATION, (name,)).fetchone()
    return None if row is None else Reserved(*row)


def _over(known: Reserved, now: str) -> bool:
    return known.state == RESERVED and known.until <= now


def _reserved(request_id: str, name: str, one: Reserved) -> str:
    return success(
        {
            "reqId": request_id,
            "rsvNo": name,
            "promNo": one.promotion,
            "amt": one.amount_fen,
            "expTime": one.until,
            "rsvStatus": one.state,
        }
    )


def _resolved(request_id: str, name: str, amount: int, state: str) -> str:
    return success({"reqId": request_id, "rsvNo": name, "amt": amount, "rsvStatus": state})
