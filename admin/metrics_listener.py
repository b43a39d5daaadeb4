"""Where Prometheus scrapes: a listener of its own, so that admin down does not blind IT.

It adds up what all workers have written to their files in the state folder, and passes on what admin
wrote last (`admin_metrics`).
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

logger = logging.getLogger(__name__)

_ADMINS_PREFIX = "towngate_"


class MetricsListener:
    """Serves `/metrics` for all workers and admin in one scrape, from a thread."""

    def __init__(self, folder: Path, admins: Path) -> None:
        self._folder = folder
        self._admins = admins
        self._server: WSGIServer | None = None

    def forget_earlier_runs(self) -> None:
        """Remove the values of processes that are gone, before the first worker starts."""
        for path in self._files():
            path.unlink()

    def start(self, host: str, port: int) -> int:
        """Listen; return the port. Raises OSError when the port is taken."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(self._folder))
        registry.register(_AdminsFigures(self._admins))
        self._server, _ = start_http_server(port, host, registry)
        return int(self._server.server_port)

    def forget(self, pid: int) -> None:
        """Drop the gauges of a worker that has ended; what it counted stays."""
        mark_process_dead(pid, str(self._folder))

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _files(self) -> Iterator[Path]:
        return self._folder.glob("*.db")


class _AdminsFigures(Collector):
    """What admin wrote last; nothing where there is none, or none that can be read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def collect(self) -> Iterator[Metric]:
        """Yield admin's own families: no other, so that the workers' are never shown twice."""
        try:
            families = list(text_string_to_metric_families(self._path.read_text("utf-8")))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            logger.warning("figures of admin cannot be read: path=%s error=%s", self._path, error)
            return
        yield from (family for family in families if family.name.startswith(_ADMINS_PREFIX))
