"""Customers and bindings (客户档案与户号绑定): matching, one-time codes, binding, names, corrections of the archive.

"No such identity" and "wrong mobile number" are one refusal and one look-up in one index, so neither the answer nor its
time tells which it was. A one-time code that is wrong, used up, too old, for another user or never sent is one refusal
too, and so is a match token.
"""

import hmac
import re
import secrets
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta

from scripts.tools.marketing_simulator.clock import CHINA_STANDARD_TIME, Clock, legacy_time
from scripts.tools.marketing_simulator.effects import AlreadyDone, Applied, EffectWriter
from scripts.tools.marketing_simulator.fields import (
    ACCOUNT,
    EMAIL,
    IDENTITY_NUMBER,
    MATCH_TOKEN,
    MOBILE,
    ONE_TIME_CODE,
    REQUEST_ID,
    USER,
    VERSION,
    Fields,
)
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.population import ACTIVE, CLOSED
from scripts.tools.marketing_simulator.responses import Code, Refusal, success

TOKEN_LASTS = timedelta(minutes=10)
CODE_LASTS = timedelta(minutes=5)
CODE_PAUSE = timedelta(minutes=1)
"""Asked again so soon, the code that was sent stays the one."""
CODE_TRIES = 5
CODES_A_DAY = 10

MATCHING = "SELECT account FROM customer WHERE identity_number = ? AND mobile = ? AND status = ? ORDER BY account"
HOLDER = "SELECT 1 FROM customer WHERE identity_number = ? AND name = ? LIMIT 1"
CUSTOMER = "SELECT name, address, mobile, status FROM customer WHERE account = ?"
TOKEN = "SELECT accounts, expires_ms FROM match_token WHERE token = ? AND user = ?"  # noqa: S105 - a statement
ADD_TOKEN = "INSERT INTO match_token VALUES (?, ?, ?, ?)"  # noqa: S105
CODES_SINCE = "SELECT count(*) FROM one_time_code WHERE account = ? AND sent_ms > ?"
LATEST_CODE = (
    "SELECT id, code, sent_ms, expires_ms, tries, used FROM one_time_code WHERE account = ? AND user = ?"
    " ORDER BY id DESC LIMIT 1"
)
ADD_CODE = "INSERT INTO one_time_code VALUES (NULL, ?, ?, ?, ?, ?, 0, 0)"
SEND = "INSERT INTO outbox VALUES (NULL, ?, ?, ?, ?, ?)"
MESSAGES = (
    "SELECT account, mobile, code, text, sent_ms FROM outbox WHERE :account IS NULL OR account = :account ORDER BY id"
)
IN_FORCE = "SELECT bound_ms FROM binding WHERE user = ? AND account = ? AND unbound_ms IS NULL"
LAST_ENDED = "SELECT max(unbound_ms) FROM binding WHERE user = ? AND account = ?"
BIND = "INSERT INTO binding (user, account, proof, bound_ms) VALUES (?, ?, ?, ?)"
UNBIND = "UPDATE binding SET unbound_ms = ? WHERE user = ? AND account = ? AND unbound_ms IS NULL"
BOUND = (
    "SELECT account, name, address, bound_ms FROM binding JOIN customer USING (account)"
    " WHERE user = ? AND unbound_ms IS NULL ORDER BY binding.id"
)
VERIFIED = "SELECT name, verified_ms FROM real_name WHERE user = ?"
VERIFY = (
    "INSERT INTO real_name VALUES (?, ?, ?, ?) ON CONFLICT (user) DO UPDATE SET"
    " name = excluded.name, identity_number = excluded.identity_number, verified_ms = excluded.verified_ms"
)
CONSENT = "INSERT INTO consent (request_id, user, purpose, version, given_at) VALUES (?, ?, ?, ?, ?)"
CONTACT = (
    "INSERT INTO contact VALUES (?, ?, ?) ON CONFLICT (account) DO UPDATE SET"
    " email = coalesce(excluded.email, email), mailing_address = coalesce(excluded.mailing_address, mailing_address)"
)


class Bindings:
    """The interfaces of customers and bindings: they read over `connection` and write through `effects`."""

    def __init__(self, connection: sqlite3.Connection, effects: EffectWriter, clock: Clock) -> None:
        self._connection = connection
        self._effects = effects
        self._clock = clock

    def interfaces(self) -> Iterator[Interface]:
        """What the marketing system offers of them."""
        yield Interface("/api/cust/match", effect=self.match)
        yield Interface("/api/cust/candidates", query=self.candidates)
        yield Interface("/api/cust/code", effect=self.send_code)
        yield Interface("/api/cust/bind", effect=self.bind)
        yield Interface("/api/cust/unbind", effect=self.unbind)
        yield Interface("/api/cust/bindList", query=self.bound)
        yield Interface("/api/cust/profile", query=self.profile)
        yield Interface("/api/cust/verify", effect=self.verify)
        yield Interface("/api/cust/realName", query=self.real_name)
        yield Interface("/api/cust/update", effect=self.update)

    async def match(self, fields: Fields) -> Applied:
        """`/api/cust/match`: the accounts in use of who has this identity number and this mobile number."""
        request_id, user = fields.text("reqId", 64, REQUEST_ID), _user(fields)
        identity = fields.text("certNo", 18, IDENTITY_NUMBER)
        mobile = fields.text("mobileNo", 11, MOBILE)
        consent = _consent(fields)

        def perform(connection: sqlite3.Connection) -> str:
            accounts = [row[0] for row in connection.execute(MATCHING, (identity, mobile, ACTIVE))]
            if not accounts:
                raise Refusal(Code.NO_MATCH)
            token, expires = secrets.token_urlsafe(24), self._clock.now() + TOKEN_LASTS
            connection.execute(ADD_TOKEN, (token, user, ",".join(accounts), _ms(expires)))
            connection.execute(CONSENT, (request_id, user, "match", *consent))
            data = {"reqId": request_id, "appUser": user, "matchToken": token, "expTime": legacy_time(expires)}
            return success({**data, "consList": [_told(connection, account) for account in accounts]})

        return await self._effects.apply(request_id, "cust/match", perform, once=True)

    def candidates(self, fields: Fields) -> bytes:
        """`/api/cust/candidates`: the accounts of a match, once more."""
        user, token = _user(fields), fields.text("matchToken", 128, MATCH_TOKEN)
        accounts, expires = self._matched(self._connection, token, user)
        data = {"appUser": user, "expTime": legacy_time(expires)}
        return success({**data, "consList": [_told(self._connection, account) for account in accounts]}).encode()

    async def send_code(self, fields: Fields) -> Applied:
        """`/api/cust/code`: to the mobile number of the archive."""
        request_id, user = fields.text("reqId", 64, REQUEST_ID), _user(fields)
        account = fields.text("consNo", 13, ACCOUNT)

        def perform(connection: sqlite3.Connection) -> str | AlreadyDone:
            _, _, mobile, status = _customer(connection, account)
            if status == CLOSED:
                raise Refusal(Code.ACCOUNT_CLOSED)
            now = self._clock.now()
            data = {"reqId": request_id, "appUser": user, "consNo": account, "mobileMask": masked_mobile(mobile)}
            last = connection.execute(LATEST_CODE, (account, user)).fetchone()
            if last is not None and not last[5] and last[4] < CODE_TRIES and last[2] > _ms(now - CODE_PAUSE):
                return AlreadyDone(success({**data, "expTime": legacy_time(_moment(last[3]))}))
            [sent] = connection.execute(CODES_SINCE, (account, _ms(now - timedelta(days=1)))).fetchone()
            if sent >= CODES_A_DAY:
                raise Refusal(Code.TOO_MANY_CODES)
            code, expires = f"{secrets.randbelow(10**6):06}", now + CODE_LASTS
            connection.execute(ADD_CODE, (account, user, code, _ms(now), _ms(expires)))
            text = f"验证码{code}，用于绑定户号，{CODE_LASTS.seconds // 60}分钟内有效。"
            connection.execute(SEND, (account, mobile, code, text, _ms(now)))
            return success({**data, "expTime": legacy_time(expires)})

        return await self._effects.apply(request_id, "cust/code", perform, once=True)

    async def bind(self, fields: Fields) -> Applied:
        """`/api/cust/bind`: by match token or one-time code; binding again is answered as the first time."""
        request_id, user = fields.text("reqId", 64, REQUEST_ID), _user(fields)
        account = fields.text("consNo", 13, ACCOUNT)
        token = fields.optional_text("matchToken", 128, MATCH_TOKEN)
        code = fields.optional_text("verifyCode", 8, ONE_TIME_CODE)
        if (token is None) == (code is None):
            raise Refusal(Code.INVALID_FIELD, "matchToken")

        def perform(connection: sqlite3.Connection) -> str | AlreadyDone:
            if token is not None:
                if account not in self._matched(connection, token, user)[0]:
                    raise Refusal(Code.TOKEN_INVALID)
            else:
                self._spend(connection, account, user, code or "")
            name = masked_name(_customer(connection, account)[0])
            data = {"reqId": request_id, "appUser": user, "consNo": account, "consName": name}
            before = connection.execute(IN_FORCE, (user, account)).fetchone()
            if before is not None:
                return AlreadyDone(success({**data, "bindTime": legacy_time(_moment(before[0]))}))
            now = self._clock.now()
            connection.execute(BIND, (user, account, "token" if token else "code", _ms(now)))
            return success({**data, "bindTime": legacy_time(now)})

        return await self._effects.apply(request_id, "cust/bind", perform, once=True)

    async def unbind(self, fields: Fields) -> Applied:
        """`/api/cust/unbind`: of what is unbound already, when that was."""
        request_id, user = fields.text("reqId", 64, REQUEST_ID), _user(fields)
        account = fields.text("consNo", 13, ACCOUNT)

        def perform(connection: sqlite3.Connection) -> str | AlreadyDone:
            data = {"reqId": request_id, "appUser": user, "consNo": account}
            now = self._clock.now()
            if connection.execute(UNBIND, (_ms(now), user, account)).rowcount:
                return success({**data, "unbindTime": legacy_time(now)})
            [ended] = connection.execute(LAST_ENDED, (user, account)).fetchone()
            if ended is None:
                raise Refusal(Code.NOT_BOUND)
            return AlreadyDone(success({**data, "unbindTime": legacy_time(_moment(ended))}))

        return await self._effects.apply(request_id, "cust/unbind", perform, once=True)

    def bound(self, fields: Fields) -> bytes:
        """`/api/cust/bindList`: the oldest first."""
        user = _user(fields)
        rows = self._connection.execute(BOUND, (user,)).fetchall()
        return success(
            {
                "appUser": user,
                "consList": [
                    {
                        "consNo": account,
                        "consName": masked_name(name),
                        "elecAddr": masked_address(address),
                        "bindTime": legacy_time(_moment(bound)),
                    }
                    for account, name, address, bound in rows
                ],
            }
        ).encode()

    def profile(self, fields: Fields) -> bytes:
        """`/api/cust/profile`: the name as it is, address and mobile number masked."""
        account = fields.text("consNo", 13, ACCOUNT)
        name, address, mobile, status = _customer(self._connection, account)
        return success(
            {
                "consNo": account,
                "consName": name,
                "elecAddr": masked_address(address),
                "mobileNo": masked_mobile(mobile),
                "consStatus": status,
            }
        ).encode()

    async def verify(self, fields: Fields) -> Applied:
        """`/api/cust/verify`: somebody in the archive has this name and identity number."""
        request_id, user = fields.text("reqId", 64, REQUEST_ID), _user(fields)
        name, identity = fields.text("custName", 60), fields.text("certNo", 18, IDENTITY_NUMBER)
        consent = _consent(fields)

        def perform(connection: sqlite3.Connection) -> str:
            if connection.execute(HOLDER, (identity, name)).fetchone() is None:
                raise Refusal(Code.NO_MATCH)
            now = self._clock.now()
            connection.execute(VERIFY, (user, name, identity, _ms(now)))
            connection.execute(CONSENT, (request_id, user, "verify", *consent))
            data = {"reqId": request_id, "appUser": user, "custName": masked_name(name)}
            return success({**data, "rnTime": legacy_time(now)})

        return await self._effects.apply(request_id, "cust/verify", perform, once=True)

    def real_name(self, fields: Fields) -> bytes:
        """`/api/cust/realName`: whether a user's name is verified."""
        user = _user(fields)
        row = self._connection.execute(VERIFIED, (user,)).fetchone()
        verified = {"custName": masked_name(row[0]), "rnTime": legacy_time(_moment(row[1]))} if row else {}
        return success({"appUser": user, "rnFlag": "1" if row else "0", **verified}).encode()

    async def update(self, fields: Fields) -> Applied:
        """`/api/cust/update`: what is given changes, the rest stays; by a user to whom the account is bound."""
        request_id, user = fields.text("reqId", 64, REQUEST_ID), _user(fields)
        account = fields.text("consNo", 13, ACCOUNT)
        mobile = fields.optional_text("mobileNo", 11, MOBILE)
        email = fields.optional_text("email", 120, EMAIL)
        mailing_address = fields.optional_text("mailAddr", 200)
        consent = _consent(fields)
        given = {"mobileNo": mobile, "email": email, "mailAddr": mailing_address}
        changed = [name for name, value in given.items() if value is not None]
        if not changed:
            raise Refusal(Code.INVALID_FIELD, "mobileNo")

        def perform(connection: sqlite3.Connection) -> str:
            if connection.execute(IN_FORCE, (user, account)).fetchone() is None:
                raise Refusal(Code.NOT_BOUND)
            if mobile is not None:
                connection.execute("UPDATE customer SET mobile = ? WHERE account = ?", (mobile, account))
            if email is not None or mailing_address is not None:
                connection.execute(CONTACT, (account, email, mailing_address))
            connection.execute(CONSENT, (request_id, user, "update", *consent))
            data = {"reqId": request_id, "appUser": user, "consNo": account, "updList": changed}
            return success({**data, "updTime": legacy_time(self._clock.now())})

        return await self._effects.apply(request_id, "cust/update", perform, once=True)

    def _matched(self, connection: sqlite3.Connection, token: str, user: str) -> tuple[list[str], datetime]:
        row = connection.execute(TOKEN, (token, user)).fetchone()
        if row is None or row[1] <= _ms(self._clock.now()):
            raise Refusal(Code.TOKEN_INVALID)
        return row[0].split(","), _moment(row[1])

    def _spend(self, connection: sqlite3.Connection, account: str, user: str, code: str) -> None:
        """Use the code up, or count a try; the try stays counted though the request is refused."""
        row = connection.execute(LATEST_CODE, (account, user)).fetchone()
        id, wanted, _, expires, tries, used = row or (0, "", 0, 0, 0, 0)
        fits = hmac.compare_digest(wanted.encode(), code.encode())
        connection.execute("UPDATE one_time_code SET tries = tries + 1, used = ? WHERE id = ?", (used or fits, id))
        if not fits or used or tries >= CODE_TRIES or expires <= _ms(self._clock.now()):
            raise Refusal(Code.CODE_INVALID, keeps=True)


def messages(connection: sqlite3.Connection, account: str | None = None) -> list[dict[str, object]]:
    """What was sent to customers' mobile phones; the latest last."""
    rows = connection.execute(MESSAGES, {"account": account}).fetchall()
    return [
        {"account": about, "mobile": mobile, "code": code, "text": text, "at": _moment(sent).isoformat()}
        for about, mobile, code, text, sent in rows
    ]


def masked_name(name: str) -> str:
    """The first character alone: `田*`."""
    return name[:1] + "*" * (len(name) - 1) if len(name) > 1 else "*"


def masked_mobile(mobile: str) -> str:
    """`199****0001`."""
    return f"{mobile[:3]}****{mobile[-4:]}"


def masked_address(address: str) -> str:
    """As far as the street: what begins with a house number is not shown."""
    return re.split(r"\d", address, maxsplit=1)[0] + "***"


def _told(connection: sqlite3.Connection, account: str) -> dict[str, str]:
    name, address, _, _ = _customer(connection, account)
    return {"consNo": account, "consName": masked_name(name), "elecAddr": masked_address(address)}


def _customer(connection: sqlite3.Connection, account: str) -> tuple[str, str, str, str]:
    row = connection.execute(CUSTOMER, (account,)).fetchone()
    if row is None:
        raise Refusal(Code.NO_SUCH_ACCOUNT)
    name, address, mobile, status = row
    return name, address, mobile, status


def _user(fields: Fields) -> str:
    return fields.text("appUser", 64, USER)


def _consent(fields: Fields) -> tuple[str, str]:
    return fields.text("agreeVer", 40, VERSION), legacy_time(fields.moment("agreeTime"))


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _moment(epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1000, CHINA_STANDARD_TIME)
