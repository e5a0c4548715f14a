"""Requests put to every interface, what was read and answered, and the shapes that follow."""

import asyncio
import json
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from intranet_bridge.marketing.expressions.mapping import compiled
from protocol.operations import CATALOGUE
from scripts.tools.marketing_shapes.probes import ALIKE, FILES, MAY_BE_NULL, PROBES
from scripts.tools.marketing_simulator import business, database
from scripts.tools.marketing_simulator.clock import Clock
from scripts.tools.marketing_simulator.effects import EffectWriter
from scripts.tools.marketing_simulator.fields import Fields
from scripts.tools.marketing_simulator.interfaces import Interface
from scripts.tools.marketing_simulator.responses import Refusal
from scripts.tools.marketing_simulator.shapes import INTEGER, NUMBER, OPTIONAL, TEXT

BINDINGS = Path(__file__).parents[3] / "config" / "bindings"
TODAY = date(2026, 7, 15)
"""The business day for which the catalogue's examples are made."""
MOMENT = datetime(2026, 7, 15, 1, 0, tzinfo=UTC)
CUSTOMERS = 40
STATUS = "/api/req/status"
READ_AS: Mapping[str, Any] = {
    "optional_text": TEXT, "text": TEXT, "month": TEXT, "optional_month": TEXT, "day": TEXT, "optional_day": TEXT,
    "moment": TEXT, "whole": INTEGER, "optional_number": NUMBER, "texts": [TEXT], "months": [TEXT],
}  # fmt: skip
"""What a method of `Fields` says of the field it reads."""
WIDTH = 110


class DerivationError(Exception):
    """The shapes cannot be derived; the message says what is missing."""


class RecordingFields(Fields):
    """The body of one request, which notes what is read of it, by the method that was called first."""

    def __init__(self, body: Mapping[str, Any], read: dict[str, Any]) -> None:
        super().__init__(json.dumps(body).encode())
        self._read = read


def _noting(method: str) -> Callable[..., Any]:
    plain = getattr(Fields, method)

    def noted(self: RecordingFields, name: str, *arguments: Any, **named: Any) -> Any:
        self._read.setdefault(name, READ_AS[method])
        return plain(self, name, *arguments, **named)

    return noted


for _method in READ_AS:
    setattr(RecordingFields, _method, _noting(_method))


def derived() -> dict[str, Any]:
    """The content of shapes.json. Raises DerivationError."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "marketing.sqlite3"
        database.prepare(path, customers=CUSTOMERS, seed=1, today=TODAY)
        with closing(database.connect(path)) as connection:
            rows = [(number, number, "png", 1, "0" * 64) for number in FILES]
            connection.executemany("INSERT INTO uploaded_file VALUES (?, ?, ?, ?, ?)", rows)
        return asyncio.run(_derived(path))


async def _derived(path: Path) -> dict[str, Any]:
    clock = Clock(TODAY, lambda: MOMENT)
    effects = EffectWriter(database.connect(path), clock)
    try:
        with closing(database.connect_for_reading(path)) as reading:
            offered = business.offered(reading, effects, clock, node_seconds=20, idempotent=False)
            asked = Asked({one.path: one for one in offered})
            for where, body in examples():
                await asked.ask(where, body)
            for where, probe in PROBES:
                if not await asked.ask(where, probe):
                    raise DerivationError(f"a probe of {where} is refused")
            return asked.shapes()
    finally:
        await effects.close()


def examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """What the catalogue's examples come to: path and body."""
    bindings = {
        name: binding
        for file in sorted(BINDINGS.glob("*.toml"))
        for name, binding in tomllib.loads(file.read_text(encoding="utf-8"))["operations"].items()
    }
    for name, operation in CATALOGUE.items():
        binding = bindings.get(name)
        if binding is None:
            continue
        values = operation.requests.dump_python(operation.requests.validate_python(operation.example), mode="json")
        body = compiled(binding["request"], binding.get("values", {}))(values | {"request_id": f"example-{name}"})
        body = {field: value for field, value in body.items() if value is not None}
        yield binding["path"], body
        if "consNo" in body and "reqId" not in body:  # the same question about every kind of account
            for number in range(1, CUSTOMERS + 1):
                yield binding["path"], body | {"consNo": f"3210000000{number:03}"}


class Asked:
    """What interfaces read and answered so far."""

    def __init__(self, interfaces: Mapping[str, Interface]) -> None:
        self._interfaces = interfaces
        self._read: dict[str, dict[str, Any]] = {path: {} for path in interfaces}
        self._told: dict[str, Any] = {}

    async def ask(self, path: str, body: Mapping[str, Any]) -> bool:
        """Put one request; whether it was not refused. What was read by then counts all the same."""
        interface = self._interfaces.get(path)
        if interface is None:
            raise DerivationError(f"{path} is asked, and is no interface")
        fields = RecordingFields(body, self._read[path])
        try:
            if interface.query is not None:
                told = interface.query(fields)
            else:
                assert interface.effect is not None, "an interface reads or writes"
                told = (await interface.effect(fields)).body
        except Refusal:
            return False
        unread = [name for name in body if name not in self._read[path]]
        if unread:
            raise DerivationError(f"{path} does not read {', '.join(unread)}, which it is sent")
        data = json.loads(told)["data"]
        self._told[path] = merged(self._told.get(path), kind_of(data), f"{path}: data")
        if interface.effect is not None:
            await self.ask(STATUS, {"reqId": body["reqId"]})
        return True

    def shapes(self) -> dict[str, Any]:
        """The file. Raises DerivationError, which names everything that is not known yet."""
        for path, other in ALIKE.items():
            self._told[path] = merged(self._told[path], self._told[other], path)
        for path, names in MAY_BE_NULL.items():
            for name in names:
                self._told[path][name] = _optional(self._told[path][name])
        missing = [f"{path} was never answered" for path in self._interfaces if path not in self._told]
        for path, told in self._told.items():
            missing += _unsettled(told, path)
        if missing:
            raise DerivationError("; ".join(sorted(missing)) + ": needs probes (marketing_shapes/probes.py)")
        return {path: {"request": self._read[path], "answer": self._told[path]} for path in sorted(self._interfaces)}


NULL = "null"


def kind_of(value: Any) -> Any:
    """The shape of one value; `null` and `[]` are not settled."""
    match value:
        case None:
            return NULL
        case str():
            return TEXT
        case bool():
            raise DerivationError("an interface answers true or false: say so in shapes.py first")
        case int():
            return INTEGER
        case float():
            return NUMBER
        case list():
            items: Any = None
            for item in value:
                items = merged(items, kind_of(item), "a list")
            return [] if items is None else [items]
    return {name: kind_of(field) for name, field in value.items()}


def merged(one: Any, other: Any, place: str) -> Any:
    """A shape that both fit. Raises DerivationError for a text and a number."""
    if one is None or one == other:
        return other
    if isinstance(one, dict) and isinstance(other, dict):
        return _merged_records(one, other, place)
    if isinstance(one, list) and isinstance(other, list):
        return [merged(one[0], other[0], f"{place}[]")] if one and other else one or other
    for null, some in ((one, other), (other, one)):
        if null == NULL:
            return _optional(some)
    kinds = {str(kind).removesuffix(OPTIONAL) for kind in (one, other)}
    marked = OPTIONAL if any(str(kind).endswith(OPTIONAL) for kind in (one, other)) else ""
    if len(kinds) == 1 or kinds == {INTEGER, NUMBER}:
        return (kinds.pop() if len(kinds) == 1 else NUMBER) + marked
    raise DerivationError(f"{place} is one time {one}, another time {other}")


def _merged_records(one: dict[str, Any], other: dict[str, Any], place: str) -> dict[str, Any]:
    if "?" in one or "?" in other:
        return {"?": _merged_records(one.get("?", one), other.get("?", other), place)}
    names = [*one, *(name for name in other if name not in one)]
    return {
        name: merged(one[name], other[name], f"{place}.{name}")
        if name in one and name in other
        else _optional(one.get(name, other.get(name)))
        for name in names
    }


def _optional(shape: Any) -> Any:
    match shape:
        case str():
            return shape if shape == NULL or shape.endswith(OPTIONAL) else shape + OPTIONAL
        case dict():
            return shape if "?" in shape else {"?": shape}
    return shape  # a list that does not come is empty


def _unsettled(shape: Any, place: str) -> Iterator[str]:
    match shape:
        case "null" | []:
            yield f"{place} was only ever {shape}"
        case [item]:
            yield from _unsettled(item, f"{place}[]")
        case dict():
            for name, field in shape.items():
                yield from _unsettled(field, f"{place}.{name}")


def written(shapes: Any, indent: int = 0) -> str:
    """As JSON, what fits into a line in one line."""
    line = json.dumps(shapes, ensure_ascii=False)
    if indent and len(line) + indent <= WIDTH:
        return line
    inside, outside = " " * (indent + 2), " " * indent
    if isinstance(shapes, list):
        return f"[{written(shapes[0], indent)}]"
    if not indent:  # an interface a paragraph
        return "{\n" + ",\n".join(f"{inside}{_named(item, 2)}" for item in shapes.items()) + "\n}"
    lines = [inside]
    for item in shapes.items():
        part = f"{_named(item, indent + 2)}, "
        if lines[-1].strip() and ("\n" in part or len(lines[-1]) + len(part) > WIDTH + 1):
            lines.append(inside)
        lines[-1] += part
        if "\n" in part:
            lines.append(inside)
    return "{\n" + "\n".join(line.rstrip() for line in lines if line.strip()).rstrip(", ") + f"\n{outside}}}"


def _named(item: tuple[str, Any], indent: int) -> str:
    return f"{json.dumps(item[0])}: {written(item[1], indent)}"
