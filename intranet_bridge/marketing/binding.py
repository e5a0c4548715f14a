"""What every kind of back end has in common in the configuration: a system, and an operation bound to it."""

from collections.abc import Iterator
from typing import Annotated, Any, Self, get_args

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from intranet_bridge.marketing.expressions.mapping import compiled
from protocol.runtime.settings import FilePath, Misplaced, Name, Section, all_or_none
from protocol.runtime.toml_lines import Place


def _expression(text: str) -> str:
    compiled(text)
    return text


_EXPRESSION = object()
"""Marks the settings that are expressions."""
Expression = Annotated[str, AfterValidator(_expression), _EXPRESSION]
"""A JMESPath expression (see marketing/expressions/mapping.py)."""
Seconds = Annotated[float, Field(gt=0, le=3600)]
Concurrency = Annotated[int, Field(ge=1, le=4096)]
"""Calls at once (marketing/concurrency.py)."""
DEFAULT_SYSTEM = "marketing"


def expressions(section: Section, above: Place = ()) -> Iterator[tuple[Place, str]]:
    """Every expression that a table and those within it have, with its place in the table."""
    for name, field in type(section).model_fields.items():
        value, place = getattr(section, name), (*above, name)
        if isinstance(value, Section):
            yield from expressions(value, place)
        elif isinstance(value, str) and (_EXPRESSION in field.metadata or _is_expression(field.annotation)):
            yield place, value


def _is_expression(annotation: Any) -> bool:
    return any(part is _EXPRESSION or _is_expression(part) for part in get_args(annotation))


class BreakerSection(Section):
    """When an operation is left alone because its interface fails."""

    failures: Annotated[int, Field(ge=1)] = 5
    """So many in a row open it."""
    window: Annotated[int, Field(ge=1, le=1000)] = 50
    """so many calls are looked back at"""
    failure_rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Or this share of the last `window` calls."""
    slow_s: Seconds | None = None
    """A call that takes longer counts as failed; default: none does before its timeout."""
    open_min_s: Seconds = 1.0
    open_max_s: Seconds = 30.0
    """It stays open so long before it lets one call probe; twice as long after each failed probe."""


class TlsSection(Section):
    """TLS to a back end: whom to trust (the server's name is checked) and, if it asks, which certificate to show."""

    ca: FilePath | None = None
    """Default: the system's authorities."""
    certificate: FilePath | None = None
    """what is shown, PEM"""
    key: FilePath | None = None
    """the certificate's private key, PEM, unencrypted"""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        all_or_none(self, "certificate", "key")
        return self


class SystemSection(Section):
    """A back end: what all its interfaces share. `[marketing]` is one, `[systems.NAME]` are others."""

    adapter: str = "http"
    """The kind of adapter (marketing/kinds.py)."""
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 5.0
    """of one call, connecting included; default: the system's"""
    concurrency: Concurrency | None = None
    """So many calls of all its operations at once; None: as many as there are workers."""


class RefusalSection(Section):
    """When an answer is the marketing system's business no."""

    when: Expression
    """expression: true of a refusal"""
    code: Expression
    """expression: the code of a refusal, or of a failed log-in"""
    detail: Expression | None = None
    """expression: text for the caller"""
    codes: dict[str, Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]] = Field(
        default_factory=dict
    )
    """Its codes → ours; one that is not listed becomes `marketing-<code>`."""


class OperationBinding(Section):
    """One operation bound to an interface of a system: what is read from answers, whatever they come over."""

    system: Name = DEFAULT_SYSTEM
    """the name of its table: `marketing`, or NAME of `[systems.NAME]`"""
    values: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Translation tables for `translate('table', value)`."""
    response: Expression
    """Gives the catalogue's response from the answer."""
    request_id: Expression | None = None
    """Gives the request id that the answer names, where the interface repeats ours (an inquiry's answer too): an answer
    to another request is never believed. A refusal, or "not there", need not name it."""
    refusal: RefusalSection | None = None
    failure: Expression | None = None
    """True: a technical failure in a good-looking answer; what was done is unknown."""
    not_applied: Expression | None = None
    """True: surely not applied, try again later ("system busy")."""
    timeout_s: Annotated[float, Field(gt=0, le=300)] | None = None
    """of one call, connecting included; default: the system's"""
    settle_s: Annotated[float, Field(ge=0, le=3600)] | None = None
    """How long the marketing system may go on with a call whose connection is gone; default `timeout_s`."""
    concurrency: Concurrency | None = None
    """So many calls of it at once. What exceeds them waits: a query while its deadline allows, a command in the
    inbox."""

    @property
    def inquires(self) -> bool:
        """Whether it says how to ask what became of a request id."""
        return False

    @model_validator(mode="after")
    def _translates_by_tables_that_are_there(self) -> Self:
        for place, expression in expressions(self):
            try:
                compiled(expression, self.values)
            except ValueError as error:
                raise Misplaced(str(error), place) from None
        return self
