"""What requests and answers tell of: the accounts, work orders, applications and so on that commands change."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from protocol.operations import CATALOGUE, Kind
from protocol.runtime.settings import models_in

NAMES = frozenset(
    {"account"} | {entry.about for entry in CATALOGUE.values() if entry.kind is Kind.COMMAND and entry.about}
)
"""Fields by which a command says what it changes. Who name the same value are about the same."""


def of_request(body: BaseModel) -> frozenset[str]:
    """What a request names."""
    return frozenset(_in(body.model_dump(include=set(NAMES))))


def of_answer(result: bytes) -> frozenset[str]:
    """What an answer names, anywhere in it."""
    return frozenset(_in(json.loads(result))) if result else frozenset()


@lru_cache(maxsize=1024)
def tells_more(operation: str) -> bool:
    """Whether an operation's answers may name what its requests do not: then nobody knows before the answer which
    commands change it.
    """
    entry = CATALOGUE[operation]
    return bool(_named(entry.response) - set(entry.request.model_fields))


def _named(model: type[BaseModel], above: tuple[type[BaseModel], ...] = ()) -> set[str]:
    names = NAMES & set(model.model_fields)
    for field in model.model_fields.values():
        for inner in models_in(field.annotation):
            if inner not in above:
                names |= _named(inner, (*above, model))
    return set(names)


def _in(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name in NAMES and isinstance(inner, str):
                yield inner
            else:
                yield from _in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _in(inner)
