"""Field types: real limits, and messages a caller can act on."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from protocol.operations import CATALOGUE
from protocol.operations.fields import (
    AccountNumber,
    AttachmentId,
    Attachments,
    CreditCode,
    Day,
    Fen,
    IdentityNumber,
    Kwh,
    Model,
    Month,
    Phone,
    Text,
    Timestamp,
    WorkOrderNumber,
)

CASES: list[tuple[Any, list[str], list[str]]] = [
    (
        AccountNumber,
        ["3210000000", "3210000000001", "54114172", "Z05396-0", "0001", "0" * 20],
        [
            "321",
            "0" * 21,
            "32100000000_1",
            "３２１０００００００",
            "",
            " 3210000000001",
            "3210\n",
            "a/../b",
            "户号00001",
        ],
    ),
    (
        Month,
        ["2026-01", "2026-12", "1999-10"],
        [
            "20261-1",
            "202-001",
            "2026-00",
            "2026-13",
            "2026-1",
            "202601",
            "26-01",
            "2026-01-01",
            "２０２６-01",
            "2026-+1",
            "2026/01",
            "+026-01",
        ],
    ),
    (
        Day,
        ["2026-02-28", "2024-02-29", "1999-12-31"],
        ["2026-02-29", "2026-13-01", "20260101", "2026-1-1", "2026-W01-1", "２０２６-01-01", "2026-01-01T00", ""],
    ),
    (
        Timestamp,
        ["2026-02-28T23:59:59Z", "2024-02-29T00:00:00+08:00", "2026-01-01T00:00:00.123456-05:30"],
        [
            "2026-02-28",
            "2026-02-28T23:59:59",
            "2026-02-28 23:59:59Z",
            "2026-02-29T00:00:00Z",
            "2026-02-28T24:00:00Z",
            "2026-02-28T00:00:00+0800",
            "2026-02-28T00:00:00+25:00",
            "1969-12-31T00:00:00Z",
            "2026-02-28T00:00:00Z\n",
            "２０２６-02-28T00:00:00Z",
            "",
        ],
    ),
    (
        Phone,
        ["1380000", "13800000001", "+8613800000001", "0531-8888-8888"],
        ["138000", "1380000000000001", "++8613800000001", "phone", "", "138 0000 0001", "１３８０００００"],
    ),
    (
        Kwh,
        ["0", "123456789", "1.5", "0.0001"],
        ["", "-1", "1.", ".5", "1.00001", "1234567890", "1e3", "1\n", "１２", "١"],
    ),
    (WorkOrderNumber, ["WO2026000001", "a-b-1"], ["abc", "x" * 41, "a b c", "工单000001", "WO2026\n"]),
    (
        IdentityNumber,
        ["11010519491231002X", "990101198002290038"],  # the first is the standard's own example
        [
            "110105194912310021",
            "11010519491231002",
            "11010519491231002X0",
            "１１０１０５１９４９１２３１００２X",
            "110105491231002",  # the 15 digits of before 1999
            "11010519491331002X",
            " 11010519491231002X",
            "11010519491231002X\n",
            "X10105194912310021",
            "",
        ],
    ),
    (
        CreditCode,
        ["91350100M000100Y43", "9199010110000000XX"],  # the first is the standard's own example
        [
            "91350100M000100Y44",
            "9135010OM000100Y43",
            "91350100m000100y43",
            "91350100M000100Y4",
            "91350100M000100Y430",
            "91350100M000100Y43\n",
            "91350100I000100Y43",
            "91M50100M000100Y43",
            "９1350100M000100Y43",
            "",
        ],
    ),
    (
        AttachmentId,
        ["01938f7a-7b7a-7cc3-98c4-dc0c0c07398f"],
        [
            "01938F7A-7B7A-7CC3-98C4-DC0C0C07398F",
            "01938f7a7b7a7cc398c4dc0c0c07398f",
            "{01938f7a-7b7a-7cc3-98c4-dc0c0c07398f}",
            "01938f7a-7b7a-7cc3-98c4-dc0c0c07398f\n",
            "../etc/passwd",
            "",
        ],
    ),
    (
        Text,
        [
            "x",
            "两行\n文字",
            "\tx",
            "䶮𠮷",
            "葛\U000e0100",  # an ideographic variation sequence
            "\U0001f469\u200d\U0001f527",  # a joined emoji
            "क्\u200dष",
            "\ue000",  # private use: a rare name of a GBK back end
            "a\u2800b",
            "e\u0301",
            "\u2764\ufe0f",
            "\U0003134f",  # newer than some Python's tables
        ],
        [
            "",
            "  ",
            "\u3000",
            "\u2800",
            "\u2800\u2800",
            "\ufe0f",
            "\U000e0100",
            "\u200d",
            "\u200c\u200d",
            "\u034f",
            "\u0301",
        ],
    ),
]
INVISIBLE = (
    *"\x00\x07\x0b\x0c\r\x1b\x1f\x7f\x80\x85\x9f\xad\u061c\u115f\u1160\u17b4\u180e\u200b\u200e\u200f\u2028\u2029",
    *"\u202a\u202b\u202c\u202d\u202e\u2060\u2062\u2064\u2065\u2066\u2067\u2068\u2069\u206a\u206f\u3164\ufdd0\ufdef\ufeff",
    *"\uffa0\ufff9\ufffb\ufffe\uffff\U0001bca0\U0001d173\U0001fffe\U000e0001\U000e0041\U000e007f\U0010ffff",
    "\ud800",
    "\udfff",
)


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, good, _ in CASES for value in good])
def test_taken(kind: Any, value: str) -> None:
    assert TypeAdapter(kind).validate_python(value) == value.strip()


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, _, bad in CASES for value in bad])
def test_refused(kind: Any, value: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)


@pytest.mark.parametrize("character", INVISIBLE, ids=lambda character: f"{ord(character):04X}")
@pytest.mark.parametrize("text", ["{}", "a{}b", "a{}"])
def test_what_cannot_be_seen_is_no_text_and_is_named(character: str, text: str) -> None:
    value = f"a{character}b" if character.isspace() else text.format(character)  # blanks at the ends are cut off
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Text).validate_python(value)
    if not "\ud800" <= character <= "\udfff":  # these pydantic refuses itself
        assert f"U+{ord(character):04X}" in str(caught.value)


@given(st.characters(categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="\n\t"))
def test_controls_of_any_block_are_refused(character: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Text).validate_python(f"a{character}b")


@pytest.mark.parametrize("field", ["contact_name", "address", "content"])
def test_every_text_of_a_work_order_keeps_the_rule_and_the_error_names_it(field: str) -> None:
    order = CATALOGUE["work-order"]
    with pytest.raises(ValidationError) as caught:
        order.requests.validate_python({**order.example, field: "张\u202e伟"})
    (error,) = caught.value.errors()
    assert error["loc"] == (field,)
    assert "U+202E (RIGHT-TO-LEFT OVERRIDE)" in error["msg"]


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, good, _ in CASES for value in good])
def test_what_is_taken_fits_the_published_pattern(kind: Any, value: str) -> None:
    pattern = TypeAdapter(kind).json_schema().get("pattern")
    assert pattern is None or re.search(pattern, value)


@pytest.mark.parametrize("kind", [Month, Phone])
def test_what_the_pattern_does_not_fit_is_refused(kind: Any) -> None:
    bad = next(bad for known, _, bad in CASES if known is kind)
    assert not [
        value for value in bad if re.search(TypeAdapter(kind).json_schema()["pattern"], value.replace("\n", "n"))
    ]


@given(st.text(max_size=15))
def test_no_text_is_worse_than_refused(value: str) -> None:
    for kind, _, _ in CASES:
        try:
            TypeAdapter(kind).validate_python(value)
        except ValidationError:
            continue


@pytest.mark.parametrize(("amount", "taken"), [(0, True), (-(10**13), True), (10**13, True), (10**13 + 1, False)])
def test_money_has_bounds(amount: int, taken: bool) -> None:
    if taken:
        assert TypeAdapter(Fen).validate_python(amount) == amount
    else:
        with pytest.raises(ValidationError):
            TypeAdapter(Fen).validate_python(amount)


def test_a_small_x_is_taken_as_the_capital_it_stands_for() -> None:
    assert TypeAdapter(IdentityNumber).validate_python("11010519491231002x") == "11010519491231002X"


@pytest.mark.parametrize("kind", [IdentityNumber, CreditCode])
def test_one_mistyped_or_two_swapped_characters_are_found(kind: Any) -> None:
    right = next(good for known, good, _ in CASES if known is kind)[0]
    swapped = [right[:i] + right[i + 1] + right[i] + right[i + 2 :] for i in range(17) if right[i] != right[i + 1]]
    changed = [right[:i] + new + right[i + 1 :] for i in range(18) for new in "0123456789" if right[i] != new]
    assert len(swapped) > 8
    for value in swapped + changed:
        with pytest.raises(ValidationError):
            TypeAdapter(kind).validate_python(value)


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (IdentityNumber, "110105194912310021", "check character does not fit"),
        (IdentityNumber, "11010519491331002X", "date of birth"),
        (IdentityNumber, "1101051949123100", "17 digits and a check character"),
        (CreditCode, "91350100M000100Y44", "check character does not fit"),
        (CreditCode, "9135010OM000100Y43", "without I, O, S, V and Z"),
    ],
)
def test_what_is_wrong_is_said_and_the_value_is_not(kind: Any, value: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        TypeAdapter(kind).validate_python(value)
    assert value not in caught.value.errors()[0]["msg"]


class Papers(Model):
    """A request that names files."""

    attachments: Attachments = ()


def test_at_most_ten_attachments_each_named_once() -> None:
    ids = [f"01938f7a-7b7a-7cc3-98c4-dc0c0c0739{number:02x}" for number in range(11)]
    assert Papers(attachments=tuple(ids[:10])).attachments == tuple(ids[:10])
    for wrong in (ids, [ids[0], ids[0]]):
        with pytest.raises(ValidationError):
            Papers(attachments=tuple(wrong))
