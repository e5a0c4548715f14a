"""What is told of two trees measured in turn."""

from pathlib import Path

import pytest

from scripts.tools.benchmark.compare import CompareError, compared, run, worktree


def test_the_ratio_is_that_of_each_round_and_not_of_the_medians() -> None:
    # the machine was twice as slow in the second round, for both
    pairs = [({"front": 0.10}, {"front": 0.20}), ({"front": 0.22}, {"front": 0.40}), ({"front": 0.09}, {"front": 0.20})]
    row = compared("query", "front", pairs)
    assert (row["this"], row["other"], row["ratio"]) == (0.10, 0.20, pytest.approx(0.5))
    assert row["measure"] == "front CPU s/1000"


def test_one_round_has_no_quartiles_but_its_own() -> None:
    assert compared("query", "requests/s", [({"requests/s": 3}, {"requests/s": 2})])["quartiles"] == "1.500 to 1.500"


@pytest.mark.parametrize("revision", ["no-such-branch", "--upload-pack=x"])
def test_a_revision_that_is_none_is_told_and_nothing_is_made(revision: str, tmp_path: Path) -> None:
    with pytest.raises(CompareError), worktree(revision):
        pass


def test_the_highest_priority_is_for_root_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr("os.setpriority", refused)
    with pytest.raises(CompareError, match="root"):
        run("HEAD", tmp_path, 1, highest_priority=True)
