"""Syslog messages as RFC 5424 has them, over the machine's socket, UDP (RFC 5426) or TCP (RFC 6587).

Over TCP each is framed by its length, which every receiver of RFC 5424 reads. UDP and the machine's
socket say nothing of whether anybody took it.
"""

import os
import socket
from datetime import datetime

from admin.audit_settings import SyslogTarget

_SECONDS = 5
# "log audit" (13), informational (6).
_PRIORITY = 13 * 8 + 6


def message(kind: str, text: str, at: datetime) -> bytes:
    """Return one message; `kind` is its MSGID. `text` is one line."""
    when = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    host = socket.gethostname() or "-"
    return f"<{_PRIORITY}>1 {when} {host} towngate {os.getpid()} {kind} - {text}".encode()


def send(target: SyslogTarget, data: bytes) -> None:
    """Send one message. Raises OSError when it certainly did not arrive. Blocks for seconds at most."""
    if target.scheme == "unix":
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local:
            local.settimeout(_SECONDS)
            local.connect(target.host)
            local.send(data)
        return
    if target.scheme == "tcp":
        with socket.create_connection((target.host, target.port), timeout=_SECONDS) as stream:
            stream.sendall(b"%d %s" % (len(data), data))
        return
    family, kind, _, _, address = socket.getaddrinfo(
        target.host, target.port, type=socket.SOCK_DGRAM, proto=socket.IPPROTO_UDP
    )[0]
    with socket.socket(family, kind) as datagrams:
        datagrams.sendto(data, address)
