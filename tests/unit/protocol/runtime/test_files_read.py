"""Files that changed since they were read: told by their content, new ones that `include` finds too."""

import os
from pathlib import Path

import pytest
from pydantic import BaseModel

from protocol.runtime.files_read import FilesRead, seen


class Configuration(BaseModel):
    """A daemon's, as far as it matters."""

    include: tuple[str, ...] = ()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bindings").mkdir()
    (tmp_path / "bindings" / "a.toml").write_text("a = 1")
    (tmp_path / "main.toml").write_text('include = ["bindings/*.toml"]')
    (tmp_path / "front.key").write_text("key")
    return tmp_path


def told(files: FilesRead) -> list[tuple[str, bool]]:
    """Each that changed, and whether it is still there."""
    return [(Path(one.path).name, one.since > 0) for one in files.changed()]


def test_what_changed_since_it_was_read(folder: Path) -> None:
    files = FilesRead(folder / "main.toml", Configuration, [folder / "front.key", folder / "token"])
    assert told(files) == []
    os.utime(folder / "front.key", (1, 1))
    assert told(files) == []  # only touched
    (folder / "front.key").write_text("yek")
    (folder / "token").write_text("it was not there")
    (folder / "bindings" / "a.toml").write_text("a = 2")
    (folder / "bindings" / "b.toml").write_text("b = 1")
    assert told(files) == [("a.toml", True), ("b.toml", True), ("front.key", True), ("token", True)]
    (folder / "front.key").write_text("key")
    assert ("front.key", True) not in told(files)  # put back


def test_an_older_file_put_in_its_place_is_told_from_when_it_was(folder: Path) -> None:
    files = FilesRead(folder / "main.toml", Configuration, [folder / "front.key"])
    other = folder / "other.key"
    other.write_text("another")
    os.utime(other, (1, 1))
    other.replace(folder / "front.key")
    [one] = files.changed()
    assert one.since > 1_000_000


def test_a_file_that_is_gone_and_a_configuration_that_cannot_be_read(folder: Path) -> None:
    files = FilesRead(folder / "main.toml", Configuration, [folder / "front.key"])
    (folder / "front.key").unlink()
    (folder / "main.toml").write_text("include = [")
    assert told(files) == [("front.key", False), ("main.toml", True)]


def test_what_was_read_is_no_longer_told(folder: Path) -> None:
    files = FilesRead(folder / "main.toml", Configuration, [folder / "front.key"])
    (folder / "front.key").write_text("another")
    files.took(files.configuration() | seen([folder / "front.key"]), ("http.port",))
    assert (told(files), files.waiting) == ([], ("http.port",))
