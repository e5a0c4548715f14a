"""Pages of the HTTP API: every operation, in both languages, as the front's own document has it."""

import pytest

from protocol.operations import OFFERED
from scripts.tools.documentation.http_api import pages


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_operation_is_there_with_its_examples(language: str) -> None:
    made = pages(language)
    index = made.pop("reference/http-api/index.md")
    everything = "".join(made.values())
    for name, operation in OFFERED.items():
        assert f"[`{name}`](" in index
        section = everything.partition(f"\n## {name} {{")[2].partition("\n## ")[0]
        assert f"`POST /v1/{name}`" in section
        assert section.count("```json") == 2, f"{name}: a request and an answer"
        for field in operation.request.model_fields:
            assert f"| `{field}` |" in section
        for refusal in operation.refusals:
            assert f"`{refusal.code}`" in section


def test_an_optional_field_and_a_list_are_said_to_be_so() -> None:
    page = pages("en")["reference/http-api/bills-and-arrears.md"]
    assert "| `bills[].month` | string" in page
    assert "| `before` | string" in page.partition("## bill-query.v2")[2]
    assert "(optional)" in page
