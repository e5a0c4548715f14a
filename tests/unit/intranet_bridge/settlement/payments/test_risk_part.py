"""What an administrator asks about risk, over the control socket."""

from typing import Any

import pytest

from intranet_bridge.settlement.payments.risk_part import RiskPart
from intranet_bridge.settlement.ports import Ports
from intranet_bridge.settlement_sections.risk import SHIPPED, RiskSection
from protocol.errors import BridgeError
from protocol.keyring import Keyring
from protocol.runtime.control import Peer
from tests.unit.acts import transacting
from tests.unit.intranet_bridge.settlement.payments.test_risk_records import world

pytestmark = pytest.mark.anyio
ROOT = Peer(0, 1)


async def test_lists_and_decisions_are_told_and_acts_name_nobody(database_url: str, bridge_keyring: Keyring) -> None:
    acts: list[tuple[str, str, dict[str, Any]]] = []

    async def act(name: str, by: str, /, **details: Any) -> None:
        acts.append((name, by, details))

    async with world(database_url, bridge_keyring) as at:
        nothing: Any = None
        ports = Ports(
            store=at.store, at_rest=nothing, commands=nothing, calls=nothing, files=nothing, allowed=lambda: True,
            name="bridge-1", act=act, transact=transacting(at.store, act), clock=at.clock,
        )  # fmt: skip
        part = RiskPart(RiskSection(rules=SHIPPED), ports, at.records)
        answers = part.answers()
        card = "6222020200112345678"
        added = await answers["risk-add"]({"list": "stolen", "value": card, "sudo_user": "wang"}, ROOT)
        (entry,) = (await answers["risk-list"]({}, ROOT))["entries"]
        assert (entry["value"], entry["by"], entry["over"]) == (added["value"], "root (wang)", False)
        assert card not in str(entry)
        await answers["risk-remove"]({"list": "stolen", "value": added["value"]}, ROOT)
        assert (await answers["risk-list"]({"list": "stolen"}, ROOT))["entries"] == []
        assert [name for name, _, _ in acts] == ["risk-add", "risk-remove"]
        assert card not in str(acts)

        await at.order("P1", amount=5_000_001)
        await at.order("P2", payer="li")
        (decision,) = (await answers["risk-decisions"]({}, ROOT))["decisions"]
        assert (decision["id"], decision["verdict"], decision["rule"]) == ("P1", "review", "large")
        counted = {(labels["verdict"], labels["rule"]): value for _, _, labels, value in part.samples()}
        assert counted == {("review", "large"): 1, ("allow", ""): 1}
        for question, body in (
            ("risk-add", {"list": "Not A List", "value": "x"}), ("risk-add", {"list": "a", "value": ""}),
            ("risk-remove", {"list": "a", "value": "x"}), ("risk-decisions", {"verdict": "perhaps"}),
        ):  # fmt: skip
            with pytest.raises(BridgeError):
                await answers[question](body, ROOT)
        at.clock.now += 300 * 86_400_000
        await part.forget(0)
        assert (await answers["risk-decisions"]({}, ROOT))["decisions"] == []
