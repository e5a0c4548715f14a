"""Structured logs on standard error: one JSON object a line in service, coloured text on a terminal (`NO_COLOR`).

A log line names requests by id and customers not at all; bodies are never logged. Every event is in events.py. A line
has at most 2,000 bytes: long values are cut with a mark, a traceback is its last frames in one field. What repeats is
counted (repetitions.py). If systemd's journal reads, each line begins with its priority, `<4>` (sd-daemon(3)).
"""

import atexit
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, TextIO

import structlog

from protocol.errors import BridgeError
from protocol.runtime import request_log
from protocol.runtime.repetitions import Repetitions
from protocol.runtime.settings import LogFormat

MOST_BYTES = 2_000
_SMALLER = (400, 150, 60, 20)
"""Characters that each value is cut to, until the line fits."""
_FRAMES = 5
_PRIORITIES = {"critical": "<2>", "error": "<3>", "warning": "<4>", "info": "<6>", "debug": "<7>"}
_FIRST = ("event", "level", "logger", "timestamp", "request_id")
"""What a line is never without."""

_SPEAKS = (BridgeError, OSError, AttributeError, ImportError, NameError, TypeError)
"""Exceptions whose texts are about code, files and networks. Any other may quote what it was about, a customer's name
or account: `ValueError` and `KeyError` do. Where it was raised tells enough of a defect.
"""

Line = Mapping[str, Any]

_repetitions: Repetitions | None = None


def configure(level: str = "info", *, style: LogFormat = "auto") -> None:
    """Set up structlog, and route the standard library's loggers through it.

    `auto`: text on a terminal, else JSON.
    """
    text = style == "console" or (style == "auto" and sys.stderr.isatty())
    journal = not text and _journal_reads(sys.stderr, os.environ)
    render = console() if text else lambda line: rendered(line, priority=journal)
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    global _repetitions
    _repetitions = Repetitions(_emit)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            _repetitions,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                short_traceback,
                lambda _, __, line: render(line),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("stomp").setLevel(logging.WARNING)
    logging.getLogger("stomp.py").setLevel(logging.WARNING)
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # migrate.py says what was done
    request_log.write_to(_request_lines(render, text=text, prefix=_PRIORITIES["info"] if journal else ""))


def set_level(level: str) -> None:
    """Log this and what is more serious, from now on."""
    logging.getLogger().setLevel(level.upper())


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for a module."""
    log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return log


def rendered(line: Line, *, priority: bool = False) -> str:
    """One JSON object of at most MOST_BYTES bytes."""
    before = _PRIORITIES.get(str(line.get("level")), "<6>") if priority else ""
    text = _json(line)
    if _fits(text):
        return before + text
    for most in _SMALLER:
        text = _json({name: shortened(value, most) for name, value in line.items()})
        if _fits(text):
            return before + text
    kept = {name: shortened(line[name], _SMALLER[-1] * 4) for name in _FIRST if name in line}
    return before + _json(kept | {"left_out": len(line) - len(kept)})


def shortened(value: object, most: int) -> object:
    """A value of at most so many characters, and then the mark `...(+N)` with how many more there were."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else _json(value)
    return value if len(text) <= most else f"{text[:most]}...(+{len(text) - most})"


def short_traceback(_: object, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put what was raised, and the last places it came through, the innermost first, into the field `exception`."""
    raised = line.pop("exc_info", None)
    if raised is True:
        raised = sys.exc_info()[1]
    elif isinstance(raised, tuple):
        raised = raised[1]
    if isinstance(raised, BaseException):
        line["exception"] = told(raised)
    return line


def words(error: BaseException) -> str:
    """What an exception says, where that may be logged: in one line of at most 300 characters, or empty."""
    said = (str(error).splitlines() or [""])[0] if isinstance(error, _SPEAKS) else ""
    return str(shortened(said, 300))


def told(error: BaseException) -> str:
    """An exception in one line: what it is, what it says where that may be logged, and its last frames; the same of
    what caused it.
    """
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = " < ".join(f"{_module(one.filename)}:{one.lineno} {one.name}" for one in reversed(frames))
    text = _kind(error) + (f" at {places}" if places else "")
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return text if cause is None else f"{text}; from {_kind(cause)}"


def _kind(error: BaseException) -> str:
    return ": ".join(filter(None, (type(error).__name__, words(error))))


def _module(file: str) -> str:
    return "/".join(Path(file).parts[-2:])


def console() -> Callable[[Line], str]:
    """Text for people, in colours unless `NO_COLOR` is set (no-color.org)."""
    renderer = structlog.dev.ConsoleRenderer(colors=not os.environ.get("NO_COLOR"), pad_event_to=24)

    def render(line: Line) -> str:
        shown = {name: shortened(value, _SMALLER[0]) for name, value in line.items()}
        if "exception" in shown:  # as a field: the renderer prints tracebacks over many lines
            shown["raised"] = shown.pop("exception")
        return str(renderer(None, str(line.get("level", "info")), shown))

    return render


def _journal_reads(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether systemd's journal is at its other end: `JOURNAL_STREAM` names device and inode (systemd.exec(5))."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environment.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _request_lines(render: Callable[[Line], str], *, text: bool, prefix: str) -> Callable[[str], None]:
    """Where the lines of requests go, which come as JSON and are short."""

    def write(line: str) -> None:
        sys.stderr.write(f"{render(json.loads(line))}\n" if text else prefix + line)

    return write


def _emit(line: dict[str, Any]) -> None:
    about = dict(line)
    level, name = str(about.pop("level", "info")), str(about.pop("logger", "protocol"))
    event = about.pop("event")
    logger(name).log(logging.getLevelName(level.upper()), event, **about)


@atexit.register
def _last_counts() -> None:
    if _repetitions is not None and structlog.is_configured():
        _repetitions.flush(all_of_them=True)


def _fits(text: str) -> bool:
    return len(text) * 4 <= MOST_BYTES or len(text.encode()) <= MOST_BYTES


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
