"""A letter must always fit, whatever is in it."""

import pytest

from protocol.link.dead_letter import LONGEST, dead_letter


@pytest.mark.parametrize("body", [b"", b"junk", b"x" * LONGEST], ids=["empty", "short", "longest"])
def test_a_body_is_kept_whole(body: bytes) -> None:
    letter = dead_letter("/queue/bridge.command.main", body, "malformed")
    assert letter.destination == "/queue/DLQ.bridge.command.main"
    assert letter.body == body
    assert letter.persistent
    assert letter.headers == {"reason": "malformed"}


def test_what_was_never_ours_is_cut_and_says_so() -> None:
    letter = dead_letter("/queue/bridge.command.main", b"x" * (LONGEST + 1), "malformed")
    assert len(letter.body) == LONGEST
    assert letter.headers == {"reason": "malformed", "truncated-from": str(LONGEST + 1)}
