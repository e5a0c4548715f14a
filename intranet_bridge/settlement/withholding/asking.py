"""What the marketing system says of bills and agreements, where it is bound: many accounts in one call."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence

from pydantic import BaseModel

from intranet_bridge.marketing import Answered, MarketingRequest
from intranet_bridge.marketing.calls import MarketingCalls
from protocol.messages import uuid7
from protocol.operations import CATALOGUE
from protocol.operations.settlement import (
    MOST_ACCOUNTS,
    OpenBill,
    OpenBills,
    OpenBillsQuery,
    WithholdingAgreement,
    WithholdingAgreements,
    WithholdingAgreementsQuery,
)
from protocol.runtime.clock import Clock

BILLS, AGREEMENTS = "open-bills", "withholding-agreements"
FREEZE, RELEASE, WRITE_OFF = "bill-freeze", "bill-release", "payment-writeoff"
CONSUMER = "withholding"
"""Who takes the outcomes of the commands among them."""


class NotNow(Exception):
    """The marketing system does not say it now; later it may."""


class Asking:
    """Of this bridge's marketing system."""

    def __init__(self, calls: Callable[[], MarketingCalls], clock: Clock) -> None:
        self._calls, self._clock = calls, clock

    def bound(self, operation: str) -> bool:
        """Whether it can be asked at all."""
        return operation in self._calls().operations

    async def bills(self, accounts: Iterable[str], as_of: str) -> Mapping[tuple[str, str], OpenBill] | None:
        """Open bills by account and month, with their penalties on a day. None: it cannot be asked. Raises NotNow."""
        if not self.bound(BILLS):
            return None
        found: dict[tuple[str, str], OpenBill] = {}
        for some in _parts(accounts):
            answer = await self._asked(BILLS, OpenBillsQuery(accounts=some, as_of=as_of))
            read = OpenBills.model_validate_json(answer)
            found |= {(bill.account, bill.month): bill for bill in read.bills}
        return found

    async def agreements(self, accounts: Iterable[str]) -> Mapping[str, Sequence[WithholdingAgreement]] | None:
        """Agreements in force, by account. None: it cannot be asked. Raises NotNow."""
        if not self.bound(AGREEMENTS):
            return None
        found: dict[str, list[WithholdingAgreement]] = {}
        for some in _parts(accounts):
            answer = await self._asked(AGREEMENTS, WithholdingAgreementsQuery(accounts=some))
            for one in WithholdingAgreements.model_validate_json(answer).agreements:
                found.setdefault(one.account, []).append(one)
        return found

    async def _asked(self, operation: str, body: BaseModel) -> bytes:
        calls = self._calls()
        if not calls.admit(operation):
            raise NotNow(f"{operation}: not called now")
        try:
            checked = CATALOGUE[operation].requests.validate_python(body)
            outcome = await calls.call(operation, MarketingRequest(uuid7(self._clock(), os.urandom(10)), checked))
        finally:
            calls.release(operation)
        if isinstance(outcome, Answered):
            return outcome.result
        raise NotNow(f"{operation}: {type(outcome).__name__}")


def _parts(accounts: Iterable[str]) -> Iterable[tuple[str, ...]]:
    each = sorted(set(accounts))
    for first in range(0, len(each), MOST_ACCOUNTS):
        yield tuple(each[first : first + MOST_ACCOUNTS])
