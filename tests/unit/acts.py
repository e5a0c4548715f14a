"""What people decide, done and told to a test."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from protocol.runtime.audit import Act, Transact
from protocol.runtime.store import Store, Work

T = TypeVar("T")


def transacting(store: Store, act: Act) -> Transact:
    """Does what is decided, and tells `act` of it."""

    async def transact(work: Work[T], name: str, by: str, details: Callable[[T], Mapping[str, Any]], /) -> T:
        result = await store.write(work)
        await act(name, by, **details(result))
        return result

    return transact
