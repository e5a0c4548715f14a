"""The configuration of hot data."""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, StringConstraints, ValidationError, field_validator, model_validator

from protocol.operations import CATALOGUE, OWN
from protocol.runtime.hot_section import HotOperationSection, check_named
from protocol.runtime.maintenance import TimesSection
from protocol.runtime.settings import Misplaced, Section, unfit

_RELATIVE = re.compile(r"(month|day)(?:([+-])([0-9]{1,3}))?")

Value = Annotated[str, StringConstraints(max_length=64)] | int | bool


def request_of(operation: str, fields: Mapping[str, Value], account: str, today: date) -> BaseModel:
    """What is asked about an account. Raises ValueError for fields that make no request."""
    given = {name: _said(value, today) for name, value in fields.items()}
    request: BaseModel = CATALOGUE[operation].requests.validate_python({**given, "account": account})
    return request


def _said(value: Value, today: date) -> Value:
    """`month-5`, `day+1`: five months before this one, tomorrow. Anything else is what it is."""
    found = _RELATIVE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return value
    away = int(f"{found[2] or '+'}{found[3] or 0}")
    if found[1] == "day":
        return (today + timedelta(days=away)).isoformat()
    months = today.year * 12 + today.month - 1 + away
    return f"{months // 12:04d}-{months % 12 + 1:02d}"


class PrequerySection(Section):
    """Asking ahead: what accounts will ask for is asked before they do, and kept. Off without requests."""

    requests: dict[str, dict[str, Value]] = Field(default_factory=dict)
    """By operation, which `hot.operations` has too: the fields of the request besides `account`. `month` is this month,
    `month-5` the fifth before it, `day`, `day-30` and `day+1` are days."""
    windows: tuple[TimesSection, ...] = ()
    """When: at no other time is anything asked ahead, and never in `maintenance.quiet`."""
    rate: Annotated[float, Field(gt=0, le=1_000)] = 5
    """Calls a second at most, of all bridges of one inbox together."""
    at_once: Annotated[int, Field(ge=1, le=64)] = 2
    """Calls at once, of this bridge."""
    accounts: Annotated[int, Field(ge=0, le=1_000_000)] = 20_000
    """So many active accounts are remembered, in memory alone; the longest idle go first."""
    active_hours: Annotated[float, Field(gt=0, le=24 * 31)] = 72
    """An account that asked for nothing for so long is not active any more."""
    subscribed: bool = True
    """Whether accounts with a subscription to notices count, active or not."""
    slow_ms: Annotated[float, Field(gt=0, le=60_000)] = 1_000
    """An interface of whose latest calls more than a hundredth took longer is slow: then nothing is asked ahead."""

    @field_validator("requests")
    @classmethod
    def _are_requests(cls, requests: dict[str, dict[str, Value]]) -> dict[str, dict[str, Value]]:
        able = {name for name, one in CATALOGUE.items() if one.cacheable and one.about == "account"} - OWN
        check_named(requests, able)
        for name, fields in requests.items():
            if "account" in fields:
                raise Misplaced("account is what each request adds", (name, "account"))
            try:
                request_of(name, fields, _example(name), date.today())
            except ValidationError as error:
                wrong = unfit(error, {**fields, "account": ""}, (name,))
                raise Misplaced(f"makes no request of {name}: {wrong.told()}", wrong.place) from None
        return requests

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if self.requests and not self.windows:
            raise Misplaced("needs windows: nothing is asked ahead without one", ("requests",))
        return self


class HotSection(Section):
    """What is kept. Nothing, unless operations are named."""

    bytes: Annotated[int, Field(ge=1 << 20, le=1 << 36)] = 64 << 20
    """Of memory, for all kept answers together."""
    joined: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000
    """So many queries at most wait for the answer to another, identical one; more are asked by themselves."""
    operations: dict[str, HotOperationSection] = Field(default_factory=dict)
    prequery: PrequerySection = PrequerySection()
    """Asked ahead."""

    @field_validator("operations")
    @classmethod
    def _cacheable(cls, operations: dict[str, HotOperationSection]) -> dict[str, HotOperationSection]:
        check_named(operations, {name for name, one in CATALOGUE.items() if one.cacheable} - OWN)
        return operations

    @model_validator(mode="after")
    def _asked_ahead_is_kept(self) -> Self:
        for name in sorted(self.prequery.requests.keys() - self.operations.keys()):
            raise Misplaced(
                f"its answers are not kept: it needs [hot.operations.{name}]", ("prequery", "requests", name)
            )
        return self


def _example(operation: str) -> Any:
    return CATALOGUE[operation].example.get("account", "3210000000001")
