"""The `[files]` table of the front's configuration: where its relay looks for files, and where it lays them down."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from protocol.file_transfer import MAX_BYTES
from protocol.runtime.settings import FilePath, Host, Misplaced, Name, Pattern, Port, Section


def _folder(path: str) -> str:
    if not path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise ValueError("a folder is a path from the root, without ..")
    return path.rstrip("/") or "/"


NamePattern = Annotated[Pattern, StringConstraints(min_length=1, max_length=400)]
Folder = Annotated[str, StringConstraints(max_length=400), AfterValidator(_folder)]


class FileServerSection(Section):
    """An SFTP server of a platform's."""

    host: Host
    """its name or address"""
    port: Port = 22
    """where it is reached"""
    user: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    """as whom we log in there"""
    key: FilePath
    """our private key, OpenSSH format, unencrypted: the only way in that is tried"""
    known_hosts: FilePath
    """The server's host key, as OpenSSH writes such files. There is no way without: a server that shows another key is
    left alone until this file has changed."""
    connect_timeout_s: Annotated[float, Field(gt=0, le=300)] = 15.0
    """from the beginning to being logged in"""


class FileSourceSection(Section):
    """A folder in which a platform lays down files for us."""

    server: Name | None = None
    """One of `files.servers`; without, the folder is one of this host, in which the platform drops them."""
    folder: Folder
    """where the files are, from the root"""
    archive: Folder
    """Where a file is moved once the bridge has it. On the same file system."""
    profiles: Annotated[dict[Name, NamePattern], Field(min_length=1)]
    """Kind of file, as the bridge knows it → a regular expression that the whole name matches, blanks in it removed. A
    file whose name matches none is left where it is."""
    complete: Literal["marker", "end-line", "steady"] = "steady"
    """When a file is whole: NAME.ok says `sha256 bytes` of it; or its last line matches `end_line`; or size and time of
    change were the same in two looks `steady_s` apart."""
    end_line: NamePattern | None = None
    """A regular expression for the whole last line that is not empty."""
    steady_s: Annotated[float, Field(ge=1, le=3_600)] = 30.0
    """so long apart"""
    poll_s: Annotated[float, Field(ge=1, le=3_600)] = 60.0
    """how often it is looked at"""

    @model_validator(mode="after")
    def _end(self) -> Self:
        if (self.complete == "end-line") != (self.end_line is not None):
            place = ("complete",) if self.end_line is None else ("end_line",)
            raise Misplaced('complete = "end-line" and end_line belong together', place)
        if self.folder == self.archive:
            raise Misplaced("must be another folder than folder", ("archive",))
        return self


class FileTargetSection(Section):
    """A folder in which we lay down files for a platform."""

    server: Name | None = None
    """One of `files.servers`; without, the folder is one of this host."""
    folder: Folder
    """where the files go, from the root"""
    marker: bool = False
    """Lay NAME.ok beside each file, with `sha256 bytes`."""


class FilesSection(Section):
    """The relay: files of platforms by SFTP or from a folder, sealed to the bridge and from it. Off until the broker's
    configuration has their queues."""

    enabled: bool = False
    """Whether there is a relay in this front."""
    servers: dict[Name, FileServerSection] = Field(default_factory=dict)
    sources: dict[Name, FileSourceSection] = Field(default_factory=dict)
    targets: dict[Name, FileTargetSection] = Field(default_factory=dict)
    """By the names that the bridge's `files.targets` has."""
    window: Annotated[int, Field(ge=1, le=64)] = 8
    """Messages (of at most 192 KB) on their way to the bridge at once."""
    total_bytes: Annotated[int, Field(ge=MAX_BYTES)] = 2 * 1024 * 1024 * 1024
    """Of all files for targets that are kept here, sealed, until they are laid down; past it one is refused."""
    keep_days: Annotated[float, Field(ge=8, le=3650)] = 90
    """So long `bridgectl files` remembers a file."""

    @model_validator(mode="after")
    def _named(self) -> Self:
        for kind, places in (("sources", self.sources), ("targets", self.targets)):
            for name, place in places.items():
                if place.server is not None and place.server not in self.servers:
                    raise Misplaced(f"there is no server {place.server!r}", (kind, name, "server"))
        return self
