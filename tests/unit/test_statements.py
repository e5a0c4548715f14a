"""The statements that modules keep to change rows by: each can be executed for many rows at once."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import BindParameter, UpdateBase
from sqlalchemy.sql import visitors

import dmz_front
import intranet_bridge
import protocol

PACKAGES = (dmz_front, intranet_bridge, protocol)
IDS = "ids"


def kept() -> Iterator[tuple[str, UpdateBase]]:
    for package in PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".versions" not in found.name and not found.name.endswith("__main__"):
                for name, value in vars(importlib.import_module(found.name)).items():
                    if isinstance(value, UpdateBase):
                        yield f"{found.name}.{name}", value


def lists(statement: UpdateBase) -> list[BindParameter[Any]]:
    """What it compares by IN, with a list that is given when it is executed, or with one of its own."""
    return [part for part in visitors.iterate(statement) if isinstance(part, BindParameter) and part.expanding]


def for_all(statement: UpdateBase) -> bool:
    """Whether it is executed once for all rows that are changed alike: their ids are given to it as a list."""
    return any(one.key == IDS for one in lists(statement))


EVERY = list(kept())
ONE_BY_ONE = [(name, statement) for name, statement in EVERY if not for_all(statement)]
AT_ONCE = [name for name, statement in EVERY if for_all(statement)]


@pytest.mark.parametrize(("name", "statement"), ONE_BY_ONE)
def test_none_has_an_in_which_cannot_be_executed_for_many_rows(name: str, statement: UpdateBase) -> None:
    """SQLAlchemy refuses it when there are two rows, and not for one: the group commit would do row by row."""
    assert not lists(statement), f"{name}: write `or_(*(column == value for value in values))`"


@pytest.mark.parametrize("name", AT_ONCE)
def test_one_for_a_list_of_ids_is_executed_with_one_set_of_parameters(name: str) -> None:
    """So it cannot meet the same refusal: each use is `connection.execute(name, {...})`, in its own module."""
    module, _, statement = name.rpartition(".")
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    uses = [one for one in ast.walk(tree) if isinstance(one, ast.Name) and one.id == statement]
    loads = [one for one in uses if isinstance(one.ctx, ast.Load)]
    executed = [
        call.args[0]
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and (ast.unparse(call.func), len(call.args), call.keywords) == ("connection.execute", 2, [])
        and isinstance(call.args[1], ast.Dict)
    ]
    assert statement.startswith("_"), f"{name} can be used by others"
    assert loads, f"{name} is not used"
    assert all(one in executed for one in loads), f"{name} is given rows, or is executed in another way"


def test_there_are_such_statements() -> None:
    assert len(AT_ONCE) >= 3
    assert len(ONE_BY_ONE) > 10
