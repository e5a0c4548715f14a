"""The pages beside the hot path: status, catalogue, health, documentation; problems for all the rest."""

import re

import pytest

from dmz_front.problems.codes import CODES
from tests.unit.dmz_front.harness import COMMAND, QUERY, Harness, code_of, problem_of, turns

pytestmark = pytest.mark.anyio


async def test_the_catalogue_shows_what_the_key_may_use(harness: Harness) -> None:
    await harness.start(bridge=False)
    await harness.grant("bills", "bills")
    all_of_them = (await harness.call("GET", "/v1/operations")).json()["operations"]
    mine = (await harness.call("GET", "/v1/operations", app="bills")).json()["operations"]
    assert {one["name"] for one in all_of_them} == set(harness.catalogue)
    assert {one["scope"] for one in mine} == {"bills"}
    assert next(one for one in all_of_them if one["name"] == QUERY) == {
        "name": QUERY,
        "kind": "query",
        "summary": harness.catalogue[QUERY].summary,
        "path": f"/v1/{QUERY}",
        "scope": "bills",
        "deadline_ms": 5_000,
        "deprecated": {"since": "2026-12-01", "sunset": "2027-12-01", "successor": "bill-query.v2"},
    }
    assert [one["name"] for one in all_of_them if "deprecated" in one] == [
        name for name, operation in harness.catalogue.items() if operation.deprecated
    ]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/operations"), ("GET", "/v1/requests/x"), ("POST", "/v1/nothing")]
)
async def test_the_pages_of_the_api_need_a_key(harness: Harness, method: str, path: str) -> None:
    await harness.start(bridge=False)
    answer = await harness.call(method, path, app=None)
    assert code_of(answer) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/v1/nothing", 404, "unknown-operation"),
        ("POST", "/v1/writeoff-list", 404, "unknown-operation"),
        ("POST", "/v1/bill-freeze", 404, "unknown-operation"),
        ("GET", "/v1/nothing", 404, "unknown-operation"),
        ("POST", "/v1/BILL-QUERY", 404, "unknown-operation"),
        ("POST", f"/v1/{QUERY}/", 404, "not-found"),
        ("GET", "/healthz/", 404, "not-found"),
        ("GET", "/v1/operations/", 404, "not-found"),
        ("OPTIONS", "/nothing", 404, "not-found"),
        ("POST", "/v1/operations", 405, "method-not-allowed"),
        ("GET", "/v1/requests/00000000-0000-7000-8000-000000000000", 404, "unknown-request"),
        ("GET", "/v1/requests/%0d%0aSet-Cookie:x", 404, "unknown-request"),
        ("GET", "/nothing", 404, "not-found"),
        ("GET", "/", 404, "not-found"),
        ("GET", "/docs/assets/nothing.js", 404, "not-found"),
        ("GET", "/docs/assets/../../../../etc/passwd", 404, "not-found"),
        ("POST", "/v1/a/b", 404, "not-found"),
        ("GET", "/problems/nothing", 404, "not-found"),
        ("GET", "/problems/..%2fhealthz", 404, "not-found"),
        ("GET", f"/v1/{QUERY}", 405, "method-not-allowed"),
        ("DELETE", f"/v1/{COMMAND}", 405, "method-not-allowed"),
        ("PUT", "/healthz", 405, "method-not-allowed"),
        ("POST", "/v1/requests/x", 405, "method-not-allowed"),
    ],
)
async def test_every_error_is_a_problem(harness: Harness, method: str, path: str, status: int, code: str) -> None:
    await harness.start(bridge=False)
    answer = await harness.call(method, path)
    assert code_of(answer) == (status, code)
    assert problem_of(answer)["request_id"] == answer.headers["request-id"]
    if status == 405:
        assert answer.headers["allow"]


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/", "DELETE, GET, HEAD, OPTIONS, PATCH, POST"),
        ("/v1/attachments", "OPTIONS, POST"),
        ("/v1/attachments/x", "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("/healthz", "GET, HEAD, OPTIONS"),
        ("/v1/operations", "GET, HEAD, OPTIONS"),
        ("/v1/requests/x", "GET, HEAD, OPTIONS"),
        (f"/v1/{QUERY}", "OPTIONS, POST"),
        ("/v1/nothing", "OPTIONS, POST"),  # who has no key does not learn what there is
        ("/docs", "GET, HEAD, OPTIONS"),
    ],
)
async def test_what_a_path_allows_is_said(harness: Harness, path: str, methods: str) -> None:
    await harness.start(bridge=False)
    answer = await harness.call("OPTIONS", path, app=None)
    assert (answer.status_code, answer.headers["allow"], answer.content) == (204, methods, b"")
    if path not in ("/", "/v1/nothing"):
        other = await harness.call("PUT", path)
        assert (other.status_code, other.headers["allow"]) == (405, methods)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v1/operations", "/v1/requests/x", "/docs", "/nothing"])
async def test_head_is_get_without_the_body(harness: Harness, path: str) -> None:
    await harness.start(bridge=False)
    got, head = await harness.call("GET", path), await harness.call("HEAD", path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    same = {"content-type", "content-length", "cache-control"}
    assert {name: head.headers[name] for name in same if name in got.headers} == {
        name: got.headers[name] for name in same if name in got.headers
    }


async def test_an_operation_has_no_head(harness: Harness) -> None:
    await harness.start(bridge=False)
    answer = await harness.call("HEAD", f"/v1/{QUERY}")
    assert (answer.status_code, answer.headers["allow"], answer.content) == (405, "OPTIONS, POST", b"")


@pytest.mark.parametrize(
    ("path", "near"),
    [
        (f"/v1/{QUERY}/", f"/v1/{QUERY}"),
        (f"//v1//{QUERY.upper()}", f"/v1/{QUERY}"),
        ("/v1/bill_query", f"/v1/{QUERY}"),
        (f"/{QUERY}", f"/v1/{QUERY}"),
        ("/health", "/healthz"),
        ("/v1/operation", "/v1/operations"),
        ("/v1/requests", "/v1/requests/{id}"),
        ("/openapi.yaml", "/openapi.json"),
    ],
)
async def test_an_unknown_path_is_404_with_the_nearest_and_nothing_comes_from_host(
    harness: Harness, path: str, near: str
) -> None:
    await harness.start(bridge=False)
    answer = await harness.call("POST", path, host="evil.example")
    assert answer.status_code == 404
    assert problem_of(answer)["detail"] == f"did you mean {near}?"
    assert "location" not in answer.headers
    assert "evil" not in answer.text


async def test_without_documentation_operations_are_told_to_those_who_may_use_them(harness: Harness) -> None:
    harness.options["http"] = {"docs": False}
    await harness.start(bridge=False)
    await harness.grant("bills", "bills")
    assert QUERY not in (await harness.call("POST", f"/v1/{QUERY}/", app=None)).text
    assert (
        problem_of(await harness.call("POST", "/v1/bill_query", app="bills"))["detail"] == f"did you mean /v1/{QUERY}?"
    )
    assert COMMAND not in (await harness.call("POST", f"/v1/{COMMAND}s", app="bills")).text


async def test_what_nobody_foresaw_tells_nothing(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    await harness.start(bridge=False)

    async def broken(*_: object) -> None:
        raise RuntimeError("secret of the house")

    monkeypatch.setattr(harness.front.ledger, "find", broken)
    sent = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    headers = [(b"authorization", f"Bearer {harness.keys['wechat']}".encode())]
    scope = {"type": "http", "method": "GET", "path": "/v1/requests/x", "headers": headers, "query_string": b""}
    with pytest.raises(RuntimeError):  # starlette hands it on after answering, for the server's log
        await harness.front.api(scope, receive, send)  # type: ignore[arg-type]
    assert sent[0]["status"] == 500
    assert b"internal" in sent[1]["body"]  # type: ignore[operator]
    assert b"secret" not in sent[1]["body"]  # type: ignore[operator]


async def test_alive_and_ready(harness: Harness) -> None:
    await harness.start()
    alive = await harness.call("GET", "/healthz", app=None)
    ready = await harness.call("GET", "/readyz", app=None)
    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    assert ready.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("missing", ["broker", "bridge", "accepting"])
async def test_not_ready(harness: Harness, missing: str) -> None:
    await harness.start()
    if missing == "broker":
        harness.broker.stop()
    elif missing == "bridge":
        harness.bridge.announce(leaving=True)
    else:
        harness.front.api.draining = True
    await turns()
    ready = await harness.call("GET", "/readyz", app=None)
    assert ready.status_code == 503
    checks = ready.json()["checks"]
    assert ready.json()["status"] == "not-ready"
    assert {name for name, value in checks.items() if value != "ok"} == {missing}
    assert (await harness.call("GET", "/healthz", app=None)).status_code == 200


async def test_the_documentation_needs_no_internet(harness: Harness) -> None:
    await harness.start(bridge=False)
    page = await harness.call("GET", "/docs", app=None)
    assert page.status_code == 200
    links = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert links
    for link in links:
        assert link.startswith(("/static-offline-docs/", "/docs?lang="))
        assert (await harness.call("GET", link, app=None)).status_code == 200


@pytest.mark.parametrize("docs", [True, False])
async def test_a_problems_type_is_a_page_of_this_front(harness: Harness, docs: bool) -> None:
    harness.options["http"] = {"docs": docs}
    await harness.start(bridge=False)
    problem = problem_of(await harness.call("GET", "/nothing"))
    page = await harness.call("GET", problem["type"], app=None)
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert problem["title"] in page.text
    head = await harness.call("HEAD", problem["type"], app=None)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == page.headers["content-length"]


async def test_the_index_of_problems_leads_to_every_page(harness: Harness) -> None:
    await harness.start(bridge=False)
    index = await harness.call("GET", "/problems", app=None)
    links = re.findall(r'href="([^"]+)"', index.text)
    pages = {f"/problems/{code}" for code in CODES}
    assert sorted(links) == sorted([*(f"{page}?lang=en" for page in pages), "/problems?lang=zh"])
    for path in pages:
        page = (await harness.call("GET", path, app=None)).text
        assert "`" not in page
        # nothing from elsewhere
        assert set(re.findall(r'(?:href|src)="([^"]+)"', page)) == {"/problems?lang=en", f"{path}?lang=zh"}
        assert "<script" not in page


async def test_the_pages_of_problems_are_in_the_readers_language(harness: Harness) -> None:
    await harness.start(bridge=False)
    chinese = await harness.call("GET", "/problems/held", app=None, accept_language="zh-CN")
    assert (chinese.headers["content-language"], chinese.headers["vary"]) == ("zh", "Accept-Language")
    assert "<h1>结果未知，等待运维人员裁定</h1>" in chinese.text
    assert '<html lang="zh">' in chinese.text
    assert 'href="/problems?lang=zh"' in chinese.text
    switched = await harness.call("GET", "/problems/held?lang=en", app=None, accept_language="zh-CN")
    assert switched.headers["content-language"] == "en"
    index = await harness.call("GET", "/problems?lang=zh", app=None)
    assert "含义永不改变" in index.text


async def test_documentation_can_be_turned_off(harness: Harness) -> None:
    harness.options["http"] = {"docs": False}
    await harness.start(bridge=False)
    for path in ("/docs", "/openapi.json", "/docs/assets/swagger-ui.css", "/redoc"):
        assert code_of(await harness.call("GET", path)) == (404, "not-found")
