"""What a mapping made of an answer, against the catalogue's schema: the result, or where and why it is none."""

from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, to_json

from intranet_bridge.marketing.expressions.mapping import MappingError


def validated(schema: TypeAdapter[Any], mapped: Any) -> Any:
    """The response model of a mapped answer.

    What old systems write and the schema does not take is tidied if need be: a field that is null is left out, so
    an optional one keeps its default, and 7.0 is the integer 7. Raises MappingError, which never tells a value.
    """
    # By way of JSON because the schemas are strict: what JSON cannot say (a tuple) a dict cannot either
    try:
        return schema.validate_json(to_json(mapped))
    except ValidationError:
        pass
    try:
        return schema.validate_json(to_json(_tidy(mapped)))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise MappingError(_complaint(first, mapped)) from None


def _tidy(value: Any) -> Any:
    match value:
        case dict():
            return {name: _tidy(item) for name, item in value.items() if item is not None}
        case list():
            return [_tidy(item) for item in value]
        case float() if value.is_integer():
            return int(value)
    return value


def _complaint(error: ErrorDetails, mapped: Any) -> str:
    place = error["loc"]
    where = dotted(place)
    if error["type"] == "missing":
        for part in place[:-1]:
            mapped = mapped[part]
        given = "gave null for" if place[-1] in mapped else "leaves out"
        return f"the mapping {given} the required field {where}"
    if not place:
        return f"the mapping gave {'null' if mapped is None else 'something else'} instead of an object"
    if error["type"] == "extra_forbidden":
        return f"the mapping gave a field the schema does not have: {where}"
    message = error["msg"].removeprefix("Value error, ")
    return f"the mapping's field {where} does not fit: {message}"


def dotted(place: tuple[int | str, ...]) -> str:
    """A place in a document as one writes it: ``bills[0].month``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
