"""The list of write-offs is whole, or there is none."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from intranet_bridge.marketing import Answered, MarketingRequest, Outcome, Refused, Unknown
from intranet_bridge.marketing.binding import BreakerSection
from intranet_bridge.marketing.breaker import Breaker
from intranet_bridge.marketing.calls import MarketingCalls
from intranet_bridge.marketing.health import Health
from intranet_bridge.settlement.statements.asking import LIST, STATE, Incomplete, MarketingWriteOffs
from intranet_bridge.settlement.statements.matching import WriteOff

pytestmark = pytest.mark.anyio
FIRST, LAST = date(2026, 11, 23), date(2026, 11, 25)


def row(number: int, **more: Any) -> dict[str, Any]:
    return {
        "transaction": f"T{number}", "line": 1, "account": "3210000000001", "payment": f"PY{number:06d}",
        "kind": "writeoff", "amount": 100 + number, "penalty": 7, "paid_at": "2026-11-24T08:00:00+08:00",
        "booked_on": "2026-11-24", "state": "written-off",
    } | more  # fmt: skip


class Adapter:
    timeout_s = settle_s = 1.0

    def __init__(self, rows: int, change: Mapping[int, Mapping[str, Any]] | None = None) -> None:
        self.rows, self.change, self.pages = [row(n) for n in range(rows)], change or {}, 0

    async def call(self, asked: MarketingRequest, timeout_s: float) -> Outcome:
        self.pages += 1
        body = asked.body
        first = (body.page - 1) * body.page_size
        answer: dict[str, Any] = {
            "first_day": body.first_day, "last_day": body.last_day, "channel": body.channel, "page": body.page,
            "page_size": body.page_size, "count": len(self.rows), "total": sum(one["amount"] for one in self.rows),
            "rows": self.rows[first : first + body.page_size],
        } | dict(self.change.get(body.page, {}))  # fmt: skip
        return Answered(json.dumps(answer).encode())

    async def inquire(self, asked: MarketingRequest, timeout_s: float) -> Any:
        raise AssertionError


class States(Adapter):
    async def call(self, asked: MarketingRequest, timeout_s: float) -> Outcome:
        if asked.body.transaction == "T1":
            return Refused("no-such-payment")
        if asked.body.transaction == "T2":
            return Unknown("time-out")
        answer: dict[str, Any] = row(0) | {
            "channel": "alipay", "transaction": asked.body.transaction, "state": "reversed", "settled": [],
            "credited": 0,
        }  # fmt: skip
        del answer["penalty"]
        return Answered(json.dumps(answer).encode())


def write_offs(**adapters: Any) -> MarketingWriteOffs:
    bound = {name.replace("_", "-"): one for name, one in adapters.items()}
    health = {name: Health(name, Breaker(BreakerSection())) for name in bound}
    calls = MarketingCalls(bound, health)
    return MarketingWriteOffs(lambda: calls, lambda: True, lambda: 1_795_500_000_000)


async def listed(made: MarketingWriteOffs) -> list[WriteOff]:
    return [one async for page in made.between("alipay", FIRST, LAST) for one in page]


async def test_all_pages() -> None:
    adapter = Adapter(1001)
    found = await listed(write_offs(writeoff_list=adapter))
    assert (len(found), adapter.pages, found[7].transaction, found[7].amount) == (1001, 3, "T7", 107)
    assert (found[7].penalty, found[7].account, found[7].line) == (7, "3210000000001", 1)
    assert await listed(write_offs(writeoff_list=Adapter(0))) == []
    assert await write_offs(writeoff_list=Adapter(3)).count("alipay", LAST) == 3


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({2: {"total": 1}}, "list-changed"),
        ({1: {"total": 1}, 2: {"total": 1}, 3: {"total": 1}}, "list-incomplete"),
        ({1: {"channel": "wechat"}}, "list-other"),
    ],
)
async def test_a_list_that_is_not_whole_stops_the_run(change: Mapping[int, Mapping[str, Any]], code: str) -> None:
    with pytest.raises(Incomplete) as stopped:
        await listed(write_offs(writeoff_list=Adapter(1001, change)))
    assert stopped.value.code == code


async def test_what_is_not_bound_stops_the_run() -> None:
    with pytest.raises(Incomplete, match=LIST):
        await listed(write_offs())


async def test_single_payments() -> None:
    made = write_offs(payment_state=States(0))
    [found] = await made.of("alipay", {"T1", "T9"}, {})
    assert (found.transaction, found.amount, found.reversed) == ("T9", 100, 100)
    with pytest.raises(Incomplete, match=STATE):
        await made.of("alipay", {"T2", "T9"}, {})
