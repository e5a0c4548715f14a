"""docs/reference/events.md."""

from protocol.runtime.events import EVENTS
from scripts.tools.reference.markdown import code, page, table
from scripts.tools.reference.wording import Say

_INTRODUCTION = """
Every line that the daemons log is one of these events. In service a line is a JSON object of at most 2,000 bytes
with `event`, `level`, `logger`, `timestamp` (UTC) and the event's fields; on a terminal it is text (`[log]
format`). A request is `request_id` in every line of both sides. Nothing of a customer is in any. Under systemd each
line has its priority: `journalctl -p warning`.

*Once by*: the fields that tell one fault from another. Its repetitions within a minute are counted, and then told
in one line with `repeated`. An event without them is a line each time.

"""


def events_page(say: Say) -> str:
    """The page."""
    rows = (
        (code(name), event.level, say(event.meaning), " ".join(map(code, event.fields)), _once(event.once_by, say))
        for name, event in sorted(EVENTS.items(), key=lambda item: item[0].casefold())
    )
    heads = map(say, ("event", "level", "meaning", "fields", "once by"))
    return page(say("Events of the log"), say(_INTRODUCTION), table(heads, rows))


def _once(fields: tuple[str, ...] | None, say: Say) -> str:
    return "" if fields is None else " ".join(map(code, fields)) or say("the event alone")
