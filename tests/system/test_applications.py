"""Applications and reports of theft cross: what is missing is told, handed in, and the rest follows."""

import httpx

from scripts.tools.testbed.testbed import Testbed
from tests.support.testbeds import command, journal, query

ACCOUNT = "3210000000012"
PHONE = "13800000012"


def test_an_application_goes_on_when_its_last_paper_is_in(testbed: Testbed, http: httpx.Client) -> None:
    asked = {"type": "new", "customer": "person"}
    papers = {paper["paper"]: paper for paper in query(http, "application-requirements", asked)["papers"]}
    required = [code for code, paper in papers.items() if paper["required"]]
    assert len(required) >= 2
    application = {
        "type": "new",
        "applicant": {"kind": "person", "name": "王芳", "identity_number": "990101199001010019"},
        "contact": {"name": "王芳", "phone": PHONE},
        "address": "云河市人民路1号",
        "purpose": "residential",
        "capacity_kw": 8,
        "papers": required[1:],
    }
    applied = command(http, "connection-application", application)
    told = applied["result"]
    assert [paper["paper"] for paper in told["missing"]] == required[:1]
    assert [entry["applied"] for entry in journal(testbed, applied["request_id"])] == [1]
    number = {"application": told["application"]}
    waiting = query(http, "application-progress", number)
    assert (waiting["state"], waiting["missing"]) == ("waiting-for-papers", told["missing"])
    assert [node["name"] for node in waiting["nodes"] if node["done_on"]] == [waiting["nodes"][0]["name"]]
    paper = number | {"papers": required[:1], "note": "原件已交营业厅。"}
    others = command(http, "application-supplement", paper | {"contact_phone": "13999999999"})
    assert others["refusal"]["code"] == "no-such-application"
    assert command(http, "application-supplement", paper | {"contact_phone": PHONE})["result"]["missing"] == []
    whole = query(http, "application-progress", number)
    assert (whole["state"], whole["missing"]) == ("in-progress", [])
    assert whole["waiting_for"] == whole["nodes"][1]["name"]


def test_an_account_that_owes_cannot_be_closed(http: httpx.Client) -> None:
    closing = {
        "type": "close",
        "applicant": {"kind": "company", "name": "示范商贸", "credit_code": "9199010110000000XX"},
        "contact": {"name": "王芳", "phone": PHONE},
        "account": "3210000000008",
    }
    assert command(http, "connection-application", closing)["refusal"]["code"] == "account-in-arrears"
    less = closing | {"type": "capacity-down", "capacity_kw": 4, "account": ACCOUNT}
    assert command(http, "connection-application", less)["status"] == "succeeded"


def test_an_anonymous_report_of_theft_can_be_followed(testbed: Testbed, http: httpx.Client) -> None:
    report = {"place": "云河市建设路88号", "description": "绕过电表接线"}
    told = command(http, "theft-report", report)
    assert [entry["applied"] for entry in journal(testbed, told["request_id"])] == [1]
    number = {"report": told["result"]["report"]}
    progress = query(http, "theft-report-progress", number)
    assert progress["steps"][0]["name"] == "受理"
    assert progress.keys() == {"report", "state", "status", "steps"}
    other = http.post("/v1/theft-report-progress", json={"report": f"{number['report'][:-8]}00000000"}).json()
    assert other["refusal"]["code"] == "no-such-report"
