"""docs/reference/events.md."""

from protocol.runtime.events import EVENTS
from scripts.tools.reference.markdown import MADE, code, table

_INTRODUCTION = """
Every line that the daemons log is one of these events. In service a line is a JSON object of at most 2,000 bytes
with `event`, `level`, `logger`, `timestamp` (UTC) and the event's fields; on a terminal it is text (`[log]
format`). A request is `request_id` in every line of both sides. Nothing of a customer is in any. Under systemd each
line has its priority: `journalctl -p warning`.

*Once by*: the fields that tell one fault from another. Its repetitions within a minute are counted, and then told
in one line with `repeated`. An event without them is a line each time.

"""


def events_page() -> str:
    """The page."""
    rows = (
        (code(name), event.level, event.meaning, " ".join(map(code, event.fields)), _once(event.once_by))
        for name, event in EVENTS.items()
    )
    heads = ("event", "level", "meaning", "fields", "once by")
    return f"# Events of the log\n\n{MADE}{_INTRODUCTION}{table(heads, rows)}"


def _once(fields: tuple[str, ...] | None) -> str:
    return "" if fields is None else " ".join(map(code, fields)) or "the event alone"
