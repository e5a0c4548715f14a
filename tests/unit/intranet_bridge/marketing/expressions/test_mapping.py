"""Compiled mappings say what JMESPath says; our own functions; what is refused at start-up."""

from typing import Any

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jmespath.exceptions import JMESPathError

from intranet_bridge.marketing.expressions.functions import Functions
from intranet_bridge.marketing.expressions.mapping import MappingError, compiled, condition, truth
from intranet_bridge.marketing.expressions.template import PathTemplate
from tests.support.shipped import bindings

ANSWER = {
    "rtnCode": "0000",
    "flag": True,
    "none": None,
    "zero": 0,
    "text": "202603",
    "empty": "",
    "numbers": [3, 1, 2],
    "data": {
        "list": [
            {"a": 1, "b": {"c": "x"}, "d": "1", "e": [{"q": 1}, {"q": 2}]},
            {"a": None, "b": {"c": None}, "d": "0", "e": []},
            {"b": "text", "e": None},
            7,
            None,
        ],
        "map": {"x": {"v": 1}, "y": {"v": 2}},
    },
}
EXPRESSIONS = [
    "@", "rtnCode", "data.list", "data.list[0].b.c", "data.list[*].b.c", "data.list[*].{a: a, c: b.c}",
    "data.list[*].{a: a, e: e[*].{q: to_string(q)}}", "data.{first: list[0], none: nothing.at.all}",
    "rtnCode == '0000'", "rtnCode != '0000'", "zero == `0`", "flag == `true`", "zero == '0'", "none == 'x'",
    "nothing || text", "empty || none || text", "flag && text", "!flag", "data.list[?d == '1'].a",
    "data.list[].e[].q", "data.map.*.v", "numbers | [0]", "sort(numbers)", "length(numbers)", "numbers[-1]",
    "numbers[1:]", "to_string(zero)", "to_string(flag)", "to_string(none)", "to_string(numbers)", "to_string(text)",
    "join('-', [text, rtnCode])", "join('-', [text, zero])", "join('-', numbers)", "join('-', none)",
    "cut(text, `0`, `4`)", "cut(none, `0`, `4`)", "cut(zero, `0`, `4`)", "replace(text, '03', '-03')",
    "replace(none, 'a', 'b')", "replace(numbers, 'a', 'b')", "translate('t', text)", "translate('t', none)",
    "translate('t', zero)", "yuan(zero)", "fen('12.34')", "fen(text)", "[text, none, data.map]",
    "{a: text, b: [zero, {c: flag}]}", "none.{a: b}", "none.[a, b]", "data.list[*].[a, d]",
    "max_by(data.list[?a], &a).d",
    "'literal'", "`{\"a\": 1}`", "not_null(none, text)", "numbers[?@ > `1`]", "\"data\".\"list\"[1].d",
]  # fmt: skip
TABLES = {"t": {"202603": "March", "0": "nought"}}


def both(expression: str, value: Any) -> tuple[Any, Any]:
    try:
        ours: Any = compiled(expression, TABLES)(value)
    except MappingError:
        ours = "error"
    try:
        options = jmespath.Options(custom_functions=Functions(TABLES))
        theirs: Any = jmespath.compile(expression).search(value, options)
    except (JMESPathError, ArithmeticError):
        theirs = "error"
    return ours, theirs


@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize("value", [ANSWER, {}, None, [], "text", [ANSWER], {"data": 5, "text": 9, "none": {}}])
def test_compiled_says_what_the_interpreter_says(expression: str, value: Any) -> None:
    ours, theirs = both(expression, value)
    assert ours == theirs
    assert type(ours) is type(theirs)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "0", "1", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


@given(
    st.sampled_from(
        [
            "a",
            "a.b",
            "a[*].b",
            "a[*].{x: b, y: c.a}",
            "a[*].b[*].c",
            "{x: a, y: b[*].{z: c}}",
            "a || b",
            "a == '1'",
            "a != '1'",
            "a[*].[b, c]",
            "a | b",
            "to_string(a)",
            "a[0].b",
            "join(a, [b, c])",
            "a[].b",
        ]
    ),
    VALUES,
)
def test_compiled_says_what_the_interpreter_says_of_anything(expression: str, value: Any) -> None:
    ours, theirs = both(expression, value)
    assert ours == theirs


def test_our_functions() -> None:
    assert compiled("replace(@, '-', '')")("2026-03") == "202603"
    assert compiled("join('-', [cut(@, `0`, `4`), cut(@, `4`, `6`)])")("202603") == "2026-03"
    assert compiled("translate('t', @)", TABLES)("202603") == "March"
    assert compiled("translate('t', @)", TABLES)("other") is None
    assert compiled("yuan(@)")(1234) == "12.34"
    assert compiled("yuan(@)")(-5) == "-0.05"
    for yuan, fen in (("12.34", 1234), (12.3, 1230), ("0.1", 10), (7, 700)):
        assert compiled("fen(@)")(yuan) == fen
    for wrong in ("12.345", "twelve"):
        with pytest.raises(MappingError) as told:
            compiled("fen(@)")(wrong)
        assert wrong not in str(told.value)  # no customer's data in what is logged


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("a[", "not a JMESPath expression: it ends too early$"),
        ("a ~ b", "not a JMESPath expression: Unknown token ~, at character 3$"),
        ("a.b c", "not a JMESPath expression: Unexpected token: c, at character 5$"),
        ("", "not a JMESPath expression: it is empty$"),
        ("lower(a)", "unknown function lower"),
        ("cut(a)", "takes 3"),
        ("translate('other', a)", "table under values"),
        ("translate(a, b)", "table under values"),
        ("a[*].{x: nofunction(y)}", "unknown function"),
    ],
)
def test_mistakes_are_found_at_start_up(expression: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        compiled(expression, TABLES)


def test_a_path_part_stays_in_its_segment() -> None:
    template = PathTemplate("/api/{account}/bills/{replace(month, '-', '')}")
    assert template.fill({"account": "a/b?c=1#é", "month": "2026-03"}) == "/api/a%2Fb%3Fc%3D1%23%C3%A9/bills/202603"
    for wrong in ("", "..", ".", None, ["x"], True and {"x": 1}):
        with pytest.raises(MappingError):
            template.fill({"account": wrong, "month": "2026-03"})
    for text in ("api", "/a b", "/a{x[}", "/a\r\nX: y", "/a?b=c"):
        with pytest.raises(ValueError, match=r"path|JMESPath"):
            PathTemplate(text)


def test_the_shipped_bindings_map_the_simulators_answers() -> None:
    data = {"consNo": "3210000000001", "calcDate": "2026-07-15", "totAmt": 5, "oweList": []}
    answer = {"rtnCode": "0000", "data": data}
    assert compiled(bindings()["arrears-query"]["response"], {})(answer) == {
        "account": "3210000000001",
        "as_of": "2026-07-15",
        "total": 5,
        "unpaid": [],
    }


@pytest.mark.parametrize("test", [
        "c != 'x'", "!c", "a.b != 'x'", "c != 'x' && a != 'y'", "!(c == 'x') && c != 'y'", "!(c == 'x')",
        "!(c == 'x' || c == 'y')", "!(c == 'x' && code == 'y') && c != 'z'", "!(a.b == 'x')",
    ])  # fmt: skip
@pytest.mark.parametrize("answer", [None, {}, {"code": "0000"}])
def test_a_deciding_test_is_not_true_of_an_answer_without_its_field(test: str, answer: object) -> None:
    assert not truth(condition(test, {})(answer))


@pytest.mark.parametrize(
    "test",
    [
        "c != 'x'",
        "c != `null`",
        "!(c == 'x')",
        "c != 'x' && c != 'y'",
        "!(c == 'x' || c == 'y')",
        "!(c == 'z' && b == 'y')",
    ],
)
def test_a_deciding_test_is_true_of_another_value(test: str) -> None:
    assert truth(condition(test, {})({"c": "z", "b": "x"}))


@pytest.mark.parametrize(
    ("test", "code"),
    [
        ("c != '0'", 0), ("c != '0000'", 0), ("c != `0`", "0"), ("c != 'true'", True), ("c != `true`", "true"),
        ("c != `1`", True), ("!(c == '0')", 0), ("!(c == '0' || c == '1')", 0), ("`0` != c", "0"),
    ],
)  # fmt: skip
def test_a_deciding_test_takes_no_value_of_another_kind_for_another_value(test: str, code: object) -> None:
    """Else a success said by a number would be a refusal, or an inquiry's "there is no such request"."""
    with pytest.raises(MappingError, match=r"are never equal: see text\(\)") as told:
        condition(test, {})({"c": code})
    assert "c" in str(told.value)
    assert str(code) not in str(told.value)


@pytest.mark.parametrize(
    ("test", "code", "true"),
    [
        ("c != ''", 7, True), ("c != ''", {"a": 1}, True), ("c != `[]`", {"a": 1}, True), ("c != 'x'", ["x"], True),
        ("c != `7`", 7.0, False), ("text(c) != '7'", 7, False), ("c != `true`", True, False), ("c == '0'", 0, False),
    ],
)  # fmt: skip
def test_what_a_deciding_test_may_compare(test: str, code: object, true: bool) -> None:
    assert truth(condition(test, {})({"c": code})) is true
