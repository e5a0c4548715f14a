"""What a running front takes up of a changed configuration (protocol/runtime/reload.py), and how.

==================  =================================================================================
keys                what is sealed and opened from now on; the secret behind pseudonyms must stay
link                tried at the brokers first; each link opens its new connection before the old one is let go
http                new connections: certificate, deadlines, limits; those that are there keep theirs
limits, accounts,   the next request
signatures
notices, callbacks   the next attempt; secrets are read again
applications        are read every second anyway, and at a reload at once
==================  =================================================================================
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dmz_front.http.server import context_of
from dmz_front.notices.deliverer import Target, targets
from dmz_front.settings import FrontSettings
from protocol.administration import ReloadReport
from protocol.errors import ConfigurationError
from protocol.keyring import Keyring
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

FILES: tuple[Place, ...] = (("link",), ("keys",), ("http",), ("callbacks",))
"""Tables whose files are read again."""
_HTTP = (
    "certificate", "key", "client_ca", "client_certificates", "client_cert_header", "header_limit", "header_count",
    "header_timeout_s", "body_timeout_s", "write_timeout_s", "connections", "connections_per_address", "keep_alive_s",
)  # fmt: skip
_DELIVERY = ("resend_after_s", "repeat_days", "presence_ttl_s", "when_broker_refuses", "drain_s")
RELOADABLE: tuple[Place, ...] = (
    ("keys",), ("limits",), ("signatures",), ("accounts",), ("attachments",), ("log",), ("maintenance",), ("notices",),
    ("callbacks",), ("hot",),
    ("store", "retention_days"), ("audit", "retention_days"), ("statistics", "retention_days"),
    *(("link", name) for name in links.RENEWABLE),
    *(("http", name) for name in _HTTP),
    *(("delivery", name) for name in _DELIVERY),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """A configuration that was judged good, and what of it is new."""

    settings: FrontSettings
    """What the front goes by from now on: the old one where a restart is needed."""
    keyring: Keyring
    context: ssl.SSLContext | None
    targets: Mapping[str, Target]
    """The callbacks, with their secrets."""
    touched: frozenset[str]
    """Tables of which something is to be taken up."""


class Reload:
    """Reloads one front."""

    def __init__(
        self,
        configuration: Path,
        settings: FrontSettings,
        keyring: Keyring,
        take_up: Callable[[Change], Awaitable[list[str]]],
    ) -> None:
        """`configuration`: the file; `settings`, `keyring`: what the front goes by now. `take_up`: has it go by a
        change, and returns what an administrator should know.
        """
        self._configuration, self._settings, self._keyring, self._take_up = configuration, settings, keyring, take_up
        self._contents = contents(settings, FILES)
        self.files = FilesRead(configuration, FrontSettings, files_named(settings, FILES))
        self._subject = links.certificate_subject(settings.link)

    async def reload(self) -> ReloadReport:
        """Judge all, then take up what can be. Raises ConfigurationError, and nothing has changed."""
        old = self._settings
        said, files, seen_files, keyring, context, made = await asyncio.to_thread(self._read)
        if not keyring.same_secret(self._keyring):
            raise ConfigurationError(
                "holds another secret for pseudonyms: a command repeated by its caller would be done twice",
                file=str(said.keys.keyring),
            )
        reloadable = (*RELOADABLE, *links.order_of_brokers(old.link, said.link))
        places, files_changed = differences(old, said), renewed(self._contents, files)
        touched = frozenset(place[0] for place in (*places, *files_changed) if within(place, (*reloadable, *FILES)))
        new = taken_up(old, said, reloadable)
        notes = []
        if "link" in touched:
            with naming(self._configuration, said):
                notes = await link_notes(new.link, Role.FRONT, self._subject)

        done = report("front", new.name, places, files_changed, reloadable, FrontSettings)
        self._settings, self._keyring, self._contents = new, keyring, files
        self.files.took(seen_files, done.restart)
        notes += await self._take_up(Change(new, keyring, context, made, touched))
        return done.model_copy(update={"notes": tuple(notes), "in_use": in_use(new.link, new.keys)})

    def _read(
        self,
    ) -> tuple[FrontSettings, dict[Place, str], FilesSeen, Keyring, ssl.SSLContext | None, Mapping[str, Target]]:
        """All that may take its time, in a thread. Raises ConfigurationError."""
        before = self.files.configuration()
        settings = load(self._configuration, FrontSettings)
        seen_files = before | seen(files_named(settings, FILES))
        with naming(self._configuration, settings):
            keyring, context = keyring_of(settings.keys, Role.FRONT), context_of(settings.http)
            made = targets(settings.callbacks)
            return settings, contents(settings, FILES), seen_files, keyring, context, made
