"""The way of a message that is written down as a piece of something larger: judged, stored, acknowledged, answered."""

import asyncio
from abc import ABC, abstractmethod
from functools import partial
from typing import Generic, TypeVar

from intranet_bridge.inbox.inbox import Inbox
from intranet_bridge.intake.dead_letters import DeadLetters
from protocol.backoff import Backoff
from protocol.errors import EnvelopeError
from protocol.frames import pack, unpack
from protocol.link.port import Delivery, Link
from protocol.messages import Attributes
from protocol.runtime.region_inbox import INBOX_HEADER
from protocol.runtime.retry import now_and_then, until_done
from protocol.runtime.store_health import said

_AGAIN = Backoff(0.1, 5.0, lambda: 0.0)

Message = TypeVar("Message")
Answer = TypeVar("Answer")


class StoredIntake(ABC, Generic[Message, Answer]):
    """Takes a lane's messages one by one: each is stored before it is acknowledged, and answered after."""

    def __init__(self, link: Link, inbox: Inbox, dead_letters: DeadLetters) -> None:
        self._link, self._inbox, self._dead_letters = link, inbox, dead_letters
        self._running: set[asyncio.Task[None]] = set()
        self.closed = False

    @abstractmethod
    def _judged(self, envelope: bytes) -> tuple[Attributes, Message]:
        """Raises EnvelopeError for what no front sends."""

    @abstractmethod
    async def _stored(self, message: Message) -> Answer | EnvelopeError:
        """Write it down; returns the error of what is to be set aside. Whatever it raises, it is tried again."""

    @abstractmethod
    def _tell(self, attributes: Attributes, answer: Answer) -> None:
        """Answer it. An answer that is lost is made up for: the front sends it again."""

    @abstractmethod
    def _for_another_inbox(self, own: str) -> None:
        """Say in the log that a message came which is for another bridge's inbox."""

    @abstractmethod
    def _failed(self, reason: str, failures: int) -> None:
        """Say in the log that one could not be written down so many times."""

    def handle(self, delivery: Delivery) -> None:
        """The handler of the subscription."""
        if self.closed:
            return
        if delivery.headers.get(INBOX_HEADER, self._inbox.id) != self._inbox.id:
            self._for_another_inbox(self._inbox.id)
            return  # its broker knows no selectors; its front sends it again until the right one has it
        task = asyncio.get_running_loop().create_task(self._take(delivery))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Take nothing more, and finish what was begun."""
        self.closed = True
        if self._running:
            await asyncio.wait(self._running, timeout=5)

    def reopen(self) -> None:
        """Take again."""
        self.closed = False

    async def _take(self, delivery: Delivery) -> None:
        try:
            envelopes = unpack(delivery.body)
        except EnvelopeError as error:
            await self._set_aside(delivery, delivery.body, error.reason)
            envelopes = []
        for envelope in envelopes:
            try:
                attributes, message = self._judged(envelope)
                answer = await until_done(partial(self._stored, message), _AGAIN, self._not_stored)
                if isinstance(answer, EnvelopeError):
                    raise answer
            except EnvelopeError as error:
                await self._set_aside(delivery, pack([envelope]), error.reason, error.request)
            else:
                self._tell(attributes, answer)
        self._link.ack(delivery)

    async def _set_aside(self, delivery: Delivery, body: bytes, reason: str, request: str = "") -> None:
        async def send() -> None:
            if self._link.current(delivery):
                await self._dead_letters.send(delivery.destination, body, reason, request)

        await until_done(send, _AGAIN, self._not_stored)

    def _not_stored(self, error: Exception, failures: int) -> None:
        if now_and_then(failures):
            self._failed(said(error), failures)
