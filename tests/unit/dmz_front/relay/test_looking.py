"""Which files of a source are ours, and which of them are whole."""

from pathlib import Path

import pytest

from dmz_front.relay.looking import Steadiness, Why, archive_name, ended, marked, sorted_out
from dmz_front.relay.places import LocalPlace, PlaceError, Seen

PROFILES = {"utility-dsdz": r"SDDL_DSDZ_[0-9]{5}_[0-9]{8}\.txt", "answers": r"SDDL_REDK(KK)?_.*\.txt"}
NAME = "SDDL_DSDZ_37101_20261124.txt"


def seen(name: str = NAME, size: int = 10, mtime: float = 100.0) -> Seen:
    return Seen(name, size, mtime)


def test_files_by_their_names() -> None:
    found = [
        seen(), seen(" SDDL_REDKKK_ 37101_20261125.txt"), seen(f"{NAME}.ok"), seen(f".{NAME}"), seen(f"{NAME}.part"),
        seen("readme.txt"), seen("a\nb"), seen("SDDL_REDK_x.txt", 513 * 1024 * 1024),
    ]  # fmt: skip
    ours, others = sorted_out(found, PROFILES)
    assert [(one.name, one.profile) for one in ours] == [
        (NAME, "utility-dsdz"), ("SDDL_REDKKK_37101_20261125.txt", "answers"),
    ]  # fmt: skip
    assert [(one.name, why) for one, why in others] == [
        ("readme.txt", Why.UNKNOWN), ("a\nb", Why.NAME), ("SDDL_REDK_x.txt", Why.TOO_LARGE),
    ]  # fmt: skip


def test_steady_is_the_same_in_two_looks_half_a_minute_apart() -> None:
    steadiness = Steadiness(30)
    assert steadiness.look([seen()], 0) == set()
    assert steadiness.look([seen()], 29) == set()
    assert steadiness.look([seen(size=11)], 31) == set()
    assert steadiness.look([seen(size=11, mtime=101)], 45) == set()
    assert steadiness.look([seen(size=11, mtime=101)], 74) == set()
    assert steadiness.look([seen(size=11, mtime=101)], 75) == {NAME}
    assert steadiness.look([], 76) == set()
    assert steadiness.look([seen(size=11, mtime=101)], 200) == set()


def test_the_end_and_the_marker() -> None:
    pattern = r"#导出时间：\[.+\]"
    assert ended("x\n#导出时间：[2026]\n".encode(), pattern)
    assert not ended("x\n#导出时间：[2026".encode(), pattern)
    assert not ended(b"", pattern)
    assert marked(b"ab" * 32 + b" 5", "ab" * 32, 5)
    assert not marked(b"ab" * 32 + b" 5", "ab" * 32, 6)


def test_a_name_in_the_archive() -> None:
    assert archive_name("a.txt", "0123456789abcdef", False) == "a.txt"
    assert archive_name("a.txt", "0123456789abcdef", True) == "a.txt.0123456789ab"


@pytest.mark.anyio
async def test_links_in_a_folder_are_none_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"not for platforms")
    drop = tmp_path / "drop"
    drop.mkdir()
    (drop / NAME).symlink_to(tmp_path / "secret")
    (drop / "folder").mkdir()
    place = LocalPlace(str(drop))
    assert await place.list() == []
    with pytest.raises(PlaceError):
        async with place.reading(NAME):
            pass


@pytest.mark.anyio
async def test_nothing_is_renamed_over_another_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    place = LocalPlace(str(tmp_path))
    with pytest.raises(PlaceError):
        await place.rename("a", "b")
    with pytest.raises(PlaceError):
        await place.move("a", str(tmp_path), "b")
    assert (tmp_path / "b").read_text() == "b"


@pytest.mark.anyio
async def test_a_folder_with_too_many_entries_is_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dmz_front.relay.places.MOST_ENTRIES", 3)
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    place = LocalPlace(str(tmp_path))
    assert await place.list() == []
    (tmp_path / "d").touch()
    with pytest.raises(PlaceError, match="more than 3 entries"):
        await place.list()
