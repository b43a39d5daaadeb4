"""Fields that concern one connection only, and are not passed on (RFC 9110 section 7.6.1)."""

from mitmproxy.http import Headers

_OF_ONE_HOP = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
}
_CONNECTION_OPTIONS = {"close", "keep-alive", "upgrade"}
# Named in Connection, these would change where a message ends or whom it is for.
_NOT_OPTIONAL = {"content-length", "host", "transfer-encoding"}


def drop_hop_by_hop(headers: Headers) -> None:
    """Take out of a message's headers what was said to this proxy alone.

    Of the protocols that Upgrade can name, only WebSocket is passed on.
    """
    options = {
        option.strip().lower() for value in headers.get_all("Connection") for option in value.split(",")
    }
    kept = options & _CONNECTION_OPTIONS
    dropped = _OF_ONE_HOP | (options - _CONNECTION_OPTIONS - _NOT_OPTIONAL)
    if headers.get("Upgrade", "").lower() != "websocket":
        dropped |= {"upgrade"}
        kept -= {"upgrade"}
    names = {name.encode("utf-8", "surrogateescape") for name in dropped}
    # In one go: taken out by their names, each would be looked for in all of them.
    headers.fields = tuple(field for field in headers.fields if field[0].lower() not in names)
    if kept:
        headers["Connection"] = ", ".join(sorted(kept))
