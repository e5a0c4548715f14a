"""What an operator may set of what is published."""

from pydantic import field_validator

from intranet_bridge.content.kinds import OPERATIONS
from protocol.operations import CATALOGUE
from protocol.runtime.settings import Misplaced, Section, nearest

_TOGETHER = {"news-list", "news-item"}


class ContentSection(Section):
    """News, questions, policies, outlets and outages that are written and reviewed at the bridge's desk."""

    operations: tuple[str, ...] = ()
    """Those that the bridge answers from what is published there, whatever they are bound to. None: none."""

    @field_validator("operations")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for at, name in enumerate(names):
            if name not in OPERATIONS:
                near = nearest(name, OPERATIONS)
                meant = f"did you mean {near}?" if near else f"those that may: {', '.join(sorted(OPERATIONS))}"
                what = "cannot be answered from here" if name in CATALOGUE else "is not an operation of the catalogue"
                raise Misplaced(f"{name} {what}; {meant}", (at,))
        if len(set(names) & _TOGETHER) == 1:
            raise Misplaced("news-list and news-item belong together: their numbers are the same", ())
        return names
