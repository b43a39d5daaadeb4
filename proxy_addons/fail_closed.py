"""Enforcing hooks fail closed: an exception blocks that visit, is counted and is logged.

mitmproxy logs an addon's exception and lets the flow continue, so nothing that enforces may be
left to it. This is the one place that catches Exception.
"""

import functools
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from mitmproxy import http
from mitmproxy.exceptions import AddonHalt
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from proxy_addons import egress_metrics
from proxy_addons.tunnel_layer import ClosingLayer

logger = logging.getLogger(__name__)

_TEXT = b"This site could not be checked, so it was not opened. The problem is ours. Try again."


def fail_closed(
    hook: Callable[[Any, Any], Awaitable[None] | None],
) -> Callable[[Any, Any], Awaitable[None]]:
    """Wrap an enforcing hook of an addon."""

    @functools.wraps(hook)
    async def enforced(self: object, data: Any) -> None:
        try:
            result = hook(self, data)
            if inspect.isawaitable(result):
                await result
        except AddonHalt:
            raise
        except Exception:
            egress_metrics.FAIL_CLOSED.labels(hook.__name__).inc()
            logger.exception("fail closed: hook=%s", hook.__name__)
            _block(hook.__name__, data)
            # Whatever comes after in the chain must not open what was just closed.
            raise AddonHalt from None

    return enforced


def _block(hook: str, data: Any) -> None:
    match data:
        case http.HTTPFlow() if hook in ("http_connect", "requestheaders"):
            data.response = http.Response.make(
                503,
                _TEXT,
                {"Content-Type": "text/plain", "Cache-Control": "no-store", "Connection": "close"},
            )
        case http.HTTPFlow():
            if data.killable:
                data.kill()
        case NextLayer():
            data.layer = ClosingLayer(data.context)
        case ServerConnectionHookData():
            data.server.error = "this connection could not be checked"
        case _:
            raise TypeError(f"no way to close {hook} with {type(data).__name__}")
