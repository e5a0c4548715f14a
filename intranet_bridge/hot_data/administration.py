"""Hot data by an administrator's word (`bridgectl cache`)."""

from collections.abc import Callable, Mapping
from typing import Any

from intranet_bridge.hot_data.hot import HotData
from protocol.administration import ClearHot, asked
from protocol.errors import BridgeError
from protocol.reports.marketing_data import HotOperationReport, HotReport, PrequeryReport
from protocol.runtime.audit import Audit
from protocol.runtime.control import Answer, Peer


class HotAdministration:
    """Of one bridge."""

    def __init__(self, hot: HotData, audit: Audit, prequery: Callable[[], PrequeryReport | None]) -> None:
        """`audit` has who dropped what; never whose account it was."""
        self._hot, self._audit, self._prequery = hot, audit, prequery

    def answers(self) -> Mapping[str, Answer]:
        """What can be asked."""
        return {"hot": self.report, "clear-hot": self.clear}

    async def report(self, _request: Mapping[str, Any], _peer: Peer) -> dict[str, Any]:
        """How much is kept, and what it spared."""
        hot = self._hot
        operations = tuple(
            HotOperationReport(
                operation=name, kept=kept, bytes=size,
                lifetime_s=hot.policies[name].lifetime_s if name in hot.policies else 0.0,
                **{way: hot.counts[name, way] for way in ("hit", "joined", "miss", "stale", "bypassed")},
            )
            for name, (kept, size) in sorted(hot.by_operation().items())
        )  # fmt: skip
        kept, size = hot.size
        report = HotReport(
            operations=operations, kept=kept, bytes=size, limit=hot.limit, evicted=hot.evicted,
            invalidated=dict(hot.invalidated), prequery=self._prequery(),
        )  # fmt: skip
        return report.model_dump(mode="json")

    async def clear(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """Drop some, or all. Raises BridgeError."""
        question = asked(ClearHot, request)
        hot, name = self._hot, question.operation
        if name and name not in hot.policies:
            kept = ", ".join(sorted(hot.policies)) or "nothing is kept here"
            raise BridgeError(f"no answers of {name} are kept; those that are: {kept}")
        operations = (name,) if name else None
        if question.account:
            dropped = hot.invalidate(question.account, operations, "operator")
        else:
            dropped = hot.clear(operations)
        await self._audit.act(
            "clear-cache", peer.behind(question.sudo_user), operation=name or "*",
            account="one" if question.account else "*", answers=dropped,
        )  # fmt: skip
        return {"dropped": dropped}
