"""The catalogue: every entry is whole, and says what may be done when an outcome is unknown."""

import json
import re
from dataclasses import replace
from datetime import date

import pytest
from pydantic import ValidationError

from protocol import operations
from protocol.operations import (
    CATALOGUE,
    INTERNAL,
    OFFERED,
    OFFERED_FAMILIES,
    OWN,
    AnsweredBy,
    AskedBy,
    Kind,
    Operation,
    UnknownOutcome,
    bills,
    refusals,
    work_orders,
)
from protocol.operations.fields import AttachmentId, Attachments, IdentityNumber, Model

ENTRIES = list(CATALOGUE.values())


@pytest.mark.parametrize("operation", ENTRIES, ids=list(CATALOGUE))
def test_an_entry_is_whole(operation: Operation) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*(\.v[2-9])?", operation.name)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", operation.scope)
    assert CATALOGUE[operation.name] is operation
    assert operation.summary
    assert operation.summary_zh
    assert operation.example_answer is not None
    assert operation.refusals or operation.example == {} or operation.name in OWN
    assert 0 < operation.deadline_ms <= 60_000
    assert operation.attempts >= 1
    assert operation.expires_ms is None or operation.expires_ms > operation.deadline_ms
    assert issubclass(operation.request, Model)
    assert issubclass(operation.response, Model)


@pytest.mark.parametrize("operation", ENTRIES, ids=list(CATALOGUE))
def test_its_example_works_as_json(operation: Operation) -> None:
    asked = operation.requests.validate_json(json.dumps(operation.example))
    assert isinstance(asked, operation.request)
    if operation.ordering_key is not None:
        assert operation.ordering_key(asked)


@pytest.mark.parametrize("operation", ENTRIES, ids=list(CATALOGUE))
def test_what_is_not_in_the_schema_is_refused(operation: Operation) -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        operation.requests.validate_json(json.dumps(dict(operation.example) | {"surprise": 1}))


def test_a_query_has_no_effect_so_it_may_be_repeated() -> None:
    for operation in ENTRIES:
        if operation.kind is Kind.QUERY:
            assert operation.unknown_outcome is UnknownOutcome.REPEAT
            assert operation.ordering_key is None


def test_an_entry_whose_example_does_not_fit_cannot_be_made() -> None:
    with pytest.raises(ValidationError):
        replace(CATALOGUE["bill-query"], example={"account": "x"})


def test_two_entries_of_one_name_are_refused() -> None:
    entry = CATALOGUE["bill-query"]
    with pytest.raises(ValueError, match="two catalogue entries are called bill-query"):
        operations._catalogue({bills.FAMILY: (entry,), work_orders.FAMILY: (entry,)})


def test_an_entry_that_is_not_sound_is_refused() -> None:
    entry = CATALOGUE["bill-query"]
    twice = refusals.MONTH_RANGE, refusals.MONTH_RANGE
    with pytest.raises(ValueError, match="a refusal is named twice"):
        replace(entry, refusals=twice)
    with pytest.raises(ValidationError, match="bills"):
        replace(entry, example_answer={"account": "3210000000001"})
    with pytest.raises(operations.AnswerMismatch):
        replace(entry, example_answer={"account": "9999999999999", "bills": []})
    with pytest.raises(ValueError, match="a command's answer is not cacheable"):
        replace(CATALOGUE["work-order"], cacheable=True)
    other = replace(CATALOGUE["work-order"], refusals=(replace(refusals.MONTH_RANGE, title="else"),))
    with pytest.raises(ValueError, match="month-range means something else"):
        operations._catalogue({bills.FAMILY: (entry,), work_orders.FAMILY: (other,)})


def test_personal_data_is_known_by_its_fields() -> None:
    assert CATALOGUE["work-order"].personal == {"account", "contact_name", "contact_phone", "address", "content"}
    assert CATALOGUE["arrears-query"].personal_answer == {"account"}
    assert CATALOGUE["work-order-progress"].personal == frozenset()


class Papers(Model):
    """A request that names files."""

    holder: IdentityNumber
    attachments: Attachments = ()
    plan: AttachmentId | None = None


def test_fields_that_name_uploaded_files_are_known() -> None:
    operation = Operation("papers", Kind.COMMAND, "", Papers, Model, {"holder": "11010519491231002X"}, "papers")
    assert operation.attachments == ("attachments", "plan")
    assert operation.personal == {"holder"}
    assert CATALOGUE["bill-query"].attachments == ()


@pytest.mark.parametrize("name", ["Bill", "bill_query", "bill-query.v1", "bill-query.v02", "bill.query", "a" * 65, ""])
def test_a_name_that_no_path_row_or_label_should_hold(name: str) -> None:
    with pytest.raises(ValueError, match="is not a name"):
        replace(CATALOGUE["bill-query"], name=name)


def test_versions_of_an_operation() -> None:
    old, new = CATALOGUE["bill-query"], CATALOGUE["bill-query.v2"]
    assert old.deprecated is not None
    assert CATALOGUE[old.deprecated.successor] is new
    with pytest.raises(ValueError, match=r"its successor bill-query\.v2 is not in the catalogue"):
        operations._catalogue({bills.FAMILY: (old,)})
    with pytest.raises(ValueError, match="is before the deprecation"):
        replace(old.deprecated, sunset=date(2020, 1, 1))
    with pytest.raises(ValueError, match="account is a field of its requests"):
        replace(new, removed={"account": operations.Removed("gone", "已取消")})


def test_a_field_that_a_version_removed_was_one_of_an_earlier_version() -> None:
    for operation in ENTRIES:
        if operation.removed:
            base = operation.name.rpartition(".v")[0]
            earlier = {name for name in CATALOGUE if name.startswith(base) and name != operation.name}
            fields = {field for name in earlier for field in CATALOGUE[name].request.model_fields}
            assert set(operation.removed) <= fields
            for told in operation.removed.values():
                assert re.search("[\u4e00-\u9fff]", told.said_zh)
                assert told.said


def test_nobody_changes_the_catalogue() -> None:
    with pytest.raises(TypeError):
        CATALOGUE["x"] = CATALOGUE["bill-query"]  # type: ignore[index]


def test_what_only_the_bridge_asks_is_bound_like_all_and_offered_to_nobody() -> None:
    assert {"writeoff-list", "bill-freeze", "promotion-reserve"} <= INTERNAL
    assert CATALOGUE.keys() == OFFERED.keys() | INTERNAL
    assert {name for entries in OFFERED_FAMILIES.values() for name in (one.name for one in entries)} == set(OFFERED)
    scopes = frozenset[str]().union(*(one.scopes for one in OFFERED.values()))
    for name in INTERNAL:
        assert CATALOGUE[name].asked_by is AskedBy.BRIDGE
        assert CATALOGUE[name].answered_by is AnsweredBy.MARKETING
        assert not CATALOGUE[name].scopes & scopes, "an application could be granted it"
    with pytest.raises(ValueError, match="ask itself"):
        replace(CATALOGUE["open-bills"], answered_by=AnsweredBy.BRIDGE)
