"""The tutorial's lines, run in a copy of the project as they stand; its operation is the README's worked example."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from scripts.tools.testbed.layout import BIN, ROOT
from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import client, running_testbed

PAGES = sorted((ROOT / "docs/tutorial").glob("*.md"))
_EXAMPLE = re.compile(r"<!-- example: (\S+) -->\n```\w+\n(.*?)```", re.DOTALL)
_STEP = re.compile(r"^```sh\n(.*?)^```\n(?:\n```text\n(.*?)^```)?", re.MULTILINE | re.DOTALL)
_COPIED = ("activemq", "config", "dmz_front", "intranet_bridge", "protocol", "bridgectl", "scripts", "pyproject.toml")


def steps() -> list[tuple[str, str]]:
    """Each block of lines to run, with what is shown of its output."""
    return [(block, shown or "") for page in PAGES for block, shown in _STEP.findall(page.read_text(encoding="utf-8"))]


def test_the_tutorial(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if name.split("/")[0] in _COPIED:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    (copy / ".venv").symlink_to(BIN.parent)

    changes = [block for block, _ in steps() if block.startswith("cat >> ")]
    for (place, text), change in zip(
        _EXAMPLE.findall((ROOT / "README.md").read_text(encoding="utf-8")), changes, strict=True
    ):
        assert change == f"cat >> {place} <<'END'\n\n\n{text}END\n", "the README's example is the tutorial's"
        subprocess.run(["bash", "-euc", change], cwd=copy, check=True)

    hurried = {"intranet_bridge": {"commands.retry_max_s": 1, "breaker.open_max_s": 1}}
    with running_testbed(copy / "var/demo", root=copy, settings=hurried) as testbed:
        headers = testbed.folder / "curl.headers"  # as the demo leaves it
        headers.touch(mode=0o600)
        headers.write_text(f"Authorization: Bearer {testbed.app_key}\n")
        try:
            for block, shown in steps():
                if block not in changes:
                    run(testbed, copy, block, shown)
            the_documents_show_it(testbed)
        finally:
            testbed.pids = Testbed.attach(testbed.folder).pids  # of what the tutorial started again, to be stopped


def run(testbed: Testbed, copy: Path, block: str, shown: str) -> None:
    """Runs a block, and finds what the page shows of its output in it, in order; `...` stands for anything."""
    here = re.sub(r"http://127\.0\.0\.1:8080", testbed.front_url, block)
    # the demo's own script would make this copy a .venv of its own
    here = re.sub(r"^\./scripts/demo\b", f"{sys.executable} -m scripts.tools.testbed.demo", here, flags=re.M)
    environment = {**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "120"}
    command = ["bash", "-uc", here]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=120, check=False)
    said = f"{block}\n{done.stdout}\n{done.stderr}"
    assert done.returncode in (0, 1, 2), said  # 1 and 2 are verdicts of status and probe; 127 is a command not found
    assert shown, f"the page shows nothing of what this prints: {block}"
    came, at = " ".join(done.stdout.split()), 0
    for part in " ".join(shown.split()).split("..."):
        found = came.find(part.strip(), at)
        assert found >= 0, f"{part!r} is not in what came:\n{said}"
        at = found + len(part.strip())


def the_documents_show_it(testbed: Testbed) -> None:
    """The new operation is in the API's document, its example works, and its requests are checked."""
    with client(testbed) as http:
        told = http.get("/openapi.json").json()["paths"]["/v1/supply-address"]["post"]
        example = told["requestBody"]["content"]["application/json"]["example"]
        answer = http.post("/v1/supply-address", json=example)
        assert answer.status_code == 200, answer.text
        assert answer.json()["result"]["account"] == example["account"]
        refused = http.post("/v1/supply-address", json={"account": "9999999999999"}).json()
        assert refused["refusal"]["code"] in told["responses"]["200"]["content"]["application/json"]["examples"]
        assert http.post("/v1/supply-address", json={"account": "1"}).status_code == 422
