"""Notices as an application that asks for them gets them."""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from dmz_front.notices.ledger import NoticeLedger
from dmz_front.problems.details import Problem
from protocol.envelope import Opener
from protocol.errors import EnvelopeError
from protocol.messages import Reply
from protocol.notices import Dispatch
from protocol.runtime.logs import logger

log = logger(__name__)

_RETRY_S = 5.0
Read = Callable[[str, int, int], Awaitable[tuple[list[dict[str, Any]], int, bool]]]


def reader(ledger: NoticeLedger, opener: Opener) -> Read:
    """Reads an application's notices after a place: documents, the place of the last, and whether there may be more.
    Raises Problem 503.
    """

    async def read(application: str, after: int, limit: int) -> tuple[list[dict[str, Any]], int, bool]:
        found, last = [], after
        try:
            rows = await ledger.page(application, after, limit)
        except SQLAlchemyError:
            raise Problem(503, "store-unavailable", retry_after_s=_RETRY_S) from None
        for place, id, envelope in rows:
            last = place
            try:
                opened = opener.authentic(envelope)
                reply = Reply.from_payload(opened.attributes, opened.payload)
                found.append(Dispatch.from_payload(reply.result).document(id))
            except EnvelopeError as error:  # its key was taken away
                log.error("notice-unreadable", notice=id, reason=error.reason)
        return found, last, len(rows) == limit  # those that cannot be read count: others come after them

    return read
