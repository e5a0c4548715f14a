"""A database that answers a commit with an error although it was done: the store then does the work once more."""

from typing import Any

from protocol.runtime.store import Store


def written_twice(store: Store) -> None:
    """From now on each transaction of `store` is committed, and then done and committed once more."""
    do = store._do

    def twice(group: list[Any]) -> list[Any]:
        do(group)
        return do(group)

    store._do = twice  # type: ignore[method-assign]
