"""A bridge with payment orders on a real database; companies, the promotion service and channels are scripted.

Commands are rows of the same database, so that a transaction that is undone undoes them too, as the inbox does.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Connection, MetaData, String, Table, Text, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from intranet_bridge.at_rest import AtRest
from intranet_bridge.commands.internal import Consumer, InternalCommand, InternalOutcome
from intranet_bridge.inbox.rows import STORE_KEY
from intranet_bridge.marketing import Answered, MarketingRequest, NotApplied, Outcome, Refused
from intranet_bridge.settlement.payments.channels import Offer, offer_of
from intranet_bridge.settlement.payments.evidence import PaidPart, PaymentProof
from intranet_bridge.settlement.payments.risk_records import RiskRecords
from intranet_bridge.settlement.payments.service import Payments
from intranet_bridge.settlement.ports import Ports
from intranet_bridge.settlement.rows import BOOKS, FILES
from intranet_bridge.settlement.rows import LINES as STATEMENT_LINES
from intranet_bridge.settlement_sections import SettlementSection
from intranet_bridge.settlement_sections.risk import RiskSection
from intranet_bridge.store import MIGRATIONS
from protocol.keyring import Keyring
from protocol.lifecycle import State
from protocol.operations import CATALOGUE
from protocol.operations.bills import Arrears, UnpaidBill
from protocol.runtime.control import Peer
from protocol.runtime.store import Store
from protocol.runtime.store_statements import insert_new
from protocol.times import CHINA
from tests.unit.acts import transacting
from tests.unit.clock import Clock

COMMANDS = Table(
    "commands_of_the_test",
    MetaData(),
    Column("id", String(64), primary_key=True),
    Column("operation", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("region", String(64), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("told", Boolean, nullable=False),
)
POWER, WATER, GAS = "3210000000001", "Z05396-0", "5500012345"
CASH = 20_000
"""What their bills come to, in fen."""
MONTH = "2026-01"


class Commands:
    """`InternalCommands` in a table of the test's."""

    def __init__(self) -> None:
        self.take: Consumer | None = None
        self.taken: Callable[[], None] | None = None

    def record(self, connection: Connection, commands: Sequence[InternalCommand]) -> None:
        assert self.take is not None, "nobody would take the outcomes"
        for one in commands:
            count = connection.execute(select(func.count()).select_from(COMMANDS)).scalar_one()
            body = CATALOGUE[one.operation].requests.dump_json(one.body).decode()
            row = {
                "id": one.id, "operation": one.operation, "body": body, "region": one.region, "sequence": count,
                "told": False,
            }  # fmt: skip
            insert_new(connection, COMMANDS, [row])

    def begin(self) -> None:
        pass

    def consume(self, consumer: str, take: Consumer, taken: Callable[[], None] | None = None) -> None:
        self.take, self.taken = take, taken


class Companies:
    """Their marketing systems, as far as they are asked."""

    def __init__(self) -> None:
        self.owed: dict[str, int] = {POWER: 12_345, WATER: 6789, GAS: 866}
        self.down = False
        self.asked: list[tuple[str, str | None]] = []
        self.outcomes: dict[str, list[State | str]] = {}
        """By the command's id: what it comes to, one after the other; a text is a refusal. Then it succeeds."""
        self.applied: Counter[tuple[str, str]] = Counter()
        """(operation, natural key) → how often it had an effect."""
        self.promotions: dict[str, str] = {}

    def admit(self, operation: str) -> bool:
        return not self.down

    def release(self, operation: str) -> None:
        pass

    async def call(self, operation: str, asked: MarketingRequest) -> Outcome:
        assert operation == "arrears-query"
        self.asked.append((asked.body.account, asked.body.as_of))
        if asked.body.account not in self.owed:
            return Refused("no-such-account")
        amount = self.owed[asked.body.account]
        bills = (UnpaidBill(month=MONTH, amount=amount, penalty=0),) if amount else ()
        answer = Arrears(account=asked.body.account, as_of=asked.body.as_of, total=amount, unpaid=bills)
        return Answered(CATALOGUE[operation].answer(asked.body, answer))

    def outcome(self, id: str, operation: str, body: dict[str, Any]) -> InternalOutcome:
        said = self.outcomes.get(id)
        state = said.pop(0) if said else State.SUCCEEDED
        if not isinstance(state, State):
            return InternalOutcome(id, operation, State.REFUSED, state)
        if state is State.SUCCEEDED:
            key = body.get("reservation") or f"{body['channel']}:{body['transaction']}:{body['line']}"
            self.applied[operation, key] += 1
        return InternalOutcome(id, operation, state)


class Payer:
    """What a channel signs."""

    def __init__(self, key: bytes) -> None:
        self.key = key

    def notification(self, **said: Any) -> dict[str, Any]:
        body = json.dumps(said).encode()
        signature = hmac.new(self.key, body, hashlib.sha256).hexdigest()
        return {
            "headers": ({"name": "Signature", "value": signature},),
            "body": base64.b64encode(body).decode(),
        }


class World:
    """One bridge; `restarted` makes the next."""

    def __init__(self, store: Store, at_rest: AtRest, folder: Path, risk: bool, **more: Any) -> None:
        self.store, self.at_rest, self.clock, self.folder = store, at_rest, Clock(), folder
        self.companies, self.risky = Companies(), risk
        self.channels = {name: Payer(name.encode() * 8) for name in ("wechat", "alipay")}
        self.acts: list[tuple[str, dict[str, Any]]] = []
        for name, channel in self.channels.items():
            (folder / f"{name}.key").write_bytes(channel.key)
            (folder / f"{name}.key").chmod(0o600)
        self.values: dict[str, Any] = {
            "channels": {
                "wechat": {"plugin": "simulated", "key": str(folder / "wechat.key"), "max_lines": 10},
                "alipay": {"plugin": "simulated", "key": str(folder / "alipay.key")},
                "app": {"plugin": "trusted-app", "applications": ("wechat",)},
            },
            **more,
        }  # fmt: skip
        self.commands = Commands()
        self.payments = self.made()
        self.number = 0
        self.outcomes: dict[str, InternalOutcome] = {}

    def section(self) -> SettlementSection:
        companies = {
            "power": {}, "water": {"account_pattern": "Z?[0-9]{5,11}(-[0-9])?"}, "gas": {},
            "city": {"region": "city"},
        }  # fmt: skip
        return SettlementSection.model_validate({"companies": companies, "payments": self.values})

    def offer(self) -> Offer | None:
        return offer_of(self.section())

    def made(self) -> Payments:
        async def act(name: str, by: str, /, **details: Any) -> None:
            self.acts.append((name, details))

        ports = Ports(
            store=self.store, at_rest=self.at_rest, commands=lambda: self.commands,
            calls=lambda: self.companies,  # type: ignore[arg-type, return-value]
            files=lambda: None, allowed=lambda: True, name="bridge-1", act=act,
            transact=transacting(self.store, act), clock=self.clock,
        )  # fmt: skip
        risk = RiskRecords(self.store, self.at_rest, lambda: RiskSection().rules, self.clock) if self.risky else None
        return Payments(self.offer(), ports, risk)

    async def start(self) -> None:
        """Its loop is ended: tests turn it."""
        await self.payments.start()
        await self.payments.close()

    async def restarted(self) -> None:
        """Another process goes on with the database."""
        self.payments = self.made()
        await self.start()

    async def ask(self, operation: str, id: str = "", source: str = "front-1/wechat", **body: Any) -> Any:
        self.number += 1
        entry = CATALOGUE[operation]
        asked = MarketingRequest(id or f"request-{self.number}", entry.requests.validate_python(body), source=source)
        answer = await self.payments.handlers()[operation](asked)
        if isinstance(answer, Refused):
            assert answer.code in {refusal.code for refusal in entry.refusals}, answer.code
            return answer
        assert not isinstance(answer, NotApplied)
        entry.answer(asked.body, answer)
        return answer

    async def turn(self) -> bool:
        """What is due, and the outcomes of what was recorded; one after the other. False: nothing was."""
        looked = await self.payments._looking.look()
        waiting = select(COMMANDS).where(COMMANDS.c.told.is_(False)).order_by(COMMANDS.c.sequence)
        rows = await self.store.read(lambda connection: connection.execute(waiting).all())
        for row in rows:
            if row.id not in self.outcomes:  # on disk, as the command's own path has it
                self.outcomes[row.id] = self.companies.outcome(row.id, row.operation, json.loads(row.body))
            await self.tell(self.outcomes[row.id])
        return bool(looked or rows)

    async def tell(self, outcome: InternalOutcome) -> None:
        def work(connection: Connection) -> None:
            assert self.commands.take is not None
            self.commands.take(connection, [outcome])
            # a held one says nothing more until somebody decides: tests do, by `tell`
            connection.execute(update(COMMANDS).where(COMMANDS.c.id == outcome.id).values(told=True))

        await self.store.write(work)
        assert self.commands.taken is not None, "nobody would be woken"
        self.commands.taken()

    async def run(self) -> None:
        """Until nothing more happens."""
        for _ in range(200):
            if not await self.turn():
                return
        raise AssertionError("it never ends")

    async def create(
        self, lines: Sequence[tuple[str, str]] = (), parts: Sequence[dict[str, Any]] = (), **more: Any
    ) -> Any:
        lines = lines or (("power", POWER), ("water", WATER), ("gas", GAS))
        said = tuple(
            {"company": company, "account": account, "bills": (MONTH,), "amount": self.companies.owed[account]}
            for company, account in lines
        )
        asking = asyncio.ensure_future(
            self.ask("payment-order-create", channel="wechat", **({"lines": said, "parts": tuple(parts)} | more))
        )
        while not asking.done():
            await self.turn()
            await asyncio.sleep(0)
        return await asking

    async def paying(self, **more: Any) -> Any:
        """An order whose payer is at the channel."""
        order = await self.create(**more)
        return await self.ask("payment-order-pay", order=order.order)

    async def confirm(
        self, order: str, cash: int, transaction: str = "t1", channel: str = "wechat", id: str = ""
    ) -> str:
        said = self.channels[channel].notification(
            order=order, transaction=transaction, amount_fen=cash, paid_at=self.at()
        )
        answer = await self.ask("payment-confirm", channel=channel, **said)
        assert answer.acknowledgement.body == '{"code":"SUCCESS"}'
        return str(answer.meant)

    async def combined(self, order: str, cash: Mapping[int, int], name: str = "t", channel: str = "wechat") -> str:
        """A combined payment: one transaction a line, `{name}{line}`."""
        parts = tuple(PaidPart(f"{name}{line}", f"{order}-{line}", fen) for line, fen in cash.items())
        proof = PaymentProof(order, parts, datetime.fromtimestamp(self.clock.now / 1000, CHINA))

        def work(connection: Connection) -> str:
            return str(self.payments._paid(connection, channel, proof, "d" * 64, "front-1/wechat"))

        meant = await self.store.write(work)
        self.payments.hurry()
        return meant

    def at(self) -> str:
        return datetime.fromtimestamp(self.clock.now / 1000, CHINA).isoformat()

    async def prove(self, refund: Any) -> str:
        said = self.channels[refund.channel].notification(
            refund=refund.refund, transaction="r" + refund.refund, amount_fen=refund.cash, refunded_at=self.at()
        )
        answer = await self.ask("payment-confirm", channel=refund.channel, **said)
        return str(answer.meant)

    async def order(self, number: str) -> Any:
        return await self.ask("payment-order", order=number)

    async def told(self, question: str, **more: Any) -> Any:
        """What an administrator is told."""
        return await self.payments.answers()[question](more, Peer(os.getuid(), 1))

    async def statement(self, id: str, *rows: dict[str, Any], state: str = "accepted") -> None:
        """A statement of wechat with refunds."""
        day = datetime.fromtimestamp(self.clock.now / 1000, CHINA).date()
        file: dict[str, Any] = dict.fromkeys(("code", "findings", "who", "merchant"), "")
        file |= dict.fromkeys(("rows", "paid", "refunded", "settled", "fee"), 0)
        file |= {
            "id": id, "name": id, "profile": "wechat-trade", "channel": "wechat", "day": day,
            "sha256": "", "state": state, "received_at": self.clock.now, "updated_at": self.clock.now,
        }  # fmt: skip
        empty: dict[str, Any] = dict.fromkeys(("order_no", "platform_refund_no", "account", "month", "bills"), "")
        lines = [
            empty | {name: value for name, value in row.items() if name != "channel"} | {
                "file": id, "line": number, "kind": "refund", "settled": 0, "fee": 0, "at": self.at(),
                "status": "proven",
            }
            for number, row in enumerate(rows, 1)
        ]  # fmt: skip

        def work(connection: Connection) -> None:
            connection.execute(FILES.insert(), file)
            connection.execute(STATEMENT_LINES.insert(), lines)

        await self.store.write(work)

    async def left(self) -> dict[str, int]:
        """What is on the accounts, those of 0 left out."""
        a, e = BOOKS.accounts.c, BOOKS.entries.c
        total = func.sum(e.amount)
        statement = select(a.name, total).join_from(BOOKS.accounts, BOOKS.entries, a.id == e.account)
        grouped = statement.group_by(a.name).order_by(a.name)
        rows = await self.store.read(lambda connection: connection.execute(grouped).all())
        found = {str(name): int(amount) for name, amount in rows}
        assert sum(found.values()) == 0
        return {name: amount for name, amount in found.items() if amount}


@asynccontextmanager
async def world(
    url: str,
    keyring: Keyring,
    folder: Path,
    risk: bool = False,
    change: Callable[[World], None] | None = None,
    **more: Any,
) -> AsyncIterator[World]:
    store = Store(url, MIGRATIONS.prepare)
    await store.start()
    try:
        await store.write(COMMANDS.metadata.create_all)
        at_rest = AtRest(store, STORE_KEY, keyring)
        await at_rest.open()
        made = World(store, at_rest, folder, risk, **more)
        await made.start()
        yield made
    finally:
        await store.close()


def states(order: Any) -> list[str]:
    return [str(line.state) for line in order.lines]


async def expired(at: World, **more: Any) -> Any:
    order = await at.paying(**more)
    at.clock.now += 900_000
    await at.run()
    gone = await at.order(order.order)
    assert gone.state == "expired"
    assert all(part.state == "voided" for part in gone.parts)
    assert await at.ask("payment-order-pay", order=order.order) == Refused("order-expired")
    return gone


class Killed(SQLAlchemyError):
    """As a process that ends there: nothing takes it for an order's own failure."""


class Reaper:
    """Ends a process at a point, the so-manieth time: from then on it does nothing, until another one goes on."""

    def __init__(self, point: str) -> None:
        self.point, self.left, self.dead = point, 0, False

    def reach(self, reached: str, id: str = "") -> None:
        self.left -= reached == self.point
        if self.dead or (self.left == 0 and reached == self.point):
            self.dead = True
            raise Killed
