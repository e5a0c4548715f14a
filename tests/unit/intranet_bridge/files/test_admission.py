"""Which files are taken, and how much room one front may have for what it never sends."""

import pytest

from intranet_bridge.files.admission import refusal
from intranet_bridge.files_section import FileProfileSection, FilesSection
from protocol.file_transfer import MAX_BYTES, FileManifest
from protocol.runtime.file_store import Held

TOTAL = 8 * MAX_BYTES
SECTION = FilesSection(total_bytes=TOTAL, profiles={"daily": FileProfileSection(names=r"[a-z]+\.txt")})


def manifest(size: int) -> FileManifest:
    return FileManifest.of("bank", "a.txt", "daily", size, "0" * 64)


@pytest.mark.parametrize(
    ("held", "size", "code"),
    [
        (Held(), MAX_BYTES, ""),
        (Held(TOTAL - 1), 1, ""),
        (Held(TOTAL), 1, "no-room"),
        (Held(2 * MAX_BYTES, awaited=MAX_BYTES), MAX_BYTES, ""),
        (Held(2 * MAX_BYTES, awaited=MAX_BYTES + 1), MAX_BYTES, "no-room"),
        (Held(2 * MAX_BYTES, awaited=2 * MAX_BYTES), 1, "no-room"),
        (Held(7 * MAX_BYTES), MAX_BYTES, ""),
    ],
)
def test_a_front_that_announces_and_does_not_send_leaves_room_for_others(held: Held, size: int, code: str) -> None:
    assert refusal(manifest(size), SECTION, held) == code


def test_in_the_least_room_the_largest_file_is_taken() -> None:
    least = SECTION.model_copy(update={"total_bytes": MAX_BYTES})
    assert refusal(manifest(MAX_BYTES), least, Held()) == ""
    assert refusal(manifest(1), least, Held(MAX_BYTES, awaited=MAX_BYTES)) == "no-room"
