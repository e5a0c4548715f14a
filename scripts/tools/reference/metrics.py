"""docs/reference/metrics.md: read from the source, where parts yield `(name, help, labels, value)`."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from protocol.link.settings import LinkCounters
from scripts.tools.reference.markdown import code, page, table
from scripts.tools.reference.wording import Say

ROOT = Path(__file__).resolve().parents[3]
_NAME = re.compile(r"(?:dmz_front|intranet_bridge)_[a-z_]+")
_PREFIXES = {"_connected": "{}_link", "_certificate_expiry_timestamp_seconds": "{}"}
"""Names that both daemons have, by what stands before them."""
_INTRODUCTION = """
Each daemon publishes these on `[metrics] port`, on loopback alone, for Prometheus. A counter's name ends in
`_total`; a histogram has `_bucket`, `_sum` and `_count`. Alerts and a dashboard: [how to
monitor](../how-to/monitor.md).

"""


@dataclass(frozen=True)
class Metric:
    """One name."""

    name: str
    help: str
    labels: tuple[str, ...]

    @property
    def kind(self) -> str:
        """Counter, gauge or histogram."""
        if self.name.endswith("_total"):
            return "counter"
        return "histogram" if self.name.endswith("_duration_seconds") else "gauge"


def metrics() -> list[Metric]:
    """All of both daemons, by name."""
    found: dict[str, Metric] = {}
    handed_on: dict[str, tuple[str, str]] = {}
    for package in ("protocol", "dmz_front", "intranet_bridge"):
        for file in sorted((ROOT / package).rglob("*.py")):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            for one in _yielded(tree):
                if one.name not in found or not found[one.name].help:
                    found[one.name] = one
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef) and (told := _of_its_parameter(node)):
                    handed_on[node.name] = told
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and _NAME.fullmatch(node.value):
                    found.setdefault(node.value, Metric(node.value, "", ()))
    for package in ("dmz_front", "intranet_bridge"):  # names that a part is given, and yields with its own help
        for file in sorted((ROOT / package).rglob("*.py")):
            for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in handed_on:
                    for argument in call.args:
                        if isinstance(argument, ast.Constant) and argument.value in found:
                            help_text, labels = handed_on[call.func.attr]
                            name = str(argument.value)
                            found[name] = Metric(name, help_text, tuple(labels.split()))
    for side in ("dmz_front", "intranet_bridge"):
        for name in (side, f"{side}_link"):  # prefixes
            found.pop(name, None)
        for counter in fields(LinkCounters):
            name = f"{side}_link_{counter.name}_total"
            found[name] = Metric(name, counter.metadata["help"], ("link",))
    return [found[name] for name in sorted(found) if not name.endswith("_")]


def _yielded(tree: ast.AST) -> Iterator[Metric]:
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        texts: dict[str, str] = {}
        labels: dict[str, tuple[str, ...]] = {}
        for node in _in_order(function):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
                for target, value in zip(node.targets[0].elts, getattr(node.value, "elts", ()), strict=False):
                    if isinstance(value, ast.Constant) and isinstance(value.value, str):
                        texts[ast.unparse(target)] = value.value
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                    texts[node.targets[0].id] = node.value.value
                elif isinstance(node.value, ast.Dict):
                    labels[node.targets[0].id] = _keys(node.value)
            elif isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple) and len(node.value.elts) == 4:
                name, text, label, _ = node.value.elts
                said = text.value if isinstance(text, ast.Constant) else texts.get(ast.unparse(text), "")
                by = _keys(label) if isinstance(label, ast.Dict) else labels.get(ast.unparse(label), ())
                yield from (Metric(one, str(said), by) for one in _names(name))


def _of_its_parameter(function: ast.FunctionDef) -> tuple[str, str] | None:
    """Help and labels of what it yields under a name that it is given."""
    texts = {
        ast.unparse(node.targets[0]): str(node.value.value)
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }
    given = {argument.arg for argument in function.args.args}
    for node in ast.walk(function):
        if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple) and len(node.value.elts) == 4:
            name, text, labels, _ = node.value.elts
            if isinstance(name, ast.Name) and name.id in given:
                said = str(text.value) if isinstance(text, ast.Constant) else texts.get(ast.unparse(text), "")
                return said, " ".join(_keys(labels)) if isinstance(labels, ast.Dict) else ""
    return None


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield child
        yield from _in_order(child)


def _names(name: ast.expr) -> Iterator[str]:
    if isinstance(name, ast.Constant) and _NAME.fullmatch(str(name.value)):
        yield str(name.value)
    elif isinstance(name, ast.JoinedStr) and isinstance(name.values[-1], ast.Constant):
        ending = str(name.values[-1].value)
        for side in ("dmz_front", "intranet_bridge"):
            if ending in _PREFIXES:
                yield _PREFIXES[ending].format(side) + ending


def _keys(node: ast.Dict) -> tuple[str, ...]:
    return tuple(str(key.value) for key in node.keys if isinstance(key, ast.Constant))


def metrics_page(say: Say) -> str:
    """The page."""
    heads, found = [say(head) for head in ("metric", "kind", "labels", "what")], metrics()
    text = ""
    for side, title in (("dmz_front", "dmz-front"), ("intranet_bridge", "intranet-bridge")):
        rows = (
            (code(one.name), say(one.kind), " ".join(map(code, one.labels)), say(one.help))
            for one in found
            if one.name.startswith(side)
        )
        text += f"## {title}\n\n{table(heads, rows)}\n"
    return page(say("Metrics"), say(_INTRODUCTION), text)
