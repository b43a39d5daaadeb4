"""Where to listen."""

import os
import socket
from dataclasses import dataclass

BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Address:
    """A host's address and a port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read HOST:PORT. Raises ValueError when it is not."""
        host, _, port = text.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise ValueError(f"{text!r} is not HOST:PORT, like 127.0.0.1:8080")
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def listen(self) -> socket.socket:
        """Return a socket that listens there. Raises OSError."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listening = socket.create_server((self.host, self.port), family=family, backlog=BACKLOG)
        listening.setblocking(False)
        return listening


def why_not_listening(error: OSError) -> str:
    """Return why an address could not be listened on; the error's own text repeats the address."""
    return os.strerror(error.errno) if error.errno else str(error)
