"""An answer is about what was asked: which fields of an answer must equal which of the request.

By default these are the fields of the same name at the top of both schemas and, at any depth of the answer (in lists
too), those named as the request's `about` field, which says whose data it is. An entry that means something else by
such a name says so with `echoes`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from protocol.errors import BridgeError
from protocol.operations.fields import models_in


class AnswerMismatch(BridgeError):
    """The answer is about something else than was asked. `field` is its dotted name; the values are not said."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class Echoes:
    """Compares answers with requests. Made once an entry."""

    def __init__(self, request: type[BaseModel], response: type[BaseModel], pairs: Mapping[str, str]) -> None:
        """`pairs`: dotted answer field → request field. Raises ValueError for a name that neither schema has."""
        known = {".".join(path) for path in _paths(response)}
        for path, name in pairs.items():
            if path not in known or name not in request.model_fields:
                raise ValueError(f"echoes: {response.__name__}.{path} or {request.__name__}.{name} does not exist")
        self.pairs = dict(pairs)
        self._flat = tuple((path, name) for path, name in pairs.items() if "." not in path)
        self._deep = tuple((tuple(path.split(".")), name) for path, name in pairs.items() if "." in path)

    def mismatch(self, asked: Any, answer: Any) -> str | None:
        """The first field of `answer` that is not as asked. What the request leaves out asks for nothing; what it
        names must be there at the top of the answer, and equal wherever the answer says it.
        """
        for path, name in self._flat:
            wanted = getattr(asked, name)
            if wanted is not None and getattr(answer, path) != wanted:
                return path
        for parts, name in self._deep:
            wanted = getattr(asked, name)
            if wanted is not None and any(value != wanted for value in _values(answer, parts) if value is not None):
                return ".".join(parts)
        return None


def default_pairs(request: type[BaseModel], response: type[BaseModel], about: str | None) -> dict[str, str]:
    """The pairs of an entry that does not name its own."""
    return {
        ".".join(path): path[-1]
        for path in _paths(response)
        if path[-1] in request.model_fields and (len(path) == 1 or path[-1] == about)
    }


def _paths(model: type[BaseModel], above: tuple[type[BaseModel], ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, info in model.model_fields.items():
        yield (name,)
        for inner in models_in(info.annotation):
            if inner is not model and inner not in above:  # a schema that contains itself
                for path in _paths(inner, (*above, model)):
                    yield (name, *path)


def _values(value: Any, parts: Sequence[str]) -> Iterator[Any]:
    if isinstance(value, BaseModel):
        if parts:
            yield from _values(getattr(value, parts[0], None), parts[1:])
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _values(item, parts)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _values(item, parts)
    elif not parts:
        yield value
