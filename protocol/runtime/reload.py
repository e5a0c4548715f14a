"""Reloading: a running daemon takes a changed configuration, without a restart and without failing a request.

Asked for by `bridgectl reload` (the control socket) or SIGHUP. The whole configuration is read and judged first, files
it names included; what is wrong with it is said, and then nothing has changed. What can be taken up is, and the rest is
named: it waits for a restart.

What changed is found by comparing: setting by setting, and of files that settings name, their contents.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from protocol.administration import ReloadReport
from protocol.errors import BridgeError, ConfigurationError
from protocol.messages import Role
from protocol.runtime import codes, links
from protocol.runtime.audit import Act, logged
from protocol.runtime.config_check import link_errors
from protocol.runtime.control import Peer
from protocol.runtime.daemon import Daemon
from protocol.runtime.files_read import digest
from protocol.runtime.logs import logger
from protocol.runtime.settings import KeysSection, LinkSection, toml_path

log = logger(__name__)

Settings = TypeVar("Settings", bound=BaseModel)
Place = tuple[str, ...]
"""Of a setting, from the file's root: `("link", "certificate")`."""

_BY: ContextVar[str] = ContextVar("by", default="SIGHUP")
"""Who asked for the reload under way."""


def differences(old: BaseModel, new: BaseModel) -> list[Place]:
    """Where two configurations differ: the settings, and of tables that the operator names (operations, systems), the
    tables.
    """
    return list(_differences(old, new, ()))


def _differences(old: BaseModel, new: BaseModel, above: Place) -> Iterator[Place]:
    for name in type(old).model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        place = (*above, name)
        if isinstance(before, BaseModel) and type(before) is type(after):
            yield from _differences(before, after, place)
        elif isinstance(before, Mapping) and isinstance(after, Mapping):
            for key in sorted({*before, *after}):
                if before.get(key) != after.get(key):
                    yield (*place, str(key))
        else:
            yield place


def within(place: Place, tables: Iterable[Place]) -> bool:
    """Whether a setting is one of these, or in one of these tables."""
    return any(place[: len(table)] == table for table in tables)


def taken_up(old: Settings, new: Settings, tables: Iterable[Place]) -> Settings:
    """The old configuration with the new one's settings at these places."""
    values: dict[str, Any] = {}
    inner: dict[str, list[Place]] = {}
    for table in tables:
        name = table[0]
        if len(table) == 1:
            values[name] = getattr(new, name)
        else:
            inner.setdefault(name, []).append(table[1:])
    for name, places in inner.items():
        if name not in values:
            values[name] = taken_up(getattr(old, name), getattr(new, name), places)
    return old.model_copy(update=values)


def contents(settings: BaseModel, tables: Iterable[Place]) -> dict[Place, str]:
    """A digest of each file that these tables name; of one that is not there, an empty text."""
    return {place: digest(path) for place, path in _named(settings, tables)}


def files_named(settings: BaseModel, tables: Iterable[Place]) -> list[Path]:
    """The files that these tables name."""
    return [path for _, path in _named(settings, tables)]


def renewed(before: Mapping[Place, str], now: Mapping[Place, str]) -> list[Place]:
    """The settings whose files have other contents now."""
    return [place for place, digest in now.items() if digest != before.get(place)]


def _named(settings: BaseModel, tables: Iterable[Place]) -> Iterator[tuple[Place, Path]]:
    for table in tables:
        value: Any = settings
        for name in table:
            value = getattr(value, name)
        yield from (((*table, *place), path) for place, path in _paths(value, ()))


def _paths(value: Any, above: Place) -> Iterator[tuple[Place, Path]]:
    match value:
        case Path():
            yield above, value
        case BaseModel():
            for name in type(value).model_fields:
                yield from _paths(getattr(value, name), (*above, name))
        case Mapping():
            for name, one in value.items():
                yield from _paths(one, (*above, str(name)))
        case list() | tuple():
            for number, one in enumerate(value):
                yield from _paths(one, (*above, str(number)))


async def link_notes(link: LinkSection, role: Role, subject: str | None) -> list[str]:
    """Whether the links of a daemon of this role can go on by this table, whose certificate is still `subject`'s.

    Returns what to know besides. Raises ConfigurationError as `links.judged`, and for certificates that are no good.
    """
    for error in link_errors(link, (role,), datetime.now(UTC)):
        raise error
    return await links.judged(subject, link)


def report(
    side: Any, name: str, places: Iterable[Place], files: Iterable[Place], reloadable: Iterable[Place], model: type
) -> ReloadReport:
    """What a reload did: of settings that differ (`places`) and of files that differ (`files`)."""
    reloadable = list(reloadable)
    places, files = list(places), [place for place in files if not within(place, places)]
    changed = [toml_path(place) for place in places if within(place, reloadable)]
    changed += [f"{toml_path(place)} (the file)" for place in files]
    waiting = [toml_path(place) for place in places if not within(place, reloadable)]
    touched = {place[0] for place in (*places, *files)}
    same = [name for name in model.model_fields if name not in touched]  # type: ignore[attr-defined]
    return ReloadReport(
        side=side, name=name, changed=tuple(sorted(changed)), same=tuple(same), restart=tuple(sorted(waiting))
    )


def in_use(link: LinkSection, keys: KeysSection) -> dict[str, str]:
    """The codes of what these files hold (codes.py); of files that cannot be read, none."""
    found = {}
    with suppress(ConfigurationError):
        found["certificates"] = codes.of_certificate_files(link.ca, link.certificate)
    with suppress(ConfigurationError):
        found["keys"] = codes.of_key_files(keys.keyring, keys.trusted)
    return found


class Reloader:
    """Reloads one daemon, whoever asks: who, is audited."""

    def __init__(self, daemon: Daemon, reload: Callable[[], Awaitable[ReloadReport]], act: Act = logged) -> None:
        """`reload` does it, as the daemon's part of every reload. Raises BridgeError when nothing was changed. `act`
        writes down who had it done.
        """
        self._audit = act
        self._daemon, self._act = daemon, reload
        self._task: asyncio.Task[object] | None = None
        daemon.on_reload = self._reload

    async def answer(self, _request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        """For the control socket."""
        _BY.set(peer.name)  # of the task that answers this question
        # who asked may not wait for ever (control.py); what was begun is brought to its end all the same
        self._task = asyncio.get_running_loop().create_task(self._daemon.reload(), name="reload")
        try:
            done = await asyncio.shield(self._task)
        except BridgeError as error:
            log.error("reload-refused", by=peer.name, error=str(error))
            raise
        assert isinstance(done, ReloadReport)
        return done.model_dump(mode="json")

    async def _reload(self) -> ReloadReport:
        done = await self._act()
        said = {"changed": done.changed[:30], "restart": done.restart[:30], "notes": done.notes[:10]}
        await self._audit("reload", _BY.get(), **said)
        return done
