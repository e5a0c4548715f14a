"""Unit files, as far as an installation and the supervisor need them (systemd.exec(5))."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True)
class Unit:
    """A unit file."""

    name: str
    settings: tuple[tuple[str, str], ...]
    """Key and value in the order of the file."""

    @classmethod
    def read(cls, name: str, text: str) -> Unit:
        """Take a file apart: sections do not matter, no key stands in two of them."""
        found: list[tuple[str, str]] = []
        for line in text.replace("\\\n", " ").splitlines():
            line = line.strip()
            key, equals, value = line.partition("=")
            if equals and not line.startswith(("#", ";")):
                found.append((key.strip(), value.strip()))
        return cls(name, tuple(found))

    def all(self, key: str) -> list[str]:
        """Every value; an empty one takes back those before it."""
        values: list[str] = []
        for name, value in self.settings:
            if name == key:
                values = [*values, value] if value else []
        return values

    def one(self, key: str, default: str = "") -> str:
        """The last value."""
        return (self.all(key) or [default])[-1]

    @property
    def user(self) -> str:
        """Who it runs as, if that is a user of the host's own; with DynamicUser= there is none to be made."""
        return "" if self.one("DynamicUser") in ("yes", "true", "1") else self.one("User")

    @property
    def credentials(self) -> dict[str, str]:
        """Name of each credential → the file it is loaded from, or its name in the system's credential stores."""
        pairs = (one.partition(":") for one in (*self.all("LoadCredential"), *self.all("LoadCredentialEncrypted")))
        return {name: path for name, _, path in pairs if path}

    def expanded(self, text: str, credentials: str) -> str:
        """Specifiers and the credentials' folder put in; `%%` is a per cent sign."""
        known = {"%n": self.name, "%N": self.name.rpartition(".")[0], "%p": self.name.rpartition(".")[0],
                 "%t": "/run", "%S": "/var/lib", "%C": "/var/cache", "%L": "/var/log", "%E": "/etc",
                 "%d": credentials, "%%": "%"}  # fmt: skip
        pieces = []
        at = 0
        while at < len(text):
            two = text[at : at + 2]
            pieces.append(known.get(two, two[:1]) if two in known else text[at])
            at += 2 if two in known else 1
        return "".join(pieces)

    def command(self, key: str, credentials: str) -> list[list[str]]:
        """The commands of ExecStart=, ExecStartPre= and the like, without the prefixes (`-`, `+`, `!`, `@`, `:`)."""
        known = {"CREDENTIALS_DIRECTORY": credentials, **self.environment(credentials)}
        return [
            [_VARIABLE.sub(lambda name: known.get(name.group(1), ""), word)
             for word in shlex.split(self.expanded(line.lstrip("-+!@:"), credentials))]
            for line in self.all(key)
        ]  # fmt: skip

    def environment(self, credentials: str) -> dict[str, str]:
        """Of Environment=."""
        words = [word for line in self.all("Environment") for word in shlex.split(self.expanded(line, credentials))]
        return {key: value for key, _, value in (word.partition("=") for word in words)}


def seconds(text: str, default: float) -> float:
    """A time span (systemd.time(7)) in the forms that units here use: `30`, `30s`, `2min`."""
    text = text.strip()
    for ending, factor in (("min", 60.0), ("ms", 0.001), ("s", 1.0), ("", 1.0)):
        if text.endswith(ending) and text[: len(text) - len(ending)].strip().replace(".", "", 1).isdigit():
            return float(text[: len(text) - len(ending)]) * factor
    return default
