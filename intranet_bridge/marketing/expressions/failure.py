"""Where in a value an expression failed, found by evaluating it once more, step by step, after it did."""

from collections.abc import Mapping
from typing import Any

from jmespath import Options
from jmespath.exceptions import JMESPathError
from jmespath.visitor import TreeInterpreter

from intranet_bridge.marketing.expressions.functions import Functions, complaint

Tree = Mapping[str, Any]

FAILURES = (JMESPathError, ArithmeticError, TypeError, ValueError)
"""What a function may raise of a value it cannot take."""


class _FailedAt(Exception):
    """The message is the finding."""


def explained(tree: Tree, value: Any, library: Functions) -> str | None:
    """For example "at data.oweList[0].amtYm: cut() was given a number". None if no function of it fails.

    The place is made of the expression's own names, the reason of kinds: nothing in it is the value's.
    """
    try:
        _Walk(library).step(tree, value, "")
    except _FailedAt as found:
        return str(found)
    except FAILURES:
        return None
    return None


class _Walk:
    """The interpreter's steps for what bindings are made of, each knowing its place; the rest is the interpreter's."""

    def __init__(self, library: Functions) -> None:
        self._library = library
        self._interpreter = TreeInterpreter(Options(custom_functions=library))

    def step(self, tree: Tree, value: Any, place: str) -> tuple[Any, str]:
        """The value of a node, and where it stands."""
        children = tree.get("children", [])
        match tree["type"]:
            case "field":
                name = tree["value"]
                return value.get(name) if isinstance(value, dict) else None, f"{place}.{name}"
            case "index":
                return self._interpreter.visit(tree, value), f"{place}[{tree['value']}]"
            case "subexpression" | "pipe" | "index_expression":
                for child in children:
                    value, place = self.step(child, value, place)
                return value, place
            case "projection":
                base, at = self.step(children[0], value, place)
                if not isinstance(base, list):
                    return None, at
                found = [self.step(children[1], item, f"{at}[{n}]")[0] for n, item in enumerate(base)]
                return [item for item in found if item is not None], at
            case "multi_select_dict" if value is not None:
                return {c["value"]: self.step(c["children"][0], value, place)[0] for c in children}, place
            case "multi_select_list" if value is not None:
                return [self.step(child, value, place)[0] for child in children], place
            case "or_expression" | "and_expression":
                first, at = self.step(children[0], value, place)
                settled = not (first is None or first is False or first in ("", [], {}))
                return (
                    (first, at)
                    if settled is (tree["type"] == "or_expression")
                    else self.step(children[1], value, place)
                )
            case "comparator" | "not_expression":
                for child in children:
                    self.step(child, value, place)
            case "function_expression":
                return self._call(tree["value"], children, value, place)
        return self._interpreter.visit(tree, value), place

    def _call(self, name: str, nodes: list[Tree], value: Any, place: str) -> tuple[Any, str]:
        steps = [self.step(node, value, place) for node in nodes]
        picked = [step for node, step in zip(nodes, steps, strict=True) if node["type"] != "literal"]
        at = picked[0][1] if picked else place
        try:
            return self._library.call_function(name, [found for found, _ in steps]), at
        except FAILURES as error:
            where = at.removeprefix(".")
            raise _FailedAt(f"at {where}: {complaint(error)}" if where else complaint(error)) from None
