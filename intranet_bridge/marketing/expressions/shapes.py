"""What an expression can give, found from its syntax and the shape of what it sees, before any request is there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jmespath.lexer import Lexer

Tree = Mapping[str, Any]

NULL, TEXT, NUMBER, BOOLEAN, LIST, OBJECT = "null", "a text", "a number", "true or false", "a list", "an object"
_ALL = frozenset((NULL, TEXT, NUMBER, BOOLEAN, LIST, OBJECT))
_SCHEMA_KINDS = {
    "null": NULL, "string": TEXT, "integer": NUMBER, "number": NUMBER, "boolean": BOOLEAN, "array": LIST,
    "object": OBJECT,
}  # fmt: skip
_RESULTS: Mapping[str, tuple[str, ...]] = {
    "abs": (NUMBER,), "avg": (NUMBER, NULL), "ceil": (NUMBER,), "floor": (NUMBER,), "length": (NUMBER,),
    "sum": (NUMBER,), "to_number": (NUMBER, NULL), "contains": (BOOLEAN,), "starts_with": (BOOLEAN,),
    "ends_with": (BOOLEAN,), "join": (TEXT,), "to_string": (TEXT,), "type": (TEXT,), "keys": (LIST,),
    "values": (LIST,), "map": (LIST,), "sort": (LIST,), "sort_by": (LIST,), "to_array": (LIST,), "merge": (OBJECT,),
    "list": (LIST,), "text": (TEXT, NULL), "trim": (TEXT, NULL), "digits": (TEXT, NULL), "month": (TEXT, NULL),
    "local": (TEXT, NULL), "mask": (TEXT, NULL), "timestamp": (TEXT, NULL),
    "date": (TEXT, NULL), "round": (NUMBER, NULL), "fen": (NUMBER, NULL), "yuan": (TEXT, NULL),
    "replace": (TEXT, NULL), "cut": (TEXT, NULL), "gcj02": (OBJECT, NULL), "wgs84": (OBJECT, NULL),
}  # fmt: skip
_TEXTS = {"replace": (1, 2), "join": (0,), "starts_with": (1,), "ends_with": (1,), "contains": (1,)}
"""Arguments that are texts of the integrator's, hardly ever a field's."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a value may be."""

    kinds: frozenset[str] = _ALL
    fields: Mapping[str, "Shape"] | None = None
    """Of an object: all that it may have; None: any."""
    item: "Shape | None" = None
    """Of a list; None: any."""
    required: frozenset[str] = frozenset()
    """Of an object in a schema: what it must have."""


ANY = Shape()
NOTHING = Shape(frozenset((NULL,)))


def of_schema(schema: Mapping[str, Any], definitions: Mapping[str, Any] | None = None) -> Shape:
    """The shape of a JSON schema as pydantic writes them."""
    definitions = schema.get("$defs", {}) if definitions is None else definitions
    if "$ref" in schema:
        return of_schema(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        parts = [of_schema(part, definitions) for part in schema["anyOf"]]
        whole = parts[0]
        for part in parts[1:]:
            whole = _either(whole, part)
        return whole
    kind = _SCHEMA_KINDS.get(schema.get("type", ""))
    if kind is None:
        return ANY
    fields = schema.get("properties")
    return Shape(
        frozenset((kind,)),
        None if fields is None else {name: of_schema(field, definitions) for name, field in fields.items()},
        of_schema(schema["items"], definitions) if "items" in schema else None,
        frozenset(schema.get("required", ())),
    )


def of_value(value: Any) -> Shape:
    """The shape of a constant."""
    match value:
        case None:
            return NOTHING
        case bool():
            return Shape(frozenset((BOOLEAN,)))
        case int() | float():
            return Shape(frozenset((NUMBER,)))
        case str():
            return Shape(frozenset((TEXT,)))
        case list():
            return Shape(frozenset((LIST,)))
    return Shape(frozenset((OBJECT,)))


def in_words(shape: Shape) -> str:
    """In words."""
    return " or ".join(sorted(shape.kinds))


def _either(one: Shape, other: Shape) -> Shape:
    if one.kinds == NOTHING.kinds or other.kinds == NOTHING.kinds:
        full = other if one.kinds == NOTHING.kinds else one
        return Shape(full.kinds | one.kinds | other.kinds, full.fields, full.item, full.required)
    return one if one == other else Shape(one.kinds | other.kinds)


class Inference:
    """One expression, read with the shape of what it sees. `mistakes` is what can only be one; `doubts` what may be."""

    def __init__(self, expression: str, tree: Tree, sees: Shape, tables: Mapping[str, Mapping[str, Any]]) -> None:
        self._tables = tables
        self._quoted = set[str]()
        self.mistakes: list[str] = []
        self.doubts: list[str] = []
        self._compare_quoted(expression)
        self.gives = self._read(tree, sees)

    def _compare_quoted(self, expression: str) -> None:
        tokens = [*Lexer().tokenize(expression)]
        for at, token in enumerate(tokens):
            if token["type"] == "quoted_identifier":
                self._quoted.add(token["value"])
            if token["type"] not in ("eq", "ne", "lt", "lte", "gt", "gte"):
                continue
            left, right = tokens[at - 1], tokens[at + 1]
            for side, beyond, other in (
                (left, tokens[at - 2] if at > 1 else None, right),
                (right, tokens[at + 2], left),
            ):
                whole = beyond is None or beyond["type"] not in ("dot", "lbracket", "flatten", "filter")
                if side["type"] == "quoted_identifier" and whole and other["type"] != "literal":
                    self._names_a_field(side["value"])

    def _names_a_field(self, name: str) -> None:
        self.mistakes.append(f'"{name}" names a field; a text is written \'{name}\' (if it is a field: @."{name}")')

    def _read(self, tree: Tree, sees: Shape) -> Shape:
        method: Callable[[Tree, list[Tree], Shape], Shape] | None = getattr(self, f"_{tree['type']}", None)
        children = tree.get("children", [])
        if method is not None:
            return method(tree, children, sees)
        for child in children:
            if isinstance(child, Mapping):
                self._read(child, ANY)
        return ANY

    def _field(self, tree: Tree, _: Sequence[Tree], sees: Shape) -> Shape:
        name = tree["value"]
        if OBJECT not in sees.kinds:
            if sees.kinds != NOTHING.kinds:
                self.mistakes.append(f"{name} is looked for in {in_words(sees)}, which has no fields: always null")
            return NOTHING
        if sees.fields is None:
            return ANY
        found = sees.fields.get(name)
        if found is None:
            self.mistakes.append(f"there is no field {name}: the fields are {', '.join(sorted(sees.fields))}")
            return NOTHING
        return found if sees.kinds == {OBJECT} else _either(found, NOTHING)

    def _identity(self, _: Tree, __: Sequence[Tree], sees: Shape) -> Shape:
        return sees

    _current = _identity

    def _literal(self, tree: Tree, _: Sequence[Tree], __: Shape) -> Shape:
        return of_value(tree["value"])

    def _subexpression(self, _: Tree, children: Sequence[Tree], sees: Shape) -> Shape:
        for child in children:
            sees = self._read(child, sees)
        return sees

    _pipe = _subexpression
    _index_expression = _subexpression

    def _index(self, _: Tree, __: Sequence[Tree], sees: Shape) -> Shape:
        if LIST not in sees.kinds:
            if sees.kinds != NOTHING.kinds:
                self.mistakes.append(f"an element is looked for in {in_words(sees)}: always null")
            return NOTHING
        return _either(sees.item or ANY, NOTHING)

    def _slice(self, _: Tree, __: Sequence[Tree], sees: Shape) -> Shape:
        return sees if LIST in sees.kinds else NOTHING

    def _projection(self, _: Tree, children: Sequence[Tree], sees: Shape) -> Shape:
        base = self._read(children[0], sees)
        if LIST not in base.kinds:
            if base.kinds != NOTHING.kinds:
                self.mistakes.append(f"elements are looked for in {in_words(base)}: always null")
            return NOTHING
        each = self._read(children[1], base.item or ANY)
        return Shape(frozenset((LIST,)) | (frozenset() if base.kinds == {LIST} else NOTHING.kinds), item=each)

    def _filter_projection(self, _: Tree, children: Sequence[Tree], sees: Shape) -> Shape:
        base = self._read(children[0], sees)
        self._read(children[2], base.item or ANY)
        each = self._read(children[1], base.item or ANY)
        return Shape(frozenset((LIST, NULL)), item=each)

    def _multi_select_dict(self, _: Tree, children: Sequence[Tree], sees: Shape) -> Shape:
        if sees.kinds == NOTHING.kinds:
            return NOTHING
        fields = {child["value"]: self._read(child["children"][0], sees) for child in children}
        return Shape(frozenset((OBJECT,)) | (sees.kinds & NOTHING.kinds), fields, required=frozenset(fields))

    def _multi_select_list(self, _: Tree, children: Sequence[Tree], sees: Shape) -> Shape:
        for child in children:
            self._read(child, sees)
        return Shape(frozenset((LIST,)) | (sees.kinds & NOTHING.kinds))

    def _or_expression(self, _: Tree, children: Sequence[Tree], sees: Shape) -> Shape:
        first, second = (self._read(child, sees) for child in children)
        if children[1]["type"] == "field" and children[1]["value"] in self._quoted:
            name = children[1]["value"]
            self.doubts.append(f"\"{name}\" names a field; a text is written '{name}'")
        return _either(first, second)

    _and_expression = _or_expression

    def _not_expression(self, _: Tree, children: Sequence[Tree], sees: Shape) -> Shape:
        self._read(children[0], sees)
        return Shape(frozenset((BOOLEAN,)))

    def _comparator(self, tree: Tree, children: Sequence[Tree], sees: Shape) -> Shape:
        left, right = (self._read(child, sees) for child in children)
        if tree["value"] in ("eq", "ne"):
            if not left.kinds & right.kinds and NOTHING.kinds not in (left.kinds, right.kinds):
                self.mistakes.append(f"{in_words(left)} is compared with {in_words(right)}: never equal")
            return Shape(frozenset((BOOLEAN,)))
        if not (NUMBER in left.kinds and NUMBER in right.kinds):
            self.mistakes.append(
                f"{in_words(left)} and {in_words(right)} have no order, only numbers have: always null"
            )
        return Shape(frozenset((BOOLEAN, NULL)))

    def _function_expression(self, tree: Tree, children: Sequence[Tree], sees: Shape) -> Shape:
        name = tree["value"]
        for at in _TEXTS.get(name, ()):
            if children[at]["type"] == "field" and children[at]["value"] in self._quoted:
                self._names_a_field(children[at]["value"])
        arguments = [self._read(child, sees) for child in children if child["type"] != "expref"]
        if name == "to_string" and NULL in arguments[0].kinds:
            self.doubts.append('to_string() makes the text "null" of what is null or absent: text() is meant?')
        if name == "translate":
            whole = NOTHING
            for value in self._tables.get(children[0].get("value", ""), {}).values():
                whole = _either(whole, of_value(value))
            return whole
        if name == "list" and arguments[0].kinds <= {LIST, NULL}:
            return Shape(frozenset((LIST,)), item=arguments[0].item)
        kinds = _RESULTS.get(name)
        return ANY if kinds is None else Shape(frozenset(kinds))
