"""Payment orders, as the bridge answers for them (catalogue, protocol/operations/orders.py), and the loop behind them.

A handler works within one transaction; what is next is begun by the loop (looking.py), in transactions of its own, so
that a proof is on disk whatever else fails.
"""

import asyncio
import base64
import hashlib
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

from pydantic import BaseModel
from sqlalchemy import Connection

from intranet_bridge.at_rest import StoreKeyClosed
from intranet_bridge.marketing import MarketingRequest, Refused
from intranet_bridge.own import Handler
from intranet_bridge.settlement.part import Part as SettlementPart
from intranet_bridge.settlement.payments import acting, forgetting, told
from intranet_bridge.settlement.payments.acting import RISK_REVIEW
from intranet_bridge.settlement.payments.bills import ELSEWHERE, UNAVAILABLE, Bills, Owed, combined
from intranet_bridge.settlement.payments.channels import Channel, Offer
from intranet_bridge.settlement.payments.desk import OrdersDesk
from intranet_bridge.settlement.payments.evidence import (
    EvidenceInvalid,
    NoPayment,
    Notification,
    PaymentProof,
    Proof,
    RefundProof,
)
from intranet_bridge.settlement.payments.looking import CLOSED, Looking, unseen
from intranet_bridge.settlement.payments.orders import (
    Bill,
    Line,
    Order,
    OrderEvent,
    OrderRefused,
    Part,
    RefundEvent,
    Refusal,
    bills_judged,
    judged,
    refund,
    repeated,
)
from intranet_bridge.settlement.payments.records import (
    DEAD,
    UNPAID,
    Made,
    Stored,
    bills_of,
    create,
    in_use,
    load,
    number_of_request,
    order_of_refund,
)
from intranet_bridge.settlement.payments.risk import Subject
from intranet_bridge.settlement.payments.risk_records import Asked as RiskAsked
from intranet_bridge.settlement.payments.risk_records import RiskRecords
from intranet_bridge.settlement.payments.saga import cash_of
from intranet_bridge.settlement.ports import Ports
from intranet_bridge.settlement_sections.risk import Verdict
from protocol.errors import IllegalMove
from protocol.operations import orders as catalogue
from protocol.operations.orders import LineState, Meant, OrderState, RefundState
from protocol.operations.refusals import NO_SUCH_ACCOUNT
from protocol.reports.settlement import PaymentOrdersReport
from protocol.runtime.control import Answer
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.jobs import Jobs
from protocol.runtime.logs import logger
from protocol.runtime.metrics import Sample
from protocol.runtime.store import Work

log = logger(__name__)

_LOOK_S = 1.0
_MOST_DUE = 100
_RESERVED_WITHIN_S = 4.0
"""So long an order's caller waits for its coupons and points: then it asks again."""
_COUNT_S = 15.0
_DAY_MS = 86_400_000
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NO_ORDER = Refused(catalogue.NO_SUCH_ORDER.code)
T = TypeVar("T")
_Handle = Callable[[Offer, MarketingRequest], Awaitable[BaseModel | Refused]]


class Payments(SettlementPart):
    """All about payment orders at the bridge."""

    def __init__(self, offer: Offer | None, ports: Ports, risk: RiskRecords | None = None) -> None:
        """`offer` None: no orders are taken. `risk` None: nothing is judged."""
        self._offer, self._ports, self._risk = offer, ports, risk
        self._bills = Bills(ports.calls, ports.clock, ports.elsewhere)
        self._looking = Looking(lambda: self._offer, ports, self._bills)
        self.desk = OrdersDesk(ports, self._looking.acting, self._looking.hurry)
        self._report, self._jobs = PaymentOrdersReport(), Jobs()
        self._started = False
        self.meant: Counter[tuple[str, str]] = Counter()
        """(channel, what a notification meant) → how many."""

    def offer(self, offer: Offer | None) -> None:
        """Go by these settings and keys from now on."""
        self._offer = offer
        if offer is not None and self._started:
            self._looking.begin()

    @property
    def offered(self) -> bool:
        """Whether orders are taken."""
        return self._offer is not None

    def acting(self, stored: Stored) -> acting.Acting:
        """What is done about an order, within its transaction: for who has a proof of it besides."""
        return self._looking.acting(stored)

    def handlers(self) -> Mapping[str, Handler]:
        """Who answers what of the catalogue."""
        handlers: dict[str, _Handle] = {
            "combined-bill": self._combined,
            "payment-order-create": self._create,
            "payment-order": self._show,
            "payment-order-pay": self._pay,
            "payment-confirm": self._confirm,
            "payment-cancel": self._cancel,
            "refund-request": self._refund,
            "refund-confirm": self._refund_confirm,
        }
        return {name: self._offered(handle) for name, handle in handlers.items()}

    def _offered(self, handle: _Handle) -> Handler:
        async def handled(asked: MarketingRequest) -> BaseModel | Refused:
            if self._offer is None:
                return Refused(catalogue.NOT_OFFERED.code)
            if not self._looking.begun:  # its commands would have no consumer yet
                raise StoreKeyClosed("the bridge is starting")
            try:
                return await handle(self._offer, asked)
            except OrderRefused as error:
                detail = f"line {error.line}" if error.line is not None else ""
                return Refused(str(error.code), detail)

        return handled

    def hurry(self) -> None:
        """Something is due of an order."""
        self._looking.hurry()

    async def start(self) -> None:
        """Go on with what was begun. (What is under way of orders that are taken no more waits until they are.)"""
        self._started = True
        if self._offer is not None:
            self._looking.begin()
        await self._jobs.now_and_every(_COUNT_S, "count payment orders", self._count)
        self._jobs.start()

    async def forget(self, before: int) -> None:
        """Orders that ended long enough ago, whatever the requests' time is."""
        if self._offer is None:
            return
        since = self._ports.clock() - self._offer.section.keep_days * _DAY_MS
        await self._ports.store.in_batches(
            lambda connection: forgetting.old(connection, since),
            lambda connection, numbers: forgetting.forget(connection, numbers, since),
        )

    def standing(self) -> str:
        """What stands still for ever (runtime/watchdog.py)."""
        return self._jobs.standing()

    async def close(self) -> None:
        """Stop."""
        await self._jobs.close()
        await self._looking.close()

    async def _count(self) -> None:
        if self._offer is not None:
            self._report = await self.desk.report()

    def answers(self) -> Mapping[str, Answer]:
        """What an administrator of this host can ask."""
        return self.desk.answers()

    def reports(self) -> Mapping[str, BaseModel]:
        """What it adds to the bridge's report."""
        return {"orders": self._report}

    async def _read(self, number: str) -> Stored | None:
        now = self._ports.clock()
        return await self._ports.store.snapshot(lambda connection: load(connection, number, now, lock=False))

    async def _written(self, number: str, work: Callable[[Stored], BaseModel | Refused]) -> BaseModel | Refused:
        """`work` on an order in a transaction; then the loop looks at it."""

        def within(connection: Connection) -> BaseModel | Refused:
            stored = load(connection, number, self._ports.clock())
            return _NO_ORDER if stored is None else work(stored)

        answer = await self._ports.store.write(within)
        self._looking.hurry()
        return answer

    # --- bills, and making an order ------------------------------------------------------------------------

    async def _combined(self, offer: Offer, asked: MarketingRequest) -> BaseModel | Refused:
        accounts: Sequence[catalogue.AccountOf] = asked.body.accounts
        known, missing = [], {}
        for one in accounts:
            company = offer.companies.get(one.company)
            if company is None:
                missing[one.company, one.account] = catalogue.NO_SUCH_COMPANY.code
            elif not re.fullmatch(company.account_pattern, one.account):
                missing[one.company, one.account] = NO_SUCH_ACCOUNT.code
            else:
                known.append((one.company, one.account))
        owed = await self._bills.owed(known, offer.companies)
        # who asks is not to be told how companies are spread over bridges
        said = {one: UNAVAILABLE if code == ELSEWHERE else code for one, code in owed.missing.items()}
        return combined(accounts, Owed(owed.said, said | missing))

    async def _create(self, offer: Offer, asked: MarketingRequest) -> BaseModel | Refused:
        body: catalogue.OrderCreate = asked.body
        number = number_of(asked.request_id)
        if (known := await self._read(number)) is None:
            channel = offer.channels.get(body.channel)
            if channel is None:
                return Refused(catalogue.NO_SUCH_CHANNEL.code)
            order = ordered(number, body, self._ports.clock() + offer.section.expires_s * 1000)
            judged(order, offer.companies, channel.section.max_lines)
            owed = await self._looking.owed(offer, order.lines)
            for code in sorted(owed.missing.values()):
                if code != ELSEWHERE:
                    return Refused(code if code in CLOSED else catalogue.BILLS_UNKNOWN.code)
            made = Made(asked.request_id, asked.application, body.payer or "", body.parts)
            refused = await self._ports.store.write(partial(self._made, offer=offer, order=order, owed=owed, made=made))
            if refused is not None:
                return refused
            reach(Point.BRIDGE_ORDER_COMMITTED, number)
            self._ports.commands().begin()
            self._looking.hurry()
        known = await self._reserved(number)
        if known.code == Refusal.COUPON_INVALID:
            return Refused(catalogue.COUPON_INVALID.code)
        return told.standing(known)

    def _made(self, connection: Connection, *, offer: Offer, order: Order, owed: Owed, made: Made) -> Refused | None:
        if number_of_request(connection, made.request) is not None:
            return None
        try:
            used = in_use(connection, bills_of(order.lines))
            bills_judged(order, owed.bills, used, unseen(offer, order))
        except OrderRefused as error:
            return Refused(str(error.code), f"line {error.line}")
        verdict = self._judged(connection, order, made, owed)
        if verdict is Verdict.REFUSE:
            return Refused(catalogue.RISK_REFUSED.code)  # returned, for the decision is to stay on record
        if verdict is Verdict.REVIEW:
            made.code = RISK_REVIEW
        now = self._ports.clock()
        create(connection, order, made, now)
        stored = load(connection, order.number, now)
        assert stored is not None, "it was just made"
        self._looking.acting(stored).advance()
        return None

    def _judged(self, connection: Connection, order: Order, made: Made, owed: Owed) -> Verdict:
        if self._risk is None:
            return Verdict.ALLOW
        bill, for_bills = measured(order.lines, owed.bills)
        asked = RiskAsked(
            order.number, Subject.ORDER, f"{made.application}:{made.payer}" if made.payer else "", order.amount, bill,
            for_bills, tuple((line.company, line.account) for line in order.lines),
        )  # fmt: skip
        return self._risk.judged(connection, asked).verdict

    async def _reserved(self, number: str) -> Stored:
        """The order, once its coupons and points are reserved, or after a while."""
        end = asyncio.get_running_loop().time() + _RESERVED_WITHIN_S
        while True:
            moved = self._looking.moved
            stored = await self._read(number)
            assert stored is not None, "it was just made"
            left = end - asyncio.get_running_loop().time()
            if stored.order.state is not OrderState.CREATED or left <= 0:
                return stored
            try:
                async with asyncio.timeout(left):
                    await moved.wait()
            except TimeoutError:
                pass

    # --- an order's life -----------------------------------------------------------------------------------

    async def _show(self, offer: Offer, asked: MarketingRequest) -> BaseModel | Refused:
        stored = await self._read(asked.body.order)
        return told.standing(stored) if stored and _may(stored, asked) else _NO_ORDER

    async def _pay(self, offer: Offer, asked: MarketingRequest) -> BaseModel | Refused:
        def work(at: Stored) -> BaseModel | Refused:
            if not _may(at, asked):
                return _NO_ORDER
            state = at.order.state
            if state in DEAD or (state in UNPAID and at.now >= at.order.expires_at):
                return Refused(catalogue.ORDER_EXPIRED.code)
            if at.order.payments or state not in UNPAID:
                return Refused(catalogue.ORDER_PAID.code)
            if state is OrderState.CREATED:
                return Refused(catalogue.NOT_RESERVED.code)
            if state is OrderState.RESERVED:
                if not at.use_bills():
                    return Refused(catalogue.BILL_IN_USE.code)
                at.move(OrderEvent.PAY)
            return told.standing(at)

        return await self._written(asked.body.order, work)

    async def _cancel(self, offer: Offer, asked: MarketingRequest) -> BaseModel | Refused:
        def work(at: Stored) -> BaseModel | Refused:
            if not _may(at, asked):
                return _NO_ORDER
            if at.order.payments:
                return Refused(catalogue.ORDER_PAID.code)
            if at.order.state in UNPAID:
                at.move(OrderEvent.CANCEL)
                at.put(due_at=at.now)
            return told.standing(at)

        return await self._written(asked.body.order, work)

    # --- proofs --------------------------------------------------------------------------------------------

    async def _confirm(self, offer: Offer, asked: MarketingRequest) -> BaseModel | Refused:
        body: catalogue.PaymentConfirm = asked.body
        channel = offer.channels.get(body.channel)
        if channel is None:
            return Refused(catalogue.NO_SUCH_CHANNEL.code)
        try:
            content, proof = _verified(channel, body, asked)
        except EvidenceInvalid as error:
            return self._forged(channel, error)
        digest = hashlib.sha256(content).hexdigest()
        meant, order, number = Meant.NOTHING, "", None
        match proof:
            case PaymentProof():
                order = proof.order
                paid = partial(self._paid, channel=channel.name, proof=proof, digest=digest, source=asked.source)
                if channel.section.applications:
                    said = {"order": order, "cash": str(proof.cash)}
                    meant = await self._ports.transact(
                        paid, "payment-trusted", asked.source, lambda meant: {**said, "meant": meant}
                    )
                else:
                    meant = await self._ports.store.write(as_first(paid, lambda meant: meant is Meant.REPEATED))
            case RefundProof():
                number = proof.number
                meant, order = await self._proven(channel, proof)
            case NoPayment():
                log.info("nothing-paid", channel=channel.name, said=proof.said)
        reach(Point.BRIDGE_PROOF_COMMITTED, order)
        if meant is Meant.NOT_OURS:
            log.warning("proof-of-nothing-of-ours", channel=channel.name)
            order, number = "", None
        self.meant[channel.name, meant] += 1
        self._looking.hurry()
        acknowledgement = catalogue.Acknowledgement(
            status=200, media_type=channel.evidence.media_type, body=channel.evidence.taken
        )
        return catalogue.PaymentConfirmed(
            meant=meant, order=order or None, refund=number, acknowledgement=acknowledgement
        )

    def _forged(self, channel: Channel, error: EvidenceInvalid) -> Refused:
        self.meant[channel.name, "refused"] += 1
        log.warning("evidence-invalid", channel=channel.name, reason=error.reason)
        return Refused(catalogue.EVIDENCE_INVALID.code, error.reason)

    def _paid(self, connection: Connection, channel: str, proof: PaymentProof, digest: str, source: str) -> Meant:
        stored = load(connection, proof.order, self._ports.clock())
        if stored is None:
            return Meant.NOT_OURS
        return self._looking.acting(stored).prove(channel, proof, digest, source)

    async def _proven(self, channel: Channel, proof: RefundProof) -> tuple[Meant, str]:
        def prove(connection: Connection) -> tuple[Meant, str]:
            return acting.prove_refund(connection, channel.name, proof, self._ports.clock(), self._looking.acting)

        return await self._ports.store.write(as_first(prove, lambda proven: proven[0] is Meant.REPEATED))

    # --- refunds -------------------------------------------------------------------------------------------

    async def _refund(self, offer: Offer, asked: MarketingRequest) -> BaseModel | Refused:
        body: catalogue.RefundRequest = asked.body
        refusal: list[OrderRefused] = []

        def work(at: Stored) -> BaseModel | Refused:
            if not _may(at, asked) or body.line not in at.lines:
                return _NO_ORDER
            if at.lines[body.line].refund_request != asked.request_id:
                if self._refund_judged(at, body, asked.request_id) is Verdict.REFUSE:
                    return Refused(catalogue.RISK_REFUSED.code)
                try:
                    self._ask_refund(at, body.line, body.cash)
                except OrderRefused as error:
                    refusal.append(error)
                    return Refused(str(error.code))
                at.put_line(body.line, refund_request=asked.request_id)
            return told.refund_of_line(at, body.line)

        answer = await self._written(body.order, work)
        self._ports.commands().begin()
        return answer

    def _refund_judged(self, at: Stored, body: catalogue.RefundRequest, id: str) -> Verdict:
        if self._risk is None:
            return Verdict.ALLOW
        payer = f"{at.application}:{at.payer}" if at.payer else ""
        amount = body.cash or at.order.line(body.line).amount
        return self._risk.judged(at.connection, RiskAsked(id, Subject.REFUND, payer, amount)).verdict

    def _ask_refund(self, at: Stored, number: int, cash: int | None) -> None:
        """Raises OrderRefused, and then nothing is changed."""
        acts, line = self._looking.acting(at), at.order.line(number)
        in_flight = [one for one in at.order.refunds if one.line == number and one.state is not RefundState.PROVEN]
        if in_flight and in_flight[0].state is RefundState.FAILED:
            at.refund(repeated(in_flight[0]).number, RefundEvent.REPEAT)
        elif line.state is LineState.WRITTEN_OFF:
            if at.lines[number].asked:
                raise OrderRefused(Refusal.REFUND_IN_FLIGHT, number)
            if cash is not None and cash != cash_of(at.order)[number]:
                raise OrderRefused(Refusal.LINE_NOT_REFUNDABLE, number)  # companies reverse a payment whole
            acts.reverse(line)
        elif line.state is LineState.REFUNDING:
            acts.request_refund(number, cash)
        else:
            refund(at.order, number, cash)  # refused: its refund is asked for by itself; else it says why not
            at.put(due_at=at.now)

    async def _refund_confirm(self, offer: Offer, asked: MarketingRequest) -> BaseModel | Refused:
        body: catalogue.RefundConfirm = asked.body
        order = await self._ports.store.read(lambda connection: order_of_refund(connection, body.refund))
        stored = await self._read(order) if order else None
        if order is None or stored is None or not _may(stored, asked):
            return Refused(catalogue.NO_SUCH_REFUND.code)
        if body.proof is not None:
            channel = offer.channels.get(stored.find_refund(body.refund).channel)
            if channel is None:
                return Refused(catalogue.EVIDENCE_INVALID.code)
            try:
                _, proof = _verified(channel, body.proof, asked)
            except EvidenceInvalid as error:
                return self._forged(channel, error)
            if not isinstance(proof, RefundProof) or proof.number != body.refund:
                return self._forged(channel, EvidenceInvalid("of-something-else"))
            meant, _ = await self._proven(channel, proof)
            reach(Point.BRIDGE_PROOF_COMMITTED, order)
            self.meant[channel.name, meant] += 1
            if meant not in (Meant.REFUND_PROVEN, Meant.REPEATED):
                return Refused(catalogue.EVIDENCE_INVALID.code, meant)

        def work(at: Stored) -> BaseModel | Refused:
            if body.said is not None:
                event = RefundEvent.SEND if body.said is catalogue.RefundSaid.SENT else RefundEvent.FAIL
                try:
                    acting.tell_refund(at, body.refund, event)
                except IllegalMove:
                    return Refused(catalogue.REFUND_NOT_SO.code)
            return told.refund(at, body.refund)

        return await self._written(order, work)

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics. Read by another thread: what grows is copied first."""
        for (channel, meant), count in list(self.meant.items()):
            labels = {"channel": channel, "meant": meant}
            yield "intranet_bridge_payment_proofs_total", "Channels' notifications, by what they meant", labels, count
        report = self._report
        for state, named in (("held", report.held), ("refund-unproven", report.unproven)):
            text = "Payment orders and refunds that somebody has to look at; at most 20 are counted"
            yield "intranet_bridge_payment_orders_waiting", text, {"state": state}, len(named)


def number_of(request: str) -> str:
    """The number of the order that a request makes: the same however often it is asked; 26 characters, as channels take
    them, growing with time as the fronts' ids do.
    """
    whole = request.replace("-", "") if _UUID.fullmatch(request) else hashlib.sha256(request.encode()).hexdigest()[:32]
    value = int(whole, 16)
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))


def ordered(number: str, body: catalogue.OrderCreate, expires_at: int) -> Order:
    """The order that is asked for. Raises OrderRefused for a promotion that it names twice."""
    if len({(part.kind, part.id) for part in body.parts}) < len(body.parts):
        raise OrderRefused(Refusal.COUPON_INVALID)
    return Order(
        number,
        body.channel,
        tuple(Line(at, line.company, line.account, line.amount, line.bills) for at, line in enumerate(body.lines, 1)),
        tuple(Part(f"P{at}", part.funder, part.amount) for at, part in enumerate(body.parts, 1)),
        expires_at=expires_at,
    )


def as_first(work: Work[T], repeated: Callable[[T], bool]) -> Work[T]:
    """Says again what it said the first time when that is repeated only because its commit, done, seemed to fail."""
    before: list[T] = []

    def within(connection: Connection) -> T:
        found = work(connection)
        if not (before and repeated(found)):
            before[:] = [found]
        return before[0]

    return within


def measured(lines: Iterable[Line], owed: Mapping[Bill, int]) -> tuple[int, int]:
    """What bills come to, and what pays them, in fen, for the rules of risk. A prepayment has no bill to be measured
    against, and neither has a line of another region's company that did not say what is owed.
    """
    bill = paid = 0
    for line in lines:
        known = [owed[one] for one in bills_of([line]) if one in owed]
        if known:
            bill, paid = bill + sum(known), paid + line.amount
    return bill, paid


def _may(stored: Stored, asked: MarketingRequest) -> bool:
    return bool(stored.application == asked.application)


def _verified(channel: Channel, said: catalogue.ChannelNotification, asked: MarketingRequest) -> tuple[bytes, Proof]:
    """The notification's bytes and what it proves. Raises EvidenceInvalid."""
    try:
        content = base64.b64decode(said.body, validate=True)
    except ValueError:
        raise EvidenceInvalid("layout") from None
    headers: dict[str, str] = {}
    for header in said.headers:
        if header.name.lower() in headers:
            raise EvidenceInvalid("header-twice")
        headers[header.name.lower()] = header.value
    return content, channel.evidence.verify(Notification(content, headers, asked.application))
