"""What a push says. Pure: it follows from the push's number, its kind, its accounts and their latest bills."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from scripts.tools.marketing_simulator.population import FIRST_ACCOUNT
from scripts.tools.marketing_simulator.pushing.plan import Kind, PushPlan

NODES = ("业务受理", "现场勘查", "供电方案答复", "竣工检验", "装表接电")
MOST_OF_AN_OUTAGE = 4
"""Accounts that a planned outage names."""


@dataclass(frozen=True, slots=True)
class LatestBill:
    """Of an account."""

    month: int
    """202512"""
    amount_fen: int
    due: str


def chosen(number: int, plan: PushPlan, customers: int) -> tuple[Kind, tuple[str, ...]]:
    """What the push of this number is about: always the same for the same plan."""
    rng = Random(f"push {number}")  # noqa: S311 - invented data
    kind = rng.choice(plan.kinds)

    def account() -> str:
        return rng.choice(plan.accounts) if plan.accounts else str(FIRST_ACCOUNT + rng.randrange(customers))

    wanted = rng.randint(1, MOST_OF_AN_OUTAGE) if kind is Kind.OUTAGE_PLANNED else 1
    return kind, tuple(dict.fromkeys(account() for _ in range(wanted)))


def push(number: int, kind: Kind, accounts: Sequence[str], bill: LatestBill, now: datetime) -> dict[str, Any]:
    """The push. `bill`: the first account's. Its id is the number's, so it is never said of something else."""
    return {
        "id": f"MKT-{number:010d}",
        "kind": kind.value,
        "at": _time(now),
        "data": _data(number, kind, accounts, bill, now),
    }


def _data(number: int, kind: Kind, accounts: Sequence[str], bill: LatestBill, now: datetime) -> dict[str, Any]:
    account = accounts[0]
    match kind:
        case Kind.ARCHIVE_CHANGED:
            return {"account": account}
        case Kind.BILL_ISSUED:
            return {
                "account": account, "month": _month(bill.month), "amount_fen": bill.amount_fen, "due": bill.due,
                "bill": f"ZD{number:010d}",
            }  # fmt: skip
        case Kind.ARREARS_DUE:
            penalty = bill.amount_fen * (number % 60) // 1000  # 0.1 % of the bill for each day
            owed = max(1, bill.amount_fen + penalty)
            return {
                "account": account, "amount_fen": owed, "penalty_fen": min(penalty, owed),
                "months": [_month(bill.month)], "pay_by": bill.due,
            }  # fmt: skip
        case Kind.PROJECT_NODE_REACHED:
            node = number % (len(NODES) - 1)
            return {
                "account": account, "application": f"SQ{number:010d}", "node": NODES[node], "reached": _time(now),
                "next_node": NODES[node + 1],
            }  # fmt: skip
        case Kind.WORK_ORDER_CLOSED:
            return {"account": account, "work_order": f"{number:018d}", "closed": _time(now), "outcome": "已处理"}
        case Kind.OUTAGE_PLANNED:
            begins = now + timedelta(days=2)
            return {
                "accounts": list(accounts), "outage": f"TD{number:010d}", "begins": _time(begins),
                "ends": _time(begins + timedelta(hours=9)), "reason": "线路检修",
            }  # fmt: skip
        case Kind.PAYMENT_BOOKED:
            return {"account": account, "amount_fen": max(1, bill.amount_fen), "paid": _time(now), "channel": "alipay"}


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _month(number: int) -> str:
    return f"{number // 100}-{number % 100:02d}"
