"""Withholding agreements (代扣协议): one in force an account; signing the same again is answered as the first time."""

import sqlite3
from collections.abc import Iterator

from scripts.tools.marketing_simulator.clock import Clock
from scripts.tools.marketing_simulator.effects import AlreadyDone, Applied, EffectWriter
from scripts.tools.marketing_simulator.fields import ACCOUNT, BANK_ACCOUNT, REQUEST_ID, Fields
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.queries import Queries
from scripts.tools.marketing_simulator.responses import Code, Refusal, success

MOST_ACCOUNTS = 100
IN_FORCE = "SELECT id, bank, bank_account, holder, signed_on FROM agreement WHERE account = ? AND cancelled_on IS NULL"
AGREEMENT = "SELECT bank, bank_account, cancelled_on FROM agreement WHERE account = ? AND id = ?"
SIGN = "INSERT INTO agreement (request_id, account, bank, bank_account, holder, signed_on) VALUES (?, ?, ?, ?, ?, ?)"
CANCEL = "UPDATE agreement SET cancelled_on = ? WHERE id = ?"


class Withholding:
    """The interfaces of withholding."""

    def __init__(self, connection: sqlite3.Connection, effects: EffectWriter, queries: Queries, clock: Clock) -> None:
        self._connection = connection
        self._effects = effects
        self._queries = queries
        self._clock = clock

    def interfaces(self) -> Iterator[Interface]:
        """What the marketing system offers of them."""
        yield Interface("/api/wh/sign", effect=self.sign)
        yield Interface("/api/wh/cancel", effect=self.cancel)
        yield Interface("/api/wh/list", query=self.listed)

    def listed(self, fields: Fields) -> bytes:
        """`/api/wh/list`: the agreements in force of some accounts."""
        accounts = fields.texts("consNos", 13, MOST_ACCOUNTS)
        if not accounts or not all(ACCOUNT.fullmatch(account) for account in accounts):
            raise Refusal(Code.INVALID_FIELD, "consNos")
        lines = []
        for account in accounts:
            found = self._connection.execute(IN_FORCE, (account,)).fetchone()
            if found is not None:
                id, bank, bank_account, _, _ = found
                lines.append({"consNo": account, "agrNo": f"WH{id:012}", "bankCode": bank, "bankAcct": bank_account})
        return success({"agrList": lines}).encode()

    async def sign(self, fields: Fields) -> Applied:
        """`/api/wh/sign`."""
        request_id = fields.text("reqId", 64, REQUEST_ID)
        account = fields.text("consNo", 13, ACCOUNT)
        bank, bank_account = fields.text("bankCode", 32), fields.text("bankAcct", 32, BANK_ACCOUNT)
        holder = fields.text("acctName", 64)
        if self._queries.account(account).closed:
            raise Refusal(Code.ACCOUNT_CLOSED)
        today = self._clock.today().isoformat()

        def perform(connection: sqlite3.Connection) -> str | AlreadyDone:
            found = connection.execute(IN_FORCE, (account,)).fetchone()
            if found is not None:
                id, *terms, signed_on = found
                if terms != [bank, bank_account, holder]:
                    raise Refusal(Code.AGREEMENT_EXISTS)
                return AlreadyDone(_signed(request_id, account, id, bank, bank_account, signed_on))
            id = connection.execute(SIGN, (request_id, account, bank, bank_account, holder, today)).lastrowid
            assert id is not None, "an INSERT into a table with an integer key gives one"
            return _signed(request_id, account, id, bank, bank_account, today)

        return await self._effects.apply(request_id, "wh/sign", perform, once=False)

    async def cancel(self, fields: Fields) -> Applied:
        """`/api/wh/cancel`: one that has ended is answered as it was then."""
        request_id = fields.text("reqId", 64, REQUEST_ID)
        account, number = fields.text("consNo", 13, ACCOUNT), fields.text("agrNo", 40)
        self._queries.account(account)
        serial = number.removeprefix("WH")
        id = int(serial) if len(number) == 14 and serial.isascii() and serial.isdigit() and len(serial) == 12 else -1
        today = self._clock.today().isoformat()

        def perform(connection: sqlite3.Connection) -> str | AlreadyDone:
            found = connection.execute(AGREEMENT, (account, id)).fetchone()
            if found is None:
                raise Refusal(Code.NO_SUCH_AGREEMENT)
            bank, bank_account, cancelled_on = found
            data = _agreement(request_id, account, id, bank, bank_account)
            if cancelled_on is not None:
                return AlreadyDone(success({**data, "cancelDate": cancelled_on}))
            connection.execute(CANCEL, (today, id))
            return success({**data, "cancelDate": today})

        return await self._effects.apply(request_id, "wh/cancel", perform, once=False)


def masked(bank_account: str) -> str:
    """At most the first 6 and the last 4 digits, and never fewer than 4 hidden: `622202*********0123`."""
    shown = 6 if len(bank_account) >= 14 else 0
    return f"{bank_account[:shown]}{'*' * (len(bank_account) - shown - 4)}{bank_account[-4:]}"


def _agreement(request_id: str, account: str, id: int, bank: str, bank_account: str) -> dict[str, object]:
    return {
        "reqId": request_id,
        "consNo": account,
        "agrNo": f"WH{id:012}",
        "bankCode": bank,
        "bankAcctMask": masked(bank_account),
    }


def _signed(request_id: str, account: str, id: int, bank: str, bank_account: str, signed_on: str) -> str:
    return success({**_agreement(request_id, account, id, bank, bank_account), "signDate": signed_on})
