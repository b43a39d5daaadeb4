"""The answers to what could not be read or reached: ours, with no version of the proxy and no raw error."""

from http import HTTPStatus

from mitmproxy import http as mitm_http
from mitmproxy.net.http import http1
from mitmproxy.proxy.layers.http import _http1

_MESSAGES = {
    400: "This could not be read as a request for a site, so it was not sent on.",
    408: "The head of this request did not come in time, so it was not sent on.",
    413: "This is too large, so it was not sent on.",
    414: "The address is over 16 kB long, so it was not sent on.",
    431: "The head of this request is over 64 kB, so it was not sent on.",
    502: "The site could not be reached, or its answer could not be read.",
}


def change() -> None:
    """Change what mitmproxy answers by itself: 5 of the list."""
    _http1.make_error_response = error_answer


def error_answer(status_code: int, message: str = "") -> bytes:
    """Return a whole http_response, after which its connection ends; mitmproxy's `message` is left out."""
    text = _MESSAGES.get(status_code) or HTTPStatus(status_code).phrase
    response = mitm_http.Response.make(
        status_code,
        text + "\n",
        {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store", "Connection": "close"},
    )
    return bytes(http1.assemble_response(response))
