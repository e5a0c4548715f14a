"""The metrics: every part's numbers are there, under their names, and can be read at any time."""

from protocol.runtime.metrics import Samples
from tests.unit.intranet_bridge.harness import Stage, scene, until


@scene
async def test_the_numbers_of_a_working_bridge(stage: Stage) -> None:
    stage.changes["operations.bill-query"] = {"path": "/", "response": "@", "concurrency": 4}
    bridge = await stage.start()
    id = await stage.command()
    await stage.reply(id)
    await stage.send(b"no envelope")
    await until(lambda: stage.dead_letters)
    await stage.until_replied(id)
    await bridge.housekeeping.count()
    found = {(name, tuple(labels.values())): value for name, _, labels, value in bridge.samples()}
    assert found["intranet_bridge_requests_total", ("command", "work-order", "succeeded")] == 1
    assert found["intranet_bridge_inbox_rows", ("succeeded",)] == 1
    assert found["intranet_bridge_quarantined_total", ("malformed",)] == 1
    assert found["intranet_bridge_circuit", ("work-order",)] == 0
    assert found["intranet_bridge_places", ("bill-query",)] == 4
    assert found["intranet_bridge_link_connected", ("commands",)] == 1
    assert found["intranet_bridge_commands_unfinished", ()] == 0
    families = list(Samples(bridge.samples).collect())
    assert len({family.name for family in families}) == len(families)
