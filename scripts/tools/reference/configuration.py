"""docs/reference/configuration.md: every key of the models, with what docstrings or the shipped files say of it."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
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
from scripts.tools.reference.markdown import MADE, code, table

ROOT = Path(__file__).resolve().parents[3]
KINDS = ("http", "soap", "sql")
_UNITS = {
    "_s": "seconds", "_ms": "milliseconds", "_mb": "MB", "_percent": "percent", "_days": "days", "_hours": "hours",
}  # fmt: skip
_SAID = {
    "algorithm": "of the keyed digest",
    "begins": "when it begins",
    "brokers": "each as `host:port`, tried in this order; what is received is taken from all of them",
    "ca": "authorities that are trusted, PEM",
    "certificate": "what is shown, PEM",
    "client_id": "as it is registered there (RFC 6749)",
    "client_secret_file": "holds its secret",
    "code": "expression: the code of a refusal, or of a failed log-in",
    "connect_timeout_s": "of a connection's making",
    "connections": "at most, kept open between calls",
    "cookie": "the cookie that carries it",
    "detail": "expression: text for the caller",
    "done": "expression: true of the row of a command that is finished",
    "encoding": "how it is written",
    "every_hours": "how often",
    "ends": "when it ends",
    "example": "a number that fits the pattern",
    "expired_status": "such an answer says that the session has expired",
    "file": "an SQLite database",
    "file_field": "the form's field that the file is in",
    "header": "the header that carries it",
    "headers": "sent with each request",
    "heartbeat_ms": "a broker silent for three times as long is taken for dead",
    "key": "the certificate's private key, PEM, unencrypted",
    "key_file": "holds the shared key",
    "level": "`debug`, `info`, `warning` or `error`: this and what is more serious",
    "method": "of the HTTP request",
    "nonce_header": "carries a value that is used once",
    "operation": "the WSDL's, or of a catalogue entry",
    "pages_max": "past so many pages there is no answer",
    "password_file": "holds the password",
    "path": "begins with `/`; expressions in `{}`",
    "poll": "the statement that looks for what became of a command",
    "port": "where it listens",
    "prefix": "before the value in the header",
    "query": "expression: the parameters after `?`",
    "reason": "why, for people",
    "receipt_timeout_s": "a send without its receipt by then has an unknown outcome and is repeated",
    "reconnect_max_s": "the longest pause between attempts",
    "region": "the queues' region",
    "request": "expression: the body, of the request's fields and `request_id`",
    "retention_days": "so long a finished one is kept",
    "scope": "asked for with the token",
    "statement": "SQL with `:name` for each of `parameters`",
    "system": "the name of its table: `marketing`, or NAME of `[systems.NAME]`",
    "timeout_s": "of one call, connecting included; default: the system's",
    "timestamp_header": "carries the time of the signature",
    "token_file": "holds the token",
    "token_url": "where tokens are given",
    "trusted": "the public keys of both sides",
    "url": "where it is",
    "user": "who logs in",
    "username": "who is named in the token",
    "when": "expression: true of a refusal",
    "window": "so many calls are looked back at",
}  # fmt: skip
"""What a key is where neither its model nor a shipped file says more."""
_INTRODUCTION = """
Four files in TOML. Paths are taken from the file's folder. A key that is not listed is an error that names the
nearest one. `dmz-front --check-config` and `intranet-bridge --check-config` read everything and start nothing. The
files with comments are in [config/](../../config/).

"""


def configuration_page() -> str:
    """The page."""
    text = f"# Configuration\n\n{MADE}{_INTRODUCTION}"
    for file, model in (
        ("dmz_front.toml", FrontSettings),
        ("intranet_bridge.toml", BridgeSettings),
        ("bridgectl.toml", ControlSettings),
    ):
        text += f"## {file}\n\n{_tables(model, file)}"
    text += "## Systems and bindings\n\n"
    text += "A system is `[marketing]` or `[systems.NAME]`; a binding is `[operations.NAME]`, in a file that `include` "
    text += "names.\n\n"
    for name in KINDS:
        adapter = kind(name)
        text += f'### Kind {name}\n\n#### A system with `adapter = "{name}"`\n\n{_tables(adapter.system, "", level=5)}'
        text += f"#### An operation bound to it\n\n{_tables(adapter.binding, '', level=5)}"
    return text.rstrip() + "\n"


def _tables(model: type[BaseModel], file: str, *, level: int = 3) -> str:
    text = ""
    for place, one in _models(model, ()):
        rows = list(_rows(one, place, file))
        if rows:
            head = f"{'#' * level} [{'.'.join(place)}]\n\n" if place else ""
            about = f"{_paragraph(one.__doc__)}\n\n" if place and one.__doc__ else ""
            text += f"{head}{about}{table(('key', 'type', 'default', 'meaning'), rows)}\n"
    return text


def _models(model: type[BaseModel], place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    yield place, model
    for name, field in model.model_fields.items():
        for inner in models_in(field.annotation):
            if inner is not model and name not in ("marketing", "systems", "operations"):
                yield from _models(inner, (*place, name))


def _rows(model: type[BaseModel], place: tuple[str, ...], file: str) -> Iterator[tuple[str, ...]]:
    properties, definitions = _schema(model)
    said, shown = _docstrings(model), _comments(file)
    for name, field in model.model_fields.items():
        if list(models_in(field.annotation)):
            continue  # a table of its own
        type_ = _type(properties.get(name, {}), definitions) + _unit(name)
        default = "needed" if field.is_required() else _default(field.default, field.default_factory)
        meaning = said.get(name) or shown.get((".".join(place), name)) or _SAID.get(name, "")
        yield code(name), type_, default, meaning


@cache
def _schema(model: type[BaseModel]) -> tuple[dict[str, Any], dict[str, Any]]:
    _, found = models_json_schema([(model, "validation")], ref_template="{model}")
    definitions: dict[str, Any] = found["$defs"]
    return definitions[model.__name__].get("properties", {}), definitions


def _type(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return _type(definitions.get(schema["$ref"], {}), definitions)
    if "anyOf" in schema:
        return " or ".join(_type(one, definitions) for one in schema["anyOf"] if one.get("type") != "null")
    if "enum" in schema:
        return ", ".join(code(str(one)) for one in schema["enum"])
    if "const" in schema:
        return code(str(schema["const"]))
    found: str | None = schema.get("type")
    match found:
        case "array":
            return f"list of {_type(schema.get('items', {}), definitions) or 'values'}"
        case "object":
            return "table"
        case "string":
            return "file" if schema.get("format") == "path" else "text"
        case "boolean":
            return "true or false"
        case "integer" | "number" as name:
            return f"{name}{_bounds(schema)}"
    return "text"


def _bounds(schema: Mapping[str, Any]) -> str:
    least, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    most = schema.get("maximum")
    parts = [f"≥ {least:g}" if least is not None else f"> {above:g}" if above is not None else ""]
    parts += [f"≤ {most:,}".removesuffix(".0")] if most is not None else []
    told = ", ".join(part for part in parts if part)
    return f" {told}" if told else ""


def _unit(name: str) -> str:
    return next((f", {unit}" for ending, unit in _UNITS.items() if name.endswith(ending)), "")


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
