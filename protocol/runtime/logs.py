"""Structured logs: one JSON object a line on standard error (systemd's journal keeps it).

A log line names requests by id and customers not at all; bodies are never logged.
"""

import logging
import sys

import structlog


def configure(level: str = "info", *, pretty: bool = False) -> None:
    """Set up structlog, and route the standard library's loggers (uvicorn, stomp.py) through it."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
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
                structlog.processors.format_exc_info,
                render,
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


def set_level(level: str) -> None:
    """Log this and what is more serious, from now on."""
    logging.getLogger().setLevel(level.upper())


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for a module."""
    log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return log
