"""Fields are parsed in one place: blanks, repeated lines, quoted values."""

import pytest

from dmz_front.admission.fields import SINGLE, media_type, named, parse, split, tokens
from dmz_front.problems.details import Problem


def test_blanks_around_a_value_are_no_part_of_it() -> None:
    assert parse([(b"idempotency-key", b" k \t "), (b"prefer", b"wait=3 ")]) == {
        b"idempotency-key": b"k",
        b"prefer": b"wait=3",
    }


@pytest.mark.parametrize("name", list(SINGLE))
@pytest.mark.parametrize("second", [b"a", b"b", b""])
def test_what_may_come_once_and_came_twice_is_refused_by_name(name: bytes, second: bytes) -> None:
    with pytest.raises(Problem, match="malformed-header") as caught:
        parse([(name, b"a"), (b"accept", b"*/*"), (name, second)])
    assert caught.value.status == 400
    assert caught.value.detail.lower().startswith(name.decode())


def test_lines_of_a_list_are_one_list_in_their_order() -> None:
    lines = [(b"prefer", b"respond-async "), (b"a", b"1"), (b"prefer", b""), (b"prefer", b"wait=3")]
    assert parse(lines) == {b"prefer": b"respond-async, wait=3", b"a": b"1"}
    assert parse([(b"x-forwarded-for", b"10.0.0.1"), (b"x-forwarded-for", b"10.0.0.2, 10.0.0.3")]) == {
        b"x-forwarded-for": b"10.0.0.1, 10.0.0.2, 10.0.0.3"
    }


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (b"", []),
        (b" , ,", []),
        (b"a,b , c", [b"a", b"b", b"c"]),
        (b'a="x,y", b', [b'a="x,y"', b"b"]),
        (b'a="x\\",y", b', [b'a="x\\",y"', b"b"]),
        (b'a="never ends, b', [b'a="never ends, b']),
        (b"a\\,b", [b"a\\", b"b"]),
    ],
)
def test_separators_in_quoted_strings_separate_nothing(value: bytes, parts: list[bytes]) -> None:
    assert list(split(value, ord(","))) == parts


def test_names_values_and_media_types() -> None:
    assert named(b'Charset = "UTF\\-8"') == (b"charset", b"UTF-8")
    assert named(b"respond-async") == (b"respond-async", b"")
    assert media_type(b'Application/JSON ; a="x;y";; Charset=utf-8;') == (
        b"application/json",
        [(b"a", b"x;y"), (b"charset", b"utf-8")],
    )
    assert tokens({b"expect": b"100-Continue, x"}, b"expect") == [b"100-continue", b"x"]
    assert tokens({}, b"expect") == []
