"""What the heads of messages weigh on the wire."""

from mitmproxy import http

_CRLF = b"\r\n"


def request_head_bytes(request: http.Request) -> int:
    """Return how many bytes an http_request takes without its body."""
    data = request.data
    return _head_bytes((data.method, data.path, data.http_version), data.headers)


def response_head_bytes(response: http.Response) -> int:
    """Return how many bytes an http_response takes without its body."""
    data = response.data
    return _head_bytes((data.http_version, b"200", data.reason), data.headers)


def _head_bytes(first_line: tuple[bytes, bytes, bytes], headers: http.Headers) -> int:
    line = sum(map(len, first_line)) + 2 + len(_CRLF)
    fields = sum(len(name) + len(": ") + len(value) + len(_CRLF) for name, value in headers.fields)
    return line + fields + len(_CRLF)
