"""Steps as they are done below a folder: whole files, links switched in one instant, modes from the first byte."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.tools.installer.errors import InstallError
from scripts.tools.installer.executor import Executor
from scripts.tools.installer.facts import look
from scripts.tools.installer.source import SOURCE
from scripts.tools.installer.steps import Kind, Step


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def doer(tmp_path: Path, said: list[str]) -> Executor:
    return Executor(str(tmp_path), "/opt/x", None, lambda step: said.append(step.line()))


def test_files_folders_and_links(doer: Executor, tmp_path: Path) -> None:
    doer.all(
        [
            Step(Kind.FOLDER, "/etc/d", mode=0o750),
            Step(Kind.WRITE, "/etc/d/f", content=b"1", mode=0o640),
            Step(Kind.WRITE, "/etc/d/f", content=b"2", mode=0o600),
            Step(Kind.LINK, "/opt/x/current", target="releases/1"),
            Step(Kind.LINK, "/opt/x/current", target="releases/2"),
        ]
    )
    file = tmp_path / "etc/d/f"
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"2", 0o600)
    assert stat.S_IMODE((tmp_path / "etc/d").stat().st_mode) == 0o750
    assert (tmp_path / "opt/x/current").readlink() == Path("releases/2")
    assert not list(tmp_path.rglob("*.installing"))
    doer.one(Step(Kind.REMOVE, "/etc/d"))
    assert not (tmp_path / "etc/d").exists()


def test_a_link_put_in_the_place_of_a_file_being_written_gives_nothing_away(doer: Executor, tmp_path: Path) -> None:
    """Who owns the folder can swap the file between its making and its mode."""
    others = tmp_path / "others"
    others.write_text("root's")
    others.chmod(0o600)

    class Swapping(Executor):
        def _own(self, path: Path | int, step: Step) -> None:
            scratch = tmp_path / "d" / ".f.installing"
            scratch.unlink()
            scratch.symlink_to(others)
            super()._own(path, step)

    Swapping(str(tmp_path), "/opt/x", None, lambda step: None).one(Step(Kind.WRITE, "/d/f", content=b"1", mode=0o644))
    assert stat.S_IMODE(others.stat().st_mode) == 0o600
    assert others.read_text() == "root's"


def test_a_command_that_fails_is_named_with_its_last_words(doer: Executor) -> None:
    with pytest.raises(InstallError, match=r"failed \(3\):\n  out of room"):
        doer.one(Step(Kind.RUN, argv=("/bin/sh", "-c", "echo out of room >&2; exit 3")))
    with pytest.raises(InstallError, match="there is no /no/such"):
        doer.one(Step(Kind.RUN, argv=("/no/such",)))


def test_every_step_is_announced_before_it_is_done(doer: Executor, said: list[str]) -> None:
    with pytest.raises(InstallError):
        doer.all(
            [
                Step(Kind.KEEP, "/a", "as it is"),
                Step(Kind.COPY, "/b", source=Path("/no/such")),
                Step(Kind.NOTE, why="never"),
            ]
        )
    assert [line.split()[0] for line in said] == ["keep", "copy"]


def test_a_virtual_environment_made_below_a_root_names_the_hosts_own_paths(doer: Executor, tmp_path: Path) -> None:
    folder = tmp_path / "opt/x/releases/1"
    doer.one(Step(Kind.RUN, argv=("python3", "-m", "venv", "--without-pip", "/opt/x/releases/1")))
    script = folder / "bin" / "prog"
    script.write_text(f"#!{folder}/bin/python\n")
    doer.one(Step(Kind.RELOCATE, "/opt/x/releases/1"))
    assert script.read_text() == "#!/opt/x/releases/1/bin/python\n"
    assert str(tmp_path) not in (folder / "pyvenv.cfg").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_owners_are_those_of_the_hosts_own_user_database(doer: Executor, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\n")
    doer.one(Step(Kind.USER, "dmz-front"))
    assert "dmz-front" in look(str(tmp_path), "/opt/x").users
    doer.one(Step(Kind.WRITE, "/etc/key", content=b"k", mode=0o640, group="dmz-front"))
    number = next(line for line in (tmp_path / "etc/group").read_text().splitlines() if line.startswith("dmz-front"))
    assert (tmp_path / "etc/key").stat().st_gid == int(number.split(":")[2])
    with pytest.raises(InstallError, match="there is no nobody-here"):
        doer.one(Step(Kind.WRITE, "/etc/other", content=b"k", owner="nobody-here"))


@pytest.mark.parametrize("script", ["install", "upgrade", "uninstall"])
def test_the_scripts_need_nothing_but_the_standard_library(script: str) -> None:
    bare = [sys.executable, "-I", "-S", "-c",
            f"import sys; sys.path.insert(0, {str(SOURCE)!r}); sys.argv = ['x', {script!r}, '--help']; "
            "from scripts.tools.installer.command_line import main; main()"]  # fmt: skip
    done = subprocess.run(bare, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"scripts/{script}" in done.stdout


def test_a_script_takes_its_own_files_wherever_it_is_called_from(tmp_path: Path) -> None:
    other = tmp_path / "scripts" / "tools" / "installer"
    other.mkdir(parents=True)
    for folder in (tmp_path / "scripts", tmp_path / "scripts" / "tools", other):
        (folder / "__init__.py").touch()
    (other / "command_line.py").write_text("raise SystemExit('the wrong one')")
    done = subprocess.run(
        [str(SOURCE / "scripts" / "install"), "--help"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
