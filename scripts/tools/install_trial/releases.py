"""Releases for a trial: this one, the next with a migration more, and one that is broken on purpose."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from scripts.tools.bundler.bundle import Bundle, make
from scripts.tools.installer.source import SOURCE

_PACKAGES = ("protocol", "dmz_front", "intranet_bridge", "bridgectl")
_MIGRATION = '''"""A table more, for the trial."""

import sqlalchemy as sa
from alembic import op

revision = "{now}"
down_revision = "{before}"


def upgrade() -> None:
    op.create_table("trial_{now}", sa.Column("id", sa.Integer, primary_key=True))


def downgrade() -> None:
    op.drop_table("trial_{now}")
'''
_BROKEN = '''

def _breakage() -> None:
    """It starts, is ready and takes commands; but its own report says that its database is in trouble."""
    from protocol.reports.daemon import StoreReport

    whole = StoreReport.__init__

    def init(self: StoreReport, **values: object) -> None:
        whole(self, **(values | {"trouble": "broken on purpose"}))

    StoreReport.__init__ = init


_breakage()
'''


def tree(folder: Path, *, migrations: int, broken: bool = False) -> Path:
    """The product's source with so many migrations more on each side; with `broken`, a front that is never well."""
    for name in _PACKAGES:
        shutil.copytree(SOURCE / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(SOURCE / name, folder / name)
    for side in ("dmz_front", "intranet_bridge"):
        for _ in range(migrations):
            there = sorted((folder / side / "migrations").glob("[0-9]*.py"))
            before = there[-1].name[:4]
            now = f"{int(before) + 1:04}"
            text = _MIGRATION.format(now=now, before=before)
            (folder / side / "migrations" / f"{now}_trial.py").write_text(text)
    if broken:
        start = folder / "dmz_front" / "start.py"
        start.write_text(start.read_text() + _BROKEN)
    return folder


def bundles(folder: Path, python: str, machine: str) -> dict[str, Callable[[], Bundle]]:
    """Ways to make a `first` release, a `second`, and a third that is `broken`."""

    def made(release: str, **changes: Any) -> Bundle:
        source = tree(folder / f"tree-{release}", **changes) if changes else SOURCE
        return make(folder, [python], machine, release=release, tree=source)

    return {
        "first": partial(made, "trial-1"),
        "second": partial(made, "trial-2", migrations=1),
        "broken": partial(made, "trial-3", migrations=2, broken=True),
    }
