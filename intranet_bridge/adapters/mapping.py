"""JMESPath expressions from the configuration, compiled once into closures.

The interpreter of the `jmespath` package walks its syntax tree at every evaluation. Most of what a binding
says is plain: fields, nested objects, lists of objects, a function of a field. Those nodes are compiled here
into nested closures; any other node is left to the package's own interpreter, so the language is the whole of
JMESPath (https://jmespath.org/specification.html) and the results are the same (the tests compare the two).

Besides the standard functions an expression may use:

==============================  ==================================================================
``translate(table, value)``     `value` looked up in the binding's ``values.<table>``; null if absent
``replace(text, old, new)``     every `old` in `text` replaced by `new`
``cut(text, first, end)``       characters `first` up to `end`, counted from 0
``yuan(fen)``, ``fen(yuan)``    1234 ↔ "12.34"; exact, refuses more than two decimals
==============================  ==================================================================

Each gives null for null.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, cast

import jmespath
from jmespath import functions
from jmespath.exceptions import JMESPathError
from jmespath.visitor import TreeInterpreter

Mapped = Callable[[Any], Any]
Tables = Mapping[str, Mapping[str, Any]]
_NULL: Mapping[str, Any] = {"type": "literal", "value": None, "children": []}


class MappingError(Exception):
    """An expression could not be evaluated on this value. Says nothing of the value: it may be a customer's."""


def compiled(expression: str, tables: Tables | None = None, *, deciding: bool = False) -> Mapped:
    """A function that evaluates `expression`. Raises ValueError when it is not JMESPath.

    Without `tables` it is only checked, but for the names of tables.
    `deciding` makes negative tests false of null (see `condition`).
    The function raises MappingError when a function of the expression is given what it cannot take.
    """
    library = _Functions(tables or {})
    try:
        tree = jmespath.compile(expression).parsed
    except JMESPathError as error:
        raise ValueError(f"not a JMESPath expression: {error}") from error
    _check(tree, library, tables)
    run = (_Deciding if deciding else _Compiler)(library).node(tree)

    def evaluate(value: Any) -> Any:
        try:
            return run(value)
        except (JMESPathError, ArithmeticError) as error:
            raise MappingError(f"{type(error).__name__} in {expression!r}") from None

    return evaluate


def condition(expression: str, tables: Tables) -> Mapped:
    """`compiled`, for a test that decides what became of a request.

    In JMESPath ``code != 'x'`` and ``!code`` are true where there is no `code`, so any foreign answer would pass
    them. Here a comparison by ``!=`` with null, and the negation of null, are false.
    Inside filters (``[?code != 'x']``) they are JMESPath's own.
    """
    return compiled(expression, tables, deciding=True)


def optional(expression: str | None, tables: Tables) -> Mapped | None:
    """`compiled`, for a setting that may be left out."""
    return None if expression is None else compiled(expression, tables)


def truth(value: Any) -> bool:
    """Whether JMESPath takes a value for true."""
    return not (value is None or value is False or value == "" or value == [] or value == {})


class _Functions(functions.Functions):  # type: ignore[misc]  # jmespath has no types
    """The standard functions and ours."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    @functions.signature({"types": ["string"]}, {"types": []})  # type: ignore[untyped-decorator]
    def _func_translate(self, table: str, value: Any) -> Any:
        return None if value is None else self.tables[table].get(str(value))

    @functions.signature({"types": ["string", "null"]}, {"types": ["string"]}, {"types": ["string"]})  # type: ignore[untyped-decorator]
    def _func_replace(self, text: str | None, old: str, new: str) -> str | None:
        return None if text is None else text.replace(old, new)

    @functions.signature({"types": ["string", "null"]}, {"types": ["number"]}, {"types": ["number"]})  # type: ignore[untyped-decorator]
    def _func_cut(self, text: str | None, first: int, end: int) -> str | None:
        return None if text is None else text[first:end]

    @functions.signature({"types": ["number", "null"]})  # type: ignore[untyped-decorator]
    def _func_yuan(self, fen: int | None) -> str | None:
        return None if fen is None else f"{Decimal(fen) / 100:.2f}"

    @functions.signature({"types": ["string", "number", "null"]})  # type: ignore[untyped-decorator]
    def _func_fen(self, yuan: str | int | float | None) -> int | None:
        if yuan is None:
            return None
        fen = Decimal(str(yuan)) * 100
        if fen != fen.to_integral_value():
            raise InvalidOperation("more than two decimals")
        return int(fen)


def _check(tree: Mapping[str, Any], library: _Functions, tables: Tables | None) -> None:
    """Find at start-up what would fail at every request: unknown functions and tables, wrong argument counts."""
    if tree["type"] == "function_expression":
        name, arguments = tree["value"], tree["children"]
        known = library.FUNCTION_TABLE.get(name)
        if known is None:
            raise ValueError(f"unknown function {name}()")
        signature = known["signature"]
        variadic = bool(signature) and signature[-1].get("variadic")
        if len(arguments) != len(signature) and not (variadic and len(arguments) > len(signature)):
            raise ValueError(f"{name}() takes {len(signature)} arguments")
        if name == "translate":
            table = arguments[0].get("value")
            if arguments[0]["type"] != "literal" or (tables is not None and table not in tables):
                raise ValueError(f"translate() needs the name of a table under values, quoted: {table!r}")
    for child in tree.get("children", ()):
        if isinstance(child, Mapping):
            _check(child, library, tables)


class _Compiler:
    """Syntax tree → closure. One method a node type; what has none goes to the package's interpreter."""

    def __init__(self, library: _Functions) -> None:
        self._library = library
        options = jmespath.Options(custom_functions=library)
        self._interpreter = TreeInterpreter(options)

    def node(self, tree: Mapping[str, Any]) -> Mapped:
        method = getattr(self, f"_{tree['type']}", None)
        if method is not None:
            return cast(Mapped, method(tree))
        visit = self._interpreter.visit
        return lambda value: visit(tree, value)

    def _field(self, tree: Mapping[str, Any]) -> Mapped:
        name = tree["value"]
        return lambda value: value.get(name) if type(value) is dict else None

    def _current(self, tree: Mapping[str, Any]) -> Mapped:
        return lambda value: value

    _identity = _current

    def _literal(self, tree: Mapping[str, Any]) -> Mapped:
        constant = tree["value"]
        return lambda value: constant

    def _subexpression(self, tree: Mapping[str, Any]) -> Mapped:
        steps = tuple(self.node(child) for child in tree["children"])
        if len(steps) == 2:
            first, second = steps
            return lambda value: second(first(value))

        def apply(value: Any) -> Any:
            for step in steps:
                value = step(value)
            return value

        return apply

    _pipe = _subexpression
    _index_expression = _subexpression

    def _multi_select_dict(self, tree: Mapping[str, Any]) -> Mapped:
        pairs = tuple((child["value"], self.node(child["children"][0])) for child in tree["children"])
        return lambda value: None if value is None else {name: pick(value) for name, pick in pairs}

    def _multi_select_list(self, tree: Mapping[str, Any]) -> Mapped:
        picks = tuple(self.node(child) for child in tree["children"])
        return lambda value: None if value is None else [pick(value) for pick in picks]

    def _projection(self, tree: Mapping[str, Any]) -> Mapped:
        base, each = (self.node(child) for child in tree["children"])

        def project(value: Any) -> Any:
            elements = base(value)
            if type(elements) is not list:
                return None
            return [found for element in elements if (found := each(element)) is not None]

        return project

    def _or_expression(self, tree: Mapping[str, Any]) -> Mapped:
        first, second = (self.node(child) for child in tree["children"])

        def either(value: Any) -> Any:
            found = first(value)
            return found if truth(found) else second(value)

        return either

    def _comparator(self, tree: Mapping[str, Any]) -> Mapped:
        left, right = tree["children"]
        if tree["value"] in ("eq", "ne") and right["type"] == "literal" and isinstance(right["value"], str):
            pick, wanted, equal = self.node(left), right["value"], tree["value"] == "eq"
            return lambda value: (pick(value) == wanted) is equal
        visit = self._interpreter.visit
        return lambda value: visit(tree, value)

    def _function_expression(self, tree: Mapping[str, Any]) -> Mapped:
        name, nodes = tree["value"], tree["children"]
        arguments = tuple(self.node(child) for child in nodes)
        call = self._library.call_function
        general: Mapped = lambda value: call(name, [pick(value) for pick in arguments])  # noqa: E731
        constants = [child["value"] if child["type"] == "literal" else None for child in nodes]
        match name, arguments, constants:
            # The package checks every argument's type by name at every call; these, used for most fields of a
            # large answer, take the usual types at once and leave all else (and its errors) to the package.
            case "translate", (_, pick), (str(table_name), _):
                table = self._library.tables.get(table_name, {})
                return lambda value: None if (found := pick(value)) is None else table.get(str(found))
            case "to_string", (pick,), _:
                return lambda value: (
                    found
                    if type(found := pick(value)) is str
                    else int.__repr__(found)
                    if type(found) is int
                    else call(name, [found])
                )
            case "cut", (pick, _, _), (_, int(first), int(end)):
                return lambda value: (
                    found[first:end] if type(found := pick(value)) is str else call(name, [found, first, end])
                )
            case "replace", (pick, _, _), (_, str(old), str(new)):
                return lambda value: (
                    found.replace(old, new) if type(found := pick(value)) is str else call(name, [found, old, new])
                )
            case "join", (_, pick), (str(glue), _) if nodes[1]["type"] == "multi_select_list":

                def join(value: Any) -> Any:
                    try:
                        return glue.join(pick(value))
                    except TypeError:  # not all texts, or no list at all
                        return general(value)

                return join
        return general


class _Deciding(_Compiler):
    """Negative tests are false of null."""

    def _comparator(self, tree: Mapping[str, Any]) -> Mapped:
        plain = super()._comparator(tree)
        if tree["value"] != "ne" or any(child == _NULL for child in tree["children"]):
            return plain  # `x != null` asks whether x is there: false of null by itself
        left, right = (self.node(child) for child in tree["children"])
        return lambda value: left(value) is not None and right(value) is not None and bool(plain(value))

    def _not_expression(self, tree: Mapping[str, Any]) -> Mapped:
        inner = self.node(tree["children"][0])
        return lambda value: (found := inner(value)) is not None and not truth(found)

    def _and_expression(self, tree: Mapping[str, Any]) -> Mapped:
        first, second = (self.node(child) for child in tree["children"])

        def both(value: Any) -> Any:
            found = first(value)
            return second(value) if truth(found) else found

        return both
