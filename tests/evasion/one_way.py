"""Whether what a server read can be read one way only (RFC 9112), judged as strictly as it can be."""

import re
from dataclasses import dataclass

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (/[\x21-\x7e]*|\*) HTTP/1\.([01])")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\x80-\xff\t]*)")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")
_HOST = re.compile(rb"([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]+)?")


class AmbiguousError(Exception):
    """Two servers could read this otherwise."""


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """A request, as every server reads it."""

    target: str
    host: str


def read_one_way(data: bytes) -> list[ReadRequest]:
    """Return the requests on a connection; the last may lack its end. Raises AmbiguousError."""
    requests = []
    while data:
        head, found, data = data.partition(b"\r\n\r\n")
        if not found:
            raise AmbiguousError(f"half a head: {head[:100]!r}")
        line, *lines = head.split(b"\r\n")
        request_line = _REQUEST_LINE.fullmatch(line)
        if request_line is None:
            raise AmbiguousError(f"request line {line[:100]!r}")
        fields: dict[bytes, list[bytes]] = {}
        for text in lines:
            field = _FIELD.fullmatch(text)
            if field is None:
                raise AmbiguousError(f"field {text[:100]!r}")
            fields.setdefault(field[1].lower(), []).append(field[2].strip(b" \t"))
        hosts = fields.get(b"host", [])
        if len(hosts) != 1 or (host := _HOST.fullmatch(hosts[0])) is None:
            raise AmbiguousError(f"Host {hosts!r}")
        requests.append(ReadRequest(request_line[2].decode(), host[1].decode()))
        data = _after_body(fields, data, is_old=request_line[3] == b"0")
    return requests


def _after_body(fields: dict[bytes, list[bytes]], data: bytes, *, is_old: bool) -> bytes:
    lengths, codings = fields.get(b"content-length", []), fields.get(b"transfer-encoding", [])
    if len(lengths) + len(codings) > 1:
        raise AmbiguousError(f"lengths {lengths!r} {codings!r}")
    if lengths:
        if not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
            raise AmbiguousError(f"Content-Length {lengths[0]!r}")
        return data[int(lengths[0]) :]
    if codings:
        if is_old or codings[0].lower() != b"chunked":
            raise AmbiguousError(f"Transfer-Encoding {codings[0]!r}")
        return _after_chunks(data)
    return data


def _after_chunks(data: bytes) -> bytes:
    while data:
        size = _CHUNK_SIZE.match(data)
        if size is None:
            raise AmbiguousError(f"chunk {data[:40]!r}")
        length = int(size[1], 16)
        end = size.end() + length
        if data[end : end + 2] != b"\r\n"[: len(data) - end]:
            raise AmbiguousError(f"the end of a chunk {data[end : end + 2]!r}")
        data = data[end + 2 :]
        if length == 0:
            return data
    return data
