"""The statements that modules keep to change rows by: each can be executed for many rows at once."""

import importlib
import pkgutil
from collections.abc import Iterator

import pytest
from sqlalchemy import UpdateBase
from sqlalchemy.sql import visitors

import dmz_front
import intranet_bridge
import protocol

PACKAGES = (dmz_front, intranet_bridge, protocol)


def kept() -> Iterator[tuple[str, UpdateBase]]:
    for package in PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".versions" not in found.name and not found.name.endswith("__main__"):
                for name, value in vars(importlib.import_module(found.name)).items():
                    if isinstance(value, UpdateBase):
                        yield f"{found.name}.{name}", value


@pytest.mark.parametrize(("name", "statement"), list(kept()))
def test_none_has_an_in_which_cannot_be_executed_for_many_rows(name: str, statement: UpdateBase) -> None:
    """SQLAlchemy refuses it when there are two rows, and not for one: the group commit would do row by row."""
    lists = [part for part in visitors.iterate(statement) if getattr(part, "expanding", False)]
    assert not lists, f"{name}: write `or_(*(column == value for value in values))`"
