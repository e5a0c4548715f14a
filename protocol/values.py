"""Values: what is made for every message, and never changed."""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def immutable(cls: type[T]) -> type[T]:
    """A frozen dataclass with slots, compared and hashed by its fields. That nobody assigns to a field is checked by
    the type checker alone: at run time it would cost 0.1 µs for each field of each message (Python 3.11).
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
