"""What customers are told of withholding."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from intranet_bridge.notices.outbox import Notices
from protocol.notices import Notice
from protocol.operations.notice_kinds import NoticeKind, WithholdingFailed
from protocol.times import CHINA


def not_paid(connection: Connection, notices: Callable[[], Notices], line: Any, tries: int, now: int) -> None:
    """Tell the customer, once a line, that the bank was asked so many times for its bill and is not asked again."""
    said = WithholdingFailed(account=line.account, month=line.month, amount_fen=line.amount + line.penalty, tries=tries)
    at = datetime.fromtimestamp(now / 1000, CHINA).isoformat(timespec="seconds")
    notice = Notice(kind=NoticeKind.WITHHOLDING_FAILED, at=at, data=said)
    notices().publish_in(connection, notice, f"withholding-{line.id}")
