"""What an operator at a front decided, as it travels."""

import pytest
from pydantic import ValidationError

from protocol.administration import Choice
from protocol.decisions import TYPE, Decision, LedgerEntry, Standing, checked_result
from protocol.errors import BridgeError, Malformed
from protocol.lifecycle import State
from protocol.operations import CATALOGUE

ENTRY = LedgerEntry(operation="work-order", source="front-1/wechat", reply_to="/queue/x", accepted_at=1)
DECISION = Decision(request="r-1", choice=Choice.APPLIED, by="root", note="看过", at=2, result="{}", command=ENTRY)


def test_it_comes_out_as_it_went_in() -> None:
    for envelope in (b"", b"\x01\n\x02\n"):
        assert Decision.from_payload(DECISION.payload(envelope)) == (DECISION, envelope)
    assert "result" not in repr(DECISION)
    assert TYPE not in CATALOGUE


@pytest.mark.parametrize("payload", [b"", b"\n", b"{}\n", b'{"request":"r"}\n', DECISION.payload()[:-10]])
def test_what_is_none_is_refused(payload: bytes) -> None:
    with pytest.raises(Malformed):
        Decision.from_payload(payload)


def test_a_newer_front_may_say_more() -> None:
    more = DECISION.payload().replace(b'{"request"', b'{"urgent":true,"request"', 1)
    assert Decision.from_payload(more)[0] == DECISION


def test_its_limits() -> None:
    for changes in ({"note": ""}, {"note": "x" * 401}, {"request": "a b"}, {"at": -1}, {"by": ""}):
        with pytest.raises(ValidationError):
            Decision.model_validate(DECISION.model_dump() | changes)


def test_how_a_command_stands() -> None:
    assert Standing.from_result(b'{"state":"held"}').state is State.HELD
    assert Standing.from_result(b"").state is None
    with pytest.raises(Malformed):
        Standing.from_result(b'{"state":"?"}')


def test_a_result_is_checked_without_telling_its_values() -> None:
    entry = CATALOGUE["work-order"]
    text = entry.responses.dump_json(entry.responses.validate_python(entry.example_answer)).decode()
    assert checked_result("work-order", text)
    with pytest.raises(BridgeError, match="no operation nothing"):
        checked_result("nothing", "{}")
    with pytest.raises(BridgeError) as raised:
        checked_result("work-order", '{"work_order": 5, "accepted_at": "secret"}')
    assert "work_order" in str(raised.value)
    assert "secret" not in str(raised.value)
