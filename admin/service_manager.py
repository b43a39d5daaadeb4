"""What systemd is told, and what it keeps for us, where it started this process (sd_notify(3))."""

import logging
import os
import socket
import time
from collections.abc import MutableMapping

logger = logging.getLogger(__name__)

_FIRST_KEPT_FD = 3
_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


class ServiceManager:
    """systemd, or nobody: without its variables in the environment all that is said is dropped."""

    def __init__(
        self, environment: MutableMapping[str, str] = os.environ, first_fd: int = _FIRST_KEPT_FD
    ) -> None:
        """Read the environment; the sockets that it kept, from `first_fd` on, are taken out of it."""
        self._address = environment.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]
        is_for_us = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = int(environment.get("WATCHDOG_USEC", "0")) if is_for_us else 0
        self.ping_seconds: float | None = microseconds / 2e6 if microseconds else None
        """How often it wants to hear that all is well; None: never."""
        self._status = ""
        self._kept = _kept_sockets(environment, first_fd)

    def ready(self, status: str) -> None:
        """Say that this service serves, and in words what it does."""
        self._tell("READY=1", f"STATUS={status}")

    def reloading(self, status: str) -> None:
        """Say that it is being replaced while it serves; `ready` says when that is over."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell("RELOADING=1", f"MONOTONIC_USEC={now}", f"STATUS={status}")

    def tell_status(self, status: str) -> None:
        """Say in words what this service does, when that has changed."""
        if status != self._status:
            self._status = status
            self._tell(f"STATUS={status}")

    def stopping(self) -> None:
        """Say that it ends."""
        self._tell("STOPPING=1", "STATUS=Ending")

    def all_is_well(self) -> None:
        """Keep the watchdog quiet."""
        self._tell("WATCHDOG=1")

    def keep(self, name: str, listening: socket.socket) -> None:
        """Have a listening socket kept when this process ends and is started again: who connects waits."""
        self._tell("FDSTORE=1", f"FDNAME={name}", fds=(listening.fileno(),))

    def kept(self, name: str, address: tuple[str, int]) -> socket.socket | None:
        """Return the socket that was kept for us, if it still listens where it should."""
        found = self._kept.pop(name, None)
        if found is None or found.getsockname()[:2] == address:
            return found
        self._tell("FDSTOREREMOVE=1", f"FDNAME={name}")
        found.close()
        return None

    def _tell(self, *lines: str, fds: tuple[int, ...] = ()) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
                # Nothing here waits for it.
                datagrams.setblocking(False)
                datagrams.connect(self._address)
                socket.send_fds(datagrams, ["\n".join(lines).encode()], fds)
        except OSError as error:
            logger.warning("systemd was not told: %s error=%s", lines[0], error)


def without_its_variables(environment: MutableMapping[str, str]) -> dict[str, str]:
    """Return an environment for processes that have nothing to tell systemd."""
    return {name: value for name, value in environment.items() if name not in _VARIABLES}


def _kept_sockets(environment: MutableMapping[str, str], first_fd: int) -> dict[str, socket.socket]:
    """Take the sockets that systemd hands to this process (sd_listen_fds(3)); once."""
    pid, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "0")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()):
        return {}
    kept = {}
    for fd, name in zip(range(first_fd, first_fd + int(count)), names, strict=False):
        os.set_inheritable(fd, False)
        kept[name] = socket.socket(fileno=fd)
    return kept
