"""Configurations for a support bundle: each file's tables without comments, secrets masked; the files they name.

Read as TOML and no further, so that one the daemon would refuse is shown too.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from bridgectl.bundle.scrubber import MASK, SECRET_KEY
from protocol.errors import ConfigurationError
from protocol.files import read_bytes, read_text
from protocol.runtime.settings import CREDENTIAL

_WHOLE = re.compile(r"headers|parameters|cookies|secrets|passwords|tokens|credentials", re.I)
"""Tables of which no value is shown."""
_KEY = re.compile(r"(^|[_-])key|keyring|passfile|(^|[_-])pin$", re.I)
_CERTIFICATE = re.compile(r"cert|(^|[_-])ca$", re.I)
_PATH = re.compile(
    r"(?:/[\w.@-]+){2,}|(?:[\w.@-]+/)*[\w@-]+\.(?:key|pem|keyring|json|password|passwd|token|secret|pgpass|txt|p12)"
)
"""What names a file even where there is none: that there is none is what is wrong then."""
_HIDDEN = "headers"
"""How `_leaves` names all that stands in such a table."""
_MEDIA_TYPE = re.compile(r"[a-z]+/[\w.+-]+(?:;|$)")
_UNIT = re.compile(r"(?:_s|_ms|_days|_hours|_max|_min|_count)$")
_GIVEN = Path("/run/credentials")
_LONGEST_LINE = 4096


@dataclass(frozen=True, slots=True)
class Configuration:
    """One file."""

    path: Path
    document: dict[str, Any] = field(repr=False)
    """As it is: with what must not be shown."""

    @property
    def base(self) -> Path:
        """What relative paths are relative to."""
        return self.path.parent

    def shown(self) -> Any:
        """Its tables, secrets masked."""
        return _shown(self.document, "", self.base)

    def certificates(self) -> Iterator[Path]:
        """The files with certificates that it names."""
        for name, value in _leaves(self.document):
            if isinstance(value, str) and _CERTIFICATE.search(name) and not value.startswith(CREDENTIAL):
                yield self.base / value

    def secrets(self) -> Iterator[str]:
        """Every secret that stands in it."""
        for name, value in self._texts():
            if self._secret(name) and not _is_path(value, name, self.base):
                named = re.search(r"password|secret|passwd|pwd|passphrase", name, re.I)
                if named or re.search(r"\d", value) or (name == _HIDDEN and not _MEDIA_TYPE.match(value)):
                    yield value
            url = _url(value)
            if url is not None:
                yield from () if url.password is None else (str(url.password),)
                yield from (one for key, one in _query(url) if SECRET_KEY.search(key))

    def secret_files(self) -> Iterator[Path]:
        """The files that it names, and that hold secrets."""
        for name, value in self._texts():
            if self._secret(name) and _is_path(value, name, self.base) and not name.endswith("_url"):
                yield from self._files(value)
            url = _url(value)
            if url is not None:
                yield from (self.base / one for key, one in _query(url) if key == "passfile")

    def _texts(self) -> Iterator[tuple[str, str]]:
        return ((name, value) for name, value in _leaves(self.document) if isinstance(value, str))

    @staticmethod
    def _secret(name: str) -> bool:
        return bool(name == _HIDDEN or SECRET_KEY.search(name) or _KEY.search(name))

    def _files(self, value: str) -> Iterator[Path]:
        if value.startswith(CREDENTIAL):
            yield from sorted(_GIVEN.glob(f"*/{Path(value.removeprefix(CREDENTIAL)).name}"))
        else:
            yield self.base / value


def read(path: Path) -> tuple[list[Configuration], list[tuple[Path, str]]]:
    """A configuration and the files it includes; and those that cannot be read, with the reason."""
    found: list[Configuration] = []
    failed: list[tuple[Path, str]] = []
    paths = [path]
    for number, one in enumerate(paths):
        try:
            found.append(Configuration(one, tomllib.loads(read_text(one))))
        except ConfigurationError as error:
            failed.append((one, str(error)))
        except (ValueError, RecursionError) as error:
            failed.append((one, f"cannot be read as TOML: {error}"))
        else:
            patterns = found[-1].document.get("include", []) if number == 0 else []
            for pattern in patterns if isinstance(patterns, list) else []:
                try:
                    paths += [more for more in sorted(path.parent.glob(str(pattern))) if more not in paths]
                except (ValueError, NotImplementedError, OSError) as error:
                    failed.append((path, f"include: {error}"))
    return found, failed


def account_forms(documents: list[Configuration]) -> tuple[re.Pattern[str], ...]:
    """What account numbers look like, by the configuration of the front."""
    forms = []
    for one in documents:
        tables = one.document.get("accounts", [])
        for table in tables if isinstance(tables, list) else []:
            try:
                forms.append(re.compile(table["pattern"]))
            except (re.error, TypeError, KeyError):
                continue
    return tuple(forms)


def secrets_in(file: Path) -> Iterator[str]:
    """Of a file that holds a secret: its lines, the last field of a password file's, the private parts of a keyring.

    Raises ConfigurationError if it cannot be read.
    """
    try:
        text = read_bytes(file).decode()
    except UnicodeDecodeError:
        raise ConfigurationError("is not text", file=str(file)) from None
    try:
        yield from _private(json.loads(text))
    except ValueError:
        for line in text.splitlines():
            line = line.strip()
            if not line or line.startswith(("#", "-----")) or len(line) > _LONGEST_LINE:
                continue
            yield line
            fields = re.split(r"(?<!\\):", line)
            if len(fields) == 5:
                yield re.sub(r"\\(.)", r"\1", fields[4])


def _private(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _private(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            if isinstance(one, dict | list) or name in ("private", "secret") or SECRET_KEY.search(name):
                yield from _private(one)


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        whole = name == _HIDDEN or _WHOLE.fullmatch(name)
        for key, one in value.items():
            yield from _leaves(one, _HIDDEN if whole else str(key))
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one, name)
    else:
        yield name, value


def _shown(value: Any, name: str, base: Path, *, hidden: bool = False) -> Any:
    if isinstance(value, Mapping):
        hidden = hidden or bool(_WHOLE.fullmatch(name))
        return {str(key): _shown(one, str(key), base, hidden=hidden) for key, one in value.items()}
    if isinstance(value, list):
        return [_shown(one, name, base, hidden=hidden or bool(_WHOLE.fullmatch(name))) for one in value]
    if isinstance(value, bool) or (isinstance(value, int | float) and _UNIT.search(name)):
        return value
    if (hidden or SECRET_KEY.search(name) or _KEY.search(name)) and not _is_path(value, name, base):
        return MASK
    return value


def _is_path(value: Any, name: str, base: Path) -> bool:
    """Whether it names a file that holds a secret, rather than being one."""
    if not isinstance(value, str):
        return False
    if name.endswith("_url") or value.startswith(CREDENTIAL) or _PATH.fullmatch(value):
        return True
    try:
        return "\0" not in value and (base / value).is_file()
    except OSError:  # too long for a name, or not for us to see
        return False


def _url(value: str) -> URL | None:
    try:
        return make_url(value) if "://" in value else None
    except (ArgumentError, ValueError):
        return None


def _query(url: URL) -> Iterator[tuple[str, str]]:
    for name, given in url.query.items():
        for one in (given,) if isinstance(given, str) else given:
            yield name, one
