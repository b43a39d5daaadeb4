"""The other end of a tunnel in the lane: the connection to the origin server."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from proxy_addons.visit_log import OpenVisit

if TYPE_CHECKING:
    from proxy_addons.lane_connection import ClientSide


class OriginSide(asyncio.Protocol):
    """Carries what the origin server says to the client, once `open` says that it is for it."""

    __slots__ = ("_client", "_down", "_early", "_ended_early", "_is_open", "_visit", "transport")

    transport: asyncio.Transport
    _visit: OpenVisit
    _down: Callable[[bytes], None]

    def __init__(self, client: "ClientSide") -> None:
        self._client = client
        self._is_open = False
        self._early = b""
        self._ended_early = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Know what to speak through; nobody does before it is known that this is whom the client gets."""
        self.transport = cast(asyncio.Transport, transport)

    def open(self, visit: OpenVisit, client: asyncio.Transport) -> None:
        """Carry what comes to the client from now on."""
        self._is_open = True
        self._visit = visit
        self._down = client.write
        if self._early:
            early, self._early = self._early, b""
            self.data_received(early)
        if self.transport.is_closing():
            self._client.origin_lost(self)
        elif self._ended_early:
            self._client.origin_ended()
        else:
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Carry on; what comes early waits."""
        if not self._is_open:
            # No sooner: uvloop begins to read after connection_made, whatever was said in there.
            self._early += data
            self.transport.pause_reading()
            return
        visit = self._visit
        down = visit.bytes_down + len(data)
        if down > visit.most_down and visit.is_over():
            return
        visit.bytes_down = down
        self._down(data)

    def eof_received(self) -> bool:
        """Pass the last word on; the connection is closed with the client's."""
        if self._is_open:
            self._client.origin_ended()
        else:
            self._ended_early = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """End with the tunnel."""
        if self._is_open:
            self._client.origin_lost(self)

    def pause_writing(self) -> None:
        """Read no more from the client while the origin server does not read."""
        self._client.pause_reading()

    def resume_writing(self) -> None:
        """Read on from the client."""
        self._client.resume_reading()
