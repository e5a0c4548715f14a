"""The database: its health, its schema, its backups, what in it cannot be read."""

from protocol.runtime.events.event import Event, Table

STORE: Table = {
    "backup-failed": Event("error", "A backup of the database could not be made; it is tried again.", ("reason",)),
    "backup-made": Event(
        "info",
        "A backup of the database was made, and old ones were removed.",
        ("file", "bytes", "commands", "removed"),
    ),
    "database-put-back": Event(
        "error",
        "The database is a copy from an earlier time: what came after it is held or asked about.",
        ("copied_at", "restored_at", "generation", "meaning"),
    ),
    "ledger-put-back": Event(
        "warning",
        "The front's ledger is a copy from an earlier time: what it sends again is answered from the inbox.",
        ("since", "until", "commands", "meaning"),
    ),
    "row-not-writable": Event(
        "error",
        "The database refuses one row for what is in it; it was set aside.",
        ("request_id", "error", "operation"),
    ),
    "schema-migrated": Event(
        "info", "The database was brought to this program's schema.", ("database", "found", "now")
    ),
    "store-failed": Event(
        "error", "The inbox could not be read or written; it is tried again.", ("error",), once_by=("error",)
    ),
    "store-failing": Event(
        "error", "The database is in trouble: full, locked, unreachable or damaged.", ("store", "trouble", "reason")
    ),
    "store-key-not-opened": Event(
        "error",
        "The bridge's keyring does not hold the key that the database's own key is sealed to: subscriptions, notices "
        "and pushes wait until it does.",
        ("reason",),
    ),
    "store-well-again": Event("warning", "The database is well again.", ("store", "was", "seconds")),
}
