"""What is published, by kind: its fields, how they are written in a form or a sheet, and what is wrong with them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, model_validator

from intranet_bridge.content import texts
from protocol.operations import public
from protocol.operations.fields import Day, Model, Moment, Text

_SOURCE = 12_000
"""Characters of a text in Markdown; what it gives is held to the catalogue's limits."""
Markdown = Annotated[Text, StringConstraints(max_length=_SOURCE)]
_PUBLISHED: Mapping[str, TypeAdapter[str]] = {
    "body": TypeAdapter(public.Body),
    "answer": TypeAdapter(Annotated[public.Body, StringConstraints(max_length=1_000)]),
}
"""What callers are told of a text, by its field."""
_HTML: TypeAdapter[str] = TypeAdapter(public.Html)


class News(Model):
    """One of the news."""

    title: public.Line
    category: public.Category | None = None
    summary: public.Line | None = None
    published_on: Day | None = None
    """Default: the day on which it was first published."""
    body: Markdown


class Faq(Model):
    """A question often asked."""

    question: public.Line
    category: public.Category | None = None
    position: Annotated[int, Field(ge=0, le=9_999)] = 100
    """The least comes first."""
    answer: Markdown


class PolicyText(Model):
    """A policy or a price."""

    title: public.Line
    category: public.Category | None = None
    issuer: public.Line | None = None
    document: public.Line | None = None
    issued_on: Day | None = None
    in_force_from: Day | None = None
    body: Markdown


class OutletEntry(Model):
    """A place where customers are served."""

    name: public.Line
    area: public.Area
    area_name: public.Line | None = None
    address: public.Line
    phone: Annotated[str, StringConstraints(pattern=r"^[0-9+ -]{3,30}$")] | None = None
    hours: public.Line | None = None
    services: Annotated[tuple[public.Line, ...], Field(max_length=30)] = ()
    latitude: public.Latitude
    longitude: public.Longitude
    datum: public.Datum = "GCJ-02"


class OutageBulletin(Model):
    """One outage."""

    cause: Literal["planned", "fault"]
    begin: Moment
    end: Moment | None = None
    areas: Annotated[tuple[public.OutageArea, ...], Field(min_length=1, max_length=100)]
    reason: public.Line | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end is not None and self.end <= self.begin:
            raise ValueError("end must be after begin")
        return self


Fields = News | Faq | PolicyText | OutletEntry | OutageBulletin


@dataclass(frozen=True, slots=True)
class Entry:
    """How a field is written in a form or a sheet."""

    name: str
    label: str
    widget: Literal["line", "text", "day", "moment", "integer", "number", "choice", "lines", "areas"] = "line"
    required: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of what is published."""

    name: str
    title: str
    model: type[Fields]
    heading: str
    """The field by which people know one."""
    operations: tuple[str, ...]
    """Of the catalogue, that tell of it."""
    entries: tuple[Entry, ...] = field(repr=False)


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "news", "News", News, "title", ("news-list", "news-item"),
            (
                Entry("title", "Title", required=True), Entry("category", "Category"), Entry("summary", "Summary"),
                Entry("published_on", "Day shown (empty: of publication)", "day"),
                Entry("body", "Text (Markdown)", "text", True),
            ),
        ),
        Kind(
            "faq", "Questions", Faq, "question", ("faq",),
            (
                Entry("question", "Question", required=True), Entry("category", "Category"),
                Entry("position", "Position (the least comes first)", "integer"),
                Entry("answer", "Answer (Markdown)", "text", True),
            ),
        ),
        Kind(
            "policy", "Policies", PolicyText, "title", ("policy-texts",),
            (
                Entry("title", "Title", required=True), Entry("category", "Category"), Entry("issuer", "Issuer"),
                Entry("document", "Document number"), Entry("issued_on", "Issued on", "day"),
                Entry("in_force_from", "In force from", "day"), Entry("body", "Text (Markdown)", "text", True),
            ),
        ),
        Kind(
            "outlet", "Outlets", OutletEntry, "name", ("outlets",),
            (
                Entry("name", "Name of the outlet", required=True), Entry("area", "Area code", required=True),
                Entry("area_name", "Area name"), Entry("address", "Address", required=True), Entry("phone", "Phone"),
                Entry("hours", "Opening hours"), Entry("services", "Services, one a line", "lines"),
                Entry("latitude", "Latitude", "number", True), Entry("longitude", "Longitude", "number", True),
                Entry("datum", "Datum of the position", "choice", choices=("GCJ-02", "WGS-84")),
            ),
        ),
        Kind(
            "outage", "Outages", OutageBulletin, "begin", ("outage-notices",),
            (
                Entry("cause", "Cause", "choice", True, ("planned", "fault")),
                Entry("begin", "Begin", "moment", True), Entry("end", "Expected end", "moment"),
                Entry("areas", "Areas, one a line: code name: street, street", "areas", True),
                Entry("reason", "Reason"),
            ),
        ),
    )
}  # fmt: skip
OPERATIONS = {operation: kind.name for kind in KINDS.values() for operation in kind.operations}
"""Operations that can be answered from here, and the kind that each tells of."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with a field."""

    field: str
    why: str


class Unfit(ValueError):
    """What was written cannot be published like that."""

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        super().__init__("; ".join(f"{one.field}: {one.why}" for one in complaints))
        self.complaints = tuple(complaints)


def fields_of(kind: Kind, values: Mapping[str, Any]) -> Fields:
    """The fields as they were written (JSON), checked. Raises Unfit."""
    try:
        found = kind.model.model_validate_json(json.dumps(dict(values), ensure_ascii=False))
    except ValidationError as error:
        raise Unfit([Complaint(_place(one["loc"]), _why(one)) for one in error.errors(include_url=False)]) from None
    except (TypeError, ValueError, RecursionError):
        raise Unfit([Complaint("", "is not JSON")]) from None
    _check_texts(found)
    return found


def _check_texts(found: Fields) -> None:
    for name, plain in _PUBLISHED.items():
        markdown = getattr(found, name, None)
        if markdown is None:
            continue
        try:
            plain.validate_python(texts.plain(markdown))
            _HTML.validate_python(texts.html(markdown))
        except ValidationError as error:
            why = _why(error.errors(include_url=False)[0])
            raise Unfit([Complaint(name, f"what is published of it: {why}")]) from None


def _place(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc)


def _why(error: Any) -> str:
    if error["type"] == "missing":
        return "is missing"
    if error["type"] == "extra_forbidden":
        return "there is no such field"
    return str(error["msg"]).removeprefix("Value error, ")


def of_texts(kind: Kind, given: Mapping[str, str]) -> dict[str, Any]:
    """What a form or a row of a sheet says, as JSON; empty texts are left out. Raises Unfit."""
    values: dict[str, Any] = {}
    wrong = []
    for entry in kind.entries:
        text = given.get(entry.name, "").replace("\r\n", "\n").replace("\r", "\n").strip()
        if not text:
            continue
        try:
            values[entry.name] = _value(entry, text)
        except ValueError as error:
            wrong.append(Complaint(entry.name, str(error)))
    if wrong:
        raise Unfit(wrong)
    return values


def _value(entry: Entry, text: str) -> Any:
    match entry.widget:
        case "integer":
            if not re.fullmatch("[0-9]{1,9}", text):
                raise ValueError("is not a whole number")
            return int(text)
        case "number":
            if not re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,15})?", text):
                raise ValueError("is not a number")
            return float(text)
        case "moment":
            return moment(text)
        case "lines":
            return [line.strip() for line in text.split("\n") if line.strip()]
        case "areas":
            return [_area(line.strip()) for line in text.split("\n") if line.strip()]
        case _:
            return text


def moment(text: str) -> str:
    """A time as browsers and people write it, as the catalogue has it: 2026-07-24T08:00 is 2026-07-24 08:00:00."""
    found = re.fullmatch(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2})(:[0-9]{2})?", text)
    return f"{found[1]} {found[2]}{found[3] or ':00'}" if found else text


def _area(line: str) -> dict[str, Any]:
    head, _, streets = line.replace("：", ":").partition(":")
    code, _, name = head.strip().partition(" ")
    if not name.strip():
        raise ValueError(f"an area is written: code name: street, street ({line[:40]!r} is not)")
    named = [street.strip() for street in re.split("[,，、]", streets) if street.strip()]
    return {"area": code, "name": name.strip(), "streets": named}


def texts_of(kind: Kind, values: Mapping[str, Any]) -> dict[str, str]:
    """The reverse of `of_texts`: what stands in the form of such fields."""
    return {entry.name: _text(entry, values.get(entry.name)) for entry in kind.entries}


def _text(entry: Entry, value: Any) -> str:
    if value is None:
        return ""
    match entry.widget:
        case "lines":
            return "\n".join(value)
        case "areas":
            return "\n".join(_area_text(one) for one in value)
        case _:
            return str(value)


def _area_text(area: Mapping[str, Any]) -> str:
    streets = ", ".join(area.get("streets") or ())
    return f"{area['area']} {area['name']}" + (f": {streets}" if streets else "")
