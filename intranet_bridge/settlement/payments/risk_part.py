"""The part of the settlement that administrators ask about risk (`bridgectl risk`), and that forgets decisions."""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from intranet_bridge.settlement.part import Part
from intranet_bridge.settlement.payments.risk_records import RiskRecords
from intranet_bridge.settlement.ports import Ports
from intranet_bridge.settlement_sections import SettlementSection
from intranet_bridge.settlement_sections.risk import RiskSection, Verdict
from protocol.administration import asked
from protocol.runtime.control import Answer, Peer
from protocol.runtime.metrics import Sample

_DAY_MS = 86_400_000
_List = Annotated[str, StringConstraints(pattern="^[a-z0-9][a-z0-9-]{0,39}$")]
_Value = Annotated[str, Field(min_length=1, max_length=200, repr=False)]


class _Question(BaseModel):
    model_config = ConfigDict(extra="ignore")
    sudo_user: Annotated[str, Field(max_length=64)] = ""


class _Show(_Question):
    list: Annotated[str, Field(max_length=40)] = ""


class _Decisions(_Question):
    verdict: Verdict | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 50


class _Put(_Question):
    list: _List
    value: _Value
    expires_at: Annotated[int, Field(ge=0)] | None = None
    note: Annotated[str, Field(max_length=200)] = ""


class _Remove(_Question):
    list: _List
    value: _Value


class RiskPart(Part):
    """What people see of risk, and do."""

    def __init__(self, section: RiskSection, ports: Ports, records: RiskRecords) -> None:
        self._section, self._ports, self._records = section, ports, records

    def use(self, section: SettlementSection) -> None:
        """Go by a changed configuration from now on; the records ask for its rules."""
        self._section = section.risk

    def answers(self) -> Mapping[str, Answer]:
        """`bridgectl risk`."""
        return {
            "risk-list": self._list, "risk-add": self._add, "risk-remove": self._remove,
            "risk-decisions": self._decisions,
        }  # fmt: skip

    async def forget(self, before: int) -> None:
        """Decisions past their time, whatever the requests' is."""
        await self._records.forget(self._ports.clock() - self._section.keep_days * _DAY_MS)

    def samples(self) -> Iterator[Sample]:
        """The numbers of the metrics."""
        counts: Counter[tuple[str, str]] = self._records.counts
        for (verdict, rule), count in sorted(counts.items()):
            text = "Orders and refunds judged, by verdict and the rule that decided"
            yield "intranet_bridge_risk_decisions_total", text, {"verdict": verdict, "rule": rule}, count

    async def _list(self, request: Mapping[str, Any], _peer: Peer) -> dict[str, Any]:
        now = self._ports.clock()
        return {
            "entries": [
                {
                    "list": one.list, "value": one.value, "expires_at": one.expires_at, "note": one.note, "by": one.who,
                    "added_at": one.added_at, "over": one.expires_at is not None and one.expires_at <= now,
                }
                for one in await self._records.listed(asked(_Show, request).list)
            ]
        }  # fmt: skip

    async def _add(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        question = asked(_Put, request)
        who = peer.behind(question.sudo_user)
        one = self._records.listing(question.list, question.value, question.expires_at, question.note, who)
        said = {"list": one.list, "value": one.value, "expires_at": one.expires_at}
        await self._ports.transact(partial(self._records.put, one=one), "risk-add", who, lambda _: said)
        return {"list": one.list, "value": one.value}

    async def _remove(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        question = asked(_Remove, request)
        who = peer.behind(question.sudo_user)
        remove = partial(self._records.remove, list=question.list, value=question.value)
        await self._ports.transact(remove, "risk-remove", who, lambda _: {"list": question.list})
        return {"list": question.list}

    async def _decisions(self, request: Mapping[str, Any], _peer: Peer) -> dict[str, Any]:
        question = asked(_Decisions, request)
        return {
            "decisions": [
                {
                    "subject": one.subject, "id": one.id, "amount": one.amount, "verdict": one.decision.verdict,
                    "rule": one.decision.rule, "dry": list(one.decision.dry), "at": one.at,
                }
                for one in await self._records.decisions(question.verdict, question.limit)
            ]
        }  # fmt: skip
