"""Named points at which a test lets a daemon kill itself: one on each side of every durable step of a command.

Nothing here does anything in an installation. A point is armed only by the environment variable `VARIABLE`, which
each daemon reads when it starts, and says so loudly::

    DMZ_BRIDGE_TEST_CRASH_AT=bridge.calling-committed                the first time it is reached
    DMZ_BRIDGE_TEST_CRASH_AT=bridge.calling-committed:3              the third time
    DMZ_BRIDGE_TEST_CRASH_AT=bridge.calling-committed:id=01a2...     the first time with this request
    DMZ_BRIDGE_TEST_CRASH_AT=file:/path                              as the file says, from when it is there

The end is a SIGKILL to itself: no cleanup runs, as with a power cut (but for what the kernel already has).
`reach` costs 35 ns while nothing is armed: 0.5 µs of the 850 µs that a command takes.
"""

import asyncio
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import ConfigurationError
from protocol.runtime.logs import logger

log = logger(__name__)

VARIABLE = "DMZ_BRIDGE_TEST_CRASH_AT"


class Point:
    """Every point. "Uncommitted" is inside the transaction: its SQL is done and its COMMIT is not.

    Plain strings, not an Enum: to name a member of that costs 0.4 µs in Python 3.11, a plain one 15 ns.
    """

    # --- the front: a command goes out
    FRONT_ACCEPT_DUE = "front.accept-due"
    """The command is sealed; the ledger does not know it."""
    FRONT_ACCEPT_UNCOMMITTED = "front.accept-uncommitted"
    """Its row is inserted, not committed."""
    FRONT_ACCEPT_COMMITTED = "front.accept-committed"
    """Its row is on disk; it was not offered to the link, and its caller knows nothing."""
    FRONT_ANSWER_DUE = "front.answer-due"
    """It was offered to the link, perhaps done; its caller is about to be told 202 or 200."""
    FRONT_SENT_UNCOMMITTED = "front.sent-uncommitted"
    """The broker's receipt is here; `sent` is written, not committed."""
    # --- both: the outbox
    OUTBOX_OFFERED = "outbox.offered"
    """An entry was handed to the link; nothing is on the socket yet."""
    OUTBOX_WRITTEN = "outbox.written"
    """Its frame is on the socket; the broker's receipt is not here."""
    OUTBOX_RECEIPTED = "outbox.receipted"
    """The receipt is here; nothing of it is recorded."""
    OUTBOX_RECORDED = "outbox.recorded"
    """The receipt is recorded (front: `sent`; bridge: `replied_at`)."""
    # --- the bridge: a command comes in
    BRIDGE_DELIVERED = "bridge.delivered"
    """A message of commands is here, and still closed."""
    BRIDGE_OPENED = "bridge.opened"
    """One of its envelopes was opened; it has no row."""
    BRIDGE_RECEIVED_UNCOMMITTED = "bridge.received-uncommitted"
    """Its row `received` is inserted, not committed."""
    BRIDGE_RECEIVED_COMMITTED = "bridge.received-committed"
    """Its row is on disk; the message is not acknowledged."""
    BRIDGE_ACKNOWLEDGED = "bridge.acknowledged"
    """The acknowledgement is on the socket."""
    BRIDGE_QUARANTINED = "bridge.quarantined"
    """A bad envelope is in the dead letters; its message is not acknowledged."""
    # --- the bridge: a command is worked on
    BRIDGE_CALLING_DUE = "bridge.calling-due"
    """A worker has the command; its row does not say so."""
    BRIDGE_CALLING_UNCOMMITTED = "bridge.calling-uncommitted"
    """`calling` is written, not committed."""
    BRIDGE_CALLING_COMMITTED = "bridge.calling-committed"
    """`calling` is on disk; no byte went to the marketing system."""
    BRIDGE_REQUEST_WRITTEN = "bridge.request-written"
    """A request to the marketing system is on the socket, its answer is not here. (Inquiries and queries count too.)"""
    BRIDGE_CALLED = "bridge.called"
    """The call is over; nothing of what came of it is recorded."""
    BRIDGE_INQUIRY_DUE = "bridge.inquiry-due"
    """About to ask what became of an earlier call."""
    BRIDGE_INQUIRED = "bridge.inquired"
    """The inquiry is over; nothing of what it found is recorded."""
    BRIDGE_MOVED_UNCOMMITTED = "bridge.moved-uncommitted"
    """Back to `received`, or `unknown`, is written, not committed."""
    BRIDGE_MOVED_COMMITTED = "bridge.moved-committed"
    """It is on disk; what comes next was not begun."""
    BRIDGE_FINISHED_UNCOMMITTED = "bridge.finished-uncommitted"
    """The outcome (or `held`) and the sealed reply are written, not committed."""
    BRIDGE_FINISHED_COMMITTED = "bridge.finished-committed"
    """They are on disk; the reply was not offered to the link."""
    BRIDGE_REPLIED_UNCOMMITTED = "bridge.replied-uncommitted"
    """The reply's receipt is here; that it was is written, not committed."""
    BRIDGE_DECISION_FOUND = "bridge.decision-found"
    """An operator's decision about a held row was read; nothing was done about it."""
    # --- the bridge: commands of its own
    BRIDGE_LOCAL_RECORDED = "bridge.local-recorded"
    """Commands that the bridge gives itself are on disk; nothing was begun with them."""
    BRIDGE_TAKEN_UNCOMMITTED = "bridge.taken-uncommitted"
    """Their consumer has taken outcomes, and the rows say so, not committed."""
    BRIDGE_TAKEN_COMMITTED = "bridge.taken-committed"
    """That is on disk."""
    BRIDGE_PEER_TOLD_UNCOMMITTED = "bridge.peer-told-uncommitted"
    """The outcome that another region's bridge told is written, not committed."""
    BRIDGE_PEER_TOLD_COMMITTED = "bridge.peer-told-committed"
    """It is on disk; its message is not acknowledged."""
    # --- the bridge: notices
    BRIDGE_PUSHES_COMMITTED = "bridge.pushes-committed"
    """Pushes and their notices are on disk; who pushed was not answered, and nothing was sent."""
    BRIDGE_NOTICE_UNCOMMITTED = "bridge.notice-uncommitted"
    """Notices are inserted with their push, not committed."""
    BRIDGE_NOTICE_CONFIRMED = "bridge.notice-confirmed"
    """A front's receipt for notices is here; nothing of it is recorded."""
    BRIDGE_CONFIRMATION_UNCOMMITTED = "bridge.confirmation-uncommitted"
    """It is recorded, not committed."""
    BRIDGE_CONFIRMATION_COMMITTED = "bridge.confirmation-committed"
    """It is on disk; the next of these streams was not sent."""
    # --- the bridge: clearing
    BRIDGE_CLEARING_UNCOMMITTED = "bridge.clearing-uncommitted"
    """A statement's rows are booked, summed into sheets or taken back, not committed."""
    BRIDGE_SHEET_UNCOMMITTED = "bridge.sheet-uncommitted"
    """What a person did with a sheet is written and booked, not committed."""
    BRIDGE_SHEET_COMMITTED = "bridge.sheet-committed"
    """It is on disk; who did it was not answered, and its file not handed out."""
    # --- the bridge: statements
    BRIDGE_STATEMENT_READ = "bridge.statement-read"
    """A statement has its verdict; that its file is done with is not recorded."""
    BRIDGE_STATEMENT_ITEMS_COMMITTED = "bridge.statement-items-committed"
    """Some items of a run are on disk; the run is not at its end."""
    BRIDGE_STATEMENT_MATCHED_UNCOMMITTED = "bridge.statement-matched-uncommitted"
    """A run may act, or waits for approval: written, not committed."""
    BRIDGE_STATEMENT_ACTING_UNCOMMITTED = "bridge.statement-acting-uncommitted"
    """Commands for items are recorded with them, not committed."""
    BRIDGE_STATEMENT_ACTING_COMMITTED = "bridge.statement-acting-committed"
    """They are on disk; nobody works on them."""
    BRIDGE_STATEMENT_OUTCOME_UNCOMMITTED = "bridge.statement-outcome-uncommitted"
    """What came of an item's command is written and booked, not committed."""
    BRIDGE_STATEMENT_ORDER_UNCOMMITTED = "bridge.statement-order-uncommitted"
    """How far orders are with items that were handed to them is written, not committed."""
    # --- the bridge: withholding
    BRIDGE_BATCH_SEALED_UNCOMMITTED = "bridge.batch-sealed-uncommitted"
    """A batch's bytes are written, not committed."""
    BRIDGE_BATCH_SEALED_COMMITTED = "bridge.batch-sealed-committed"
    """They are on disk; nothing was handed to the files."""
    BRIDGE_BATCH_SUBMITTED = "bridge.batch-submitted"
    """The file is to be handed over; its batch does not know it."""
    BRIDGE_ANSWER_JUDGED = "bridge.answer-judged"
    """A bank's answer is accepted, on disk; nothing of its lines is."""
    BRIDGE_ANSWER_UNCOMMITTED = "bridge.answer-uncommitted"
    """Some of its lines and what follows of them are written, not committed."""
    BRIDGE_ANSWER_COMMITTED = "bridge.answer-committed"
    """They are on disk; the next ones are not."""
    # --- the bridge: payment orders
    BRIDGE_PROOF_UNCOMMITTED = "bridge.proof-uncommitted"
    """A proof of payment, or of a refund, is written with its booking, not committed."""
    BRIDGE_PROOF_COMMITTED = "bridge.proof-committed"
    """It is on disk; nothing that follows from it was begun, and who passed it on knows nothing."""
    BRIDGE_REFUND_UNCOMMITTED = "bridge.refund-uncommitted"
    """A refund is asked for, perhaps one of several of its payment, not committed."""
    BRIDGE_ORDER_UNCOMMITTED = "bridge.order-uncommitted"
    """What is next for an order is written with its commands and bookings, not committed."""
    BRIDGE_ORDER_COMMITTED = "bridge.order-committed"
    """It is on disk; none of the commands was begun with."""
    # --- the bridge: people decide about money
    BRIDGE_DESK_COMMITTED = "bridge.desk-committed"
    """What a person decided about an order, a batch, a line or an item is on disk; nothing that follows was begun, the
    audit does not have it, and whoever decided was not answered.
    """
    # --- the bridge: a restart
    BRIDGE_RECOVERY_UNCOMMITTED = "bridge.recovery-uncommitted"
    """Rows found `calling` are made `unknown`, not committed."""
    BRIDGE_RECOVERY_COMMITTED = "bridge.recovery-committed"
    """That is on disk; nothing was taken up again."""
    # --- the bridge: a query
    BRIDGE_QUERY_OPENED = "bridge.query-opened"
    """A query was opened by a slot; it was not asked."""
    # --- the front: a reply comes in
    FRONT_REPLY_DELIVERED = "front.reply-delivered"
    """A message of command replies is here, and still closed."""
    FRONT_REPLY_OPENED = "front.reply-opened"
    """One of its envelopes was opened; the ledger knows nothing of it."""
    FRONT_TOLD_UNCOMMITTED = "front.told-uncommitted"
    """What the replies say is written to the ledger, not committed."""
    FRONT_TOLD_COMMITTED = "front.told-committed"
    """It is on disk; the message is not acknowledged, and no caller was woken."""
    FRONT_REPLY_ACKNOWLEDGED = "front.reply-acknowledged"
    """The acknowledgement is written; no caller was woken."""
    FRONT_NOTICE_UNCOMMITTED = "front.notice-uncommitted"
    """Notices are inserted, not committed."""
    FRONT_NOTICE_COMMITTED = "front.notice-committed"
    """They are on disk; the bridge was not told."""
    FRONT_CALLBACK_ANSWERED = "front.callback-answered"
    """An application has answered a callback; nothing of it is recorded."""
    FRONT_DELIVERED_UNCOMMITTED = "front.delivered-uncommitted"
    """That a callback was accepted is written, not committed."""
    FRONT_DELIVERED_COMMITTED = "front.delivered-committed"
    """It is on disk; the next of its stream was not begun."""
    FRONT_SUBMISSION_DELIVERED = "front.submission-delivered"
    """Something for another region's bridge is here, and not sent on."""
    FRONT_SUBMISSION_SENT = "front.submission-sent"
    """The broker has it for that region; its message is not acknowledged."""
    FRONT_HOLD_UNCOMMITTED = "front.hold-uncommitted"
    """Commands undelivered for a week are named `held`, not committed."""


POINTS = frozenset(value for name, value in vars(Point).items() if name.isupper())


@dataclass(slots=True)
class _Armed:
    point: str
    left: int
    id: str
    file: Path | None = None
    """Says the rest, and may come, change and go while the daemon runs."""
    said: str = ""

    def heard(self) -> "_Armed":
        """Itself, as its file says by now."""
        if self.file is not None:
            said = self.file.read_text().strip() if self.file.exists() else ""
            if said != self.said:
                now = _parsed(said) if said else _Armed("", 0, "")
                self.said, self.point, self.left, self.id = said, now.point, now.left, now.id
        return self


_armed: _Armed | None = None

_TURNS = 3
"""Turns of the loop until what was handed to a transport is on the socket: batcher, transport, event loop."""


def arm(environment: Mapping[str, str]) -> None:
    """Arm the point that `VARIABLE` names, if it is set. Raises ConfigurationError for one that does not exist."""
    global _armed
    wanted = environment.get(VARIABLE, "")
    _armed = _parsed(wanted) if wanted else None
    if _armed is not None:
        log.warning("CRASH-POINT-ARMED", point=wanted, meaning="a test: this process will kill itself", set_by=VARIABLE)


def reach(point: str, id: str = "") -> None:
    """Die here if this point is armed, for the time and the request that were asked for."""
    if _armed is not None:
        _reached(_armed.heard(), point, id)


def reach_written(point: str, id: str = "") -> None:
    """The same, once what was handed to a transport in this turn of the event loop is on its socket."""
    if _armed is not None and _armed.heard().point == point:
        _after(asyncio.get_running_loop(), _TURNS, _armed, point, id)


def _after(loop: asyncio.AbstractEventLoop, turns: int, armed: _Armed, point: str, id: str) -> None:
    if turns:
        loop.call_soon(_after, loop, turns - 1, armed, point, id)
    else:
        _reached(armed, point, id)


def _reached(armed: _Armed, point: str, id: str) -> None:
    if point != armed.point or (armed.id and id != armed.id):
        return
    armed.left -= 1
    if armed.left == 0:
        log.warning("CRASH-POINT-REACHED", point=point, request_id=id)
        os.kill(os.getpid(), signal.SIGKILL)


def _parsed(wanted: str) -> _Armed:
    name, _, condition = wanted.partition(":")
    if name == "file" and condition:
        return _Armed("", 0, "", Path(condition))
    if name not in POINTS:
        raise ConfigurationError(f"{VARIABLE}: {name!r} is not a crash point")
    if condition.startswith("id="):
        return _Armed(name, 1, condition.removeprefix("id="))
    if not condition:
        return _Armed(name, 1, "")
    if not condition.isascii() or not condition.isdigit() or int(condition) < 1:
        raise ConfigurationError(f"{VARIABLE}: after the point comes :N or :id=ID, not {condition!r}")
    return _Armed(name, int(condition), "")
