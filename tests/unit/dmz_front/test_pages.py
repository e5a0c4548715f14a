"""The pages beside the hot path: status, catalogue, health, documentation; problems for all the rest."""

import re

import pytest

from tests.unit.dmz_front.stand import COMMAND, QUERY, StandIn, code_of, problem_of, turns

pytestmark = pytest.mark.anyio


async def test_the_catalogue_shows_what_the_key_may_use(stand: StandIn) -> None:
    await stand.start(bridge=False)
    await stand.grant("bills", "bills")
    all_of_them = (await stand.call("GET", "/v1/operations")).json()["operations"]
    mine = (await stand.call("GET", "/v1/operations", app="bills")).json()["operations"]
    assert {one["name"] for one in all_of_them} == set(stand.catalogue)
    assert {one["scope"] for one in mine} == {"bills"}
    assert all_of_them[0] == {
        "name": QUERY,
        "kind": "query",
        "summary": stand.catalogue[QUERY].summary,
        "path": f"/v1/{QUERY}",
        "scope": "bills",
        "deadline_ms": 5_000,
    }


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/operations"), ("GET", "/v1/requests/x"), ("POST", "/v1/nothing")]
)
async def test_the_pages_of_the_api_need_a_key(stand: StandIn, method: str, path: str) -> None:
    await stand.start(bridge=False)
    answer = await stand.call(method, path, app=None)
    assert code_of(answer) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/v1/nothing", 404, "unknown-operation"),
        ("POST", "/v1/BILL-QUERY", 404, "unknown-operation"),
        ("GET", "/v1/requests/00000000-0000-7000-8000-000000000000", 404, "unknown-request"),
        ("GET", "/v1/requests/%0d%0aSet-Cookie:x", 404, "unknown-request"),
        ("GET", "/nothing", 404, "not-found"),
        ("GET", "/", 404, "not-found"),
        ("GET", "/docs/assets/nothing.js", 404, "not-found"),
        ("GET", "/docs/assets/../../../../etc/passwd", 404, "not-found"),
        ("POST", "/v1/a/b", 404, "not-found"),
        ("GET", f"/v1/{QUERY}", 405, "method-not-allowed"),
        ("DELETE", f"/v1/{COMMAND}", 405, "method-not-allowed"),
        ("PUT", "/healthz", 405, "method-not-allowed"),
        ("POST", "/v1/requests/x", 405, "method-not-allowed"),
    ],
)
async def test_every_error_is_a_problem(stand: StandIn, method: str, path: str, status: int, code: str) -> None:
    await stand.start(bridge=False)
    answer = await stand.call(method, path)
    assert code_of(answer) == (status, code)
    assert problem_of(answer)["request_id"] == answer.headers["request-id"]
    if status == 405:
        assert answer.headers["allow"]


async def test_what_nobody_foresaw_tells_nothing(stand: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    await stand.start(bridge=False)

    async def broken(*_: object) -> None:
        raise RuntimeError("secret of the house")

    monkeypatch.setattr(stand.front.ledger, "find", broken)
    sent = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    headers = [(b"authorization", f"Bearer {stand.keys['wechat']}".encode())]
    scope = {"type": "http", "method": "GET", "path": "/v1/requests/x", "headers": headers, "query_string": b""}
    with pytest.raises(RuntimeError):  # starlette hands it on after answering, for the server's log
        await stand.front.api(scope, receive, send)  # type: ignore[arg-type]
    assert sent[0]["status"] == 500
    assert b"internal" in sent[1]["body"]  # type: ignore[operator]
    assert b"secret" not in sent[1]["body"]  # type: ignore[operator]


async def test_alive_and_ready(stand: StandIn) -> None:
    await stand.start()
    alive = await stand.call("GET", "/healthz", app=None)
    ready = await stand.call("GET", "/readyz", app=None)
    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    assert ready.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("missing", ["broker", "bridge", "accepting"])
async def test_not_ready(stand: StandIn, missing: str) -> None:
    await stand.start()
    if missing == "broker":
        stand.broker.stop()
    elif missing == "bridge":
        stand.bridge.announce(leaving=True)
    else:
        stand.front.api.draining = True
    await turns()
    ready = await stand.call("GET", "/readyz", app=None)
    assert ready.status_code == 503
    checks = ready.json()["checks"]
    assert ready.json()["status"] == "not-ready"
    assert {name for name, value in checks.items() if value != "ok"} == {missing}
    assert (await stand.call("GET", "/healthz", app=None)).status_code == 200


async def test_the_documentation_needs_no_internet(stand: StandIn) -> None:
    await stand.start(bridge=False)
    page = await stand.call("GET", "/docs", app=None)
    assert page.status_code == 200
    links = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert links
    for link in links:
        assert link.startswith("/static-offline-docs/")
        assert (await stand.call("GET", link, app=None)).status_code == 200


async def test_documentation_can_be_turned_off(stand: StandIn) -> None:
    stand.options["http"] = {"docs": False}
    await stand.start(bridge=False)
    for path in ("/docs", "/openapi.json", "/docs/assets/swagger-ui.css", "/redoc"):
        assert code_of(await stand.call("GET", path)) == (404, "not-found")
