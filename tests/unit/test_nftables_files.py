"""The shipped nftables rules: they parse, they own one table, they deny by default. What they do to packets is shown
by tests/system/one_way.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parents[2] / "config" / "nftables").glob("*.nft"))


def statements(path: Path) -> list[str]:
    return [line for text in path.read_text().splitlines() if (line := text.partition("#")[0].strip())]


def test_there_is_one_for_each_host() -> None:
    assert [path.name for path in FILES] == ["dmz-front.nft", "intranet-bridge.nft"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_owns_one_table_and_replaces_it_whole(path: Path) -> None:
    found = statements(path)
    others = [line for line in found if re.match(r"(flush|delete|add|table|include)\b", line)]
    assert others == ["table inet dmz_bridge", "delete table inet dmz_bridge", "table inet dmz_bridge {"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_denies_by_default(path: Path) -> None:
    hooks = dict(re.findall(r"hook (\w+) priority filter; policy (\w+);", path.read_text()))
    # Towards the intranet itself the bridge's host is free; what goes to the DMZ ends in a chain of its own.
    assert hooks == {"input": "drop", "forward": "drop", "output": "drop" if path.stem == "dmz-front" else "accept"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_definitions_and_counters_are_all_used_and_explained(path: Path) -> None:
    text = path.read_text()
    for name in re.findall(r"(?m)^define (\w+)", text):
        assert re.search(rf"\${name}\b", text), name
    readme = (path.parent / "README.md").read_text()
    for name in re.findall(r"(?m)^    counter (\w+) ", text):
        assert f'counter name "{name}"' in text, name
        assert f"`{name}`" in readme, name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nft_takes_it(path: Path) -> None:
    """In a network namespace of its own: nothing of this machine's rules is asked or touched."""
    if os.name != "posix" or os.geteuid() != 0 or not shutil.which("nft") or not shutil.which("unshare"):
        pytest.skip("nft checks rules as root alone")
    command = ["unshare", "--net", "nft", "-c", "-f"]
    done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)
    if "Operation not permitted" in done.stderr:
        pytest.skip("this machine makes no network namespaces")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nft_would_say_if_it_were_wrong(path: Path, tmp_path: Path) -> None:
    """The control of the test above."""
    if os.geteuid() != 0 or not shutil.which("nft") or not shutil.which("unshare"):
        pytest.skip("nft checks rules as root alone")
    wrong = tmp_path / path.name
    wrong.write_text(path.read_text().replace("define broker_port = 61616", "define broker_port = 616161"))
    command = ["unshare", "--net", "nft", "-c", "-f", str(wrong)]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0
