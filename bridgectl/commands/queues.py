"""`bridgectl queues`: how the queues are."""

import asyncio
import os
from typing import Annotated

import typer

from bridgectl.brokers import connected
from bridgectl.instants import in_seconds
from bridgectl.language import noted
from bridgectl.output import as_json, table
from bridgectl.queues import QueueHealth, ask, health
from bridgectl.settings import link_section
from protocol.runtime import logs
from protocol.runtime.clock import wall_clock

app = typer.Typer()

_HEADINGS = [
    noted("queue"), noted("depth"), noted("consumers"), noted("in flight"), noted("enqueued"), noted("dequeued"),
    noted("expired"), noted("oldest"), noted("dead letters"),
]  # fmt: skip


@app.command()
def queues(
    json: Annotated[bool, typer.Option("--json", help="for programs: a list of objects")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="again every two seconds, until Ctrl-C")] = False,
    patience: Annotated[float, typer.Option("--timeout", help="seconds to wait for the broker")] = 10.0,
) -> None:
    """Depth, consumers and flow of each queue, over 61616 with the monitor's certificate."""
    logs.configure("error")
    try:
        asyncio.run(_show(json, watch, patience))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


async def _show(json: bool, watch: bool, patience: float) -> None:
    async with connected(link_section(), "bridgectl", patience) as link:
        while True:
            found = health(await ask(link, f"ctl-{os.getpid()}", patience), wall_clock())
            if watch and not json:
                typer.echo("\033[2J\033[H", nl=False)
            typer.echo(as_json([queue.as_dict() for queue in found]) if json else _table(found))
            if not watch:
                return
            await asyncio.sleep(2)


def _table(found: list[QueueHealth]) -> str:
    rows = [
        (
            queue.name,
            queue.depth,
            queue.consumers,
            queue.in_flight,
            queue.enqueued,
            queue.dequeued,
            queue.expired,
            "-" if queue.oldest_s is None else in_seconds(queue.oldest_s),
            queue.dead_letters,
        )
        for queue in found
    ]
    return table(_HEADINGS, rows)
