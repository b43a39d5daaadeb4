"""A page as HTML, and what it is sent with: one file without script and without any request of its own."""

import base64
import hashlib
from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined

from policy.town_time import ENGLISH, SPANISH
from proxy_addons.block_page import BlockPage

_FRAMES = frozenset({"iframe", "frame", "object", "embed", "fencedframe"})
_DOCUMENT = "document"


def render(page: BlockPage) -> bytes:
    """Return the page as UTF-8 HTML."""
    return _PAGE.render(page=page).encode()


def render_short(town: str, destination: str) -> bytes:
    """Return what a frame or a part of a page gets instead of the whole page, as UTF-8 HTML.

    `destination` is the http_request's Sec-Fetch-Dest. A frame is told and can open the whole page
    in a window of its own; an image or a script has no reader and gets one line.
    """
    return _SHORT.render(town=town, is_frame=destination in _FRAMES).encode()


def is_document(destination: str | None) -> bool:
    """Whether Sec-Fetch-Dest asks for a page of its own: yes when a client does not say."""
    return destination in (None, "", _DOCUMENT)


def is_said_to_be_document(destination: str | None) -> bool:
    """Whether Sec-Fetch-Dest says that a page of its own is asked for."""
    return destination == _DOCUMENT


def _digest(style: str) -> str:
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


_ENVIRONMENT = Environment(
    loader=PackageLoader("proxy_addons", "pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.globals["languages"] = {"en": ENGLISH, "es": SPANISH}
_PAGE = _ENVIRONMENT.get_template("block_page.html")
_SHORT = _ENVIRONMENT.get_template("short.html")
_STYLES = " ".join(
    f"'sha256-{_digest(_ENVIRONMENT.get_template(name).render())}'"
    for name in ("block_page.css", "short.css")
)

PAGE_HEADERS: Mapping[str, str] = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; base-uri 'none'; form-action 'none'; style-src {_STYLES}"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""The headers every page is sent with: never kept, and nothing loaded from anywhere."""

CONTINUE_HEADERS: Mapping[str, str] = {
    **PAGE_HEADERS,
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        f"style-src {_STYLES}"
    ),
}
"""The headers of a page to click through: its one form goes to the host itself, and no page frames it."""
