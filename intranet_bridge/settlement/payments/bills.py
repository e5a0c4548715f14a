"""What companies say of bills: which are open, and what they come to. Asked before an order is made, when a payment
came too late, and for who wants to see what is owed at several companies.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date

from pydantic import BaseModel

from intranet_bridge.marketing import Answered, MarketingRequest, Outcome, Refused
from intranet_bridge.marketing.calls import MarketingCalls
from intranet_bridge.settlement.payments.orders import Bill, Company
from protocol.messages import uuid7
from protocol.operations import CATALOGUE
from protocol.operations import orders as catalogue
from protocol.operations.bills import Arrears, ArrearsQuery
from protocol.runtime.clock import Clock
from protocol.values import immutable

OPERATION = "arrears-query"
UNAVAILABLE = "unavailable"
"""A company cannot say it now."""
ELSEWHERE = "elsewhere"
"""A company whose marketing system another bridge has, which does not say it now."""
_AT_ONCE = 8


@immutable
class Owed:
    """What the companies said."""

    said: Mapping[tuple[str, str], Arrears]
    """By company and account."""
    missing: Mapping[tuple[str, str], str]
    """Why of these nothing is said: the company's no, UNAVAILABLE or ELSEWHERE."""

    @property
    def bills(self) -> dict[Bill, int]:
        """What each open bill comes to, with its penalty."""
        return {
            (company, account, one.month): one.amount + one.penalty
            for (company, account), arrears in self.said.items()
            for one in arrears.unpaid
        }


class Bills:
    """Asks the companies, by their own bridges where they have others."""

    def __init__(
        self,
        calls: Callable[[], MarketingCalls],
        clock: Clock,
        elsewhere: Callable[[str, str, BaseModel], Awaitable[Outcome]],
    ) -> None:
        """`elsewhere`: a query of another region's marketing system."""
        self._calls, self._clock, self._elsewhere = calls, clock, elsewhere

    async def owed(
        self, accounts: Sequence[tuple[str, str]], companies: Mapping[str, Company], as_of: date | None = None
    ) -> Owed:
        """What these accounts (company, account) owe, several asked at once. `as_of`: the day penalties are counted
        to; None: today.
        """
        places = asyncio.Semaphore(_AT_ONCE)

        async def asked(company: str, account: str) -> Arrears | str:
            async with places:
                return await self._asked(companies[company], account, as_of)

        wanted = list(dict.fromkeys(accounts))
        answers = await asyncio.gather(*(asked(*one) for one in wanted))
        by_account = dict(zip(wanted, answers, strict=True))
        return Owed(
            {one: said for one, said in by_account.items() if isinstance(said, Arrears)},
            {one: said for one, said in by_account.items() if isinstance(said, str)},
        )

    async def _asked(self, company: Company, account: str, as_of: date | None) -> Arrears | str:
        query = ArrearsQuery(account=account, as_of=str(as_of) if as_of else None)
        if company.region:
            outcome: Outcome | None = await self._elsewhere(company.region, OPERATION, query)
        else:
            outcome = await self._call(query)
        match outcome:
            case Answered(result):
                answer = CATALOGUE[OPERATION].responses.validate_json(result)
                assert isinstance(answer, Arrears)
                return answer
            case Refused(code):
                return code
            case _:
                return ELSEWHERE if company.region else UNAVAILABLE

    async def _call(self, body: ArrearsQuery) -> Outcome | None:
        calls = self._calls()
        if not calls.admit(OPERATION):
            return None
        try:
            return await calls.call(OPERATION, MarketingRequest(uuid7(self._clock(), os.urandom(10)), body))
        finally:
            calls.release(OPERATION)


def combined(asked: Sequence[catalogue.AccountOf], owed: Owed) -> catalogue.CombinedBill:
    """What is answered of these accounts, in their order."""
    found, missing = [], []
    for one in asked:
        key = one.company, one.account
        if (arrears := owed.said.get(key)) is None:
            code = owed.missing.get(key, UNAVAILABLE)
            missing.append(catalogue.Unanswered(company=one.company, account=one.account, code=code))
            continue
        bills = tuple(
            catalogue.OpenBill(bill=bill.month, amount=bill.amount, penalty=bill.penalty) for bill in arrears.unpaid
        )
        found.append(catalogue.AccountOwes(company=one.company, account=one.account, total=arrears.total, bills=bills))
    total = sum(one.total for one in found)
    return catalogue.CombinedBill(total=total, owed=tuple(found), unanswered=tuple(missing))
