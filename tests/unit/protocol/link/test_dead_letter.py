"""A letter must always fit, whatever is in it."""

import json
from hashlib import sha256

import pytest

from protocol.link.dead_letter import LONGEST, UNOPENED, dead_letter


@pytest.mark.parametrize("body", [b"", b"junk", b"x" * LONGEST], ids=["empty", "short", "longest"])
def test_a_body_is_kept_whole(body: bytes) -> None:
    letter = dead_letter("/queue/bridge.command.main", body, "not-bound")
    assert letter.destination == "/queue/DLQ.bridge.command.main"
    assert letter.body == body
    assert letter.persistent
    assert letter.headers == {"reason": "not-bound"}


def test_what_was_never_ours_is_cut_and_says_so() -> None:
    letter = dead_letter("/queue/bridge.command.main", b"x" * (LONGEST + 1), "not-bound")
    assert len(letter.body) == LONGEST
    assert letter.headers == {"reason": "not-bound", "truncated-from": str(LONGEST + 1)}


@pytest.mark.parametrize("reason", sorted(UNOPENED))
def test_of_what_cannot_be_opened_a_digest_is_kept(reason: str) -> None:
    body = b"x" * 190_000
    letter = dead_letter("/queue/bridge.command.main", body, reason)
    said = json.loads(letter.body)
    assert len(letter.body) < 500
    assert (said["reason"], said["sha256"], said["size"]) == (reason, sha256(body).hexdigest(), 190_000)
    assert "not possible" in said["redrive"]
    assert letter.headers == {"reason": reason, "kept": "digest"}
