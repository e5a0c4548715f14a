"""Reading an operator's TOML file into a checked model; every complaint names the file and the line."""

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails

from protocol.destinations import checked_name
from protocol.errors import ConfigurationError
from protocol.files import read_text
from protocol.messages import LOWEST_VERSION, WIRE_VERSION
from protocol.networks import is_every
from protocol.runtime.timeouts import Timeouts
from protocol.runtime.toml_lines import Place, deepest

Settings = TypeVar("Settings", bound=BaseModel)

_PORT = re.compile(r"[0-9]{1,5}")
_HOST = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?"
)
_URL = re.compile(r"(?i:https?)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)")
_URL_PATH = re.compile(r"(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*")


class Misplaced(ValueError):
    """Raised in a validator about a setting within what it validates."""

    def __init__(
        self, message: str, place: Sequence[int | str], *, meant: Sequence[int | str] = (), more: int = 0
    ) -> None:
        """`place`: from the table, or the value, whose validator raises it. `meant`: likewise, of the setting that was
        meant perhaps; none if empty. `more`: so many others are wrong too.
        """
        super().__init__(message)
        self.place, self.meant, self.more = tuple(place), tuple(meant), more

    def below(self, above: Sequence[int | str]) -> "Misplaced":
        """The same, told by the table that has this one at `above`."""
        meant = (*above, *self.meant) if self.meant else ()
        return Misplaced(str(self), (*above, *self.place), meant=meant, more=self.more)

    def told(self) -> str:
        """All of it, by a table at the file's root."""
        meant = f"; did you mean {toml_path(self.meant)}?" if self.meant else ""
        return f"{self}{meant}" + (f" (and {self.more} more)" if self.more else "")


def all_or_none(section: BaseModel, *names: str) -> None:
    """Raises Misplaced if some of these settings of a table are set and others are not: at the first that is."""
    there = [name for name in names if getattr(section, name) is not None]
    lacking = [name for name in names if name not in there]
    if there and lacking:
        named = f"{', '.join(names[:-1])} and {names[-1]}"
        raise Misplaced(f"{named} belong together: there is no {lacking[0]}", (there[0],))


def one_of(section: BaseModel, *names: str) -> None:
    """Raises Misplaced unless just one of these settings of a table is set."""
    there = [name for name in names if getattr(section, name) is not None]
    if not there:
        raise Misplaced(f"needs either {' or '.join(names)}", ())
    if len(there) > 1:
        raise Misplaced(f"needs either {' or '.join(names)}: not both", (there[1],))


class Section(BaseModel):
    """Base of every table of a configuration file: a misspelt key is an error, not a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _true_is_no_number(cls, table: object) -> object:  # pydantic takes it for 1
        given: Mapping[str, object] = table if isinstance(table, Mapping) else {}
        for name in _numbers(cls):
            value = given.get(name)
            for place, one in (((name,), value), *(((name, at), one) for at, one in enumerate(_items(value)))):
                if isinstance(one, bool):
                    raise Misplaced("must be a number", place)
        return table


@cache
def _numbers(section: type[BaseModel]) -> tuple[str, ...]:
    """The settings of a table that are numbers or lists of them."""
    kinds = {name: set(_parts_of(field.annotation)) for name, field in section.model_fields.items()}
    return tuple(name for name, found in kinds.items() if found & {int, float} and not found & {bool, Any, dict})


def _parts_of(annotation: Any) -> Iterator[Any]:
    yield get_origin(annotation) or annotation
    for part in get_args(annotation):
        yield from _parts_of(part) if not isinstance(part, str | int) else ()


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


CREDENTIAL = "credential:"
"""Before a name, in place of a path: the file of that name among what systemd gave to the service."""
_CREDENTIAL_NAME = re.compile(r"(?!\.)[A-Za-z0-9_.-]{1,255}")


def from_file(path: Path, info: ValidationInfo) -> Path:
    """The path as the configuration file means it. Raises ValueError."""
    context = info.context or {}
    if str(path).startswith(CREDENTIAL):
        return _credential(str(path).removeprefix(CREDENTIAL), context.get("credentials"))
    base = context.get("base", Path())
    try:
        return Path(base) / path.expanduser()
    except RuntimeError as error:  # the home of a user who is not there
        raise ValueError(f"{path.parts[0]} is no user's home here") from error


def _credential(name: str, folder: Path | None) -> Path:
    if not _CREDENTIAL_NAME.fullmatch(name):
        raise ValueError(f"{CREDENTIAL}{name} names no credential: letters, digits, '_', '-' and '.' follow the colon")
    if folder is None:
        raise ValueError(
            f"{CREDENTIAL}{name} is there only in the service that systemd runs (LoadCredential= of its unit); to try "
            "it by hand, set CREDENTIALS_DIRECTORY to a folder with such a file"
        )
    return folder / name


def given_credentials() -> Path | None:
    """The folder with what systemd gave to this process (systemd.exec(5)); None if it gave nothing."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(folder) if folder else None


def _path_text(value: object) -> object:
    if isinstance(value, str) and (not value.strip() or "\0" in value):
        raise ValueError("is not the name of a file")
    return value


def _loopback(host: str) -> str:
    if host != "localhost" and not ip_address(host).is_loopback:
        raise ValueError("must be a loopback address")
    return host


def checked_address(value: str) -> str:
    """`value` itself if it is an address as settings write them. Raises ValueError."""
    if "@" in value:  # what is before it may hold a password: nothing of it is repeated
        raise ValueError("an address is written host:port, without a user")
    host, _, port = value.rpartition(":")
    if not host or not _PORT.fullmatch(port) or not 0 < int(port) < 65536:
        raise ValueError("an address is written host:port")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError("an address is written host:port, an IPv6 address in brackets")
    checked_host(host)
    return value


def checked_host(value: str) -> str:
    """`value` itself if it is a host name or an IP address (IPv6 with or without brackets). Raises ValueError."""
    if "@" in value:  # what is before it may be a password: nothing of it is repeated
        raise ValueError("a host is named without a user")
    if not value.isascii():
        raise ValueError(f"the host {value!r} is not ASCII: give an international name as xn--...")
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    if ":" in bare:
        try:
            ip_address(bare)
        except ValueError:
            raise ValueError(f"{value!r} is not an IPv6 address") from None
    elif bare != value or not _HOST.fullmatch(value):
        raise ValueError(f"{value!r} is not a host name or an IP address")
    elif value.replace(".", "").isdigit():
        try:
            ip_address(value)
        except ValueError:
            raise ValueError(f"{value!r} is not an IPv4 address") from None
    return value


def checked_url(value: str) -> str:
    """`value` without a slash at its end, if it is an address that paths are put after. Raises ValueError.

    http or https; a host, a port of 1 to 65535, a path of URL characters (RFC 3986, section 3.3); no user, no query, no
    fragment, nothing that would have to be escaped.
    """
    shape = "must be http://host[:port][/path] or https://..."
    found = _URL.fullmatch(value)  # not urlsplit: it takes tabs and line ends out without a word
    if found is None or "?" in value or "#" in value:
        raise ValueError(shape)
    authority, path = found["authority"], found["path"]
    if "@" in authority:
        raise ValueError("credentials do not belong in a URL: they have settings of their own")
    host, colon, port = authority.rpartition(":") if not authority.endswith("]") else (authority, "", "")
    if not colon:
        host = authority
    elif not _PORT.fullmatch(port) or not 0 < int(port) < 65536:
        raise ValueError(f"{shape}; the port is 1 to 65535")
    if ":" in host and not host.startswith("["):
        raise ValueError(f"{shape}; an IPv6 address stands in brackets")
    checked_host(host)
    if not _URL_PATH.fullmatch(path):
        raise ValueError("the path holds what must be escaped in a URL (%20 for a blank)")
    return value.rstrip("/")


def _without_password(value: str) -> str:
    # a fifth of a second, which nobody pays who has files and no server
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(value)
    except (ArgumentError, ValueError) as error:
        raise ValueError("is not a database URL, as postgresql+psycopg://user@host/database") from error
    if url.get_backend_name() == "sqlite":
        raise ValueError("an SQLite database is given by file, not by url")
    if url.drivername != "postgresql+psycopg":
        raise ValueError("is not a database URL, as postgresql+psycopg://user@host/database")
    if url.port is not None and not 0 < url.port < 65536:
        raise ValueError("the port is 1 to 65535")
    if url.password is not None or "password" in url.query:
        raise ValueError("a password does not belong in the url: put it in a passfile (url: ...?passfile=/path)")
    return value


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return text


def apart(*listeners: tuple[Place, str, int]) -> None:
    """Raises Misplaced for the first port that an earlier listener has too. Each: the setting, host, port (0: off)."""
    for number, (place, host, port) in enumerate(listeners):
        for other, elsewhere, taken in listeners[:number]:
            if port and port == taken and (_same(host, elsewhere) or is_every(host) or is_every(elsewhere)):
                raise Misplaced(f"is {toml_path(other)} too: one of them could not listen", place)


def _same(host: str, other: str) -> bool:
    named = {"localhost": "127.0.0.1"}
    return named.get(host, host) == named.get(other, other)


Pattern = Annotated[str, AfterValidator(_pattern)]
"""A regular expression."""
FilePath = Annotated[Path, BeforeValidator(_path_text), AfterValidator(from_file)]
"""A path; a relative one is taken from the configuration file's folder, `credential:NAME` from what systemd gave."""
Name = Annotated[str, AfterValidator(checked_name)]
"""A region's or an instance's name."""
LoopbackHost = Annotated[str, AfterValidator(_loopback)]
Host = Annotated[str, AfterValidator(checked_host)]
"""A host name or an IP address."""
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
PortOrOff = Annotated[int, Field(ge=0, le=65535, strict=True)]
"""0 turns it off."""
BaseUrl = Annotated[str, AfterValidator(checked_url)]
"""Where a server's paths begin."""
Address = Annotated[str, AfterValidator(checked_address)]
"""`host:port`; an IPv6 address stands in brackets."""


class LinkSection(Section):
    """How to reach the broker, and with which certificate."""

    brokers: Annotated[tuple[Address, ...], Field(min_length=1)]
    """each as `host:port`, tried in this order; what is received is taken from all of them"""
    ca: FilePath
    """authorities that are trusted, PEM"""
    certificate: FilePath
    """what is shown, PEM"""
    key: FilePath
    """the certificate's private key, PEM, unencrypted"""
    heartbeat_ms: Annotated[int, Field(ge=100, le=60_000)] = 3_000
    """a broker silent for three times as long is taken for dead"""
    receipt_timeout_s: Annotated[float, Field(gt=0, le=120)] = 10.0
    """a send without its receipt by then has an unknown outcome and is repeated"""
    connect_timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    """TLS and STOMP included; TCP alone is given 2 s"""
    reconnect_max_s: Annotated[float, Field(ge=0.1, le=300)] = 2.0
    """the longest pause between attempts"""

    def addresses(self) -> tuple[tuple[str, int], ...]:
        """The brokers as (host, port), in the order they are tried."""
        pairs = (broker.rpartition(":") for broker in self.brokers)
        return tuple((host.strip("[]"), int(port)) for host, _, port in pairs)


class KeysSection(Section):
    """The envelope's keys (see certs/README.md)."""

    keyring: FilePath
    trusted: FilePath
    """the public keys of both sides"""


class StoreSection(Section):
    """The database: an SQLite file by default, PostgreSQL by URL for several instances.

    A PostgreSQL password belongs in a password file (libpq's `passfile`), not in the URL: a URL gets into logs,
    process lists and backups of configuration.
    """

    file: FilePath | None = None
    """SQLite: the ledger of commands, or the inbox; bodies in it are sealed"""
    url: Annotated[str, AfterValidator(_without_password)] | None = None
    """PostgreSQL: for several instances"""
    retention_days: Annotated[float, Field(gt=0, le=3650)] = 30.0
    """How long finished commands, and how they ended, are remembered: a key repeated is not done again. At the bridge
    at least 7.5: a message may be 7 days old."""
    migrate: Literal["auto", "check"] = "auto"
    """What a starting daemon does about an older schema: bring it up, or refuse to start (see `migrate.py`)."""
    lease_s: Annotated[float, Field(ge=1, le=600)] = 15.0
    """An instance that was silent for so long (and a tenth more) is taken for dead, and its rows are adopted."""
    statement_timeout_s: Annotated[float, Field(ge=0, le=3600)] = 30.0
    """PostgreSQL: one statement of a daemon may take so long, 0 without end. Changes of the schema, what looks at many
    rows, exports and `bridgectl` may take longer."""
    lock_timeout_s: Annotated[float, Field(ge=0.1, le=60)] = 5.0
    """PostgreSQL: a statement waits so long for a lock that another session holds. Less than `lease_s`, or an instance
    may be taken for dead while it waits."""
    idle_timeout_s: Annotated[float, Field(ge=0.1, le=60)] = 5.0
    """PostgreSQL: a transaction without a statement for so long is ended by the server, and its locks are free: of a
    process that was stopped, or whose host vanished. Less than `lease_s`."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        one_of(self, "file", "url")
        return self

    def address(self) -> str:
        """The SQLAlchemy URL."""
        return self.url if self.url is not None else f"sqlite:///{self.file}"

    def timeouts(self) -> Timeouts:
        """Of the sessions of a daemon."""
        return Timeouts(self.statement_timeout_s, self.lock_timeout_s, self.idle_timeout_s)


class MetricsSection(Section):
    """Where Prometheus reads; loopback only. Port 0 turns it off."""

    host: LoopbackHost = "127.0.0.1"
    port: PortOrOff = 0


class WireSection(Section):
    """Which wire versions are spoken (protocol/README.md, Versions)."""

    version_max: Annotated[int, Field(ge=LOWEST_VERSION, le=WIRE_VERSION)] = WIRE_VERSION
    """None above this is sent or read: for an upgrade in stages, and for the way back."""


LogFormat = Literal["auto", "json", "console"]


class LogSection(Section):
    """How much is logged."""

    level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"
    """`debug`, `info`, `warning` or `error`: this and what is more serious"""
    format: LogFormat = "auto"
    """`json`: an object a line; `console`: text for people; `auto`: text on a terminal, else JSON."""
    queries: Annotated[float, Field(ge=0, le=1)] = 0.01
    """The share of answered queries that get a line; commands and failures always do."""


def nested(model: type[Settings], table: object, place: Place, info: ValidationInfo) -> Settings:
    """A table that a validator reads into a model of its own choice. Raises Misplaced: what is wrong, and where.

    `place`: of the table, in what the validator validates.
    """
    try:
        return model.model_validate(table, context=info.context)
    except ValidationError as error:
        raise _first(error, model, table).below(place) from None


def unfit(error: ValidationError, value: object, place: Place) -> Misplaced:
    """What is wrong with a value at `place` that another model than the configuration's was held against."""
    return _first(error, BaseModel, value).below(place)


_TABLE, _LIST = "must be a table", "must be a list"
_KINDS = {
    "model_type": _TABLE, "dict_type": _TABLE, "tuple_type": _LIST, "list_type": _LIST, "set_type": _LIST,
    "frozen_set_type": _LIST, "path_type": "must be the name of a file",
}  # fmt: skip
"""What a value of another kind is told, where pydantic speaks of Python."""


def _first(error: ValidationError, model: type[BaseModel], table: object) -> Misplaced:
    """The first of what is wrong with a table.

    An unknown key is the first: what else is wrong is often its consequence ("field required").
    """
    found: dict[Place, list[ErrorDetails]] = {}
    for one in error.errors(include_url=False, include_input=False):
        found.setdefault(_written(one, table), []).append(one)
    for place in [one for one, several in found.items() if several[0]["type"] == "too_short"]:
        if any(other[: len(place)] == place for other in found if other != place):
            del found[place]  # pydantic does not count an item that is wrong
    unknown = [place for place, several in found.items() if several[0]["type"] == "extra_forbidden"]
    place = (unknown or list(found))[0]
    first, more = found[place][0], len(found) - 1
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, Misplaced):
        inner = cause.below(place)
        return Misplaced(str(inner), inner.place, meant=inner.meant, more=inner.more + more)
    if first["type"] == "extra_forbidden":
        meant, known = _instead(model, place)
        return Misplaced(f"unknown key{known}", place, meant=meant, more=more)
    if first["type"] == "missing":
        return Misplaced("is missing", place, more=more)
    several = [one for one in found[place] if one["loc"][-1:] == ("[key]",)] or found[place]  # the name comes first
    said = dict.fromkeys(_said(one) for one in several)
    return Misplaced("; or: ".join(said), place, more=more)


def _said(error: ErrorDetails) -> str:
    if error["type"] == "too_short" and error["ctx"]["min_length"] == 1:
        return "must not be empty"
    return _KINDS.get(error["type"]) or error["msg"].removeprefix("Value error, ")


def _written(error: ErrorDetails, table: object) -> Place:
    """Where a fault stands in what was written: without what pydantic adds of its own (members of unions, keys)."""
    place: list[int | str] = []
    here: Any = table
    for part in error["loc"]:
        if isinstance(here, Mapping):
            if part not in here:
                continue
        elif not (isinstance(here, list | tuple) and isinstance(part, int) and part < len(here)):
            continue
        here = here[part]
        place.append(part)
    if error["type"] == "missing":
        place.append(error["loc"][-1])
    return tuple(place)


def _instead(model: type[BaseModel], place: Place) -> tuple[Place, str]:
    """What may have been meant by a key that a model does not know: the nearest beside it, or the same elsewhere; else
    which keys there are.
    """
    here, name = [model], str(place[-1])
    for part in place[:-1]:
        here = [
            inner
            for one in here
            for inner in (models_in(one.model_fields[str(part)].annotation) if part in one.model_fields else (one,))
        ]
    known = list(dict.fromkeys(key for one in here for key in _names(one)))
    near = nearest(name, known)
    if near is not None:
        return (*place[:-1], near), ""
    elsewhere = [one for one in _keys(model) if one[-1] == name]
    if elsewhere:
        return elsewhere[0], ""
    return (), f"; known here: {', '.join(known)}" if len(known) <= 30 else ""


def _names(model: type[BaseModel]) -> list[str]:
    """The keys of a table, as they are written."""
    return [field.alias or name for name, field in model.model_fields.items()]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like this one, if one is like it at all."""
    return next(iter(difflib.get_close_matches(name, list(known), 1, 0.75)), None)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def _keys(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        yield (*above, name)
        for inner in models_in(field.annotation):
            yield from _keys(inner, (*above, name))


def load(path: Path, model: type[Settings], credentials: Path | None = None) -> Settings:
    """The settings in a TOML file and the files its `include` names, which are read as if they stood in it.

    `credentials`: the folder `credential:NAME` is looked for in; by default what systemd gave to this process.

    `include` is a list of file names, relative to the file's folder; `*` and `?` stand for any (`bindings/*.toml`).
    Raises ConfigurationError naming the file, the line and the key.
    """
    files = [_File(path)]
    document = files[0].document
    if "include" in model.model_fields:
        for name in _included(files[0]):
            files.append(_File(name))
            _merge(document, files, files[-1].document, ())
    try:
        context = {"base": path.parent, "credentials": credentials or given_credentials()}
        return model.model_validate(document, context=context)
    except ValidationError as error:
        found = _first(error, model, document)
        file, line = _located(files, found.place)
        where = f"{toml_path(found.place)}: " if found.place else ""
        raise ConfigurationError(f"{where}{found.told()}", file=str(file), line=line) from error


def files_of(path: Path, model: type[BaseModel]) -> list[Path]:
    """The files that `load` reads for `path`: itself and what it includes. Raises ConfigurationError as `load`."""
    return [path, *(_included(_File(path)) if "include" in model.model_fields else ())]


def where_set(path: Path, model: type[BaseModel], place: Sequence[int | str]) -> str:
    """`file:line` where the setting at `place` stands, in the files that `load` reads for `path`."""
    try:
        files = [_File(path)]
        if "include" in model.model_fields:
            files += [_File(name) for name in _included(files[0])]
    except ConfigurationError:
        return str(path)
    file, line = _located(files, place)
    return f"{file}:{line}" if line else str(file)


def paths_of(settings: BaseModel, above: tuple[int | str, ...] = ()) -> Iterator[tuple[tuple[int | str, ...], Path]]:
    """Every file that settings name: where the setting stands, and the file."""
    for name in type(settings).model_fields:
        yield from _paths_in(getattr(settings, name), (*above, name))


def _paths_in(value: object, place: tuple[int | str, ...]) -> Iterator[tuple[tuple[int | str, ...], Path]]:
    if isinstance(value, Path):
        yield place, value
    elif isinstance(value, BaseModel):
        yield from paths_of(value, place)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _paths_in(one, (*place, str(key)))
    elif isinstance(value, list | tuple):
        for at, one in enumerate(value):
            yield from _paths_in(one, (*place, at))


@contextmanager
def naming(path: Path, settings: BaseModel) -> Iterator[None]:
    """A ConfigurationError raised within names the setting it is about, and where that stands."""
    try:
        yield
    except ConfigurationError as error:
        raise placed(error, path, settings) from error


@contextmanager
def placed_within(place: Place) -> Iterator[None]:
    """A ConfigurationError raised within, about a setting of the table at `place` or about none, names it from the
    file's root; one that is about a file stays as it is.
    """
    try:
        yield
    except ConfigurationError as error:
        if error.file:
            raise
        raise ConfigurationError(str(error), place=(*place, *error.place)) from error


def placed(error: ConfigurationError, path: Path, settings: BaseModel) -> ConfigurationError:
    """The same about a setting, or about a file that one names: with the setting, and where it stands."""
    if error.place:
        return ConfigurationError(f"{where_set(path, type(settings), error.place)}: {toml_path(error.place)}: {error}")
    for place, file in paths_of(settings):
        if error.file == str(file):
            where = f"{where_set(path, type(settings), place)}: {toml_path(place)}"
            return ConfigurationError(f"{error} ({where})")
    return error if error.file else ConfigurationError(str(error), file=str(path))


class _File:
    def __init__(self, path: Path) -> None:
        self.path, self.text = path, read_text(path)
        try:
            self.document = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"at line (\d+)", str(error))
            raise ConfigurationError(str(error), file=str(path), line=int(found[1]) if found else None) from error
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists in lists without end
            raise ConfigurationError(f"cannot be read as TOML: {error}", file=str(path)) from None


def _included(main: _File) -> list[Path]:
    patterns = main.document.get("include", [])
    if not isinstance(patterns, list) or not all(isinstance(one, str) for one in patterns):
        return []  # the model says what is wrong
    found: list[Path] = []
    for pattern in patterns:
        try:
            names = sorted(main.path.parent.glob(pattern))
        except (ValueError, NotImplementedError):  # "", or absolute
            names = []
        if not names:
            line = line_of(main.text, ("include",))
            raise ConfigurationError(f"include: there is no {pattern!r} here", file=str(main.path), line=line)
        found += [name for name in names if name not in found]
    return found


def _merge(into: dict[str, Any], files: list[_File], new: Mapping[str, Any], above: tuple[str, ...]) -> None:
    for key, value in new.items():
        place = (*above, key)
        if key not in into:
            into[key] = value
        elif isinstance(into[key], dict) and isinstance(value, dict):
            _merge(into[key], files, value, place)
        else:
            other, line = _located(files[:-1], place)
            raise ConfigurationError(
                f"{toml_path(place)}: is set in {other}{f':{line}' if line else ''} too",
                file=str(files[-1].path), line=line_of(files[-1].text, place),
            )  # fmt: skip


def toml_path(place: Sequence[int | str]) -> str:
    """The path of a setting as TOML writes it: a name with a dot in it stands in quotes."""
    return ".".join(f'"{part}"' if "." in str(part) else str(part) for part in place)


def _located(files: list[_File], place: Sequence[int | str]) -> tuple[Path, int | None]:
    """Where the setting at `place` stands: the file that holds most of its path, the first of equals."""
    depths = [(deepest(one.text, place), one) for one in files]
    (depth, line), file = max(depths, key=lambda one: one[0][0])
    return file.path, line if depth else None


def line_of(text: str, path: Sequence[int | str]) -> int | None:
    """The line in a TOML text where the key at `path` stands, or the nearest table that holds it."""
    return deepest(text, path)[1]
