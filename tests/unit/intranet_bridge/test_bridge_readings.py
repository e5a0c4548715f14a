"""The metrics: every part's numbers are there, under their names, and can be read at any time."""

from intranet_bridge.readings import readings
from protocol.runtime.metrics import Readings
from tests.unit.intranet_bridge.harness import Stage, until
from tests.unit.intranet_bridge.test_bridge_commands import scene


@scene
async def test_the_numbers_of_a_working_bridge(stage: Stage) -> None:
    bridge = await stage.start()
    id = await stage.command()
    await stage.reply(id)
    await stage.send(b"no envelope")
    await until(lambda: stage.letters)
    await stage.until_replied(id)
    await bridge.housekeeping.count()
    found = {(name, tuple(labels.values())): value for name, _, labels, value in readings(bridge)}
    assert found["bridge_requests_total", ("command", "work-order", "succeeded")] == 1
    assert found["bridge_inbox_rows", ("succeeded",)] == 1
    assert found["bridge_quarantined_total", ("malformed",)] == 1
    assert found["bridge_circuit", ("work-order",)] == 0
    assert found["bridge_link_connected", ("commands",)] == 1
    assert found["bridge_commands_unfinished", ()] == 0
    families = list(Readings(lambda: readings(bridge)).collect())
    assert len({family.name for family in families}) == len(families)
