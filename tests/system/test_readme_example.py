"""The README's worked example of adding an operation, done exactly as it says, in a copy of the project."""

import re
import shutil
import subprocess
from pathlib import Path

from scripts.tools.testbed.layout import ROOT
from tests.support.testbeds import client, running_testbed

_EXAMPLE = re.compile(r"<!-- example: (\S+) -->\n```\w+\n(.*?)```", re.DOTALL)


def test_adding_an_operation_is_one_entry_and_one_block(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if name.split("/")[0] in ("protocol", "dmz_front", "intranet_bridge", "config"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)

    examples = _EXAMPLE.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert [place for place, _ in examples] == ["protocol/operations/bills.py", "config/bindings/bills.toml"]
    for place, text in examples:
        with (copy / place).open("a", encoding="utf-8") as file:
            file.write(f"\n\n{text}")

    with running_testbed(tmp_path / "testbed", root=copy) as testbed, client(testbed) as http:
        document = http.get("/openapi.json").json()
        told = document["paths"]["/v1/supply-address"]["post"]
        example = told["requestBody"]["content"]["application/json"]["example"]
        answer = http.post("/v1/supply-address", json=example)
        assert answer.status_code == 200, answer.text
        result = answer.json()["result"]
        assert result["account"] == example["account"]
        assert result["address"].startswith("云河市")

        refused = http.post("/v1/supply-address", json={"account": "9999999999999"}).json()
        assert refused["refusal"]["code"] in told["responses"]["200"]["content"]["application/json"]["examples"]
        assert http.post("/v1/supply-address", json={"account": "1"}).status_code == 422
