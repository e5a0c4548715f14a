"""What `bridgectl status` says of payment orders."""

from typing import Any

from bridgectl.status.observation import Observation
from bridgectl.status.rules.orders import orders
from bridgectl.status.trouble import Level
from bridgectl.status.troubles import RULES
from protocol.reports.bridge import BridgeReport
from protocol.reports.settlement import PaymentOrdersReport


def seen(report: PaymentOrdersReport) -> Observation:
    kind: Any = BridgeReport
    return Observation(1_800_000_000_000, None, kind.model_construct(role="bridge", orders=report), None)


def test_refunds_that_nothing_proves_and_held_orders_are_told() -> None:
    report = PaymentOrdersReport(enabled=True, held=("01A",), unproven=("01B-2-R1",), unproven_fen=6336)
    unproven, held = orders(seen(report))
    assert (unproven.key, unproven.level, unproven.mend) == (
        "refund-unproven",
        Level.CRITICAL,
        "bridgectl orders show 01B",
    )
    assert "63.36" in unproven.hurts
    assert (held.key, held.level) == ("order-held", Level.WARNING)
    assert held.mend.endswith("01A")


def test_without_orders_nothing_is_told() -> None:
    assert not list(orders(seen(PaymentOrdersReport())))
    assert not list(orders(seen(PaymentOrdersReport(held=("01A",)))))
    assert orders in RULES
