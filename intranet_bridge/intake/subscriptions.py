"""What the bridge takes from the broker: one subscription for each kind of request, each with an intake of its own."""

import asyncio
from collections.abc import Callable, Mapping

from intranet_bridge.inbox.inbox import Inbox
from intranet_bridge.intake.attachments import AttachmentIntake
from intranet_bridge.intake.commands import CommandIntake
from intranet_bridge.intake.queries import QueryIntake
from intranet_bridge.settings import BridgeSettings
from protocol.destinations import attachments, commands, queries
from protocol.link.port import AckMode, Link, Subscription
from protocol.runtime.region_inbox import selector

ATTACHMENT_PREFETCH = 4
"""Messages of up to 192 KB that the broker sends before the earlier ones are on disk."""


class Subscriptions:
    """All of one bridge, begun and ended together."""

    def __init__(
        self,
        settings: BridgeSettings,
        links: Mapping[str, Link],
        inbox: Inbox,
        *,
        queries: QueryIntake,
        commands: CommandIntake,
        attachments: AttachmentIntake,
    ) -> None:
        """`links`: by the names of the intakes. `inbox`: its id, once started, is what commands are chosen by."""
        self._settings, self._inbox = settings, inbox
        self._queries, self._commands, self._attachments = queries, commands, attachments
        self._links = {name: links[name] for name in ("queries", "commands", "attachments")}
        self._unsubscribe: list[Callable[[], None]] = []

    async def start(self) -> None:
        """Take requests from now on."""
        self._subscribe()
        for link in self._links.values():
            await link.start()

    async def rest(self) -> None:
        """Take nothing. What was begun to be recorded is recorded; what is not acknowledged goes to another bridge."""
        self._queries.close()
        await asyncio.gather(self._commands.close(), self._attachments.close())
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._unsubscribe = []

    def go_on(self) -> None:
        """Take again."""
        for intake in (self._queries, self._commands, self._attachments):
            intake.reopen()
        self._subscribe()

    async def close(self) -> None:
        """Take nothing more, and close the links."""
        await self.rest()
        await asyncio.gather(*(link.close() for link in self._links.values()))

    def _subscribe(self) -> None:
        settings, own = self._settings, {"selector": selector(self._inbox.id)}
        region, one_by_one = settings.region, AckMode.INDIVIDUAL
        subscriptions = {
            "queries": Subscription(
                queries(region), self._queries.handle, AckMode.CUMULATIVE, settings.queries.prefetch
            ),
            "commands": Subscription(
                commands(region), self._commands.handle, one_by_one, settings.commands.prefetch, own
            ),
            "attachments": Subscription(
                attachments(region), self._attachments.handle, one_by_one, ATTACHMENT_PREFETCH, own
            ),
        }  # fmt: skip
        self._unsubscribe = [self._links[name].subscribe(one) for name, one in subscriptions.items()]
