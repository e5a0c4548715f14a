"""A URL path with parts from the request: `/api/accounts/{account}/bills/{replace(month, '-', '')}`."""

import math
import re
from typing import Any
from urllib.parse import quote

from pydantic_core import to_json

from intranet_bridge.marketing.expressions.mapping import Mapped, MappingError, Tables, compiled

_SAFE = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")


class PathTemplate:
    """A path; every `{expression}` is replaced by its value, escaped so that it stays within one segment."""

    def __init__(self, text: str, tables: Tables | None = None) -> None:
        """Raises ValueError when the text is not a path or an expression in it is not JMESPath."""
        pieces = re.split(r"\{([^{}]*)\}", text)
        self._fixed = pieces[0::2]
        self._expressions = pieces[1::2]
        self._parts: list[Mapped] = [compiled(expression, tables) for expression in self._expressions]
        if not _SAFE.fullmatch("".join(self._fixed)) or not text.startswith("/"):
            raise ValueError("a path begins with / and holds only URL characters and {expression} parts")

    @property
    def constant(self) -> bool:
        """Whether nothing in it depends on the request."""
        return not self._parts

    def fill(self, values: Any) -> str:
        """The path for these values. Raises MappingError when a part is missing or could leave its segment."""
        if not self._parts:
            return self._fixed[0]
        path = self._fixed[0]
        for part, expression, fixed in zip(self._parts, self._expressions, self._fixed[1:], strict=True):
            value, name = part(values), f"the path's {{{expression}}}"
            if value is None or value in ("", ".", ".."):
                raise MappingError(f"{name}: no value")
            try:
                path += quote(plain(value, name), safe="") + fixed
            except UnicodeEncodeError:  # half a surrogate pair
                raise MappingError(f"{name}: no text") from None
        return path


def plain(value: Any, name: str) -> str:
    """A value of a path, query or form: a text as it is, else as JSON writes it. Raises MappingError naming it."""
    kind = type(value)
    if kind is str:
        return str(value)
    if kind not in (int, bool) and not (kind is float and math.isfinite(value)):
        found = "an object" if kind is dict else "a list" if kind is list else "no value"
        raise MappingError(f"{name}: {found} where a text or number is meant")
    return to_json(value).decode().replace("e+", "e")  # 1e+22: JSON either way, but a plus would be escaped
