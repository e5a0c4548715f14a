"""Both sides brought together: all that is known of one order, or of one payment without."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from intranet_bridge.settlement.statements.sides import Seen, WriteOff
from protocol.values import immutable


@immutable
class Case:
    """All that is known of one order, or of one payment without."""

    name: str
    rows: tuple[Seen, ...]
    write_offs: tuple[WriteOff, ...]


def cases(rows: Iterable[Seen], write_offs: Iterable[WriteOff]) -> Iterator[Case]:
    """Rows and write-offs of one order together, in the order of their numbers. What has no order number is with the
    one of its transaction.
    """
    left, right = list(rows), list(write_offs)
    lacking = {(one.channel, one.transaction) for one in left if not one.order}
    lacking |= {(one.channel, one.transaction) for one in right if not one.order}
    known: dict[tuple[str, str], str] = {}
    if lacking:
        every: list[Seen | WriteOff] = [*left, *right]
        for one in every:
            if one.order and (one.channel, one.transaction) in lacking:
                known.setdefault((one.channel, one.transaction), one.order)

    def name(one: Seen | WriteOff) -> str:
        return one.order or known.get((one.channel, one.transaction)) or f"{one.channel}:{one.transaction}"

    left.sort(key=name)
    right.sort(key=name)
    return merged(left, right, name)


def merged(
    rows: Iterable[Seen], write_offs: Iterable[WriteOff], name: Callable[[Seen | WriteOff], str]
) -> Iterator[Case]:
    """The same of two streams that are in order already, holding one case at a time."""
    ours = groupby(write_offs, key=name)
    held = next(ours, None)
    for called, group in groupby(rows, key=name):
        while held is not None and held[0] < called:
            yield Case(held[0], (), tuple(held[1]))
            held = next(ours, None)
        if held is not None and held[0] == called:
            yield Case(called, tuple(group), tuple(held[1]))
            held = next(ours, None)
        else:
            yield Case(called, tuple(group), ())
    while held is not None:
        yield Case(held[0], (), tuple(held[1]))
        held = next(ours, None)
