"""JMESPath expressions from the configuration, compiled once into closures.

The interpreter of the `jmespath` package walks its syntax tree at every evaluation. Most of what a binding
says is plain: fields, nested objects, lists of objects, a function of a field. Those nodes are compiled here
into nested closures; any other node is left to the package's own interpreter, so the language is the whole of
JMESPath (https://jmespath.org/specification.html) and the results are the same (the tests compare the two).

Besides the standard functions an expression may use those of functions.py.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

import jmespath
from jmespath.exceptions import IncompleteExpressionError, JMESPathError, LexerError, ParseError
from jmespath.visitor import TreeInterpreter

from intranet_bridge.marketing.expressions.failure import FAILURES, explained
from intranet_bridge.marketing.expressions.functions import Functions, Unfit, complaint, shortcut
from intranet_bridge.marketing.expressions.functions import Tables as Tables

Mapped = Callable[[Any], Any]
_NULL: Mapping[str, Any] = {"type": "literal", "value": None, "children": []}


class MappingError(Exception):
    """An expression could not be evaluated on this value. Says nothing of the value: it may be a customer's."""


def compiled(expression: str, tables: Tables | None = None, *, deciding: bool = False) -> Mapped:
    """A function that evaluates `expression`. Raises ValueError when it is not JMESPath.

    Without `tables` it is only checked, but for the names of tables.
    `deciding` makes negative tests false of null (see `condition`).
    The function raises MappingError when a function of the expression is given what it cannot take.
    """
    library = Functions(tables or {})
    try:
        tree = jmespath.compile(expression).parsed
    except JMESPathError as error:
        raise ValueError(f"not a JMESPath expression: {_syntax(error)}") from error
    _check(tree, library, tables)
    run = (_Deciding if deciding else _Compiler)(library).node(tree)

    def evaluate(value: Any) -> Any:
        try:
            return run(value)
        except FAILURES as error:
            raise MappingError(explained(tree, value, library) or complaint(error)) from None

    return evaluate


def condition(expression: str, tables: Tables) -> Mapped:
    """`compiled`, for a test that decides what became of a request.

    In JMESPath ``code != 'x'`` and ``!code`` are true where there is no `code`, so any foreign answer would pass
    them. Here a comparison by ``!=`` with null, and the negation of null, are false. And a text, a number and a boolean
    are never equal to one of another kind, so ``code != '0'`` is true of every number, 0 too: that decides nothing, and
    is a MappingError (but for ``x != ''``, which asks whether x is there).
    Inside filters (``[?code != 'x']``) they are JMESPath's own.
    """
    return compiled(expression, tables, deciding=True)


def optional(expression: str | None, tables: Tables) -> Mapped | None:
    """`compiled`, for a setting that may be left out."""
    return None if expression is None else compiled(expression, tables)


def truth(value: Any) -> bool:
    """Whether JMESPath takes a value for true."""
    return not (value is None or value is False or value == "" or value == [] or value == {})


def _syntax(error: JMESPathError) -> str:
    """In one line, as the package's own text is not."""
    match error:
        case LexerError():
            return f"{str(error.message).strip()}, at character {error.lexer_position + 1}"
        case IncompleteExpressionError():
            return "it ends too early"
        case ParseError():
            return f"{error.msg.strip()}, at character {error.lex_position + 1}"
    return "it is empty"


def _check(tree: Mapping[str, Any], library: Functions, tables: Tables | None) -> None:
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

    def __init__(self, library: Functions) -> None:
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
        picks = tuple(
            (child["value"], of["value"] if of["type"] == "field" else None, self.node(of))
            for child in tree["children"]
            for of in child["children"][:1]
        )

        def select(value: Any) -> Any:
            if type(value) is not dict:
                return None if value is None else {name: pick(value) for name, _, pick in picks}
            get = value.get  # of most entries a plain field: no call of a function for each
            return {name: pick(value) if field is None else get(field) for name, field, pick in picks}

        return select

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
        if (short := shortcut(name, arguments, constants, self._library)) is not None:
            return short
        match name, arguments, constants:
            case "join", (_, pick), (str(glue), _) if nodes[1]["type"] == "multi_select_list":

                def join(value: Any) -> Any:
                    try:
                        return glue.join(pick(value))
                    except TypeError:  # not all texts, or no list at all
                        return general(value)

                return join
        return general


_TURNED = {"eq": "ne", "ne": "eq"}
_KINDS = {str: "a text", int: "a number", float: "a number", bool: "a boolean"}


def _written(tree: Mapping[str, Any]) -> str:
    """A part of an expression by its names, without what it is compared with: that may be a customer's."""
    match tree["type"]:
        case "field":
            return str(tree["value"])
        case "subexpression" | "index_expression":
            return ".".join(_written(child) for child in tree["children"])
    return "..."


class _Deciding(_Compiler):
    """Negative tests are false of null, and decide nothing about values of different kinds."""

    def _comparator(self, tree: Mapping[str, Any]) -> Mapped:
        plain = super()._comparator(tree)
        if tree["value"] != "ne" or any(child == _NULL for child in tree["children"]):
            return plain  # `x != null` asks whether x is there: false of null by itself
        left, right = (self.node(child) for child in tree["children"])
        place = " != ".join(_written(child) for child in tree["children"])

        def unequal(value: Any) -> bool:
            one, other = left(value), right(value)
            if one is None or other is None:
                return False
            kinds = {_KINDS.get(type(one)), _KINDS.get(type(other))}
            if len(kinds) > 1 and None not in kinds and "" not in (one, other):
                raise Unfit(f"{place}: {' and '.join(sorted(str(kind) for kind in kinds))} are never equal: see text()")
            return bool(plain(value))

        return unequal

    def _not_expression(self, tree: Mapping[str, Any]) -> Mapped:
        return self._negated(tree["children"][0])

    def _negated(self, tree: Mapping[str, Any]) -> Mapped:
        """A comparison is turned round, so that its negation is as careful as ``!=``."""
        match tree["type"]:
            case "comparator" if tree["value"] in _TURNED:
                return self._comparator({**tree, "value": _TURNED[tree["value"]]})
            case "or_expression" | "and_expression":
                first, second = (self._negated(child) for child in tree["children"])
                if tree["type"] == "or_expression":
                    return lambda value: truth(first(value)) and truth(second(value))
                return lambda value: truth(first(value)) or truth(second(value))
        inner = self.node(tree)
        return lambda value: (found := inner(value)) is not None and not truth(found)

    def _and_expression(self, tree: Mapping[str, Any]) -> Mapped:
        first, second = (self.node(child) for child in tree["children"])

        def both(value: Any) -> Any:
            found = first(value)
            return second(value) if truth(found) else found

        return both
