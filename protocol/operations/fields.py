"""The field types that operations share: real limits with messages a caller can act on."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

__all__ = ["AccountNumber", "Fen", "Kwh", "Model", "Month", "Phone", "Text", "WorkOrderNumber"]


class Model(BaseModel):
    """Base of all request and response bodies: unknown fields are refused, values are not coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _account_number(value: str) -> str:
    if not (value.isascii() and value.isdigit() and 10 <= len(value) <= 13):
        raise ValueError("an account number is 10 to 13 digits")
    return value


def _month(value: str) -> str:
    year, _, month = value.partition("-")
    if not (len(value) == 7 and value.isascii() and year.isdigit() and month.isdigit() and 1 <= int(month) <= 12):
        raise ValueError("a month is written YYYY-MM, for example 2026-03")
    return value


def _phone(value: str) -> str:
    digits = value.removeprefix("+").replace("-", "")
    if not (digits.isascii() and digits.isdigit() and 7 <= len(digits) <= 15):
        raise ValueError("a phone number is 7 to 15 digits, with an optional leading + and inner hyphens")
    return value


def _printable(value: str) -> str:
    if any((ord(c) < 32 and c not in "\n\t") or ord(c) == 127 for c in value):
        raise ValueError("text may hold no control characters other than line feed and tab")
    return value


AccountNumber = Annotated[
    str, AfterValidator(_account_number), Field(description="Customer account number, 10 to 13 digits")
]
Month = Annotated[str, AfterValidator(_month), Field(description="A month, YYYY-MM")]
Phone = Annotated[str, AfterValidator(_phone), Field(description="A phone number")]
Fen = Annotated[int, Field(ge=-(10**13), le=10**13, description="Money in fen (1/100 yuan), an integer")]
Kwh = Annotated[
    str,
    StringConstraints(pattern=r"^\d{1,9}(\.\d{1,4})?$"),
    Field(description="Energy in kWh, a decimal string"),
]
WorkOrderNumber = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9-]{4,40}$"),
    Field(description="The marketing system's work order number"),
]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_printable)]
