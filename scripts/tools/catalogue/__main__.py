"""`python -m scripts.tools.catalogue`: bring bridgectl's catalogue up to date, and name what has no translation."""

import io
import sys
from typing import Any

from babel.messages.pofile import write_po

from scripts.tools.catalogue import place, renewed, written


def main() -> int:
    """Exit code 1: something has no translation yet."""
    after, file = renewed(written()), io.BytesIO()
    write_po(file, after, width=120, no_location=True, sort_output=True, ignore_obsolete=True)
    place().write_bytes(file.getvalue())
    missing = [message.id for message in after if message.id and not all(_strings(message.string))]
    for one in missing:
        print(f"no translation: {one!r}")
    return 1 if missing else 0


def _strings(string: Any) -> list[str | None]:
    return list(string) if isinstance(string, list | tuple) else [string]


if __name__ == "__main__":
    sys.exit(main())
