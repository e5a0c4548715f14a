"""The front's connections to the broker: one each way and kind, so that one that is held up stops nothing else."""

from dmz_front.settings import FrontSettings
from protocol.link.port import Link
from protocol.runtime.links import receiving_link, stomp_link


def links_of(settings: FrontSettings) -> dict[str, Link]:
    """Those that the configuration asks for, by name; connects none.

    Of files and submissions only where they are turned on: a broker whose configuration does not know their queues is
    not asked for them.
    """
    made = {"queries": stomp_link, "commands": stomp_link, "replies": receiving_link, "attachments": stomp_link}
    if settings.files.enabled:
        made |= {"files": stomp_link, "outward-files": receiving_link}
    if settings.submissions.regions:
        made["submissions"] = receiving_link
    return {name: link(settings.link, f"{settings.name}-{name}") for name, link in made.items()}
