"""The AsyncAPI document of callbacks."""

import gzip
import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from dmz_front.http.asyncapi import document
from protocol.languages import Language
from protocol.notices import NoticeKind
from tests.unit.dmz_front.harness import Harness

DOCUMENT = document("1.0")
OFFICIAL = jsonschema.Draft7Validator(
    json.loads(gzip.decompress((Path(__file__).parent / "data" / "asyncapi-3.0.0.json.gz").read_bytes()))
)
"""The specification's own schema (data/README.md)."""


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [one for part in node.values() for one in references(part)]
    return [one for part in node for one in references(part)] if isinstance(node, list) else []


def resolved(reference: str) -> Any:
    node: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


@pytest.mark.parametrize("language", Language)
def test_it_is_as_the_specifications_schema_says(language: Language) -> None:
    told = document("1.0", language)
    assert [f"{error.json_path}: {error.message}" for error in OFFICIAL.iter_errors(told)] == []
    told["channels"]["callback"]["adress"] = told["channels"]["callback"].pop("address")
    assert not OFFICIAL.is_valid(told)


def test_its_references_lead_somewhere() -> None:
    for reference in references(DOCUMENT):
        assert isinstance(resolved(reference), dict), reference


def test_an_operations_messages_are_those_of_its_channel() -> None:
    for operation in DOCUMENT["operations"].values():
        channel = operation["channel"]["$ref"]
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"{channel}/messages/")  # AsyncAPI 3.0.0, Operation Object


@pytest.mark.parametrize("kind", NoticeKind)
def test_each_kinds_example_fits_its_payload_and_something_else_does_not(kind: NoticeKind) -> None:
    message = DOCUMENT["components"]["messages"][kind.value]
    schema = {**resolved(message["payload"]["$ref"]), "components": DOCUMENT["components"]}
    example = message["examples"][0]["payload"]
    jsonschema.validate(example, schema)
    wrongs: tuple[dict[str, Any], ...] = ({"type": "else"}, {"sequence": 0}, {"data": {}}, {"more": 1})
    for wrong in wrongs:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(example | wrong, schema)


def test_it_is_in_chinese_too() -> None:
    chinese = document("1.0", Language.CHINESE)
    assert chinese["components"]["messages"]["bill-issued"]["title"] == "账单已出"
    assert references(chinese) == references(DOCUMENT)


@pytest.mark.anyio
async def test_it_is_served_where_documents_are(harness: Harness) -> None:
    await harness.start(bridge=False)
    answer = await harness.call("GET", "/asyncapi.json", app=None)
    assert answer.json()["asyncapi"] == "3.0.0"
    chinese = await harness.call("GET", "/asyncapi.json?lang=zh", app=None)
    assert chinese.headers["content-language"] == "zh"
