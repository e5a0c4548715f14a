"""The OpenAPI document: whole, true to the catalogue, and its examples work."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from dmz_front.admission.accounts import AccountForms
from dmz_front.http.openapi import extend
from dmz_front.problems.chinese import CHINESE
from dmz_front.problems.codes import CODES, TITLES
from dmz_front.sandbox.examples import names
from protocol.operations import OFFERED, OFFERED_FAMILIES, Kind
from protocol.runtime import applications
from tests.unit.dmz_front.harness import QUERY, Harness

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


@pytest.fixture(scope="module")
def kept() -> list[bytes]:
    """The document, once it was served: the same for all that only read it."""
    return []


@pytest.fixture
async def document(harness: Harness, kept: list[bytes]) -> dict[str, Any]:
    """As served, FastAPI's own part included."""
    if not kept:
        await harness.start(bridge=False)
        answer = await harness.call("GET", "/openapi.json", app=None)
        assert answer.status_code == 200
        kept.append(answer.content)
    found: dict[str, Any] = json.loads(kept[0])
    return found


def inside(node: Any) -> Iterator[dict[str, Any]]:
    """Every object of a document."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from inside(value)
    elif isinstance(node, list):
        for value in node:
            yield from inside(value)


def resolve(document: dict[str, Any], ref: str) -> Any:
    assert ref.startswith("#/")
    node: Any = document
    for step in ref[2:].split("/"):
        node = node[step]
    return node


pytestmark = pytest.mark.anyio


async def test_it_has_the_shape_of_openapi_3_1(document: dict[str, Any]) -> None:
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert document["info"]["title"]
    assert document["info"]["version"]
    ids = []
    for path, item in document["paths"].items():
        assert path.startswith("/")
        assert set(item) <= METHODS
        for operation in item.values():
            ids.append(operation["operationId"])
            assert operation["responses"]
            names = [parameter["name"] for parameter in operation.get("parameters", ())]
            assert len(set(names)) == len(names)
            for parameter in operation.get("parameters", ()):
                assert parameter["in"] in {"query", "header", "path", "cookie"}
                assert parameter["schema"]
            for status, response in operation["responses"].items():
                assert re.fullmatch(r"[1-5]\d\d|default", status)
                assert response["description"]
            for name in re.findall(r"{(\w+)}", path):
                assert name in names
            for requirement in operation.get("security", ()):
                assert set(requirement) <= set(document["components"]["securitySchemes"])
    assert len(set(ids)) == len(ids)


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    refs = {node["$ref"] for node in inside(document) if isinstance(node.get("$ref"), str)}
    assert refs
    for ref in refs:
        assert isinstance(resolve(document, ref), dict)


async def test_it_can_be_written_as_json_twice_the_same(harness: Harness) -> None:
    await harness.start(bridge=False)
    first = await harness.call("GET", "/openapi.json", app=None)
    assert (await harness.call("GET", "/openapi.json", app=None)).content == first.content


async def test_every_operation_has_its_path_and_its_example_works(document: dict[str, Any]) -> None:
    paths = {path.removeprefix("/v1/") for path, item in document["paths"].items() if "post" in item}
    assert paths == set(OFFERED) | {"attachments"}
    for name, operation in OFFERED.items():
        post = document["paths"][f"/v1/{name}"]["post"]
        assert post["operationId"] == name
        assert post["security"] == [{"ApplicationKey": []}]
        assert f"`{operation.scope}`" in post["description"]
        media = post["requestBody"]["content"]["application/json"]
        operation.requests.validate_json(json.dumps(media["example"]))
        schema = resolve(document, media["schema"]["$ref"])
        assert set(media["example"]) <= set(schema["properties"])
        assert set(schema.get("required", ())) <= set(media["example"])
        assert schema["additionalProperties"] is False


async def test_what_can_be_guessed_at_says_that_it_is_slowed_down(document: dict[str, Any]) -> None:
    for name, operation in OFFERED.items():
        said = document["paths"][f"/v1/{name}"]["post"]["responses"]["429"]["description"]
        assert ("[`too-many-failures`]" in said) is bool(operation.guessed)


async def test_commands_and_queries_promise_different_things(document: dict[str, Any]) -> None:
    for name, operation in OFFERED.items():
        post = document["paths"][f"/v1/{name}"]["post"]
        command = operation.kind is Kind.COMMAND
        headers = {parameter["name"]: parameter for parameter in post["parameters"]}
        assert ("Idempotency-Key" in headers) is command
        assert ("202" in post["responses"]) is command
        assert ("409" in post["responses"]) is command
        if command:
            assert headers["Idempotency-Key"]["required"] is True
            assert re.fullmatch(headers["Idempotency-Key"]["schema"]["pattern"], headers["Idempotency-Key"]["example"])
        result, refusal = post["responses"]["200"]["content"]["application/json"]["schema"]["oneOf"]
        resolve(document, resolve(document, result["$ref"])["properties"]["result"]["$ref"])
        assert refusal["$ref"].endswith("/Refused")


async def test_generated_clients_get_names_and_types(document: dict[str, Any]) -> None:
    """What generators stumble over: answers without a name, values without a type, defaults that are none."""
    schemas = document["components"]["schemas"]
    assert schemas["BillQueryV2Succeeded"]["properties"]["result"] == {"$ref": "#/components/schemas/BillPage"}
    assert len([name for name in schemas if name.endswith("Succeeded")]) == len(OFFERED)
    assert schemas["WorkOrder"]["properties"]["account"]
    for node in inside(document):
        if isinstance(node.get("enum"), list) or isinstance(node.get("const"), str):
            assert node["type"] == "string"
    for name, schema in schemas.items():
        for field, told in schema.get("properties", {}).items():
            assert told.get("default", "") is not None, (name, field)


async def test_every_problem_code_documented_exists(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    of_problems = schemas["Problem"]["properties"]["code"]["enum"]
    assert of_problems == sorted(code for code, told in CODES.items() if told.statuses)
    assert schemas["Failure"]["properties"]["code"]["enum"] == sorted(CODES)
    for name in OFFERED:
        responses = document["paths"][f"/v1/{name}"]["post"]["responses"]
        for status, response in responses.items():
            if int(status) < 400:
                continue
            codes = re.findall(r"`([a-z-]+)`", response["description"])
            assert codes
            assert set(codes) <= set(TITLES)
            assert list(response["content"]) == ["application/problem+json"]
            schema = response["content"]["application/problem+json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Problem"}


async def test_fields_of_limits_callbacks_and_kept_answers(document: dict[str, Any]) -> None:
    for name, operation in OFFERED.items():
        post = document["paths"][f"/v1/{name}"]["post"]
        command = operation.kind is Kind.COMMAND
        assert ("Callback" in {parameter["name"] for parameter in post["parameters"]}) is command
        assert ({"Cache-Status", "Age"} <= post["responses"]["200"]["headers"].keys()) is not command
        for status, response in post["responses"].items():
            assert ({"RateLimit", "RateLimit-Policy"} <= response["headers"].keys()) is (status != "401")
            assert ("Retry-After" in response["headers"]) is (status in ("429", "503"))


async def test_what_is_left_is_where_it_is_documented(harness: Harness) -> None:
    await harness.start()
    await harness.grant("kiosk", "*", limits=applications.Limits(rates={QUERY: 0.01}))
    document = (await harness.call("GET", "/openapi.json", app=None)).json()
    responses = document["paths"][f"/v1/{QUERY}"]["post"]["responses"]
    for status, more in ((200, set()), (429, {"retry-after"})):
        answer = await harness.ask(app="kiosk")
        assert answer.status_code == status
        wanted = {name.lower() for name in responses[str(status)]["headers"]} - {"sandbox", "cache-status", "age"}
        assert wanted >= {"ratelimit", "ratelimit-policy"} | more
        assert wanted <= answer.headers.keys()


async def test_real_answers_fit_what_is_documented(harness: Harness) -> None:
    await harness.start()
    document = (await harness.call("GET", "/openapi.json", app=None)).json()
    responses = document["paths"]["/v1/work-order"]["post"]["responses"]
    for answer in (
        await harness.order(),
        await harness.order(key="b", prefer="respond-async"),
        await harness.order({"type": "x"}),
        await harness.order(b"{"),
        await harness.order(app=None),
    ):
        documented = responses[str(answer.status_code)]
        assert list(documented["content"]) == [answer.headers["content-type"]]
        for name in documented["headers"]:
            # of sandbox keys, of applications with limits
            assert name in answer.headers or name in ("Sandbox", "RateLimit", "RateLimit-Policy")
        schema = documented["content"][answer.headers["content-type"]]["schema"]
        schema = schema.get("oneOf", [schema])[0]
        if "$ref" in schema:
            schema = resolve(document, schema["$ref"])
        assert set(schema["required"]) <= set(answer.json()) <= set(schema["properties"])


def test_a_new_operation_needs_nothing_but_its_entry() -> None:
    document = extend({"paths": {}}, [OFFERED["bill-query"]], AccountForms())
    assert list(document["paths"]) == ["/v1/bill-query"]
    assert {"BillQuery", "Bills", "Bill", "Tier", "Problem", "Refused", "Accepted"} <= set(
        document["components"]["schemas"]
    )


async def test_operations_are_grouped_by_family_in_both_languages(harness: Harness) -> None:
    await harness.start(bridge=False)
    for language, titles in (
        ("en", [family.title for family in OFFERED_FAMILIES]),
        ("zh", [family.title_zh for family in OFFERED_FAMILIES]),
    ):
        answer = await harness.call("GET", f"/openapi.json?lang={language}", app=None)
        assert (answer.headers["content-language"], answer.headers["vary"]) == (language, "Accept-Language")
        document = answer.json()
        assert [tag["name"] for tag in document["tags"]][: len(titles)] == titles
        used = {tag for item in document["paths"].values() for one in item.values() for tag in one["tags"]}
        assert used == {tag["name"] for tag in document["tags"]}
        for title, entries in zip(titles, OFFERED_FAMILIES.values(), strict=True):
            for operation in entries:
                post = document["paths"][f"/v1/{operation.name}"]["post"]
                assert post["tags"] == [title]
                assert post["summary"] == (operation.summary_zh if language == "zh" else operation.summary)


async def test_the_examples_are_those_a_sandbox_key_may_wish_for(harness: Harness) -> None:
    await harness.start(bridge=False)
    await harness.grant("trial", "*", sandbox=True)
    for language, word in (("en", "sandbox key"), ("zh", "沙箱密钥")):
        document = (await harness.call("GET", f"/openapi.json?lang={language}", app=None)).json()
        assert word in document["info"]["description"]
        assert "Prefer: example=" in document["info"]["description"]
    for name, operation in OFFERED.items():
        responses = document["paths"][f"/v1/{name}"]["post"]["responses"]
        told = responses["200"]["content"]["application/json"]["examples"]
        assert set(told) <= set(names(operation))
        for example, shown in told.items():
            answer = await harness.call(
                "POST", f"/v1/{name}", dict(operation.example), app="trial", prefer=f"example={example}",
                idempotency_key=f"{name}-{example}",
            )  # fmt: skip
            assert answer.headers["preference-applied"] == f"example={example}"
            said = answer.json() | {"request_id": shown["value"]["request_id"]}
            if example == "succeeded":
                recorded = operation.responses.validate_json(json.dumps(shown["value"]["result"]))
                shown["value"]["result"] = json.loads(operation.responses.dump_json(recorded))
            assert said == shown["value"]


async def test_every_operation_has_a_line_in_chinese() -> None:
    for operation in OFFERED.values():
        assert re.search("[\u4e00-\u9fff]", operation.summary_zh), operation.name


async def test_a_browsers_language_is_taken_and_can_be_switched(harness: Harness) -> None:
    await harness.start(bridge=False)
    page = await harness.call("GET", "/docs", app=None, accept_language="zh-CN,zh;q=0.9")
    assert page.headers["content-language"] == "zh"
    assert '<html lang="zh">' in page.text
    assert "/openapi.json?lang=zh" in page.text
    assert 'href="/docs?lang=en"' in page.text


async def test_the_chinese_document_is_in_chinese(harness: Harness) -> None:
    """A few texts may be new and wait for a translation (about/descriptions.zh.json)."""
    harness.options["accounts"] = [{"company": "甲公司", "pattern": "[0-9]{13}", "example": "3210000000001"}]
    await harness.start(bridge=False)
    document = (await harness.call("GET", "/openapi.json?lang=zh", app=None)).json()
    told = {
        node[name]
        for node in inside(document)
        for name in ("description", "summary")
        if isinstance(node.get(name), str)
    }
    english = sorted(text for text in told if not re.search("[\u4e00-\u9fff]", text))
    assert len(english) * 20 < len(told), english
    post = document["paths"]["/v1/account-match"]["post"]
    assert [parameter["description"][:2] for parameter in post["parameters"]] == ["本笔", "`w", "W3", "本应"]
    assert post["responses"]["429"]["description"] == "\n".join(
        f"- [`{code}`](/problems/{code}?lang=zh): {CHINESE[code][0]}"
        for code in ("too-many-failures", "too-many-requests", "address-paused", "quota-used-up", "too-many-accounts")
    )


async def test_each_problem_is_shown_by_example(document: dict[str, Any]) -> None:
    for item in document["paths"].values():
        for operation in item.values():
            for status, response in operation["responses"].items():
                if shown := response.get("content", {}).get("application/problem+json"):
                    assert (shown["example"]["status"], shown["example"]["type"]) == (
                        int(status), f"/problems/{shown['example']['code']}",
                    )  # fmt: skip
                    assert f"[`{shown['example']['code']}`]" in response["description"]


async def test_the_page_speaks_the_readers_language_and_fits_a_phone(harness: Harness) -> None:
    await harness.start(bridge=False)
    chinese, english = [(await harness.call("GET", f"/docs?lang={one}", app=None)).text for one in ("zh", "en")]
    for page in (chinese, english):
        assert '<meta name="viewport" content="width=device-width' in page
        assert "@media (max-width: 700px)" in page
    assert '"Try it out": "试一试"' in chinese
    assert chinese.index("MutationObserver") < chinese.index("SwaggerUIBundle({")
    assert "MutationObserver" not in english


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_what_an_operation_can_be_answered_is_shown_by_example(harness: Harness, language: str) -> None:
    await harness.start(bridge=False)
    document = (await harness.call("GET", f"/openapi.json?lang={language}", app=None)).json()
    for operation in OFFERED.values():
        told = document["paths"][f"/v1/{operation.name}"]["post"]
        examples = told["responses"]["200"]["content"]["application/json"]["examples"]
        assert set(examples) == {"succeeded", *(refusal.code for refusal in operation.refusals)}
        operation.responses.validate_json(json.dumps(examples["succeeded"]["value"]["result"]))
        for refusal in operation.refusals:
            title = refusal.title_zh if language == "zh" else refusal.title
            assert f"- `{refusal.code}`: {title}" in told["description"]
            assert examples[refusal.code]["summary"] == title
            assert examples[refusal.code]["value"]["refusal"]["code"] == refusal.code
