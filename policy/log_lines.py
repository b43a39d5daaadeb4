"""How every process of Towngate writes its log: one line an event, key=value, on stderr."""

import logging

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
            lambda _logger, _method, event: {**event, "process": process},
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(
                key_order=["timestamp", "level", "process", "logger", "event"], bool_as_flag=False
            ),
        ],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("mitmproxy").setLevel(logging.ERROR)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
