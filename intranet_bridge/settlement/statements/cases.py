"""Both sides brought together: all that is known of one order, or of one payment without.

Numbers of orders are a merchant's own, and so are those of some platforms' payments: where a channel has several
merchants, each is apart, and what one was paid never meets what is written off for another. An order of ours is one
case, whoever was paid for it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

from intranet_bridge.settlement.statements.sides import ORDER_NAME, Seen, WriteOff
from protocol.values import immutable

Side = Seen | WriteOff
Of = tuple[str, str]
"""Channel and merchant."""
_APART = "\0"
"""Between a case's name and its merchant, where several are told apart: before every other character."""
UNSURE = "?"
"""In place of a merchant: one of several, and nobody says which. (No merchant's number.)"""


@immutable
class Case:
    """All that is known of one order, or of one payment without."""

    name: str
    rows: tuple[Seen, ...]
    write_offs: tuple[WriteOff, ...]
    merchant: str = ""
    """Whose it is, where another one has a payment of the same number."""
    unsure: bool = False
    """Several merchants have a payment of this number, and a side does not say whose it is of."""


def cases(rows: Iterable[Seen], write_offs: Iterable[WriteOff]) -> Iterator[Case]:
    """Rows and write-offs of one order together, in the order of their numbers. What has no order number is with the
    one of its transaction, and what has no merchant is with the only one that has it.
    """
    left, right = list(rows), list(write_offs)
    whose = Whose(left, right)
    known: dict[Of, dict[str, str]] = {whose.of(one): {} for one in both(left, right) if not one.order}
    if known:
        for one in both(left, right):
            if one.order and (orders := known.get(whose.of(one))) is not None:
                orders.setdefault(one.transaction, one.order)

    def called(one: Side) -> str:
        if whose.unsure(one):
            return f"{one.channel}:{one.transaction}{_APART}{UNSURE}"
        of = whose.of(one)
        order = one.order or known[of].get(one.transaction)
        name = order or f"{one.channel}:{one.transaction}"
        if not of[1] or (order and ORDER_NAME.fullmatch(order)):
            return name
        return f"{name}{_APART}{of[1]}"

    left.sort(key=called)
    right.sort(key=called)
    return merged(left, right, called, whose.shared)


class Whose:
    """Which merchant a row, or a write-off, is of. Empty, where its channel has one merchant."""

    def __init__(self, rows: Sequence[Seen], write_offs: Sequence[WriteOff]) -> None:
        merchants: dict[str, set[str]] = {}
        for one in both(rows, write_offs):
            if one.merchant:
                merchants.setdefault(one.channel, set()).add(one.merchant)
        self._channels = {channel for channel, several in merchants.items() if len(several) > 1}
        found: dict[tuple[str, str], set[str]] = {}
        without: set[tuple[str, str]] = set()
        for one in both(rows, write_offs):
            if one.channel in self._channels and one.transaction:
                if one.merchant:
                    found.setdefault((one.channel, one.transaction), set()).add(one.merchant)
                else:
                    without.add((one.channel, one.transaction))
        self._only = {key: next(iter(found[key])) for key in without if len(found.get(key, ())) == 1}
        self._shared = {key for key, several in found.items() if len(several) > 1}
        self._unsure = self._shared & without
        self._alone: dict[str, Of] = {}

    def of(self, one: Side) -> Of:
        """Channel and merchant."""
        if one.channel not in self._channels:
            return self._alone.setdefault(one.channel, (one.channel, ""))
        return one.channel, one.merchant or self._only.get((one.channel, one.transaction), "")

    def unsure(self, one: Side) -> bool:
        """Whether several merchants have its transaction, and not all that is known of it says whose."""
        return (one.channel, one.transaction) in self._unsure

    def shared(self, one: Side) -> bool:
        """Whether several merchants have its transaction."""
        return (one.channel, one.transaction) in self._shared


def both(rows: Iterable[Seen], write_offs: Iterable[WriteOff]) -> Iterator[Side]:
    """One side, and then the other."""
    yield from rows
    yield from write_offs


def merged(
    rows: Iterable[Seen], write_offs: Iterable[WriteOff], called: Callable[[Side], str],
    shared: Callable[[Side], bool] = lambda one: False,
) -> Iterator[Case]:  # fmt: skip
    """The same of two streams that are in order already, holding one case at a time."""

    def case(key: str, rows: tuple[Seen, ...], write_offs: tuple[WriteOff, ...]) -> Case:
        name, _, merchant = key.partition(_APART)
        if not merchant:
            return Case(name, rows, write_offs)
        if merchant == UNSURE:
            return Case(name, rows, write_offs, unsure=True)
        apart = any(shared(one) for one in both(rows, write_offs))
        return Case(name, rows, write_offs, merchant if apart else "")

    ours = groupby(write_offs, key=called)
    held = next(ours, None)
    for key, group in groupby(rows, key=called):
        while held is not None and held[0] < key:
            yield case(held[0], (), tuple(held[1]))
            held = next(ours, None)
        if held is not None and held[0] == key:
            yield case(key, tuple(group), tuple(held[1]))
            held = next(ours, None)
        else:
            yield case(key, tuple(group), ())
    while held is not None:
        yield case(held[0], (), tuple(held[1]))
        held = next(ours, None)
