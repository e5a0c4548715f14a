"""The queues of the product: their names, and which side may be asked to use them.

=======================================  ============  ============  ===========================================
destination                              writes        reads         holds
=======================================  ============  ============  ===========================================
/queue/bridge.query.<region>             front         bridge        queries: non-persistent, expire
/queue/bridge.command.<region>           front         bridge        commands: persistent
/queue/bridge.command.<region>.files     front         bridge        attachments: persistent
/queue/bridge.file.<region>              front         bridge        files, inward: persistent
/queue/front.file.<front>                bridge        that front    files, outward: persistent
/queue/front.submit.<front>              bridge        that front    for other regions' bridges: persistent
/queue/bridge.reply.query.<front>        bridge        that front    replies to queries
/queue/bridge.reply.command.<front>      bridge        that front    replies to commands: persistent
/topic/bridge.presence.<region>          bridge        fronts        who serves what, every few seconds
/queue/DLQ.<queue>                       broker, both  operator      dead letters, one queue each
=======================================  ============  ============  ===========================================

A STOMP destination with a comma fans out and one with `?` sets options (ActiveMQ), so a name that arrives
from outside is only ever compared with these patterns, never used as it is.
"""

import re
from dataclasses import dataclass

from protocol.errors import Malformed

NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
"""A region's or instance's name: lower-case letters, digits and inner hyphens, at most 64 characters."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where one front puts the requests of one lane, and takes their replies."""

    front: str
    destination: str
    reply_to: str


_REPLY = re.compile(rf"/queue/bridge\.reply\.(?:query|command)\.{NAME.pattern}")


def checked_name(name: str) -> str:
    """`name` itself if it is a valid region or instance name. Raises ValueError saying what is allowed."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a name: use lower-case letters, digits and inner hyphens, at most 64")
    return name


def queries(region: str) -> str:
    """Where fronts put the queries of a region."""
    return f"/queue/bridge.query.{checked_name(region)}"


def commands(region: str) -> str:
    """Where fronts put the commands of a region."""
    return f"/queue/bridge.command.{checked_name(region)}"


def attachments(region: str) -> str:
    """Where fronts put the files that commands of a region name. Whoever may write commands may write here: to a broker
    it is a queue below that of the commands, with the same rights and limits.
    """
    return f"{commands(region)}.files"


def files(region: str) -> str:
    """Where relays put files for a region (protocol/file_transfer.py)."""
    return f"/queue/bridge.file.{checked_name(region)}"


def outward_files(front: str) -> str:
    """Where a front's relay takes files that are to be handed to a platform."""
    return f"/queue/front.file.{checked_name(front)}"


def submissions(front: str) -> str:
    """Where a front takes what it is to route to another region's bridge (protocol/submissions.py)."""
    return f"/queue/front.submit.{checked_name(front)}"


def query_replies(front: str) -> str:
    """Where a front takes the answers to its queries."""
    return f"/queue/bridge.reply.query.{checked_name(front)}"


def command_replies(front: str) -> str:
    """Where a front takes the outcomes of its commands."""
    return f"/queue/bridge.reply.command.{checked_name(front)}"


def query_route(region: str, front: str) -> Route:
    """A front's lane of queries."""
    return Route(front, queries(region), query_replies(front))


def command_route(region: str, front: str) -> Route:
    """A front's lane of commands."""
    return Route(front, commands(region), command_replies(front))


def presence(region: str) -> str:
    """Where bridges announce themselves to every front."""
    return f"/topic/bridge.presence.{checked_name(region)}"


def dead_letters(destination: str) -> str:
    """The dead-letter queue of a queue (the broker's individualDeadLetterStrategy uses the same name)."""
    return "/queue/DLQ." + destination.removeprefix("/queue/").removeprefix("/topic/")


def checked_reply(destination: str) -> str:
    """`destination` if it is a front's reply queue and nothing else. Raises Malformed: reply-to is hostile."""
    if not _REPLY.fullmatch(destination):
        raise Malformed("reply_to is not a reply queue of a front")
    return destination
