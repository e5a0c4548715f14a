"""The broker: connections, and messages that nobody can use."""

from protocol.runtime.events.event import Event, Table

LINK: Table = {
    "envelope-refused": Event(
        "warning",
        "A message of a bridge cannot be opened, or is not what it says; it was set aside.",
        ("queue", "reason", "request_id"),
        once_by=("queue", "reason"),
    ),
    "link-connected": Event("info", "Connected to a broker.", ("broker", "server", "epoch")),
    "link-handler-failed": Event(
        "error",
        "A defect: what handles a message raised; the message comes again.",
        ("error", "place"),
        once_by=("error", "place"),
    ),
    "link-lost": Event("warning", "The connection to a broker ended; it is made again.", ("broker", "reason", "epoch")),
    "link-not-renewed": Event(
        "warning",
        "A link goes on with its old connection: one with the new settings could not be made.",
        ("name", "reason"),
        once_by=("name", "reason"),
    ),
    "link-renewed": Event(
        "info", "A link changed over to a connection with the new settings.", ("broker", "server", "epoch")
    ),
    "link-subscription-refused": Event(
        "error", "The broker refused a subscription.", ("destination", "reason"), once_by=("destination", "reason")
    ),
    "not-quarantined": Event(
        "warning",
        "A message that cannot be used could not be moved to the dead letters yet.",
        ("queue", "reason"),
        once_by=("queue", "reason"),
    ),
    "poison-message-refused": Event(
        "error", "A message that the process died over three times was set aside.", ("reason", "digest")
    ),
    "presence-changed": Event(
        "info", "The operations that this bridge serves, or their states, changed.", ("operations",)
    ),
    "quarantined": Event(
        "warning",
        "A message that cannot be used is among the dead letters.",
        ("queue", "reason", "request_id"),
        once_by=("queue", "reason"),
    ),
}
