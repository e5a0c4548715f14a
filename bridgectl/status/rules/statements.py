"""Statements: late, missing or refused ones; runs that stand; differences that people have to resolve."""

from collections.abc import Iterator

from bridgectl.language import tr, trn
from bridgectl.status.observation import Observation
from bridgectl.status.rules.naming import some
from bridgectl.status.trouble import Level, Trouble
from protocol.money import text
from protocol.reports.bridge import BridgeReport
from protocol.reports.settlement import StatementsReport

_CROSSING = ("file-host-key-changed", "file-place-unreachable", "files-refused", "files-waiting", "no-bridge")


def statements(seen: Observation) -> Iterator[Trouble]:
    if isinstance(seen.bridge, BridgeReport):
        told = seen.bridge.statements
        yield from _absent(told)
        yield from _files(told)
        yield from _runs(told)
        yield from _items(told)


def _absent(told: StatementsReport) -> Iterator[Trouble]:
    if told.missing:
        count = len(told.missing)
        yield Trouble(
            Level.CRITICAL,
            "statement-missing",
            trn("{count} statement is missing", "{count} statements are missing", count),
            some(told.missing),
            told.missing_since,
            hurts=tr("what customers paid that day is not compared: who paid and is not written off stays so"),
            mend=tr("ask the platform; a day without business: bridgectl settle empty KIND DAY --note WHY"),
            because=_CROSSING,
        )
    if told.late:
        yield Trouble(
            Level.WARNING,
            "statement-late",
            trn("{count} statement is late", "{count} statements are late", len(told.late)),
            some(told.late),
            told.late_since,
            hurts=tr("what was paid that day is not compared yet"),
            mend=tr("bridgectl files list on the front's host; if nothing came, ask the platform"),
            because=_CROSSING,
        )


def _files(told: StatementsReport) -> Iterator[Trouble]:
    if told.refused:
        unbelieved = any(one.endswith(": statement-missing") for one in told.refused)
        yield Trouble(
            Level.CRITICAL if unbelieved else Level.WARNING,
            "statement-refused",
            trn("{count} statement has no effect", "{count} statements have no effect", len(told.refused)),
            some(told.refused),
            told.refused_since,
            hurts=tr("nothing of it is compared"),
            mend=tr(
                "bridgectl settle files, then bridgectl settle show ID: line, column and both values; ask for it again"
            ),
        )
    if told.conflicting:
        yield Trouble(
            Level.WARNING,
            "statement-conflicting",
            trn(
                "{count} statement came again with other content",
                "{count} statements came again with other content",
                len(told.conflicting),
            ),
            tr("the one that came first counts until somebody decides"),
            told.conflicting_since,
            hurts=tr("if the later one is right, differences stay unseen"),
            mend=f"bridgectl settle accept {told.conflicting[0]}",
        )


def _runs(told: StatementsReport) -> Iterator[Trouble]:
    if told.incomplete:
        yield Trouble(
            Level.WARNING,
            "statement-run-incomplete",
            trn("{count} statement cannot be compared", "{count} statements cannot be compared", len(told.incomplete)),
            some(sorted(set(told.incomplete))),
            told.incomplete_since,
            hurts=tr("it is tried again by itself; until then nothing of it is written off or reversed"),
            mend="bridgectl settle runs --state waiting",
            because=("interface-failing", "system-failing", "operations-paused", "operation-unserved"),
        )
    if told.approvals:
        yield Trouble(
            Level.WARNING,
            "statement-run-approval",
            trn("{count} run waits for approval", "{count} runs wait for approval", len(told.approvals)),
            tr("together {yuan} yuan: it may be a wrong file", yuan=text(told.approvals_fen)),
            told.approvals_since,
            hurts=tr("what it found is not written off and not reversed"),
            mend=f"bridgectl settle approve {told.approvals[0]} --dry-run",
        )


def _items(told: StatementsReport) -> Iterator[Trouble]:
    if told.not_done:
        yield Trouble(
            Level.WARNING,
            "statement-action-refused",
            trn(
                "the marketing system refused what {count} difference demands",
                "the marketing system refused what {count} differences demand",
                told.not_done,
            ),
            since=told.held_since,
            hurts=tr("a payment is not written off, or a refund not reversed"),
            mend="bridgectl settle items --state held",
        )
    if told.held > told.not_done:
        yield Trouble(
            Level.WARNING,
            "statement-items-held",
            trn(
                "{count} difference waits for a person",
                "{count} differences wait for a person",
                told.held - told.not_done,
            ),
            tr("all that is held: {yuan} yuan", yuan=text(told.held_fen)),
            told.held_since,
            hurts=tr("the platform and the books do not agree"),
            mend="bridgectl settle items --state held; bridgectl settle resolve ID --note WHY",
        )
