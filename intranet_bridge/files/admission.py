"""Which files are taken, and which are late. Pure."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from intranet_bridge.files_section import FileProfileSection, FilesSection
from protocol.file_transfer import MAX_BYTES, FileManifest
from protocol.runtime.file_store import Held

_SHARE = 4
"""Of the room, the part that one front may have announced and not sent."""


def refusal(manifest: FileManifest, section: FilesSection, held: Held) -> str:
    """The code of why a new file is not taken; empty for one that is.

    A relay that was taken over says what it likes, so that its own look at the name counts for nothing here; and what
    it announces and never sends takes at most its share of the room, or that of the largest file.
    """
    profile = section.profiles.get(manifest.profile)
    if profile is None:
        return "unknown-profile"
    if not re.fullmatch(profile.names, manifest.name):
        return "name"
    if manifest.size > profile.max_bytes:
        return "too-large"
    share = max(MAX_BYTES, section.total_bytes // _SHARE)
    full = held.bytes + manifest.size > section.total_bytes or held.awaited + manifest.size > share
    return "no-room" if full else ""


def late(
    profiles: Mapping[str, FileProfileSection], latest: Mapping[str, int], now_ms: int, zone: str, since_ms: int = 0
) -> list[tuple[str, int]]:
    """The profiles of which none was accepted today though it was due: (profile, when it was due, epoch ms).

    `latest`: when the last of each was accepted. `since_ms`: a day that was due before then counts for nothing: the
    program was not there.
    """
    now = datetime.fromtimestamp(now_ms / 1000, ZoneInfo(zone))
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    for name, profile in sorted(profiles.items()):
        if not profile.due:
            continue
        hour, minute = (int(part) for part in profile.due.split(":"))
        due = midnight.replace(hour=hour, minute=minute)
        came = latest.get(name, 0) >= midnight.timestamp() * 1000
        if now >= due + timedelta(minutes=profile.late_minutes) and not came:
            due_ms = int(due.timestamp() * 1000)
            if due_ms >= since_ms:
                found.append((name, due_ms))
    return found
