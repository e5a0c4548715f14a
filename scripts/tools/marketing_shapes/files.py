"""The files that are made here."""

from collections.abc import Iterator
from pathlib import Path

from scripts.tools.marketing_shapes.derivation import derived, written
from scripts.tools.marketing_shapes.soap_bindings import EXAMPLES, soap_bindings
from scripts.tools.marketing_simulator.shapes import FILE

BY_HAND = "system.toml"


def made() -> Iterator[tuple[Path, str]]:
    """File and content. Raises DerivationError, TranslationError."""
    yield FILE, written(derived()) + "\n"
    yield from soap_bindings()


def stale() -> list[str]:
    """The files that are not as they would be made now."""
    files = dict(made())
    there = {*files, *(file for file in EXAMPLES.glob("*.toml") if file.name != BY_HAND)}
    return sorted(
        file.name for file in there if not file.exists() or file.read_text(encoding="utf-8") != files.get(file)
    )
