"""What a running bridge takes up of a changed configuration (protocol/runtime/reload.py), and how.

=======================  =================================================================================
keys                     what is sealed and opened from now on
link                     tried at the brokers first; each link opens its new connection before the old one is let go
marketing, systems,      opened and checked first; new calls go by them, and old back ends are closed when no call can
operations               be under way to them any more. What did not change keeps its connections and circuits
pushes                   the port is bound first, then the old one is let go; tables go on from where they were read
qr                       settings and keys, for codes issued and scanned from now on
settlement               settings and channels' keys, for what comes from now on; which files are statements, and whose
                         bills banks charge, at a restart
hot                      what is kept and asked ahead from now on; what was kept by other bindings is dropped
breaker                  of every operation anew, all circuits closed
=======================  =================================================================================
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from intranet_bridge.bound import Bound, Rebound, rebind
from intranet_bridge.qr.service import Offer, offer_of
from intranet_bridge.settings import BridgeSettings, PushesSection
from intranet_bridge.settlement.payments.channels import Offer as Channels
from intranet_bridge.settlement.payments.channels import offer_of as channels_of
from protocol.administration import ReloadReport
from protocol.errors import BridgeError
from protocol.keyring import Keyring, judged_groups
from protocol.messages import Role
from protocol.runtime import links
from protocol.runtime.files_read import FilesRead, FilesSeen, seen
from protocol.runtime.keyfiles import keyring_of
from protocol.runtime.reload import (
    Place,
    contents,
    differences,
    files_named,
    in_use,
    link_notes,
    renewed,
    report,
    taken_up,
    within,
)
from protocol.runtime.settings import load, naming

if TYPE_CHECKING:
    from intranet_bridge.pushes.http import Prepared

FILES: tuple[Place, ...] = (
    ("link",),
    ("keys",),
    ("marketing",),
    ("systems",),
    ("operations",),
    ("qr",),
    ("pushes",),
    ("settlement", "payments"),
)
"""Tables whose files are read again."""
_Offers = tuple[Offer | None, Channels | None]
BINDINGS: tuple[Place, ...] = (("marketing",), ("systems",), ("operations",))
_COMMANDS = (
    "workers", "backlog", "retry_min_s", "retry_max_s", "unreadable_max", "attachment_patience_s",
    "decisions_from_fronts",
)  # fmt: skip
_SETTLEMENT = ("close_after_days", "holidays", "workdays", "companies", "peers", "risk", "clearing", "payments")
RELOADABLE: tuple[Place, ...] = (
    *BINDINGS, ("include",), ("breaker",), ("keys",), ("log",), ("maintenance",), ("ceilings",), ("fronts",),
    ("drain_s",), ("presence_interval_s",), ("qr",), ("notices",), ("hot",), ("pushes",),
    *(("settlement", name) for name in _SETTLEMENT),
    *(("files", name) for name in ("profiles", "targets", "total_bytes", "keep_days")),
    ("store", "retention_days"), ("audit", "retention_days"),
    *(("link", name) for name in links.RENEWABLE),
    *(("commands", name) for name in _COMMANDS),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """A configuration that was judged good, and what of it is new."""

    settings: BridgeSettings
    """What the bridge goes by from now on: the old one where a restart is needed."""
    keyring: Keyring
    rebound: Rebound
    """Its new back ends are started."""
    touched: frozenset[str]
    """Tables of which something is to be taken up."""
    offer: Offer | None = None
    """Of QR codes."""
    channels: Channels | None = None
    """Of payment orders."""
    pushes: "Prepared | None" = None
    """Where pushes are taken, bound; None: nowhere, or as before."""


class Reload:
    """Reloads one bridge."""

    def __init__(
        self,
        configuration: Path,
        settings: BridgeSettings,
        bound: Callable[[], Bound],
        take_up: Callable[[Change], Awaitable[list[str]]],
        prepare: "Callable[[PushesSection], Prepared | None]" = lambda _: None,
    ) -> None:
        """`configuration`: the file; `settings`, `bound`: what the bridge goes by now. `take_up`: has it go by a
        change, and returns what an administrator should know. `prepare`: binds what pushes are taken at.
        """
        self._prepare = prepare
        self._configuration, self._settings, self._bound, self._take_up = configuration, settings, bound, take_up
        self._contents = contents(settings, FILES)
        self.files = FilesRead(configuration, BridgeSettings, files_named(settings, FILES))
        self._subject = links.certificate_subject(settings.link)

    async def reload(self) -> ReloadReport:
        """Judge all, then take up what can be. Raises BridgeError, and nothing has changed."""
        old = self._settings
        said, files, seen_files, keyring, rebound, (offer, channels) = await asyncio.to_thread(self._read)
        reloadable = (*RELOADABLE, *links.order_of_brokers(old.link, said.link))
        places, files_changed = differences(old, said), renewed(self._contents, files)
        touched = frozenset(place[0] for place in (*places, *files_changed) if within(place, (*reloadable, *FILES)))
        new = taken_up(old, said, reloadable)
        notes = []
        if "link" in touched:
            with naming(self._configuration, said):
                notes = await link_notes(new.link, Role.BRIDGE, self._subject)
        pushes = self._prepare(new.pushes) if "pushes" in touched else None
        try:
            await _started(rebound)
        except BaseException:
            if pushes is not None:
                pushes.close()
            raise

        done = report("bridge", new.name, places, files_changed, reloadable, BridgeSettings)
        self._settings, self._contents = new, files
        self.files.took(seen_files, done.restart)
        notes += await self._take_up(Change(new, keyring, rebound, touched, offer, channels, pushes))
        if touched & {"keys", "fronts"}:
            notes += [word for several in judged_groups(keyring, new.fronts) for word in several]
        notes += [f"in doubt: {doubt}" for doubt in new.doubts()] if "operations" in touched else []
        return done.model_copy(update={"notes": tuple(notes), "in_use": in_use(new.link, new.keys)})

    def _read(self) -> tuple[BridgeSettings, dict[Place, str], FilesSeen, Keyring, Rebound, _Offers]:
        """All that may take its time, in a thread. Raises ConfigurationError."""
        before = self.files.configuration()
        settings = load(self._configuration, BridgeSettings)
        seen_files = before | seen(files_named(settings, FILES))
        files = contents(settings, FILES)
        with naming(self._configuration, settings):
            rebound = rebind(self._bound(), self._settings, settings, renewed(self._contents, files))
            keyring = keyring_of(settings.keys, Role.BRIDGE)
            offers = offer_of(settings.qr, settings.suite), channels_of(settings.settlement)
            return settings, files, seen_files, keyring, rebound, offers


async def _started(rebound: Rebound) -> None:
    """Start the new back ends. Raises BridgeError, and closes them, if one cannot be."""
    begun = []
    try:
        for system in rebound.begun:
            begun.append(system)
            await system.start()
    except Exception as error:
        for system in begun:
            await system.close()
        if isinstance(error, BridgeError):
            raise
        raise BridgeError(f"a system cannot be started: {type(error).__name__}") from error
