"""Reading and validating the fields of a request body; an invalid one is refused with its name."""

import json
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from scripts.tools.marketing_simulator.clock import CHINA_STANDARD_TIME
from scripts.tools.marketing_simulator.months import is_month
from scripts.tools.marketing_simulator.responses import Code, Refusal

ACCOUNT = re.compile(r"[0-9]{13}")
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
PHONE = re.compile(r"\+?[0-9][0-9-]{4,18}[0-9]")
USER = re.compile(r"[0-9A-Za-z._:@-]{1,64}")
VERSION = re.compile(r"[0-9A-Za-z._-]{1,40}")
IDENTITY_NUMBER = re.compile(r"[0-9]{17}[0-9X]")
MOBILE = re.compile(r"1[3-9][0-9]{9}")
EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,60}")
MATCH_TOKEN = re.compile(r"[0-9A-Za-z_-]{16,128}")
ONE_TIME_CODE = re.compile(r"[0-9]{4,8}")
BANK_ACCOUNT = re.compile(r"[0-9]{8,32}")
MONTH = re.compile(r"[0-9]{6}")
EMAIL = re.compile(r"[!-?A-~]+@[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)+")
TAX_NUMBER = re.compile(r"[0-9A-Z]{15,18}")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")


class Fields:
    """The body of one request: a JSON object."""

    def __init__(self, body: bytes) -> None:
        try:
            values = json.loads(body, parse_float=Decimal)
        except (ValueError, RecursionError) as error:  # also what is not UTF-8
            raise Refusal(Code.MALFORMED) from error
        if not isinstance(values, dict):
            raise Refusal(Code.MALFORMED)
        self._values: dict[str, Any] = values

    def optional_text(self, name: str, longest: int, form: re.Pattern[str] | None = None) -> str | None:
        """A text of at most `longest` characters; None when absent, null or empty."""
        value = self._values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str) or len(value) > longest or (form and not form.fullmatch(value)):
            raise Refusal(Code.INVALID_FIELD, name)
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise Refusal(Code.INVALID_FIELD, name)  # half a surrogate pair cannot be stored
        return value

    def text(self, name: str, longest: int, form: re.Pattern[str] | None = None) -> str:
        """A text that must be there."""
        value = self.optional_text(name, longest, form)
        if value is None or not value.strip():
            raise Refusal(Code.INVALID_FIELD, name)
        return value

    def month(self, name: str) -> int:
        """A month written `YYYYMM`."""
        return self._month(name, self.text(name, 6, MONTH))

    def optional_month(self, name: str) -> int | None:
        """A month written `YYYYMM`; None when absent, null or empty."""
        text = self.optional_text(name, 6, MONTH)
        return None if text is None else self._month(name, text)

    def _month(self, name: str, text: str) -> int:
        month = int(text)
        if not is_month(month):
            raise Refusal(Code.INVALID_FIELD, name)
        return month

    def day(self, name: str) -> date:
        """A day written `YYYY-MM-DD`."""
        text = self.text(name, 10, DAY)
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            raise Refusal(Code.INVALID_FIELD, name) from error

    def optional_day(self, name: str) -> date | None:
        """A day; None when absent, null or empty."""
        return None if self.optional_text(name, 10, DAY) is None else self.day(name)

    def whole(self, name: str, least: int, most: int, default: int | None = None) -> int:
        """A whole number within bounds, a JSON number or text; `default`, if there is one, when it is not there."""
        number = self.optional_number(name)
        if number is None and default is not None:
            return default
        if number is None or number != number.to_integral_value() or not least <= number <= most:
            raise Refusal(Code.INVALID_FIELD, name)
        return int(number)

    def texts(self, name: str, longest: int, most: int) -> tuple[str, ...]:
        """A list of at most `most` texts, each once; empty when absent, null or empty."""
        values = self._values.get(name)
        if values is None or values == "":
            return ()
        if not isinstance(values, list) or len(values) > most or len(set(map(str, values))) < len(values):
            raise Refusal(Code.INVALID_FIELD, name)
        for value in values:
            if not isinstance(value, str) or not 1 <= len(value) <= longest or not value.isprintable():
                raise Refusal(Code.INVALID_FIELD, name)
        return tuple(values)

    def moment(self, name: str) -> datetime:
        """A time written `YYYY-MM-DD hh:mm:ss`, in China Standard Time."""
        text = self.text(name, 19, MOMENT)
        try:
            return datetime.fromisoformat(text).replace(tzinfo=CHINA_STANDARD_TIME)
        except ValueError as error:
            raise Refusal(Code.INVALID_FIELD, name) from error

    def months(self, name: str) -> tuple[int, ...]:
        """A list of months, each once, in their order; none when absent."""
        values = self._values.get(name) or []
        if not isinstance(values, list) or not all(
            isinstance(value, str) and MONTH.fullmatch(value) for value in values
        ):
            raise Refusal(Code.INVALID_FIELD, name)
        months = tuple(sorted({int(value) for value in values}))
        if len(months) < len(values) or not all(is_month(month) for month in months):
            raise Refusal(Code.INVALID_FIELD, name)
        return months

    def optional_number(self, name: str) -> Decimal | None:
        """A JSON number, or a text that is one; None when absent, null or empty."""
        value = self._values.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
            raise Refusal(Code.INVALID_FIELD, name)
        try:
            number = Decimal(value)
        except ArithmeticError as error:
            raise Refusal(Code.INVALID_FIELD, name) from error
        if not number.is_finite():
            raise Refusal(Code.INVALID_FIELD, name)
        return number


def dialled(phone: str) -> str:
    """A phone number without what people write or leave out: two that are the same have the same digits."""
    return phone.replace("-", "").removeprefix("+86")
