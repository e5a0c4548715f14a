"""Attachments of commands, and files across the boundary."""

from protocol.runtime.events.event import Event, Table

FILES: Table = {
    "attachment-for-another-inbox": Event(
        "error", "A part of a file came here that is for another inbox of the region.", ("inbox",), once_by=("inbox",)
    ),
    "attachment-not-stored": Event(
        "error",
        "A part of a file could not be written to the database; it comes again.",
        ("attachment", "reason", "failures"),
    ),
    "attachment-receipt-not-sent": Event(
        "info", "The front was not told what came of a file; it asks again.", ("attachment",)
    ),
    "attachment-receipt-refused": Event(
        "warning",
        "What the bridge says of a file cannot be opened or is not of a bridge.",
        ("reason",),
        once_by=("reason",),
    ),
    "attachment-refused": Event(
        "warning", "A whole file is not what was declared of it (length, digest or kind).", ("attachment", "fault")
    ),
    "attachment-unreadable": Event(
        "error", "A kept file cannot be opened with the keys there are.", ("attachment", "error")
    ),
    "attachments-forgotten": Event("info", "Files were deleted: their time was over.", ("count",)),
    "file-accepted": Event(
        "info",
        "A file is whole at the bridge, and is what its sender said.",
        ("file", "peer", "name", "profile", "bytes"),
    ),
    "file-for-another-inbox": Event(
        "error", "A part of a file came here that is for another inbox of the region.", ("inbox",), once_by=("inbox",)
    ),
    "file-handed-over": Event(
        "info",
        "A relay has said what became of a file for a platform: laid down, or refused with a code.",
        ("file", "name", "peer", "stage", "code"),
    ),
    "file-host-key-changed": Event(
        "critical",
        "An SFTP server shows a host key that is not the pinned one: the place is left alone until that file changes.",
        ("peer", "use", "server"),
    ),
    "file-incomplete": Event(
        "info",
        "A file of a source is not whole yet by the rule that is set; it is looked at again.",
        ("peer", "name", "rule"),
    ),
    "file-laid-down": Event("info", "A file lies at its target.", ("file", "peer", "name", "bytes")),
    "file-name-cleaned": Event(
        "warning", "The name of a file had blanks in it, which were removed.", ("file", "peer", "name", "found")
    ),
    "file-not-ours": Event(
        "warning",
        "A file of a source is left where it is: its name is none, matches no profile, or it is too long.",
        ("peer", "name", "reason"),
    ),
    "file-not-stored": Event(
        "error", "A part of a file could not be written to the database; it is tried again.", ("reason", "failures")
    ),
    "file-place-fails": Event(
        "warning",
        "A source or target of files cannot be reached, or does not do what is asked; it is tried again.",
        ("peer", "use", "state", "reason"),
    ),
    "file-place-reached": Event("info", "A source or target of files works again.", ("peer", "use")),
    "file-receipt-not-sent": Event("info", "The other side was not told how a file stands; it asks again.", ("file",)),
    "file-receipt-refused": Event("warning", "What the bridge says of a file cannot be read.", ("reason",)),
    "file-refused": Event(
        "error",
        "A file was not taken; `code` says why. An operator has it sent again with `bridgectl files resend`.",
        ("file", "peer", "name", "profile", "code"),
    ),
    "file-submitted": Event(
        "info", "A file for a platform was written down, to be handed to its relay.", ("file", "name", "peer", "bytes")
    ),
    "file-unreadable": Event("error", "What is kept of a file cannot be read any more.", ("file", "reason")),
    "files-forgotten": Event("info", "Files past their time were removed.", ("count",)),
}
