"""Steps of a change that several hosts take part in, one after the other: what is left to do, and on which host.

What an operator has seen done is kept beside the files, so that a change can be interrupted and gone on with. A daemon
proves that it has them by its code (protocol/runtime/codes.py), which its `bridgectl reload` prints.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bridgectl.files import PUBLIC, Content, write_all
from bridgectl.language import tr
from protocol.errors import BridgeError, ConfigurationError


@dataclass(frozen=True, slots=True)
class Part:
    """What is to be done for one host, or for all of a role."""

    who: str
    """As it is told when it is done: `front-1`, `fronts`."""
    files: tuple[str, ...]
    """To be copied there."""
    then: str
    """What is done there with them."""
    code: str
    """Of what is to be in use there."""
    told: bool = True
    """Whether `bridgectl reload` there says the code; if not, the operator's word has to do."""


class Confirmed:
    """What an operator has seen done, in a file of the directory."""

    def __init__(self, directory: Path, name: str) -> None:
        """`name`: of the file. Raises ConfigurationError for one that is damaged."""
        self._directory, self._name = directory, name
        self.begun = True
        """A change is under way, as far as an operator has said anything of it."""
        try:
            text = (directory / name).read_text()
            self._codes: dict[str, str] = dict(json.loads(text)["done"])
        except FileNotFoundError:
            self._codes, self.begun = {}, False
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(
                tr("cannot be read: remove it, and confirm anew"), file=str(directory / name)
            ) from error

    def left(self, parts: Iterable[Part]) -> list[Part]:
        """What was not seen done yet."""
        return [part for part in parts if self._codes.get(part.who) != part.code]

    def take(self, parts: Sequence[Part], said: Iterable[str]) -> None:
        """Note what is said to be done: `WHO=CODE`, or `WHO` where no code is told. Raises BridgeError, and notes
        nothing, for what is not so.
        """
        known = {part.who: part for part in parts}
        new: dict[str, str] = {}
        for word in said:
            who, _, code = word.partition("=")
            part = known.get(who)
            if part is None:
                raise BridgeError(
                    tr(
                        "{who} has no part in this step; these have: {known}",
                        who=who,
                        known=", ".join(known) or tr("none"),
                    )
                )
            if part.told and not code:
                raise BridgeError(tr("{who}: give the code that `bridgectl reload` says there, as {who}=CODE", who=who))
            if code and code.lower() != part.code:
                raise BridgeError(
                    tr(
                        "{who} has {code} in use and not {part_code}: copy {files} there, {then}",
                        who=who,
                        code=code,
                        part_code=part.code,
                        files=_files(part),
                        then=part.then,
                    )
                )
            new[who] = part.code
        if new:
            self._codes |= new
            self.begin()

    def begin(self) -> None:
        """A change is under way."""
        self.begun = True
        data = json.dumps({"done": self._codes}, indent=2).encode() + b"\n"
        write_all(self._directory, {self._name: Content(data, PUBLIC)}, replace=True)

    def forget(self) -> None:
        """The change is over."""
        (self._directory / self._name).unlink(missing_ok=True)
        self.begun = False


def told(left: Sequence[Part]) -> list[str]:
    """What is left to do, in lines for people."""
    return [
        tr("  {who}: copy {files} there, {then}", who=part.who, files=_files(part), then=part.then)
        + (tr("; in use then: {code}", code=part.code) if part.told else "")
        for part in left
    ]  # fmt: skip


def options(left: Sequence[Part]) -> str:
    """What to write when all of it is done."""
    return " ".join(f"--done {part.who}" + ("=CODE" if part.told else "") for part in left)


def _files(part: Part) -> str:
    return ", ".join(part.files)
