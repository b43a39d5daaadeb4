"""How every process of Towngate writes its log: one line an event, key=value, on stderr."""

import logging
from collections.abc import MutableMapping
from typing import Any

import structlog


def configure_logging(process: str, level: int = logging.INFO) -> None:
    """Send the log of this process to stderr. `process` says which one writes ("proxy", "admin").

    uvicorn is heard from warnings up, mitmproxy from errors up: below, it names clients and hosts.
    """
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            lambda _logger, _method, event: _line(process, event),
        ],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("mitmproxy").setLevel(logging.ERROR)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def _line(process: str, event: MutableMapping[str, Any]) -> str:
    """Return one line: our own keys first, then the text of the event with its key=value pairs."""
    head = (f"{key}={event[key]}" for key in ("timestamp", "level", "logger"))
    exception = f" exception={event['exception']!r}" if "exception" in event else ""
    # Text from outside cannot begin a line of its own.
    text = str(event["event"]).replace("\n", "\\n").replace("\r", "\\r")
    return " ".join((*head, f"process={process}", text)) + exception
