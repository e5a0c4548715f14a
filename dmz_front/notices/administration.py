"""What an administrator asks about notices: those that wait or are dead, one of them, deliver them again.

What a notice says stays sealed: it is the application's and the customer's.
"""

from collections.abc import Callable, Mapping
from typing import Any

from dmz_front.notices.ledger import NoticeLedger
from protocol.administration import ListNotices, NoticeReport, RedeliverNotices, ShowNotice, asked
from protocol.errors import BridgeError
from protocol.runtime.audit import Act
from protocol.runtime.control import Answer, Peer


class NoticeAdministration:
    """Answers the questions."""

    def __init__(self, ledger: NoticeLedger, act: Act, hurry: Callable[[], None]) -> None:
        """`act` writes down who had what delivered again."""
        self._ledger, self._act, self._hurry = ledger, act, hurry

    def answers(self) -> Mapping[str, Answer]:
        """What can be asked."""
        return {"notices": self.list, "notice": self.show, "redeliver-notices": self.redeliver}

    async def list(self, request: Mapping[str, Any], _peer: Peer) -> list[dict[str, Any]]:
        """Notices in some states, the oldest first."""
        question = asked(ListNotices, request)
        rows = await self._ledger.listed(question.states, question.application, question.limit)
        return [_report(row).model_dump(mode="json") for row in rows]

    async def show(self, request: Mapping[str, Any], _peer: Peer) -> dict[str, Any]:
        """One."""
        question = asked(ShowNotice, request)
        row = await self._ledger.one(question.id)
        if row is None:
            raise BridgeError(f"there is no notice {question.id}: never recorded here, or forgotten")
        return _report(row).model_dump(mode="json")

    async def redeliver(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """Deliver again: those named, or all that are dead of an application."""
        question = asked(RedeliverNotices, request)
        if bool(question.ids) == bool(question.application):
            raise BridgeError("name notices, or an application whose dead ones are meant")
        count = await self._ledger.redeliver(question.ids, question.application)
        await self._act(
            "redeliver-notices", peer.behind(question.sudo_user), notices=list(question.ids[:10]),
            application=question.application, count=count,
        )  # fmt: skip
        self._hurry()
        return {"count": count}


def _report(row: Any) -> NoticeReport:
    return NoticeReport(
        id=row.id, application=row.application, kind=row.kind, callback=row.callback, state=row.state,
        attempts=row.attempts, recorded=row.recorded_at, next=row.next_at if row.state == "waiting" else 0,
        updated=row.updated_at, fault=row.fault, stream=row.stream, sequence=row.sequence,
    )  # fmt: skip
