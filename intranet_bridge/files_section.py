"""The `[files]` table of the bridge's configuration."""

from typing import Annotated

from pydantic import Field, StringConstraints

from protocol.file_transfer import MAX_BYTES
from protocol.runtime.maintenance import TimeZone
from protocol.runtime.settings import Name, Pattern, Section


class FileProfileSection(Section):
    """One kind of file that is taken."""

    names: Annotated[Pattern, StringConstraints(min_length=1, max_length=400)]
    """A regular expression that the whole name matches, blanks in it removed."""
    max_bytes: Annotated[int, Field(ge=0, le=MAX_BYTES)] = MAX_BYTES
    """A longer one is refused."""
    due: Annotated[str, StringConstraints(pattern=r"^(|([01][0-9]|2[0-3]):[0-5][0-9])$")] = ""
    """By when one is expected each day, such as 09:00 in `files.zone`. Empty: none is expected."""
    late_minutes: Annotated[float, Field(ge=0, le=1440)] = 60
    """So long after it is due `bridgectl status` says that it is late."""


class FilesSection(Section):
    """Files of platforms, by way of a relay in the DMZ. Off until the broker's configuration has their queues."""

    enabled: bool = False
    """Take files from `bridge.file.<region>`, and hand those for platforms to `front.file.<front>`."""
    profiles: dict[Name, FileProfileSection] = Field(default_factory=dict)
    """What is taken, by the name that relays know it under; every other file is refused."""
    targets: dict[Name, Name] = Field(default_factory=dict)
    """Where files may be sent: the relay's name of it → the front whose relay it is."""
    total_bytes: Annotated[int, Field(ge=MAX_BYTES)] = 8 * 1024 * 1024 * 1024
    """Of all files that are kept; past it a further one is refused (`no-room`)."""
    keep_days: Annotated[float, Field(ge=8, le=3650)] = 90
    """So long a file is kept after it was accepted, refused or handed over."""
    window: Annotated[int, Field(ge=1, le=64)] = 8
    """Messages (of at most 192 KB) on their way outward to one front at once."""
    resend_after_s: Annotated[float, Field(gt=0, le=3_600)] = 30
    """A message outward that its relay has not answered goes out again after this time, then twice as long."""
    zone: TimeZone = "Asia/Shanghai"
    """Whose clock `due` is meant by."""
