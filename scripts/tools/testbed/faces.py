"""The kinds of interface by which a testbed's bridge reaches the marketing system.

Another one is a folder of bindings, `config/examples/NAME/*.toml`, and an entry in `FACES`: what an installation sets
in them, and what the simulator is told. tests/system/test_faces.py walks the catalogue over each.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SQL_URL = os.environ.get("DMZ_BRIDGE_INTERFACE_TABLES", "")
"""An empty database for interface tables, as `--sql-url` takes it; default: an SQLite file."""


def nothing(_data: Path) -> Sequence[str]:
    """No options."""
    return ()


@dataclass(frozen=True, slots=True)
class Face:
    """One kind of interface."""

    bindings: str
    """The folder of its bindings, in the source tree: in place of `config/bindings`."""
    settings: Callable[[str, Path], Mapping[str, Any]]
    """From the simulator's address and the folder of its data: dotted key → value; None removes it. A value is written
    into the file that has its table, the main one or one of the bindings'. The access token is there, in
    `marketing.token`."""
    options: Callable[[Path], Sequence[str]] = nothing
    """Of the simulator's command line, from the folder of its data."""
    lacks: frozenset[str] = frozenset()
    """Operations of the catalogue that this kind of interface cannot serve."""
    tables: bool = False
    """Whether it is tables: queries then read what was written before, which no fault of the simulator's concerns. A
    wrong answer to a command stays where it is, and one that is not written is not until the simulator starts again."""


def _json(url: str, data: Path) -> Mapping[str, Any]:
    return {"marketing.url": url, "marketing.authentication.token_file": str(data / "marketing.token")}


def _xml(url: str, data: Path) -> Mapping[str, Any]:
    return {
        "marketing.url": url,
        "marketing.authentication": None,
        "marketing.login.password_file": str(data / "marketing.token"),
    }


def _soap(url: str, data: Path) -> Mapping[str, Any]:
    return {
        "marketing": None,  # its own is among the bindings
        "marketing.wsdl": str(data / "marketing.wsdl"),
        "marketing.fetch.url": f"{url}/soap/MarketingService?wsdl",
        "marketing.username_token.password_file": str(data / "marketing.token"),
    }


def _sql(_url: str, data: Path) -> Mapping[str, Any]:
    place = {
        "url": SQL_URL or None,
        "file": None if SQL_URL else str(data / "interface.sqlite3"),
        "password_file": None,
    }
    return {"marketing": None} | {f"marketing.{name}": value for name, value in place.items()}


def _sql_options(data: Path) -> Sequence[str]:
    return ("--sql-url", SQL_URL or f"sqlite:///{data / 'interface.sqlite3'}")


JSON = Face("config/bindings", _json)
FACES: Mapping[str, Face] = {
    "json": JSON,
    "xml": Face("config/examples/xml", _xml),
    "soap": Face("config/examples/soap", _soap),
    "sql": Face("config/examples/sql", _sql, _sql_options, tables=True),
}
