"""Where Prometheus scrapes: a listener of its own, so that admin down does not blind IT.

It adds up what all workers have counted (`worker_figures`), and passes on what admin
wrote last (`admin_metrics`). Beside `/metrics` it has Prometheus's own two paths: `/-/healthy` is 200 while
the supervisor goes about its work, `/-/ready` while a worker takes connections; else 503.
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from admin.worker_figures import WorkerFigures

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)

_ADMINS_PREFIX = "towngate_"


class MetricsListener:
    """Serves metrics, health and readiness for all processes, from threads.

    `supervisors` are the supervisor's own figures; `is_healthy` and `is_ready` are asked in those threads.
    """

    def __init__(
        self,
        folder: Path,
        admins: Path,
        supervisors: Collector,
        is_healthy: Callable[[], bool],
        is_ready: Callable[[], bool],
    ) -> None:
        self._workers = WorkerFigures(folder)
        self._admins = admins
        self._supervisors = supervisors
        self._checks = {"/-/healthy": is_healthy, "/-/ready": is_ready}
        self._server: WSGIServer | None = None

    def forget_earlier_runs(self) -> None:
        """Remove the values of processes that are gone, before the first worker starts."""
        self._workers.forget_all()

    def forget_ended(self) -> None:
        """Remove the values of workers that have ended, after the last one."""
        self._workers.forget_ended()

    def serve(self, listening: socket.socket) -> None:
        """Serve on a socket that listens; it stays its owner's."""
        registry = CollectorRegistry()
        registry.register(self._workers)
        registry.register(_AdminsFigures(self._admins))
        registry.register(self._supervisors)
        self._server = _Server(listening.dup())
        self._server.set_app(self._with_checks(make_wsgi_app(registry)))
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def take_in_ended(self) -> None:
        """Drop the gauges of workers that have ended; what they counted stays."""
        self._workers.take_in_ended()

    def stop(self) -> None:
        """Serve no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _with_checks(self, metrics: "WSGIApplication") -> "WSGIApplication":
        def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
            check = self._checks.get(environ.get("PATH_INFO", ""))
            if check is None:
                return metrics(environ, start_response)
            holds = check()
            status = "200 OK" if holds else "503 Service Unavailable"
            start_response(
                status, [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")]
            )
            return [b"yes\n" if holds else b"no\n"]

        return application


class _Server(ThreadingMixIn, WSGIServer):
    """Serves on a socket that somebody else has made."""

    daemon_threads = True

    def __init__(self, listening: socket.socket) -> None:
        host, port = listening.getsockname()[:2]
        super().__init__((host, port), _SilentHandler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.server_name, self.server_port = host, port
        self.setup_environ()


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
        """Log no scrape."""


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
