"""No customer's data in clear in the broker's store, the daemons' databases or any log: marked values go in, and
every file is searched for them.
"""

import base64
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import client, contents, eventually, running_testbed, work_order

MARK = f"MARK{uuid.uuid4().hex}"
ACCOUNT = "3210000000008"
PHONE = "13987654321"
NAME = "标记姓名欧阳"


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Testbed, str]]:
    with running_testbed(tmp_path_factory.mktemp("marked"), settings=DEBUG) as testbed, client(testbed) as http:
        order = work_order(f"{MARK} content", account=ACCOUNT, contact_phone=PHONE, contact_name=NAME, address=MARK)

        def submit(key: str) -> str:
            headers = {"Idempotency-Key": f"{MARK}-{ACCOUNT}-{key}", "Prefer": "wait=10"}
            answer = http.post("/v1/work-order", json=order, headers=headers)
            assert answer.status_code in (200, 202), answer.text
            return str(answer.json()["request_id"])

        submit("done")
        http.post("/v1/bill-query", json={"account": ACCOUNT, "first_month": "2026-01", "last_month": "2026-06"})
        http.post("/v1/bill-query", json={"account": ACCOUNT, "first_month": MARK, "last_month": "2026-06"})
        http.post("/v1/work-order", json=order | {"type": MARK}, headers={"Idempotency-Key": MARK})
        # Without a bridge the command stays in the broker's store, where it must be found, but not read.
        testbed.stop("bridge")
        waiting = submit("waiting")
        eventually(lambda: http.get(f"/v1/requests/{waiting}").json()["status"] == "sent", what="the broker's receipt")
        yield testbed, waiting


DEBUG = {name: {"log.level": "debug"} for name in ("dmz_front", "intranet_bridge")}


def written(testbed: Testbed) -> Iterator[tuple[Path, bytes]]:
    """Everything the product and the broker wrote: all but the marketing system's own and the test's key."""
    return contents(path for path in testbed.folder.rglob("*") if not path.name.startswith("marketing"))


def test_the_search_would_find_it(marked: tuple[Testbed, str]) -> None:
    """Positive control: what may be readable (the request's id) is found where the data would be."""
    testbed, waiting = marked
    holding = [path for path, content in written(testbed) if waiting.encode() in content]
    assert any(path.is_relative_to(testbed.folder / "broker") for path in holding), holding
    assert any(path.name.startswith("front.sqlite3") for path in holding), holding
    marketing = b"".join(content for _, content in contents(testbed.folder.rglob("marketing.sqlite3*")))
    assert MARK.encode() in marketing  # it did arrive where it belongs


@pytest.mark.parametrize("value", [MARK, ACCOUNT, PHONE, NAME], ids=["text", "account", "phone", "name"])
def test_no_marked_value_in_any_file(marked: tuple[Testbed, str], value: str) -> None:
    testbed, _ = marked
    forms = {
        "utf-8": value.encode(),
        "utf-16": value.encode("utf-16-be"),
        "escaped": value.encode("unicode_escape"),
        "base64": base64.b64encode(value.encode())[2:-4],
        "hex": value.encode().hex().encode(),
    }
    for path, content in written(testbed):
        for form, needle in forms.items():
            assert needle not in content, f"{value} ({form}) stands in {path}"
