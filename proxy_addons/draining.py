"""A worker that is replaced: it takes no new connection, and ends when those that it has are over."""

import asyncio
import logging
from collections.abc import Callable

from mitmproxy import http

from proxy_addons import egress_metrics
from proxy_addons.connection_limit import ConnectionLimit

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 600
"""How long connections may go on in a worker that is replaced."""

_LOOK_SECONDS = 0.25
_SWITCHING_PROTOCOLS = 101


class Draining:
    """Has a kept connection end with its next answer, once draining has begun.

    One that is idle stays until it is used again: closed at once, it might lose the request that is on
    its way. Tunnels and WebSockets go on. Comes after what takes Connection out of answers.
    """

    name = "towngate-draining"

    def __init__(self, limit: ConnectionLimit) -> None:
        self._limit = limit
        self._has_begun = False

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Say in an answer that is streamed that its connection ends with it."""
        self._say_last(flow)

    def response(self, flow: http.HTTPFlow) -> None:
        """Say it in an answer that is sent as a whole.

        The head of one that is streamed has been sent: what is said now nobody hears, and mitmproxy would
        close the connection all the same, with the client's next request on its way.
        """
        if flow.response is not None and not flow.response.stream:
            self._say_last(flow)

    def http_connect_error(self, flow: http.HTTPFlow) -> None:
        """Say it where a CONNECT is refused."""
        self._say_last(flow)

    async def drain(self, seconds: float, is_stopping: Callable[[], bool]) -> None:
        """Wait until the last connection has ended, so many seconds have passed, or the worker must stop."""
        self._has_begun = True
        egress_metrics.WORKERS.set(0)
        logger.info("draining: connections=%d", self._limit.open_connections)
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        # Seen twice: on its way from the tunnel lane to mitmproxy a connection is counted nowhere.
        quiet = 0
        while quiet < 2 and loop.time() < until and not is_stopping():
            await asyncio.sleep(_LOOK_SECONDS)
            quiet = 0 if self._limit.open_connections else quiet + 1
        logger.info("drained: connections=%d", self._limit.open_connections)

    def _say_last(self, flow: http.HTTPFlow) -> None:
        response = flow.response
        if self._has_begun and response is not None and response.status_code != _SWITCHING_PROTOCOLS:
            response.headers["Connection"] = "close"
