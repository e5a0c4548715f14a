"""Payment orders: those that are held, refunds that nothing proves."""

from collections.abc import Iterator

from bridgectl.language import tr, trn
from bridgectl.status.observation import Observation
from bridgectl.status.rules.naming import some
from bridgectl.status.trouble import Level, Trouble
from protocol.money import text
from protocol.reports.bridge import BridgeReport


def orders(seen: Observation) -> Iterator[Trouble]:
    report = seen.bridge
    if not isinstance(report, BridgeReport) or not report.orders.enabled:
        return
    told = report.orders
    if told.unproven:
        yield Trouble(
            Level.CRITICAL,
            "refund-unproven",
            trn(
                "{count} refund is proven by none of three statements",
                "{count} refunds are proven by none of three statements",
                len(told.unproven),
            ),
            some(told.unproven),
            hurts=tr("{yuan} yuan are owed to payers", yuan=text(told.unproven_fen)),
            mend=f"bridgectl orders show {told.unproven[0].split('-')[0]}",
            because=("file-place-unreachable", "file-host-key-changed", "files-refused"),
        )
    if told.held:
        yield Trouble(
            Level.WARNING,
            "order-held",
            trn("{count} payment order waits for a person", "{count} payment orders wait for a person", len(told.held)),
            some(told.held),
            hurts=tr("the payer has paid, and what became of it is not known"),
            mend=f"bridgectl orders show {told.held[0]}",
        )
