"""How tests are shared out when several run at a time: which stay together in one process, and what begins first.

xdist's own `--dist loadgroup` would do it by marks, but does not see them under pytest 9.2
(pytest-dev/pytest-xdist#1386).
"""

from xdist.scheduler.loadscope import LoadScopeScheduling

APART = frozenset(
    {
        "tests/faults/test_campaign.py",
        "tests/faults/test_failover.py",
        "tests/faults/test_full_broker.py",
        "tests/faults/test_inboxes.py",
        "tests/faults/test_killing_message.py",
        "tests/faults/test_redelivery.py",
        "tests/faults/test_several.py",
        "tests/system/test_demo.py",
        "tests/system/test_migrations.py",
        "tests/system/test_other_brokers.py",
        "tests/system/test_wire_versions.py",
    }
)
"""Each test of these brings a testbed of its own: they go wherever there is room."""
TOGETHER = {
    "tests/interop/test_clients.py": "interop",
    "tests/interop/test_openapi_lint.py": "interop",
    "tests/system/test_bad_input.py": "system testbed",
    "tests/system/test_mutual_tls.py": "system testbed",
    "tests/system/one_way/test_outages.py": "one way",
    "tests/system/one_way/test_rules.py": "one way",
}
"""These share a testbed of their conftest.py: one is enough."""
BY_PARAMETER = frozenset({"tests/system/test_faces.py"})
"""Each of their parameters has a testbed of its own; the tests of one stay together."""
FIRST = (
    "tests/faults/test_campaign.py",
    "tests/faults/test_crash_points.py",
    "tests/system/test_doctor.py",
    "tests/faults/",
    "tests/system/",
    "tests/interop/",
    "tests/contract/",
)
"""What takes long, in this order; then all the rest."""


def unit(nodeid: str) -> str:
    """What a test stays together with: those of its file, mostly."""
    file = nodeid.partition("::")[0]
    if file in BY_PARAMETER:
        return f"{file}[{nodeid.partition('[')[2]}"
    return nodeid if file in APART else TOGETHER.get(file, file)


def rank(nodeid: str) -> int:
    """When a test's turn is: the lower, the sooner."""
    return next((at for at, start in enumerate(FIRST) if nodeid.startswith(start)), len(FIRST))


class Scheduling(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """xdist's scheduling by files, with our units, in the order in which they were collected."""

    def __init__(self, config: object, log: object = None) -> None:
        super().__init__(config, log)
        self.config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)
