"""A URL path with parts from the request: `/api/accounts/{account}/bills/{replace(month, '-', '')}`."""

import re
from typing import Any
from urllib.parse import quote

from intranet_bridge.adapters.mapping import Mapped, MappingError, Tables, compiled

_SAFE = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")


class PathTemplate:
    """A path; every `{expression}` is replaced by its value, escaped so that it stays within one segment."""

    def __init__(self, text: str, tables: Tables | None = None) -> None:
        """Raises ValueError when the text is not a path or an expression in it is not JMESPath."""
        pieces = re.split(r"\{([^{}]*)\}", text)
        self._fixed = pieces[0::2]
        self._parts: list[Mapped] = [compiled(expression, tables) for expression in pieces[1::2]]
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
        for part, fixed in zip(self._parts, self._fixed[1:], strict=True):
            value = part(values)
            if not isinstance(value, str | int) or value in ("", ".", ".."):
                raise MappingError("a part of the path has no value")
            path += quote(str(value), safe="") + fixed
        return path
