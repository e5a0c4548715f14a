"""The comparison in a process of its own finds what it finds here; one that breaks off finds nothing."""

import io
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import date

import pytest

from intranet_bridge.settlement.statements import worker
from intranet_bridge.settlement.statements.asking import Incomplete
from intranet_bridge.settlement.statements.comparing import Found, Scope
from intranet_bridge.settlement.statements.matcher import NotCompared, ProcessMatcher
from intranet_bridge.settlement.statements.matching import Accepted, WriteOff
from intranet_bridge.settlement.statements.worker import END, Question, Totals, answered
from tests.unit.intranet_bridge.settlement.statements.desks import DAY, Desk, booked, desk

pytestmark = pytest.mark.anyio
T1, T2 = "2026112422001400000000000001", "2026112422001400000000000002"


async def asked_of(at: Desk) -> Question:
    await at.statement(DAY, (T1, "PO1", "pay", 5000, "08:00:00"))
    [run] = await at.books.runs()
    scope = Scope("alipay", DAY, DAY, DAY, frozenset())
    return Question(at.store.url, run.file, scope, date(2026, 11, 25), Accepted({"alipay": [DAY]}), (), (), frozenset())


async def pages(*rows: WriteOff, then: Exception | None = None) -> AsyncIterator[Sequence[WriteOff]]:
    yield rows
    if then is not None:
        raise then


async def test_a_sandbox_that_forbids_it_to_be_nice(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def forbidden(_: int) -> int:
        raise PermissionError

    async with desk(database_url) as at:
        question = await asked_of(at)
        monkeypatch.setattr("os.nice", forbidden)
        monkeypatch.setattr("sys.stdin", io.StringIO(f'{question.line()}\n"{END}"\n'))
        worker.main()
        assert answered(capsys.readouterr().out.splitlines()[-1]) == Totals({"platform-only": (1, 5000)}, 0, 1, 5000)


async def test_the_same_is_found(database_url: str) -> None:
    async with desk(database_url) as at:
        question = await asked_of(at)
        found = [one async for one in ProcessMatcher().compare(question, pages(booked(T2, 70, "2026-11-24T09:00:00")))]
        [first, second, totals] = found
        assert isinstance(first, Found)
        assert isinstance(second, Found)
        assert {(one.item.what, one.item.amount) for one in (first, second)} == {
            ("platform-only", 5000),
            ("pooled", 70),
        }
        assert totals == Totals({"platform-only": (1, 5000), "pooled": (1, 70)}, 1, 1, 5000)


async def test_what_breaks_off_finds_nothing(database_url: str) -> None:
    async with desk(database_url) as at:
        question = await asked_of(at)
        found: list[object] = []

        async def compare(question: Question, given: AsyncIterator[Sequence[WriteOff]]) -> None:
            async for one in ProcessMatcher().compare(question, given):
                found.append(one)

        with pytest.raises(Incomplete):
            await compare(question, pages(then=Incomplete("list-incomplete", "x")))
        nowhere = replace(question, url="sqlite:////nowhere/at.all")
        with pytest.raises(NotCompared, match="OperationalError at"):
            await compare(nowhere, pages())
        assert found == []
