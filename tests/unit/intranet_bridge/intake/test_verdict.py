"""What the bridge alone asks for it takes from no front, however well the request is signed."""

import pytest

from intranet_bridge.intake.verdict import TAKE, Quarantine, verdict
from protocol.messages import Attributes
from protocol.operations import CATALOGUE, INTERNAL, Operation

NOW = 1_800_000_000_000


def judged(operation: Operation) -> object:
    lane = operation.kind
    attributes = Attributes(
        "00000000-0000-7000-8000-000000000001", "front-1/app", operation.name, NOW, deadline=NOW + 1000,
        reply_to=f"/queue/bridge.reply.{lane}.front-1",
    )  # fmt: skip
    return verdict(attributes, lane, CATALOGUE, NOW)


@pytest.mark.parametrize("name", ["writeoff-list", "bill-freeze", "arrears-query", "payment-writeoff"])
def test_only_what_fronts_offer_is_taken(name: str) -> None:
    expected = Quarantine("internal-operation") if name in INTERNAL else TAKE
    assert judged(CATALOGUE[name]) == expected
