"""Withholding: batches not sealed or not answered, answers without effect, lines whose money is in doubt."""

from collections.abc import Iterator

from bridgectl.language import tr, trn
from bridgectl.status.observation import Observation
from bridgectl.status.rules.naming import some
from bridgectl.status.trouble import Level, Trouble
from protocol.money import text
from protocol.reports.bridge import BridgeReport


def withholding(seen: Observation) -> Iterator[Trouble]:
    report = seen.bridge
    if not isinstance(report, BridgeReport) or not report.withholding.enabled:
        return
    told = report.withholding
    if told.stuck:
        yield Trouble(
            Level.CRITICAL,
            "withholding-not-sealable",
            trn(
                "{count} batch of withholding cannot be sealed", "{count} batches of withholding cannot be sealed",
                len(told.stuck),
            ),
            some([one.id for one in told.stuck]),
            hurts=tr("none of its bills is charged"),
            mend=f"bridgectl withholding show {told.stuck[0].id}",
        )  # fmt: skip
    if told.waiting:
        yield Trouble(
            Level.WARNING,
            "withholding-not-sealed",
            trn(
                "{count} batch of withholding should have been sealed",
                "{count} batches of withholding should have been sealed",
                len(told.waiting),
            ),
            some([one.id for one in told.waiting]),
            hurts=tr("none of its bills is charged"),
            mend=f"bridgectl withholding show {told.waiting[0].id}",
        )
    if told.overdue:
        yield Trouble(
            Level.CRITICAL,
            "withholding-overdue",
            trn(
                "{count} batch of withholding was not answered in time",
                "{count} batches of withholding were not answered in time",
                len(told.overdue),
            ),
            some([one.id for one in told.overdue]),
            hurts=tr("what the bank charged is not written off, and its bills stay frozen"),
            mend=tr("ask the bank; if it never had the file: bridgectl withholding resend {id}", id=told.overdue[0].id),
            because=("file-place-unreachable", "file-host-key-changed", "files-refused", "no-bridge"),
        )
    if told.refused:
        yield Trouble(
            Level.WARNING,
            "withholding-answer-refused",
            trn("{count} answer of a bank has no effect", "{count} answers of banks have no effect", len(told.refused)),
            some(told.refused),
            hurts=tr("what the bank charged by it is not written off"),
            mend=tr("bridgectl withholding show BATCH, and ask the bank for the right one"),
        )
    doubtful = told.held + told.not_booked + told.not_released
    if doubtful:
        yield Trouble(
            Level.WARNING,
            "withholding-lines-held",
            trn("{count} line of withholding waits for a person", "{count} lines of withholding wait for a person",
                doubtful),
            tr("{yuan} yuan were charged of them", yuan=text(told.held_fen)),
            hurts=tr("the customer has paid, and the bill is open, or was not his to pay"),
            mend="bridgectl withholding lines",
        )  # fmt: skip
