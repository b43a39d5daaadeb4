"""Where Prometheus scrapes: a listener of its own, so that admin down does not blind IT.

It adds up what all workers have written to their files in the state folder.
"""

from collections.abc import Iterator
from pathlib import Path
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead


class MetricsListener:
    """Serves `/metrics` for all workers in one scrape, from a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: WSGIServer | None = None

    def forget_earlier_runs(self) -> None:
        """Remove the values of processes that are gone, before the first worker starts."""
        for path in self._files():
            path.unlink()

    def start(self, host: str, port: int) -> int:
        """Listen; return the port. Raises OSError when the port is taken."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(self._folder))
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
