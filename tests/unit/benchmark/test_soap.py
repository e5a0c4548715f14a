"""Two clients are measured in turn."""

from itertools import groupby

from scripts.tools.benchmark.soap import ROUNDS, compared


def test_rounds_alternate() -> None:
    asked: list[str] = []
    calls = {name: lambda times, name=name: asked.extend([name] * times) for name in ("one", "other")}
    rows = compared("case", calls, 0.0)
    assert [(row["case"], row["client"]) for row in rows] == [("case", "one"), ("case", "other")]
    order = [name for name, _ in groupby(asked)]
    assert order[-2 * ROUNDS :] == ["one", "other"] * ROUNDS
