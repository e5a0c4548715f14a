"""A link to every broker of a list at once: for who receives.

A sender needs one broker, the first that answers (session.py). A receiver cannot know which one that is: after an
outage a front may be back at the first broker of the list while a bridge still sits at the second, and each would
wait for ever where the other does not look. So a receiver listens at all of them: whatever broker a sender found,
somebody is there, and what a dead broker still has on its disk is taken when it comes back (by then mostly sent
again by another way: ids tell).
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial

from protocol.errors import LinkDown, LinkError
from protocol.link.port import Delivery, Link, Outgoing, Subscription
from protocol.link.receipts import failed
from protocol.link.session import StompLink
from protocol.link.settings import LinkCounters, LinkSettings


class EveryBroker:
    """`port.Link` made of one link to each broker; connected while any of them is.

    An epoch here is the member's epoch and the member's place in one number, so that what is acknowledged goes
    to the connection that delivered it.
    """

    def __init__(self, members: Sequence[Link]) -> None:
        """`members`: one link a broker, not started."""
        self._members = tuple(members)
        self._watchers: list[Callable[[bool], None]] = []
        self._up = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether any broker is connected."""
        return any(member.connected for member in self._members)

    @property
    def epoch(self) -> int:
        """Counts connections made, to all brokers together."""
        return sum(member.epoch for member in self._members)

    @property
    def server(self) -> str:
        """What the first broker that is connected calls itself."""
        known = (member for member in self._members if member.server)
        first = next((member for member in known if member.connected), next(known, None))
        return first.server if first else ""

    @property
    def trouble(self) -> str:
        """What is wrong with each broker, if none is connected."""
        return "" if self.connected else "; ".join(member.trouble for member in self._members if member.trouble)

    @property
    def counters(self) -> LinkCounters:
        """The members' totals, added up; a member that does not count adds nothing."""
        counted = [counters for member in self._members if (counters := getattr(member, "counters", None))]
        names = [field.name for field in fields(LinkCounters)]
        return LinkCounters(**{name: sum(getattr(counters, name) for counters in counted) for name in names})

    @property
    def outstanding(self) -> int:
        """Sends without receipt, to all brokers together."""
        return sum(getattr(member, "outstanding", 0) for member in self._members)

    def standing(self) -> str:
        """Of the members."""
        return "; ".join(filter(None, (member.standing() for member in self._members)))

    def watch(self, callback: Callable[[bool], None]) -> None:
        """Call `callback(connected)` at each change, and once now."""
        self._watchers.append(callback)
        callback(self.connected)

    async def start(self) -> None:
        """Begin connecting to all."""
        for member in self._members:
            await member.start()
            member.watch(self._changed)

    async def ready(self) -> None:
        """Return when one is connected."""
        await self._up.wait()

    async def close(self) -> None:
        """Close all."""
        await asyncio.gather(*(member.close() for member in self._members))

    async def renew(self, settings: LinkSettings) -> None:
        """Go on with other settings, to the same brokers: one after the other (StompLink.renew). A member that cannot
        keeps its connection; raises its OSError or LinkError when all were tried.
        """
        failure: Exception | None = None
        for member in self._members:
            if isinstance(member, StompLink):
                try:
                    own = member.settings
                    await member.renew(replace(settings, brokers=own.brokers, client_name=own.client_name))
                except (OSError, LinkError) as error:
                    failure = error
        if failure is not None:
            raise failure

    def subscribe(self, subscription: Subscription) -> Callable[[], None]:
        """Subscribe at every broker; `prefetch` holds for each."""
        ends = [
            member.subscribe(replace(subscription, handler=partial(self._hand_on, place, subscription.handler)))
            for place, member in enumerate(self._members)
        ]

        def unsubscribe() -> None:
            for end in ends:
                end()

        return unsubscribe

    def ack(self, delivery: Delivery) -> bool:
        """Acknowledge to the broker that delivered; False if that connection is gone."""
        member, own = self._own(delivery)
        return member.ack(own)

    def current(self, delivery: Delivery) -> bool:
        """Whether the connection that delivered is still there."""
        member, own = self._own(delivery)
        return member.current(own)

    def send(self, message: Outgoing) -> "asyncio.Future[None]":
        """Send to the first that is connected."""
        for member in self._members:
            if member.connected:
                return member.send(message)
        return failed(asyncio.get_running_loop(), LinkDown("not connected to any broker"))

    def _hand_on(self, place: int, handler: Callable[[Delivery], None], delivery: Delivery) -> None:
        handler(replace(delivery, epoch=delivery.epoch * len(self._members) + place))

    def _own(self, delivery: Delivery) -> tuple[Link, Delivery]:
        epoch, place = divmod(delivery.epoch, len(self._members))
        return self._members[place], replace(delivery, epoch=epoch)

    def _changed(self, _connected: bool) -> None:
        connected = self.connected
        if connected == self._up.is_set():
            return
        if connected:
            self._up.set()
        else:
            self._up.clear()
        for callback in list(self._watchers):
            callback(connected)
