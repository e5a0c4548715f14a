"""What doctor makes of the bridge's probes and of what is bound nowhere."""

from bridgectl.doctor.finding import Status
from bridgectl.doctor.marketing import judge_bound, judge_paused, judge_probe
from bridgectl.probing import bound_queries, one_each
from protocol.administration import ProbeOutcome, ProbeReport
from protocol.maintenance import Pause
from protocol.reports.bridge import BridgeReport
from protocol.reports.calls import InterfaceReport
from protocol.reports.daemon import CommandsReport, StoreReport
from tests.unit.clock import NOW


def interface(operation: str, system: str = "marketing", success: int = 0) -> InterfaceReport:
    return InterfaceReport(operation=operation, system=system, circuit="closed", last_success=success)


REPORT = BridgeReport(
    name="bridge-1", region="main", software="1", pid=1, started=NOW, now=NOW, links=(), inbox="i",
    store=StoreReport(place="x"), commands=CommandsReport(by_state={}),
    interfaces=(
        interface("work-order", success=NOW + 9), interface("bill-query"), interface("arrears-query", success=NOW),
        interface("outlets", "gis"),
    ),
)  # fmt: skip


def probed(outcome: ProbeOutcome) -> ProbeReport:
    return ProbeReport(operation="bill-query", system="marketing", outcome=outcome, verdict="so it is", lines=())


def test_only_queries_are_tried_one_of_each_system_and_the_one_that_last_worked() -> None:
    assert bound_queries(REPORT) == ["bill-query", "arrears-query", "outlets"]
    assert one_each(REPORT) == {"marketing": "arrears-query", "gis": "outlets"}


def test_what_is_maintained_is_let_alone() -> None:
    pause = Pause(operations=("arrears-query", "outlets"), since=NOW, until=NOW + 1)
    report = REPORT.model_copy(update={"maintenance": (pause,)})
    assert one_each(report) == {"marketing": "bill-query"}
    [skipped] = judge_paused(report)
    assert (skipped.status, skipped.subject) == (Status.SKIP, "gis")
    assert "paused for maintenance, until 20" in skipped.seen
    assert list(judge_paused(REPORT)) == []


def test_an_operation_that_is_bound_nowhere_is_a_failure() -> None:
    [well] = judge_bound(REPORT)
    assert (well.status, well.seen) == (Status.OK, "4 operations are bound")
    [bad] = judge_bound(REPORT.model_copy(update={"unbound": tuple("abcdefg")}))
    assert (bad.status, bad.seen) == (Status.FAIL, "bound nowhere: a, b, c, d, e and 2 more")


def test_an_interface_that_does_not_answer_as_bound_is_a_failure_and_a_refusal_is_an_answer() -> None:
    well: tuple[ProbeOutcome, ...] = ("answered", "refused")
    bad: tuple[ProbeOutcome, ...] = ("rejected", "not-applied", "unknown")
    assert {judge_probe(probed(outcome)).status for outcome in well} == {Status.OK}
    for outcome in bad:
        found = judge_probe(probed(outcome))
        assert (found.status, "bridgectl probe bill-query" in found.action) == (Status.FAIL, True)
