"""Options that several commands have: one, or the fields of a dataclass in place of a parameter of that type."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from bridgectl.instants import span_s
from protocol.runtime.clock import wall_clock

R = TypeVar("R")

OlderThan = Annotated[
    str | None, typer.Option("--older-than", metavar="SPAN", help="that long ago at least: 90m, 1h, 2d")
]


def before(older_than: str | None) -> int | None:
    """The latest instant that `--older-than` leaves, epoch ms; None: it is not given. Raises BadParameter."""
    if older_than is None:
        return None
    try:
        return wall_clock() - span_s(older_than) * 1000
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--older-than") from None


def spread(parameter: str, model: type[Any]) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """A command whose `parameter` is made of options: the fields of the dataclass `model`, each an `Annotated` of typer
    with a default. They stand where the parameter stands.
    """
    fields = [
        one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for one in inspect.signature(model, eval_str=True).parameters.values()
    ]

    def decorate(command: Callable[..., R]) -> Callable[..., R]:
        own = inspect.signature(command, eval_str=True)

        @functools.wraps(command)
        def run(**given: Any) -> R:
            made = model(**{one.name: given.pop(one.name) for one in fields})
            return command(**{parameter: made}, **given)

        shown = [
            part
            for one in own.parameters.values()
            for part in (fields if one.name == parameter else [one.replace(kind=inspect.Parameter.KEYWORD_ONLY)])
        ]
        run.__signature__ = own.replace(parameters=shown)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in shown}
        return run

    return decorate
