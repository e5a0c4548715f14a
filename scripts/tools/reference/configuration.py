"""docs/reference/configuration.md: every key of the models, with what docstrings or the shipped files say of it."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache, reduce
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from pydantic_core import PydanticUndefined

from bridgectl.settings import ControlSettings
from dmz_front.settings import FrontSettings
from intranet_bridge.marketing.kinds import kind
from intranet_bridge.settings import BridgeSettings
from protocol.runtime.settings import models_in
from scripts.tools.reference.markdown import code, page, table
from scripts.tools.reference.wording import Say

ROOT = Path(__file__).resolve().parents[3]
KINDS = ("http", "soap", "sql")
_UNITS = {
    "_s": "seconds", "_ms": "milliseconds", "_mb": "MB", "_percent": "percent", "_days": "days", "_hours": "hours",
}  # fmt: skip
_INTRODUCTION = """
Four files in TOML. Paths are taken from the file's folder. A key that is not listed is an error that names the
nearest one. `dmz-front --check-config` and `intranet-bridge --check-config` read everything and start nothing. The
files with comments are in [config/](../../config/).

"""


_SYSTEMS = """
A system is `[marketing]` or `[systems.NAME]`; a binding is `[operations.NAME]`, in a file that `include` names.
"""


def configuration_page(say: Say) -> str:
    """The page."""
    text = ""
    for file, model in (
        ("dmz_front.toml", FrontSettings),
        ("intranet_bridge.toml", BridgeSettings),
        ("bridgectl.toml", ControlSettings),
    ):
        text += f"## {file}\n\n{_tables(model, file, say)}"
    text += f"## {say('Systems and bindings')}\n\n{say(_SYSTEMS.strip())}\n\n"
    for name in KINDS:
        adapter = kind(name)
        system, binding = say('A system with `adapter = "{name}"`'), say("An operation bound to it")
        text += f"### {say('Kind {name}').format(name=name)}\n\n"
        text += f"#### {system.format(name=name)}\n\n{_tables(adapter.system, '', say, level=5)}"
        text += f"#### {binding}\n\n{_tables(adapter.binding, '', say, level=5)}"
    return page(say("Configuration"), say(_INTRODUCTION), text)


def _tables(model: type[BaseModel], file: str, say: Say, *, level: int = 3) -> str:
    text = ""
    for place, one in _models(model, ()):
        rows = list(_rows(one, place, file, say))
        if rows:
            head = f"{'#' * level} [{'.'.join(place)}]\n\n" if place else ""
            about = f"{say(_paragraph(one.__doc__))}\n\n" if place and one.__doc__ else ""
            text += f"{head}{about}{table(map(say, ('key', 'type', 'default', 'meaning')), rows)}\n"
    return text


def _models(model: type[BaseModel], place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    yield place, model
    for name, field in model.model_fields.items():
        for inner in models_in(field.annotation):
            if inner is not model and name not in ("marketing", "systems", "operations"):
                yield from _models(inner, (*place, name))


def _rows(model: type[BaseModel], place: tuple[str, ...], file: str, say: Say) -> Iterator[tuple[str, ...]]:
    properties, definitions = _schema(model)
    said, shown = _docstrings(model), _comments(file)
    for name, field in model.model_fields.items():
        if list(models_in(field.annotation)):
            continue  # a table of its own
        type_ = _type(properties.get(name, {}), definitions, say) + _unit(name, say)
        default = say("needed") if field.is_required() else _default(field.default, field.default_factory)
        meaning = said.get(name) or shown.get((".".join(place), name), "")
        yield code(name), type_, default, say(meaning)


@cache
def _schema(model: type[BaseModel]) -> tuple[dict[str, Any], dict[str, Any]]:
    _, found = models_json_schema([(model, "validation")], ref_template="{model}")
    definitions: dict[str, Any] = found["$defs"]
    return definitions[model.__name__].get("properties", {}), definitions


def _type(schema: Mapping[str, Any], definitions: Mapping[str, Any], say: Say) -> str:
    if "$ref" in schema:
        return _type(definitions.get(schema["$ref"], {}), definitions, say)
    if "anyOf" in schema:
        parts = [_type(one, definitions, say) for one in schema["anyOf"] if one.get("type") != "null"]
        return reduce(lambda one, other: say("{one} or {other}").format(one=one, other=other), parts)
    if "enum" in schema:
        return ", ".join(code(str(one)) for one in schema["enum"])
    if "const" in schema:
        return code(str(schema["const"]))
    found: str | None = schema.get("type")
    match found:
        case "array":
            inner = _type(schema.get("items", {}), definitions, say) or say("values")
            return say("list of {inner}").format(inner=inner)
        case "object":
            return say("table")
        case "string":
            return say("file" if schema.get("format") == "path" else "text")
        case "boolean":
            return say("true or false")
        case "integer" | "number" as name:
            return f"{say(name)}{_bounds(schema)}"
    return say("text")


def _bounds(schema: Mapping[str, Any]) -> str:
    least, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    most = schema.get("maximum")
    parts = [f"≥ {least:g}" if least is not None else f"> {above:g}" if above is not None else ""]
    parts += [f"≤ {most:,}".removesuffix(".0")] if most is not None else []
    told = ", ".join(part for part in parts if part)
    return f" {told}" if told else ""


def _unit(name: str, say: Say) -> str:
    return next((f", {say(unit)}" for ending, unit in _UNITS.items() if name.endswith(ending)), "")


def _default(value: Any, factory: Any) -> str:
    if value is PydanticUndefined:
        value = factory() if factory else None
    if value is None or value in ((), {}, ""):
        return ""
    if isinstance(value, frozenset | tuple | list):
        return ", ".join(code(str(one)) for one in sorted(value))
    if isinstance(value, bool):
        return code(str(value).lower())
    return code(f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(getattr(value, "value", value)))


@cache
def _docstrings(model: type[BaseModel]) -> Mapping[str, str]:
    """The text under each field, of the model and of those it is derived from."""
    found: dict[str, str] = {}
    for one in reversed(model.__mro__):
        if not (isinstance(one, type) and issubclass(one, BaseModel)) or one is BaseModel:
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[ast.unparse(field.target)] = _paragraph(str(text.value.value))
    return found


@cache
def _comments(file: str) -> Mapping[tuple[str, str], str]:
    """(table, key) → the comment after its value in a shipped file."""
    found: dict[tuple[str, str], str] = {}
    if not file:
        return found
    section = ""
    for line in (ROOT / "config" / file).read_text(encoding="utf-8").splitlines():
        line = line.removeprefix("# ")
        if header := re.match(r"\[+([a-z_.]+)\]", line):
            section = header[1]
            line = line[header.end() :]
            if about := re.match(r"\s+# (.*)", line):
                found[section, ""] = about[1]
        elif key := re.match(r"([a-z_]+)\s*=\s*(?:\"[^\"]*\"|\[[^\]]*\]|[^#\s]+)\s+# (.*)", line):
            found[section, key[1]] = key[2]
    return found


def _paragraph(text: str | None) -> str:
    return " ".join((text or "").split())
