"""Circuits by an administrator's word (`bridgectl circuit close`)."""

from collections.abc import Mapping
from typing import Any

from intranet_bridge.marketing.health import Health
from protocol.administration import CloseCircuit, asked
from protocol.errors import BridgeError
from protocol.runtime.audit import Act, logged
from protocol.runtime.control import Answer, Peer
from protocol.signal import Signal


class Circuits:
    """Of all operations."""

    def __init__(self, health: Mapping[str, Health], work: Signal, act: Act = logged) -> None:
        """`work` is sent when commands may be called that might not before. `act` writes down who closed one."""
        self._act = act
        self._health, self._work = health, work

    def answers(self) -> Mapping[str, Answer]:
        """What can be asked."""
        return {"close-circuit": self.close}

    async def close(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """Close one; if the interface still fails, it opens again. Raises BridgeError."""
        question = asked(CloseCircuit, request)
        health = self._health.get(question.operation)
        if health is None:
            raise BridgeError(f"{question.operation} is not bound here; bound are {', '.join(sorted(self._health))}")
        health.close()
        await self._act("close-circuit", peer.behind(question.sudo_user), operation=question.operation)
        self._work.send()
        return {"operation": question.operation}
