"""What an operator's files say, at a start and at a reload: settings, bindings, keys, certificates."""

from protocol.runtime.events.event import Event, Table

CONFIGURATION: Table = {
    "binding-doubtful": Event(
        "warning", "Something in the bindings is allowed and may not be what was meant.", ("setting",)
    ),
    "certificate-expired": Event("warning", "A certificate's time is over.", ("file", "on"), once_by=("file",)),
    "certificate-expires": Event(
        "warning", "A certificate's time is nearly over.", ("file", "days"), once_by=("file",)
    ),
    "certificate-not-yet-valid": Event(
        "warning", "A certificate's time has not come; the clock may be wrong.", ("file", "on"), once_by=("file",)
    ),
    "certificate-unreadable": Event(
        "error", "A certificate that is in use cannot be read again.", ("file", "error"), once_by=("file",)
    ),
    "key-files-changed": Event("warning", "Key files on the disk are others than those in use.", ("next",)),
    "reload-failed": Event("error", "A defect: a reload ended with an error.", ("exception",)),
    "reload-refused": Event("error", "The changed configuration cannot be used; the old one goes on.", ("error", "by")),
}
