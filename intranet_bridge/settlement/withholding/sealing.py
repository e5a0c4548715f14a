"""A batch is made ready, sealed and sent, on its day.

Each line is checked first: the agreement is in force, the bill is open and free; what is not so is dropped. Then the
bills are frozen, where the marketing system can do that. A batch that something keeps from being sealed is checked
again: an agreement may end meanwhile, a bill be corrected, and one that nothing holds be paid; a frozen bill that is
dropped is released. When no line waits for any of it, the bytes are made and put on record, with their digest:
whatever is sent later, and sent again, is these. From then on the bank is asked, whatever becomes of the agreement.

A bill that is in a payment order is not sent to the bank, nor frozen: its line is dropped, and made again when the
order lets it go unpaid (drafting.py). One that an order has written off since its company was asked is dropped for
good: a batch may wait long between the two, and of another region nobody is asked. And an order does not take a bill
whose line is frozen or sealed (payments/records.py); which of two at once was first, records.py decides.
"""

import asyncio
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, func, select

from intranet_bridge.at_rest import AtRest
from intranet_bridge.commands.internal import InternalCommands
from intranet_bridge.files.service import Files
from intranet_bridge.notices.outbox import Notices
from intranet_bridge.settlement.days import day_of
from intranet_bridge.settlement.withholding import holds, records
from intranet_bridge.settlement.withholding.asking import AGREEMENTS, BILLS, FREEZE, Asking, NotNow
from intranet_bridge.settlement.withholding.files import Batch, Charge, NotSealable, Sealed, seal
from intranet_bridge.settlement.withholding.life import BatchState, LineState, sealing_due
from intranet_bridge.settlement.withholding.records import Arrangement, L
from intranet_bridge.settlement.withholding.rows import BATCHES, CONTENT, LINES
from intranet_bridge.settlement.withholding.telling import not_paid
from protocol.errors import BridgeError
from protocol.operations.orders import BILL_IN_USE
from protocol.operations.payment import BILL_NOT_OPEN, NO_SUCH_AGREEMENT
from protocol.operations.refusals import BILL_FROZEN
from protocol.operations.settlement import OpenBill, WithholdingAgreement
from protocol.operations.withholding import NO_ARRANGEMENT
from protocol.runtime.clock import Clock
from protocol.runtime.crash_points import Point, reach
from protocol.runtime.file_store import FileState
from protocol.runtime.logs import logger
from protocol.runtime.store import Store

log = logger(__name__)

_AT_ONCE = 500
"""Lines of one transaction, or of one look at the marketing system."""
_KNOWN_FOR_MS = 3_600_000
"""What was said of a bill and its agreement is believed for so long."""
_PIECE = 1 << 20
_MOST_FINDINGS = 100


class _BeingPaid(Exception):
    """A bill of the batch is in a payment order, or was paid by one: nothing of the transaction may stay."""


class Sealing:
    """What makes batches ready and sends them."""

    def __init__(
        self, arrangements: Mapping[str, Arrangement], *, store: Store, at_rest: AtRest, asking: Asking,
        commands: Callable[[], InternalCommands], files: Callable[[], Files | None], notices: Callable[[], Notices],
        clock: Clock,
    ) -> None:  # fmt: skip
        self._arrangements, self._store, self._at_rest = arrangements, store, at_rest
        self._asking, self._commands, self._files, self._clock = asking, commands, files, clock
        self._notices = notices
        self._unsealable: dict[str, int] = {}
        """Batch → its version when it could not be sealed."""

    async def look(self) -> None:
        """Go on with each batch whose day has come. Raises what the store raises."""
        now = datetime.fromtimestamp(self._clock() / 1000, UTC)
        wanted = {BatchState.DRAFTED, BatchState.SEALED, BatchState.OVERDUE}
        names = self._arrangements.keys()
        for batch in await self._store.read(partial(records.batches_in, wanted=wanted, names=names)):
            arrangement = self._arrangements[batch.name]
            if batch.state != BatchState.DRAFTED:
                if not batch.sent_at:
                    await self.send(arrangement, batch)
            elif sealing_due(batch.day, arrangement.seal_at, now) and await self.ready(arrangement, batch):
                await self.seal(arrangement, batch.id)

    # --- ready ----------------------------------------------------------------------------------------------

    async def ready(self, arrangement: Arrangement, batch: Any) -> bool:
        """Check lines that were not checked lately, have their bills frozen; whether nothing is waited for any more."""
        if not self._askable(arrangement):
            return True
        since = self._clock() - _KNOWN_FOR_MS
        while lines := await self._unchecked(batch.id, since):
            try:
                await self._check(arrangement, batch, lines)
            except NotNow as error:
                log.warning("withholding-not-checked", batch=batch.id, reason=str(error))
                return False
        waiting = select(func.count()).where(L.batch == batch.id, L.state == LineState.WAITING, L.hold == "asked")
        return not await self._store.read(lambda connection: connection.execute(waiting).scalar_one())

    def _askable(self, arrangement: Arrangement) -> bool:
        """Whether anything can be found out before the bank does: another region's is not this bridge's to ask."""
        return not arrangement.region and any(map(self._asking.bound, (BILLS, AGREEMENTS, FREEZE)))

    async def _unchecked(self, batch: str, since: int) -> Sequence[Any]:
        wanted = select(LINES).where(
            L.batch == batch, L.state == LineState.WAITING, L.checked_at < since
        ).order_by(L.id).limit(_AT_ONCE)  # fmt: skip
        found: Sequence[Any] = await self._store.read(lambda connection: connection.execute(wanted).all())
        return found

    async def _check(self, arrangement: Arrangement, batch: Any, lines: Sequence[Any]) -> None:
        accounts = {line.account for line in lines}
        agreements = await self._asking.agreements(accounts)
        bills = await self._asking.bills(accounts, batch.day.isoformat())
        freezes, banks = self._asking.bound(FREEZE), arrangement.section.agreements

        def write(connection: Connection) -> None:
            now = self._clock()
            commands = []
            used = {line.id for line in records.being_paid(connection, batch.id)}
            paid = {line.id for line in records.paid_since(connection, batch.id)} if bills is None else ()
            for line in lines:
                code, values = judged(
                    line, agreements, bills, banks=banks, being_paid=line.id in used, paid=line.id in paid
                )  # fmt: skip
                if code:
                    self._drop(connection, arrangement, line, code)
                    continue
                freezing = freezes and not line.hold
                if freezing:
                    values["hold"] = "asked"
                    commands.append(holds.freeze(arrangement, line))
                mine = L.id == line.id, L.state == LineState.WAITING, L.checked_at == line.checked_at
                if "bank_account" in values:
                    values["pay_account"] = self._at_rest.seal(values.pop("bank_account").encode(), line.id)
                changed = LINES.update().where(*mine).values(checked_at=now, updated_at=now, **values)
                if not connection.execute(changed).rowcount and freezing:
                    commands.pop()
            records.touched(connection, batch.id, now)
            if commands:
                self._commands().record(connection, commands)

        await self._store.write(write)
        self._commands().begin()
        self._notices().hurry()

    # --- sealing --------------------------------------------------------------------------------------------

    async def seal(self, arrangement: Arrangement, id: str) -> bool:
        """Make the bytes and put them on record, once. False: it is not sealed, or not by this."""
        row = await self._store.read(lambda connection: records.batch_of(connection, id))
        if row.state != BatchState.DRAFTED or self._unsealable.get(id) == row.version:
            return False
        lines = await self._store.scan(partial(_waiting, batch=id))
        if not lines:
            return await self._store.write(partial(self._dropped, id=id, version=row.version))
        if self._askable(arrangement) and any(not line.checked_at or line.hold == "asked" for line in lines):
            return False  # it came after `ready` had looked
        try:
            sealed, pieces = await asyncio.to_thread(self._made, arrangement, row, lines)
        except NotSealable as refused:
            self._unsealable[id] = row.version
            await self._store.write(partial(self._not_sealable, id=id, lines=lines, refused=refused))
            log.error("withholding-not-sealable", batch=id, findings=len(refused.findings))
            return False
        try:
            done = await self._store.write(partial(self._sealed, row=row, sealed=sealed, pieces=pieces))
        except _BeingPaid:
            await self._store.write(partial(self._drop_paid, arrangement=arrangement, id=id))
            self._commands().begin()
            return False
        reach(Point.BRIDGE_BATCH_SEALED_COMMITTED, id)
        if done:
            log.info("withholding-sealed", batch=id, lines=sealed.count, fen=sealed.total, sha256=sealed.sha256)
        return done

    def _made(self, arrangement: Arrangement, row: Any, lines: Sequence[Any]) -> tuple[Sealed, list[bytes]]:
        charges = tuple(
            Charge(
                line.id, line.account, row.unit, self._at_rest.unseal(line.pay_account, line.id).decode(),
                line.quantity, line.bill, line.month.replace("-", ""), line.amount, line.penalty,
            )
            for line in lines
        )  # fmt: skip
        sealed = seal(Batch(row.org, row.unit, row.day, row.bank, row.in_transit, charges))
        content = sealed.content
        pieces = [content[at : at + _PIECE] for at in range(0, len(content), _PIECE)]
        return sealed, [self._at_rest.seal(piece, f"{row.id}/{number}") for number, piece in enumerate(pieces)]

    def _sealed(self, connection: Connection, row: Any, sealed: Sealed, pieces: Sequence[bytes]) -> bool:
        now = self._clock()
        mine = BATCHES.c.id == row.id, BATCHES.c.state == BatchState.DRAFTED, BATCHES.c.version == row.version
        values = {
            "state": BatchState.SEALED, "file_name": sealed.name, "sha256": sealed.sha256, "size": len(sealed.content),
            "count": sealed.count, "total": sealed.total, "findings": "[]", "sealed_at": now, "updated_at": now,
        }  # fmt: skip
        if not connection.execute(BATCHES.update().where(*mine).values(values)).rowcount:
            return False  # a line came or went, or another bridge has sealed it
        rows = [{"batch": row.id, "number": number, "content": piece} for number, piece in enumerate(pieces)]
        connection.execute(CONTENT.insert(), rows)
        asked = LINES.update().where(L.batch == row.id, L.state == LineState.WAITING)
        connection.execute(asked.values(state=LineState.REQUESTED, updated_at=now))
        if records.being_paid(connection, row.id) or records.paid_since(connection, row.id):
            raise _BeingPaid
        reach(Point.BRIDGE_BATCH_SEALED_UNCOMMITTED, row.id)
        return True

    def _drop_paid(self, connection: Connection, arrangement: Arrangement, id: str) -> None:
        for line in records.being_paid(connection, id):
            self._drop(connection, arrangement, line, BILL_IN_USE.code)
        for line in records.paid_since(connection, id):
            self._drop(connection, arrangement, line, BILL_NOT_OPEN.code)

    def _drop(self, connection: Connection, arrangement: Arrangement, line: Any, code: str) -> None:
        now = self._clock()
        if not records.leave(connection, line, LineState.DROPPED, now, code):
            return
        holds.end(connection, self._commands(), arrangement, line, now)
        if code == BILL_IN_USE.code:
            records.again(connection, line.id, day_of(now) + timedelta(1), now)
        elif line.tries and code in (NO_SUCH_AGREEMENT.code, NO_ARRANGEMENT.code):
            # the customer believes that the bank will be asked once more
            not_paid(connection, self._notices, line, line.tries, now)

    def _dropped(self, connection: Connection, id: str, version: int) -> bool:
        now = self._clock()
        mine = BATCHES.c.id == id, BATCHES.c.state == BatchState.DRAFTED, BATCHES.c.version == version
        gone = BATCHES.update().where(*mine).values(state=BatchState.DROPPED, closed_at=now, updated_at=now)
        return bool(connection.execute(gone).rowcount)

    def _not_sealable(self, connection: Connection, id: str, lines: Sequence[Any], refused: NotSealable) -> None:
        findings = [
            {
                "line": lines[one.line - 2].id if one.line and one.line > 1 else "",
                "column": one.column, "what": one.what,
            }
            for one in refused.findings[:_MOST_FINDINGS]
        ]  # fmt: skip
        mine = BATCHES.c.id == id, BATCHES.c.state == BatchState.DRAFTED
        said = BATCHES.update().where(*mine).values(findings=json.dumps(findings), updated_at=self._clock())
        connection.execute(said)

    # --- sending --------------------------------------------------------------------------------------------

    async def content(self, id: str) -> bytes:
        """A sealed batch's bytes, as they are on record. Raises BridgeError if it has none."""
        batch, pieces = await self._store.read(partial(_recorded, id=id))
        if batch is None or not pieces:
            raise BridgeError(f"{id}: no such batch is sealed")
        return await asyncio.to_thread(self._opened, id, pieces)

    def _opened(self, id: str, pieces: Sequence[Any]) -> bytes:
        return b"".join(self._at_rest.unseal(bytes(piece), f"{id}/{number}") for number, piece in enumerate(pieces))

    async def send(self, arrangement: Arrangement, batch: Any) -> None:
        """Hand a sealed batch over, and find out whether it has come to the bank's place."""
        files = self._files()
        if files is None:
            log.error("withholding-no-files", batch=batch.id)
            return
        if not batch.file:
            await self._submit(files, arrangement, batch)
            return
        row = await files.files.find(batch.file)
        if row is not None and row.state is FileState.ACCEPTED:
            await self._store.write(partial(self.sent_in, id=batch.id))

    def sent_in(self, connection: Connection, id: str) -> bool:
        """A sealed batch is with the bank, in time or not."""
        now = self._clock()
        late = BATCHES.update().where(BATCHES.c.id == id, BATCHES.c.state == BatchState.OVERDUE)
        return records.move_batch(connection, id, BatchState.SENT, now, sent_at=now) or bool(
            connection.execute(late.values(sent_at=now, updated_at=now)).rowcount
        )

    async def _submit(self, files: Files, arrangement: Arrangement, batch: Any) -> None:
        section, content = arrangement.section, await self.content(batch.id)
        try:
            file = await files.submit(section.target, section.request_profile, batch.file_name, content)
        except BridgeError as error:
            log.error("withholding-not-submitted", batch=batch.id, reason=str(error))
            return
        reach(Point.BRIDGE_BATCH_SUBMITTED, batch.id)
        mine = BATCHES.update().where(BATCHES.c.id == batch.id).values(file=file, updated_at=self._clock())
        await self._store.write(lambda connection: connection.execute(mine).rowcount)

    async def resend(self, arrangement: Arrangement, batch: Any) -> str:
        """Hand the same bytes over once more; the file's id. Raises BridgeError while that is under way."""
        files = self._files()
        if files is None:
            raise BridgeError("no files cross here: files.enabled is off")
        if not batch.sealed_at:
            raise BridgeError(f"{batch.id} is {batch.state}: only a sealed batch is sent again")
        section = arrangement.section
        content = await self.content(batch.id)
        file = await files.submit(section.target, section.request_profile, batch.file_name, content)
        row = await files.files.find(file)
        if row is None or row.state is FileState.SENDING:
            return file  # it is on its way
        if await files.files.again(file, FileState.SENDING, True) is None:
            raise BridgeError(f"{batch.id} is on its way")
        await files.sweep()
        return file


def judged(
    line: Any,
    agreements: Mapping[str, Sequence[WithholdingAgreement]] | None,
    bills: Mapping[tuple[str, str], OpenBill] | None,
    *,
    banks: Collection[str] = (),
    being_paid: bool = False,
    paid: bool = False,
) -> tuple[str, dict[str, Any]]:
    """Why a line is dropped, or what changes of it: the bill as it is on the batch's day. `banks`: whose agreements the
    batch's bank charges by, empty: all; `being_paid`: by a payment order; `paid`: by one, as far as is known. Pure.
    """
    values: dict[str, Any] = {}
    if being_paid:
        return BILL_IN_USE.code, {}
    if paid:
        return BILL_NOT_OPEN.code, {}
    bill = bills.get((line.account, line.month)) if bills is not None else None
    if bills is not None and (bill is None or bill.bill != line.bill or bill.amount + bill.penalty == 0):
        return BILL_NOT_OPEN.code, {}  # before the agreement: who has paid is not told that the bank will not
    if agreements is not None:
        mine = [one for one in agreements.get(line.account, ()) if one.agreement == line.agreement]
        if not mine:
            return NO_SUCH_AGREEMENT.code, {}
        if banks and mine[0].bank not in banks:
            return NO_ARRANGEMENT.code, {}
        values["bank_account"] = mine[0].bank_account
    if bill is not None:
        if bill.frozen not in (None, line.batch):
            return BILL_FROZEN.code, {}
        values |= {"amount": bill.amount, "penalty": bill.penalty}
    return "", values


def _waiting(connection: Connection, batch: str) -> Sequence[Any]:
    columns = (
        L.id, L.account, L.pay_account, L.quantity, L.bill, L.month, L.amount, L.penalty, L.checked_at, L.hold,
    )  # fmt: skip
    wanted = select(*columns).where(L.batch == batch, L.state == LineState.WAITING)
    return sorted(connection.execute(wanted).all(), key=lambda line: (len(line.id), line.id))


def _recorded(connection: Connection, id: str) -> tuple[Any, Sequence[Any]]:
    wanted = select(CONTENT.c.content).where(CONTENT.c.batch == id).order_by(CONTENT.c.number)
    return records.batch_of(connection, id), connection.execute(wanted).scalars().all()
