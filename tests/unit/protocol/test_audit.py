"""The audit log's chain: what a verification finds, and what it finds by a head alone that was kept elsewhere."""

import json
from dataclasses import replace
from hashlib import sha256

import pytest

from protocol.audit import ACCEPTED, GENESIS, PRUNED, Broken, Head, Stored, Verification, canonical, following
from protocol.errors import BridgeError


def chain(count: int, name: str = "front-1") -> list[Stored]:
    head, records = Head(name), []
    for number in range(count):
        records.append(following(head, 1_000 + number, ACCEPTED, {"commands": [[f"r{number}", "work-order", "微信"]]}))
        head = records[-1].head
    return records


def found(records: list[Stored], *known: Head, anchor: Head | None = None) -> Broken | None:
    going = Verification(anchor or Head("front-1"), known)
    for record in records:
        broken = going.next(record)
        if broken:
            return broken
    return going.end()


def test_a_record_is_canonical_json_bound_to_the_one_before_it() -> None:
    [first, second] = chain(2)
    assert first.text == (
        '{"at":1000,"chain":"front-1","details":{"commands":[["r0","work-order","微信"]]},"event":"accepted",'
        f'"previous":"{GENESIS}","sequence":1}}'
    )
    assert first.hash == sha256(first.text.encode()).hexdigest()
    assert json.loads(second.text)["previous"] == first.hash
    assert canonical({"b": 1, "a": [True, None]}) == '{"a":[true,null],"b":1}'
    with pytest.raises(ValueError, match="JSON"):
        canonical({"a": float("nan")})


def test_a_whole_chain_holds() -> None:
    records = chain(5)
    assert found([]) is None
    assert found(records) is None
    assert found(records, records[2].head, records[4].head, Head("bridge-1", 9, GENESIS)) is None


def forged(record: Stored) -> Stored:
    """Another text, with its right hash."""
    text = record.text.replace("work-order", "meter-fault")
    return replace(record, text=text, hash=sha256(text.encode()).hexdigest())


def test_the_first_record_that_is_wrong_is_named() -> None:
    records = chain(6)
    changed = replace(records[2], text=records[2].text.replace("r2", "r9"))
    for broken, sequence, said in (
        ([*records[:2], changed, *records[3:]], 3, "was changed"),
        ([*records[:2], forged(records[2]), *records[3:]], 4, "does not follow"),
        ([*records[:2], *records[3:]], 3, "is missing"),
        ([*records[:2], records[3], records[2], *records[4:]], 3, "is missing"),
        (records[1:], 1, "is missing"),
        ([replace(records[0], at=5), *records[1:]], 1, "not the record that its columns say"),
        (chain(6, "front-2"), 1, "not the record that its columns say"),
        ([replace(records[0], text="[]", hash=sha256(b"[]").hexdigest())], 1, "is no record"),
    ):
        wrong = found(broken)
        assert wrong is not None
        assert (wrong.sequence, said in wrong.reason) == (sequence, True), wrong


def test_what_was_cut_off_or_made_anew_is_found_by_a_head_alone() -> None:
    records = chain(6)
    assert found(records[:4]) is None  # the chain by itself does not tell
    cut = found(records[:4], records[5].head)
    assert cut is not None
    assert (cut.sequence, "cut off" in cut.reason) == (5, True)
    anew, head = records[:2], records[1].head
    for number in range(4):
        anew.append(following(head, 2_000 + number, ACCEPTED, {"commands": []}))
        head = anew[-1].head
    assert found(anew) is None
    wrong = found(anew, records[3].head)
    assert wrong is not None
    assert (wrong.sequence, "made anew" in wrong.reason) == (4, True)


def test_what_was_pruned_is_vouched_for_by_the_chain() -> None:
    records = chain(5)
    anchor = records[2].head
    said = following(records[-1].head, 9_000, PRUNED, {"through": 3, "hash": anchor.hash})
    assert found([*records[3:], said], anchor=anchor) is None
    assert found([*records[3:], said], records[2].head, anchor=anchor) is None
    unsaid = found(records[3:], anchor=anchor)
    assert unsaid is not None
    assert "no record says that they were pruned" in unsaid.reason
    wrong = found([*records[3:], said], Head("front-1", 3, "f" * 64), anchor=anchor)
    assert wrong is not None
    assert "the anchor" in wrong.reason
    missing = found(records[4:], anchor=anchor)
    assert missing is not None
    assert missing.sequence == 4


def test_a_head_is_written_and_read() -> None:
    head = chain(1)[0].head
    assert Head.parsed(str(head)) == head
    for text in ("", "front-1:1", f"front-1:x:{GENESIS}", f"Front:1:{GENESIS}", f"front-1:1:{GENESIS}0"):
        with pytest.raises(BridgeError, match="is no head"):
            Head.parsed(text)
