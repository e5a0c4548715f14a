"""A statement of the configuration: fixed text with `:name` parameters, never anything spliced in.

The statements written there are all that is ever executed, so each is held to be one statement of the kind that its
place is for. A colon that is no parameter is written `\\:` (PostgreSQL's `::type` is taken as it is).
"""

import re
from typing import Annotated

from pydantic import AfterValidator
from sqlalchemy import TextClause, text

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_READING = ("select", "with")


def compiled(statement: str) -> TextClause:
    """What is executed."""
    return text(statement)


def parameters(statement: str) -> frozenset[str]:
    """The names after its colons."""
    return frozenset(text(statement).compile().params)


def _one(statement: str, *beginnings: str) -> str:
    plain = statement.strip()
    if ";" in plain:
        raise ValueError("is one statement, and holds no semicolon")
    if _CONTROL.search(plain):
        raise ValueError("holds a control character")
    first = re.match("[A-Za-z]*", plain)
    if first is None or first[0].lower() not in beginnings:
        raise ValueError(f"begins with {' or '.join(word.upper() for word in beginnings)}")
    return plain


def _reads(statement: str) -> str:
    return _one(statement, *_READING)


def _inserts(statement: str) -> str:
    return _one(statement, "insert")


Reading = Annotated[str, AfterValidator(_reads)]
"""A statement that gives rows."""
Inserting = Annotated[str, AfterValidator(_inserts)]
"""A statement that hands a request over."""
