"""The ceilings themselves: who is let in, how much, and that a name costs an enemy nothing and gains him nothing."""

from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from intranet_bridge.ceilings import ceilings as module
from intranet_bridge.ceilings.allowance import WINDOW_S
from intranet_bridge.ceilings.ceilings import ANY_FRONT, CEILING_MET, NOT_ADMITTED, Ceilings
from intranet_bridge.ceilings.met import LASTS_MS
from intranet_bridge.ceilings.sections import CeilingsSection, FrontSection
from tests.unit.clock import Clock

KNOWN: dict[str, Any] = {"wechat": {}, "kiosk": {"operations": ["bill-*"]}}


class Scene:
    def __init__(self, clock: Clock, fronts: dict[str, Any] | None = None, **ceilings: Any) -> None:
        self.clock, self.seconds = clock, 100.0
        self.sections = CeilingsSection(**ceilings), self.fronts(fronts)
        self.ceilings = Ceilings(*self.sections, clock, now=lambda: self.seconds)

    @staticmethod
    def fronts(tables: dict[str, Any] | None) -> dict[str, FrontSection]:
        return {name: FrontSection.model_validate(table) for name, table in (tables or {}).items()}

    def query(
        self, account: str = "3210000000001", source: str = "front-1/wechat", operation: str = "arrears-query"
    ) -> Any:
        refusal = self.ceilings.refused(source, operation)
        if refusal is not None:
            return refusal
        return self.ceilings.query(source, operation, SimpleNamespace(account=account))


def test_who_is_not_named_is_not_admitted(clock: Clock) -> None:
    scene = Scene(clock, {
        "city": {"instances": ["front-1", "front-2"], "applications": KNOWN},
        "front-3": {"operations": ["arrears-query"]},
    })  # fmt: skip
    assert scene.query() is scene.query(source="front-2/wechat") is scene.query(source="front-3/any") is None
    for source, operation, ceiling in (
        ("front-4/wechat", "arrears-query", "front"),
        ("city/wechat", "arrears-query", "front"),  # the table's name is no instance where instances are named
        ("front-1/ghost", "arrears-query", "application"),
        ("front-1", "arrears-query", "application"),
        ("front-1/kiosk", "arrears-query", "operation"),
        ("front-3/any", "bill-query", "operation"),
    ):
        refusal = scene.query(source=source, operation=operation)
        assert (refusal.code, refusal.ceiling, refusal.retry_s) == (NOT_ADMITTED, ceiling, 0.0)
    assert [scene.ceilings.admits_front(source) for source in ("front-2/operator", "front-9/operator")] == [True, False]
    assert scene.ceilings.may_answer("/queue/bridge.reply.query.front-2")
    assert not scene.ceilings.may_answer("/queue/bridge.reply.query.front-9")


def test_applications_that_may_ask_for_the_same_share_one_set_of_it(clock: Clock) -> None:
    listed = ["arrears-query", "bill-*"]
    tables = {f"app-{number}": {"operations": [*listed]} for number in range(3)} | {"kiosk": {"operations": ["bill-*"]}}
    scene = Scene(clock, {"front-1": {"applications": tables}})
    found = scene.ceilings._fronts["front-1"].applications
    assert len({id(one.operations) for one in found.values()}) == 2
    assert scene.query(source="front-1/app-2") is None
    assert scene.query(source="front-1/kiosk").ceiling == "operation"


def test_a_rate_has_its_burst_and_then_its_pace(clock: Clock) -> None:
    scene = Scene(clock, application_rate=10, burst_s=1)
    assert [scene.query() is None for _ in range(13)] == [True] * 11 + [False] * 2
    refusal = scene.query()
    assert (refusal.code, refusal.ceiling) == (CEILING_MET, "rate")
    assert 0 < refusal.retry_s <= 0.1
    scene.seconds += 0.55
    assert [scene.query() is None for _ in range(6)] == [True] * 5 + [False]
    assert scene.query(source="front-1/alipay") is None  # another's is its own


def test_all_applications_of_a_front_together(clock: Clock) -> None:
    scene = Scene(clock, front_rate=10, burst_s=1)
    taken = [scene.query(source=f"front-1/app-{number}") is None for number in range(20)]
    assert taken == [True] * 11 + [False] * 9
    # not named: the front is what it says, so all share one
    assert scene.query(source="front-7/new").ceiling == "rate"


def test_different_accounts_in_an_hour(clock: Clock) -> None:
    scene = Scene(clock, application_accounts=3, front_accounts=4)
    asked = [scene.query(str(account)) is None for account in (1, 2, 3, 4, 1, 2, 3)]
    assert asked == [True, True, True, False, True, True, True]  # who is known goes on
    refusal = scene.query("5")
    assert (refusal.ceiling, refusal.retry_s) == ("accounts", WINDOW_S)
    assert scene.query("1", source="front-1/alipay") is None
    assert (
        scene.query("9", source="front-1/alipay").ceiling == "accounts"
    )  # the front's: an account for each application
    scene.seconds += WINDOW_S
    assert [scene.query(str(account)) is None for account in (4, 5, 6, 7)] == [True, True, True, False]


def test_what_is_refused_counts_for_nothing(clock: Clock) -> None:
    scene = Scene(clock, application_accounts=1, application_rate=10, burst_s=1)
    scene.query("1")
    for account in range(100):
        assert scene.query(f"other-{account}") is not None
    assert scene.query("1") is None


def test_what_is_about_no_customer_has_no_account(clock: Clock) -> None:
    scene = Scene(clock, application_accounts=1)
    for _ in range(5):
        assert scene.ceilings.query("front-1/wechat", "outage-query", SimpleNamespace(account=None)) is None


def test_commands_take_their_turns(clock: Clock) -> None:
    scene = Scene(clock, application_rate=10, burst_s=0)
    waits = [round(scene.ceilings.command_wait_s("front-1/wechat"), 3) for _ in range(4)]
    assert waits == [0.0, 0.1, 0.2, 0.3]
    assert scene.query() is None  # they keep no query back
    scene = Scene(clock, application_accounts=1)
    body = SimpleNamespace(account="1"), SimpleNamespace(account="2")
    assert scene.ceilings.command_account_wait_s("front-1/wechat", "work-order", body[0]) == 0
    assert scene.ceilings.command_account_wait_s("front-1/wechat", "work-order", body[1]) == WINDOW_S


def test_it_is_told_with_front_application_and_ceiling_and_forgotten(clock: Clock) -> None:
    scene = Scene(clock, {"front-1": {"applications": {"wechat": {"rate": 1}}}}, burst_s=0)
    with capture_logs() as logs:
        for _ in range(3):
            scene.query()
            scene.query(source="front-1/ghost")
    assert {(line["front"], line["application"], line["ceiling"]) for line in logs} == {
        ("front-1", "wechat", "rate"), ("front-1", "ghost", "application"),
    }  # fmt: skip
    told = {(one.application, one.ceiling): (one.limit, one.count) for one in scene.ceilings.report()}
    assert told == {("wechat", "rate"): (1, 2), ("ghost", "application"): (0, 3)}
    counted = {tuple(labels.values()): number for _, _, labels, number in scene.ceilings.samples()}
    assert counted == {("front-1", "rate"): 2, ("front-1", "application"): 3}
    clock.now += LASTS_MS + 1
    assert scene.ceilings.report() == ()


def test_invented_names_fill_nothing(clock: Clock) -> None:
    closed = Scene(clock, {"front-1": {}})
    for number in range(5_000):
        closed.query(source=f"ghost-{number}/a")
    assert len(closed.ceilings.report()) <= 101
    assert [labels for _, _, labels, _ in closed.ceilings.samples()] == [{"front": "(others)", "ceiling": "front"}]
    scene = Scene(clock)
    for number in range(10_000):
        assert (
            scene.query(str(number % 7), source=f"front-1/app-{number}", operation="arrears-query") is not NOT_ADMITTED
        )
        scene.seconds += 1
    assert len(scene.ceilings._fronts[ANY_FRONT].applications) <= module._MOST_APPLICATIONS + 1
    assert len(scene.ceilings._sources) <= module._MOST_SOURCES


def test_a_reload_keeps_what_was_counted(clock: Clock) -> None:
    scene = Scene(clock, {"front-1": {"applications": {"wechat": {"accounts": 2}}}})
    assert [scene.query(str(account)) is None for account in range(3)] == [True, True, False]
    scene.ceilings.use(scene.sections[0], scene.fronts({"front-1": {"applications": {"wechat": {"accounts": 3}}}}))
    assert [scene.query(str(account)) is None for account in (2, 3)] == [True, False]
    assert scene.query(source="front-1/other").ceiling == "application"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"operations": ["bil-query"]}, "did you mean bill-query"),
        ({"applications": {"wechat": {"operations": []}}}, "operations"),
        ({"rate": 0}, "rate"),
        ({"accounts": 0}, "accounts"),
        ({"instances": ["Front 1"]}, "instances"),
    ],
)
def test_what_cannot_be_meant_is_refused(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        FrontSection.model_validate(table)
