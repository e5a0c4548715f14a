"""The field types that operations share: real limits with messages a caller can act on."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

__all__ = [
    "ACCOUNT",
    "ACCOUNT_FORMAT",
    "ATTACHMENT",
    "PERSONAL",
    "AccountNumber",
    "Address",
    "AttachmentId",
    "Attachments",
    "Contact",
    "CreditCode",
    "Day",
    "Email",
    "Fen",
    "IdentityNumber",
    "Kwh",
    "MaskedName",
    "Model",
    "Moment",
    "Month",
    "PersonName",
    "Phone",
    "Price",
    "Text",
    "Timestamp",
    "WorkOrderNumber",
]


class Model(BaseModel):
    """Base of all request and response bodies: unknown fields are refused, values are not coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


@dataclass(frozen=True, slots=True)
class Mark:
    """Says in a field's annotation what the field means, for who asks (`marked`)."""

    meaning: str


ACCOUNT = Mark("account")
"""A customer's account number."""
ATTACHMENT = Mark("attachment")
"""The id of a file that was uploaded before (`POST /v1/attachments`)."""
PERSONAL = Mark("personal")
"""Somebody's personal data: names, numbers and addresses by which a person is known or reached."""
ACCOUNT_FORMAT = "account-number"
"""Their `format` in JSON Schema, by which the API's pages find them."""
_ACCOUNT = re.compile("[0-9A-Za-z-]{4,20}")
_MOMENT = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")


def marked(annotation: Any, mark: Mark) -> bool:
    """Whether a field's annotation carries the mark, itself or in one of its parts (`AccountNumber | None`)."""
    if get_origin(annotation) is Annotated:
        return mark in annotation.__metadata__ or marked(annotation.__origin__, mark)
    return any(marked(part, mark) for part in get_args(annotation))


def paths(model: type[BaseModel], mark: Mark, above: tuple[type[BaseModel], ...] = ()) -> Iterator[str]:
    """The fields of a schema that carry the mark, dotted through objects and lists: ``holders.name``."""
    annotated = get_type_hints(model, include_extras=True)
    for name in model.model_fields:
        if marked(annotated[name], mark):
            yield name
        for inner in models_in(annotated[name]):
            if inner is not model and inner not in above:  # a schema that contains itself
                for path in paths(inner, mark, (*above, model)):
                    yield f"{name}.{path}"


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The schemas that an annotation is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def _account_number(value: str) -> str:
    # The widest form that is safe in paths, headers, rows and logs. Which one a company has is the front's to check.
    if not _ACCOUNT.fullmatch(value):
        raise ValueError("an account number is 4 to 20 of the characters 0-9, A-Z, a-z and -")
    return value


_MONTH = re.compile("[0-9]{4}-(0[1-9]|1[0-2])")


@lru_cache(1024)  # the same few, over and over
def _month(value: str) -> str:
    if not _MONTH.fullmatch(value):
        raise ValueError("a month is written YYYY-MM, for example 2026-03")
    return value


def _day(value: str) -> str:
    try:
        found = date.fromisoformat(value) if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value) else None
    except ValueError:
        found = None
    if found is None:
        raise ValueError("a day is written YYYY-MM-DD and is in the calendar, for example 2026-03-31")
    return value


def _moment(value: str) -> str:
    try:
        found = datetime.fromisoformat(value) if _MOMENT.fullmatch(value) else None
    except ValueError:
        found = None
    if found is None:
        raise ValueError(
            "a time is written YYYY-MM-DD hh:mm:ss and is in the calendar, for example 2026-03-31 09:30:00"
        )
    return value


_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def _timestamp(value: str) -> str:
    try:
        found = datetime.fromisoformat(value) if _TIMESTAMP.fullmatch(value) else None
    except ValueError:
        found = None
    if found is None or not 1970 <= found.year <= 9998:  # in every zone it is in the calendar, too
        raise ValueError(
            "a time is written with its offset from UTC and is in the calendar (RFC 3339), "
            "for example 2026-03-31T09:30:00+08:00"
        )
    return value


_PHONE = re.compile(r"\+?-*([0-9]-*){7,15}")


def _phone(value: str) -> str:
    if not _PHONE.fullmatch(value):
        raise ValueError("a phone number is 7 to 15 digits, with an optional leading + and inner hyphens")
    return value


def _email(value: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z._%+-]{1,64}@([0-9A-Za-z-]{1,63}\.){1,8}[A-Za-z]{2,24}", value):
        raise ValueError("an e-mail address is name@domain")
    return value


def _masked_name(value: str) -> str:
    shown = len(value) - value.count("*")
    if "*" not in value or shown > max(2, len(value) // 2):
        raise ValueError("a name is answered masked: at most two characters, or half of them, are shown")
    return value


_IDENTITY_WEIGHTS = tuple(2 ** (17 - place) % 11 for place in range(17))
_IDENTITY_CHECKS = "10X98765432"


def _identity_number(value: str) -> str:
    # GB 11643-1999: area, date of birth, sequence, check character (ISO 7064, MOD 11-2). Areas come and go with
    # reforms, so none is asked for.
    if not re.fullmatch("[0-9]{17}[0-9Xx]", value):
        raise ValueError("an identity number is 17 digits and a check character, 0-9 or X")
    try:
        date.fromisoformat(f"{value[6:10]}-{value[10:12]}-{value[12:14]}")
    except ValueError:
        raise ValueError("the date of birth in the identity number is not in the calendar") from None
    total = sum(int(digit) * weight for digit, weight in zip(value[:17], _IDENTITY_WEIGHTS, strict=True))
    if value[17].upper() != _IDENTITY_CHECKS[total % 11]:
        raise ValueError("the identity number's check character does not fit its digits: mistyped?")
    return value.upper()


_CREDIT_CHARACTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_WEIGHTS = tuple(3**place % 31 for place in range(17))


def _credit_code(value: str) -> str:
    # GB 32100-2015: registering authority, kind of organisation, area, organisation code, check character.
    if not re.fullmatch(f"[{_CREDIT_CHARACTERS}]{{2}}[0-9]{{6}}[{_CREDIT_CHARACTERS}]{{10}}", value):
        raise ValueError(
            "a unified social credit code is 18 digits and capital letters without I, O, S, V and Z; "
            "the third to the eighth are digits"
        )
    pairs = zip(value[:17], _CREDIT_WEIGHTS, strict=True)
    total = sum(_CREDIT_CHARACTERS.index(character) * weight for character, weight in pairs)
    if value[17] != _CREDIT_CHARACTERS[-total % 31]:
        raise ValueError("the unified social credit code's check character does not fit the others: mistyped?")
    return value


def _attachments(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(value)) < len(value):
        raise ValueError("an attachment is named twice")
    return value


_NOT_TEXT = re.compile(
    "["
    "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f"  # Cc but tab and line feed
    "\u2028\u2029"  # Zl, Zp: controls by another name
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # Bidi_Control: text that reads otherwise than it is stored
    "\u00ad\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff0-\ufffb"  # the other invisible of Cf, and reserved ones
    "\u115f\u1160\u3164\uffa0\u17b4\u17b5"  # letters that show nothing
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
    "\\ud800-\\udfff"  # Cs
    "\ufdd0-\ufdef" + "".join(f"\\U{plane:04x}fffe\\U{plane:04x}ffff" for plane in range(17)) + "]"  # noncharacters
)
"""What no text holds (Unicode 15.1: general categories, Bidi_Control, Default_Ignorable_Code_Point, noncharacters).

Not here: joiners (U+200C, U+200D), which Indic scripts and emoji need, and variation selectors, which names need.
Private use stays too: back ends of GBK days keep rare names there.
"""
_CONTENT = re.compile(
    "["
    "^\\s\u200c\u200d\u2800"  # blanks (\\s is White_Space), joiners, the empty pattern of Braille
    "\u034f\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"  # variation selectors and the like
    "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"  # marks that sit on another character
    "]"
)


def _visible(value: str) -> str:
    found = _NOT_TEXT.search(value)
    if found:
        raise ValueError(
            f"text may not hold {_named(found[0])}: control, invisible and direction characters are no text"
        )
    if not _CONTENT.search(value):
        raise ValueError(f"text must hold something that can be seen, not {_named(value[0])} alone")
    return value


def _named(character: str) -> str:
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X} ({name})" if name else f"U+{ord(character):04X}"


AccountNumber = Annotated[
    str,
    AfterValidator(_account_number),
    Field(
        description="Customer account number: text, never a number; leading zeros count",
        json_schema_extra={"format": ACCOUNT_FORMAT, "pattern": f"^{_ACCOUNT.pattern}$", "x-personal-data": True},
    ),
    ACCOUNT,
    PERSONAL,
]
Month = Annotated[
    str,
    AfterValidator(_month),
    Field(description="A month, YYYY-MM", json_schema_extra={"pattern": f"^{_MONTH.pattern}$"}),
]
Day = Annotated[str, AfterValidator(_day), Field(description="A day, YYYY-MM-DD", json_schema_extra={"format": "date"})]
Moment = Annotated[
    str,
    AfterValidator(_moment),
    Field(
        description="A time, YYYY-MM-DD hh:mm:ss, on the clocks of the company's place",
        json_schema_extra={"pattern": f"^{_MOMENT.pattern}$"},
    ),
]
Timestamp = Annotated[
    str,
    AfterValidator(_timestamp),
    Field(description="A time with its offset from UTC (RFC 3339)", json_schema_extra={"format": "date-time"}),
]
Phone = Annotated[
    str,
    AfterValidator(_phone),
    Field(description="A phone number", json_schema_extra={"pattern": f"^{_PHONE.pattern}$", "x-personal-data": True}),
    PERSONAL,
]
Email = Annotated[
    str,
    StringConstraints(max_length=120),
    AfterValidator(_email),
    Field(description="An e-mail address", json_schema_extra={"format": "email", "x-personal-data": True}),
    PERSONAL,
]
MaskedName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100),
    AfterValidator(_masked_name),
    Field(description="A customer's name, masked", json_schema_extra={"x-personal-data": True}),
    PERSONAL,
]
Fen = Annotated[int, Field(ge=-(10**13), le=10**13, description="Money in fen (1/100 yuan), an integer")]
Kwh = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{1,9}(\.[0-9]{1,4})?$"),
    Field(description="Energy in kWh, a decimal string"),
]
IdentityNumber = Annotated[
    str,
    AfterValidator(_identity_number),
    Field(
        description="A person's identity number (GB 11643): 17 digits and a check character; x is taken as X",
        json_schema_extra={"pattern": "^[0-9]{17}[0-9Xx]$", "x-personal-data": True},
    ),
    PERSONAL,
]
CreditCode = Annotated[
    str,
    AfterValidator(_credit_code),
    Field(
        description="An organisation's unified social credit code (GB 32100): 18 characters, the last one a check",
        json_schema_extra={"pattern": f"^[{_CREDIT_CHARACTERS}]{{2}}[0-9]{{6}}[{_CREDIT_CHARACTERS}]{{10}}$"},
    ),
]
AttachmentId = Annotated[
    str,
    StringConstraints(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"),
    Field(description="The id of an uploaded file, a UUID as the upload gave it", json_schema_extra={"format": "uuid"}),
    ATTACHMENT,
]
Attachments = Annotated[
    tuple[AttachmentId, ...],
    Field(max_length=10, description="Files uploaded before, each named once"),
    AfterValidator(_attachments),
]
Price = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{1,4}(\.[0-9]{1,6})?$"), Field(description="Yuan per kWh, a decimal string")
]
WorkOrderNumber = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9-]{4,40}$"),
    Field(description="The marketing system's work order number"),
]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_visible)]
PersonName = Annotated[
    Text, StringConstraints(max_length=60), Field(json_schema_extra={"x-personal-data": True}), PERSONAL
]
Address = Annotated[
    Text, StringConstraints(max_length=200), Field(json_schema_extra={"x-personal-data": True}), PERSONAL
]


class Contact(Model):
    """Whom to answer: whole, or not there at all."""

    name: PersonName
    phone: Phone
