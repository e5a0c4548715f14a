"""The configuration of imports."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from apscheduler.triggers.cron import CronTrigger
from pydantic import AfterValidator, Field, StringConstraints, ValidationError, field_validator, model_validator

from intranet_bridge.marketing.binding import Expression
from intranet_bridge.marketing.sql.statement import Reading, parameters
from protocol.operations import CATALOGUE, OWN, Kind
from protocol.runtime.settings import Misplaced, Name, Section, all_or_none, nearest, unfit
from protocol.runtime.toml_lines import Place

MOST_TOGETHER = 5_000
"""Rows of an import that is answered from as a whole: they are all in memory."""


def _cron(text: str) -> str:
    try:
        CronTrigger.from_crontab(text)
    except ValueError as error:
        raise ValueError(f"is not minute hour day month weekday, such as '30 2 * * *': {error}") from None
    return text


Column = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]


class AnswerSection(Section):
    """How an operation is answered from the rows."""

    by: str = ""
    """The request field whose value is the `key` of the row that it is about. Empty: the answer is made of all rows."""
    where: dict[Column, tuple[Column, ...]] = Field(default_factory=dict)
    """Without `by`. Request field → row fields: if the request has it, one of them must be equal to it (or a list that
    has it)."""
    search: dict[Column, tuple[Column, ...]] = Field(default_factory=dict)
    """Likewise: one of these texts must have it in it, in capitals or not."""
    sort: Column | None = None
    """Row field that the rows are ordered by."""
    descending: bool = False
    """The greatest first."""
    response: Expression
    """Gives the catalogue's response. Sees `request`; `row` with `by`, else `rows` (a page of them, if the request has
    `page` and `page_size`) and `total`."""
    none: Annotated[str, StringConstraints(max_length=64)] = ""
    """The refusal of the catalogue that no row means. Empty: an answer of no rows, or, with `by`, what the operation is
    bound to."""

    def asked(self) -> Iterator[tuple[Place, str]]:
        """The request's fields that it goes by, each with the setting that names it."""
        if self.by:
            yield ("by",), self.by
        for table in ("where", "search"):
            for field in getattr(self, table):
                yield (table, field), field


class ImportSection(Section):
    """Data fetched by the clock, and the operations that are answered from it."""

    system: Name | None = None
    """One of adapter "sql", whose database it is in, for `query`."""
    query: Reading | None = None
    """SQL that gives the rows after `:cursor` in the order of their column `cursor`, `:batch` at most."""
    operation: str = ""
    """Or: a query of the catalogue that is asked, by whatever it is bound to."""
    requests: tuple[dict[str, Any], ...] = ()
    """What it is asked, one after the other; each page by page if the operation's requests have `page` and
    `page_size`."""
    items: Expression = "@"
    """With `operation`: gives the list of rows of an answer."""
    row: Expression = "@"
    """Gives the row that is kept of one that was read: an object with `key`, a text or a number that tells it from all
    others."""
    json_columns: tuple[Column, ...] = ()
    """Columns whose text is JSON, to be read as what it says."""
    start: int | Annotated[str, StringConstraints(max_length=64)] = 0
    """The first `:cursor`."""
    mode: Literal["full", "incremental"] = "full"
    """full: all is read each time, and takes the place of what was there when its end is reached; what is gone in the
    source is gone then. incremental: after a first full one only what is after the cursor; a row with `deleted` goes.
    """
    cron: Annotated[str, AfterValidator(_cron)]
    """When: minute hour day month weekday, by `maintenance.zone`."""
    batch: Annotated[int, Field(ge=1, le=5_000)] = 500
    """Rows read at a time."""
    rate: Annotated[float, Field(gt=0, le=100_000)] = 500
    """Rows a second at most."""
    timeout_s: Annotated[float, Field(gt=0, le=300)] = 10.0
    """of one reading"""
    personal: bool = True
    """Rows are customers' data: sealed on disk, found by a keyed hash."""
    max_age_hours: Annotated[float, Field(gt=0, le=24 * 366)] = 48
    """Older data answers nobody: what the operation is bound to does, if it is bound."""
    answers: dict[str, AnswerSection] = Field(default_factory=dict)
    """By operation of the catalogue."""

    @field_validator("query")
    @classmethod
    def _names(cls, value: str | None) -> str | None:
        names = parameters(value) if value is not None else frozenset({"cursor"})
        if "cursor" not in names or names - {"cursor", "batch"}:
            raise ValueError("has :cursor, may have :batch, and no other :name")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        all_or_none(self, "system", "query")
        if (self.query is None) == (not self.operation):
            place = ("operation",) if self.operation else ()
            raise Misplaced("needs either system and query, or operation and requests", place)
        if bool(self.operation) != bool(self.requests):
            place = ("operation",) if self.operation else ("requests",)
            raise Misplaced("operation and requests belong together", place)
        if not self.operation:
            return self
        if self.operation not in _able():
            near = nearest(self.operation, _able())
            raise Misplaced(
                f"{self.operation} is no query that the marketing system answers{_meant(near)}", ("operation",)
            )
        if self.mode != "full":
            raise Misplaced('what an operation answers has no cursor: it must be "full"', ("mode",))
        for number, request in enumerate(self.requests):
            try:
                CATALOGUE[self.operation].requests.validate_python(request)
            except ValidationError as error:
                wrong = unfit(error, request, ("requests", number))
                raise Misplaced(f"makes no request of {self.operation}: {wrong.told()}", wrong.place) from None
        return self

    @model_validator(mode="after")
    def _answers_fit(self) -> Self:
        for name, answer in self.answers.items():
            if name not in _able():
                near = nearest(name, _able())
                raise Misplaced(f"is no query that may be answered here{_meant(near)}", ("answers", name))
            entry = CATALOGUE[name]
            fields = entry.request.model_fields
            for place, field in answer.asked():
                if field not in fields:
                    meant = _meant(nearest(field, fields)) or f"; they have {', '.join(fields)}"
                    raise Misplaced(f"its requests have no {field}{meant}", ("answers", name, *place))
            chosen = next((one for one in ("where", "search", "sort") if getattr(answer, one)), None)
            if answer.by and chosen:
                raise Misplaced("chooses among all rows, and `by` names one", ("answers", name, chosen))
            codes = {one.code for one in entry.refusals}
            if answer.none and answer.none not in codes:
                there = f"there are: {', '.join(sorted(codes)) or 'none'}"
                raise Misplaced(f"{answer.none} is no refusal of it; {there}", ("answers", name, "none"))
            personal = entry.about == "account" and fields["account"].is_required()
            if personal and not self.personal:
                raise Misplaced(f"must be true: {name} tells of customers", ("personal",))
        return self


def _able() -> frozenset[str]:
    return frozenset(name for name, one in CATALOGUE.items() if one.kind is Kind.QUERY) - OWN


def _meant(near: str | None) -> str:
    return f"; did you mean {near}?" if near else ""
