"""Names to addresses: in threads of its own, each name once at a time, answers kept for a moment."""

import asyncio
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

from proxy_addons import egress_metrics

MAX_AGE_SECONDS = 30.0
"""The resolver does not say how long an answer holds, so that no answer is older than this."""
MAX_AGE_OF_FAILURE_SECONDS = 3.0
AT_ONCE = 64
"""Names being looked up at one time; more wait, as long as their dials may take."""
_MOST_WAITING = 2000
_MOST_KEPT = 10_000

type LookUp = Callable[[str], tuple[str, ...]]


class NameLookup:
    """Asks the machine's resolver, which blocks: never on the event loop, and for one name once.

    A name whose server is slow keeps one thread busy, however many ask for it; no other name waits for
    it, unless AT_ONCE such names are being looked up.
    """

    def __init__(
        self,
        look_up: LookUp | None = None,
        max_age_seconds: float = MAX_AGE_SECONDS,
        max_age_of_failure_seconds: float = MAX_AGE_OF_FAILURE_SECONDS,
    ) -> None:
        self._look_up = look_up or addresses_of
        self._ages = {False: max_age_seconds, True: max_age_of_failure_seconds}
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="name-lookup")
        self._kept: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._asked: dict[str, asyncio.Future[tuple[str, ...]]] = {}

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Return the addresses of a host, the preferred first; of an address, that address.

        Raises OSError, with a text for people, when there is none or too many names are waiting.
        """
        if _is_literal(host):
            return (host,)
        now = time.monotonic()
        kept = self._kept.get(host)
        found = kept[1] if kept is not None and kept[0] > now else await self._ask(host)
        if not found:
            raise OSError("the name was not found")
        return found

    async def _ask(self, host: str) -> tuple[str, ...]:
        asked = self._asked.get(host)
        if asked is None:
            if len(self._asked) >= _MOST_WAITING:
                raise OSError("too many names are being looked up")
            asked = asyncio.get_running_loop().run_in_executor(self._threads, self._look_up, host)
            self._asked[host] = asked
            egress_metrics.NAMES_LOOKED_UP.inc()
            asked.add_done_callback(lambda done: self._keep(host, done))
        # One who gives up waiting does not end it for the others.
        return await asyncio.shield(asked)

    def _keep(self, host: str, done: asyncio.Future[tuple[str, ...]]) -> None:
        del self._asked[host]
        if done.cancelled() or done.exception() is not None:
            return
        if len(self._kept) >= _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        found = done.result()
        self._kept.pop(host, None)
        self._kept[host] = (time.monotonic() + self._ages[not found], found)


def addresses_of(host: str) -> tuple[str, ...]:
    """Return what the machine's resolver says, in its order (RFC 6724); nothing for what is no name."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(info[4][0]) for info in found))


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
