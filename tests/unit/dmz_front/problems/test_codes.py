"""Codes that callers can get are all published: what front, bridge and the operator's tool say as a code is listed."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import bridgectl
import dmz_front
import intranet_bridge
from dmz_front.problems.chinese import CHINESE
from dmz_front.problems.codes import CODES, TITLES, of_status
from protocol.operations import Kind

CODE = re.compile(r"[a-z]+(-[a-z]+)*")
SAYING = {"Problem": 1, "Finish": 1, "Refuse": 0, "_fail": 1, "answer": 2, "sealed": 2, "_close": 3}
"""Functions of ours that take a code for callers, and its place among their arguments; `code=` wherever it stands."""


def constants(node: ast.AST) -> Iterator[str]:
    """The strings an expression may be, those its conditions compare with left out."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=one, orelse=other):
            yield from constants(one)
            yield from constants(other)
        case ast.BoolOp(values=values):
            for value in values:
                yield from constants(value)
        case ast.Call(func=ast.Attribute(attr="get"), args=[_, default]):
            yield from constants(default)


def said(tree: ast.AST) -> Iterator[str]:
    """The codes in a module: arguments of what says them, and whatever is given to a name that ends in `code`."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args, keywords=keywords):
                at = SAYING.get(name)
                if at is not None and len(args) > at:
                    yield from constants(args[at])
                for keyword in keywords:
                    if keyword.arg == "code":
                        yield from constants(keyword.value)
            case ast.Assign(targets=[target], value=value):
                yield from assigned(target, value)
            case ast.AnnAssign(target=target, value=value) if value is not None:
                yield from assigned(target, value)


def assigned(target: ast.AST, value: ast.AST) -> Iterator[str]:
    match target, value:
        case ast.Tuple(elts=targets), ast.Tuple(elts=values):
            for one, other in zip(targets, values, strict=False):
                yield from assigned(one, other)
        case ((ast.Name(id=name) | ast.Attribute(attr=name)), _) if name == "code" or name.endswith("_code"):
            yield from constants(value)


OTHERS = ("/pushes/endpoint.py", "/settlement/statements/")
"""What they say goes to the marketing system, or to accountants, never through a front."""


def modules() -> list[Path]:
    return [
        path
        for package in (dmz_front, intranet_bridge, bridgectl)
        for path in sorted(Path(package.__file__ or "").parent.rglob("*.py"))
        if "migrations" not in path.parts and not any(other in str(path) for other in OTHERS)
    ]


def found() -> dict[str, set[str]]:
    """Each code said, and the modules that say it."""
    everywhere: dict[str, set[str]] = {}
    for path in modules():
        for code in said(ast.parse(path.read_text())):
            if CODE.fullmatch(code):
                everywhere.setdefault(code, set()).add(path.name)
    return everywhere


def test_every_code_that_is_said_is_published() -> None:
    codes = found()
    assert {"answer-too-long", "no-answer-in-time", "marketing-timeout", "held", "undelivered"} <= codes.keys()
    assert len(codes) > 35
    assert {code: where for code, where in codes.items() if code not in CODES} == {}


@pytest.mark.parametrize(
    "line",
    [
        "raise Problem(404, 'never-heard')",
        "x = Problem(404 if a else 500, 'never-heard' if a else 'internal', detail)",
        "Finish((Event.FAIL,), 'never-heard', reason)",
        "self._fail(request, 'never-heard' if late else 'internal', '')",
        "self._replies.answer(request, State.FAILED, 'never-heard')",
        "rows.update().values(state=State.HELD, code='never-heard')",
        "code, detail = 'never-heard', 'why'",
        "code = reply.code or 'never-heard'",
        "code = {1: 2}.get(status, 'never-heard')",
        "await self._close(place, request, State.HELD, 'never-heard', reason, said)",
    ],
)
def test_one_that_is_not_would_be_found(line: str) -> None:
    assert "never-heard" in set(said(ast.parse(f"async def f():\n    {line}")))


def test_codes_and_titles_tell_problems_apart() -> None:
    assert len(set(TITLES.values())) == len(CODES)
    for code, told in CODES.items():
        assert CODE.fullmatch(code)
        assert all(400 <= status < 600 for status in told.statuses)
        for text in (told.title, told.meaning, told.remedy):
            assert text[0].isupper() or text[0] == "`"
            assert text.count("`") % 2 == 0


def test_every_code_is_published_in_chinese() -> None:
    assert set(CHINESE) == set(CODES)
    for code, texts in CHINESE.items():
        for text, english in zip(texts, (CODES[code].title, CODES[code].meaning, CODES[code].remedy), strict=True):
            assert re.search("[\u4e00-\u9fff]", text), code
            assert set(re.findall("`[^`]+`", text)) == set(re.findall("`[^`]+`", english)), code


def test_an_operations_statuses() -> None:
    assert of_status(504, Kind.QUERY) == ("no-answer-in-time", "marketing-timeout")
    assert of_status(504, Kind.COMMAND) == ("no-answer-in-time",)
    assert of_status(409, Kind.QUERY) == ()
    assert "not-found" not in of_status(404, Kind.QUERY)
    assert "too-many-failures" not in of_status(429, Kind.COMMAND)
    assert "too-many-failures" in of_status(429, Kind.COMMAND, guessed=True)
    # the bridge may have died before it heard of the request: no title says that it took it
    assert "took" not in TITLES["no-answer-in-time"]
