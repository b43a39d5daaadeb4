"""Enforcing hooks fail closed: an exception blocks that visit, is counted and is logged.

mitmproxy logs an addon's exception and lets the flow continue, so nothing that enforces may be
left to it. This is the one place that catches Exception.
"""

import functools
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from mitmproxy import connection, http
from mitmproxy.exceptions import AddonHalt
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.tls import TlsData
from OpenSSL import SSL

from proxy_addons import egress_metrics
from proxy_addons.gate import Gate, hang_up
from proxy_addons.tls_alert import REFUSED, last_word
from proxy_addons.tunnel_layer import ClosingLayer

logger = logging.getLogger(__name__)

_TEXT = b"This site could not be checked, so it was not opened. The problem is ours. Try again."


class Enforcing(Protocol):
    """An addon with hooks that enforce."""

    gate: Gate


def fail_closed[Addon: Enforcing, Data](
    hook: Callable[[Addon, Data], Awaitable[None] | None],
) -> Callable[[Addon, Data], Awaitable[None]]:
    """Wrap an enforcing hook of an addon."""
    # Counted from zero: an alert sees no increase where there was nothing before.
    failures = egress_metrics.FAIL_CLOSED.labels(hook.__name__)

    @functools.wraps(hook)
    async def enforced(self: Addon, data: Data) -> None:
        try:
            result = hook(self, data)
            if inspect.isawaitable(result):
                await result
        except AddonHalt:
            raise
        except Exception:
            failures.inc()
            logger.exception("fail closed: hook=%s", hook.__name__)
            client = _block(hook.__name__, data)
            try:
                self.gate.record_fault(client, data.request if isinstance(data, http.HTTPFlow) else None)
            except Exception:
                # What failed the hook may fail this too; the visit is blocked all the same.
                logger.exception("fail closed and not recorded: hook=%s", hook.__name__)
            # Whatever comes after in the chain must not open what was just closed.
            raise AddonHalt from None

    return enforced


class closed_on_failure:  # noqa: N801 - used as contextlib's are
    """Call `close` when what is done inside raises: for what enforces and is not a hook."""

    __slots__ = ("_close", "_what")

    def __init__(self, what: str, close: Callable[[], None]) -> None:
        self._what = what
        self._close = close

    def __enter__(self) -> None:
        """Do what may fail."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *_: object) -> bool:
        """Close, count and log; what is no Exception goes on."""
        if not isinstance(error, Exception):
            return False
        egress_metrics.FAIL_CLOSED.labels(self._what).inc()
        logger.error("fail closed: %s", self._what, exc_info=error)
        self._close()
        return True


def _block(hook: str, data: object) -> connection.Client:
    """Block the visit that a hook was called about; return its client."""
    match data:
        case http.HTTPFlow() if hook in ("http_connect", "requestheaders"):
            data.response = http.Response.make(
                503,
                _TEXT,
                {"Content-Type": "text/plain", "Cache-Control": "no-store", "Connection": "close"},
            )
            return data.client_conn
        case http.HTTPFlow():
            if data.killable:
                data.kill()
            return data.client_conn
        case NextLayer():
            data.layer = ClosingLayer(data.context, last_word(data.data_client()))
            return data.context.client
        case connection.Client():
            data.error = "this connection could not be counted"
            return data
        case ServerConnectionHookData():
            data.server.error = "this connection could not be checked"
            if hook == "server_connected":
                hang_up(data.client.id, data.server)
            return data.client
        case TlsData():
            # With none, mitmproxy's own addon would make one; after that, nothing is closed.
            data.ssl_conn = refusing_connection(is_client=data.conn is data.context.client)
            if data.conn is data.context.server:
                # mitmproxy does not look at whether the first step of this handshake failed: all would wait.
                hang_up(data.context.client.id, data.context.server)
            return data.context.client
        case _:
            raise TypeError(f"no way to close {hook} with {type(data).__name__}")


class _Refusing(SSL.Connection):
    """Says that it refuses, and not, as OpenSSL would, that the client's TLS is too old."""

    def bio_read(self, bufsiz: int) -> bytes:
        super().bio_read(bufsiz)
        return REFUSED


def refusing_connection(*, is_client: bool) -> SSL.Connection:
    """Return a TLS connection towards a client, or an origin server, that fails before it begins.

    A client is told by an alert.
    """
    context = SSL.Context(SSL.TLS_METHOD)
    # No version of the protocol is both.
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    connection = (_Refusing if is_client else SSL.Connection)(context)
    if is_client:
        connection.set_accept_state()
    else:
        connection.set_connect_state()
    return connection
