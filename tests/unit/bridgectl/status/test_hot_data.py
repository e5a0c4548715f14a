"""What `bridgectl status` says of asking ahead and of imports: something only when something is wrong."""

from bridgectl.status.trouble import Level
from bridgectl.status.troubles import troubles
from protocol.reports.marketing_data import ImportReport, PrequeryReport, PrequeryWindowReport
from tests.unit.bridgectl.status.test_troubles import DAY, NOW, bridge

WINDOW = PrequeryWindowReport(since=NOW - DAY, until=NOW - DAY // 2, asked=9, kept=9, rounds=1)
IMPORT = ImportReport(name="policies", answers=("policy-texts",), rows=5, as_of=NOW - DAY, fresh=True)


def test_a_window_that_ended_before_each_account_had_its_turn_is_told_of() -> None:
    def seen(**changes: object) -> list[tuple[str, str]]:
        window = WINDOW.model_copy(update=changes)
        return [(one.key, one.why) for one in troubles(bridge(prequery=PrequeryReport(last=window)))]

    assert seen() == []
    assert troubles(bridge(prequery=PrequeryReport(now=WINDOW.model_copy(update={"rounds": 0})))) == []
    assert seen(rounds=0, asked=0) == []  # there was nobody to ask for
    assert seen(rounds=0) == [("prequery-behind", "the window is too short for the rate")]
    assert seen(rounds=0, rested_s=60, reason="bill-query: slow")[0][1] == "it rested: bill-query: slow"


def test_an_import_that_fails_or_is_too_old_is_told_of_and_who_is_hurt() -> None:
    def seen(**changes: object) -> list[tuple[Level, str, str]]:
        one = IMPORT.model_copy(update=changes)
        return [(found.level, found.what, found.hurts) for found in troubles(bridge(imports=(one,)))]

    assert seen() == []
    assert seen(as_of=0, fresh=False) == []  # the first is still to come
    assert seen(fresh=False, running=True) == []
    [(level, what, hurts)] = seen(error="no connection")
    assert (level, what, hurts) == (Level.WARNING, "the import policies fails", "callers get data that grows older")
    [(_, what, hurts)] = seen(fresh=False)
    assert what == "the import policies is too old"
    assert "policy-texts" in hurts
