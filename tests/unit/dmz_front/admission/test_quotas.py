"""Daily quotas: calendar days of a zone, and counts that outlive a restart and are shared by a ledger's fronts."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.exc import ArgumentError

from dmz_front.admission.quotas import DailyQuotas, day_of
from dmz_front.ledger.rows import METADATA
from protocol.runtime.store import Store
from tests.unit.statements import statements_of

pytestmark = pytest.mark.anyio
DAY_MS = 86_400_000
NOON = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'front.sqlite3'}", METADATA.create_all)
    await store.start()
    yield store
    await store.close()


def test_a_day_is_one_of_the_zone_however_long_it_is() -> None:
    shanghai = day_of(int(datetime(2026, 3, 1, 17, tzinfo=UTC).timestamp() * 1000), ZoneInfo("Asia/Shanghai"))
    assert (shanghai.name, shanghai.ends - shanghai.begins) == ("2026-03-02", DAY_MS)
    assert shanghai.begins == int(datetime(2026, 3, 1, 16, tzinfo=UTC).timestamp() * 1000)
    shorter = day_of(NOON + 28 * DAY_MS, ZoneInfo("Europe/Berlin"))
    assert (shorter.name, shorter.ends - shorter.begins) == ("2026-03-29", 23 * 3_600_000)


async def test_a_restart_keeps_the_counts_and_a_new_day_forgets_them(store: Store) -> None:
    now = [NOON]
    quotas = DailyQuotas(store, "front-1", "", lambda: now[0])
    for _ in range(3):
        quotas.count("wechat", "bill-query")
    await quotas.keep()
    quotas.count("wechat", "bill-query")
    await quotas.keep()

    again = DailyQuotas(store, "front-1", "", lambda: now[0])
    await again.open()
    assert again.used("wechat", "bill-query") == 4
    now[0] += DAY_MS
    assert again.today().name == "2026-03-02"
    assert again.used("wechat", "bill-query") == 0
    await again.keep()
    assert again.used("wechat", "bill-query") == 0


async def test_fronts_of_one_ledger_share_a_quota(store: Store) -> None:
    one, two = (DailyQuotas(store, name, "", lambda: NOON) for name in ("front-1", "front-2"))
    one.count("wechat", "*")
    two.count("wechat", "*")
    two.count("wechat", "*")
    await one.keep()
    await two.keep()
    assert (one.used("wechat", "*"), two.used("wechat", "*")) == (1, 3)
    await one.keep()
    assert one.used("wechat", "*") == 3


async def test_what_could_not_be_written_is_written_the_next_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    quotas = DailyQuotas(store, "front-1", "", lambda: NOON)
    quotas.count("wechat", "bill-query")
    with monkeypatch.context() as failing:
        failing.setattr("dmz_front.ledger.quotas.QUOTA_USE", None)
        with pytest.raises(ArgumentError):
            await quotas.keep()
    await quotas.keep()
    again = DailyQuotas(store, "front-1", "", lambda: NOON)
    await again.open()
    assert again.used("wechat", "bill-query") == 1


async def test_however_many_applications_were_counted_they_are_written_by_as_few_statements(store: Store) -> None:
    quotas = DailyQuotas(store, "front-1", "", lambda: NOON)
    executed = []
    for number in (1, 500):
        for application in range(number):
            quotas.count(f"app-{application}", "bill-query")
        with statements_of(store) as statements:
            await quotas.keep()
        executed.append(len(statements))
    assert executed[0] == executed[1] > 0
    again = DailyQuotas(store, "front-1", "", lambda: NOON)
    await again.open()
    assert [again.used(f"app-{application}", "bill-query") for application in (0, 1, 499)] == [2, 1, 1]


async def test_another_zone_is_another_day_and_old_days_are_deleted(store: Store) -> None:
    now = [NOON + 6 * 3_600_000]
    quotas = DailyQuotas(store, "front-1", "", lambda: now[0])
    quotas.count("wechat", "bill-query")
    await quotas.keep()
    quotas.use("Asia/Shanghai")
    assert (quotas.today().name, quotas.used("wechat", "bill-query")) == ("2026-03-02", 0)
    now[0] += 7 * DAY_MS
    await quotas.forget()
    old = DailyQuotas(store, "front-1", "", lambda: NOON)
    await old.open()
    assert old.used("wechat", "bill-query") == 0
