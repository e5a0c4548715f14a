"""What companies owe whose marketing system another region's bridge has."""

import asyncio
from typing import Any

import pytest
from pydantic_core import to_json

from intranet_bridge.marketing import Answered, NotApplied, Outcome, Refused, Unknown
from intranet_bridge.settlement.payments.bills import ELSEWHERE, OPERATION, Bills
from intranet_bridge.settlement.payments.orders import Company
from protocol.operations import CATALOGUE

ANSWER = CATALOGUE[OPERATION].example_answer
COMPANIES = {"water-east": Company("water-east", "east", "[0-9]+")}
ONE = ("water-east", "3210000000001")


@pytest.mark.parametrize(
    ("outcome", "missing"),
    [
        (Answered(to_json(ANSWER)), None),
        (Refused("no-such-account"), "no-such-account"),
        (NotApplied("no other region is configured", reached=False), ELSEWHERE),
        (Unknown("not in time", timed_out=True), ELSEWHERE),
    ],
)
def test_its_own_bridge_says_it(outcome: Outcome, missing: str | None) -> None:
    asked: list[tuple[str, str]] = []

    async def elsewhere(region: str, operation: str, _body: Any) -> Outcome:
        asked.append((region, operation))
        return outcome

    bills = Bills(lambda: pytest.fail("no marketing system of this bridge is asked"), lambda: 0, elsewhere)
    owed = asyncio.run(bills.owed([ONE], COMPANIES))
    assert asked == [("east", OPERATION)]
    assert owed.missing == ({ONE: missing} if missing else {})
    assert bool(owed.said) == (missing is None)
