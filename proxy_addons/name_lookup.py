"""Names to addresses: in threads of its own, each name once at a time, answers kept for a moment."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address

from proxy_addons import egress_metrics

MAX_AGE_SECONDS = 30.0
"""The resolver does not say how long an answer holds, so that no answer is older than this."""
MAX_AGE_OF_FAILURE_SECONDS = 3.0
AT_ONCE = 64
"""Names being looked up at one time."""
AT_ONCE_OF_ONE = AT_ONCE // 4
"""Of these, for one client; more of its names wait, as long as their dials may take."""
_MOST_WAITING_OF_ONE = 500
_MOST_KEPT = 10_000

type LookUp = Callable[[str], tuple[str, ...]]


@dataclass(slots=True, eq=False)
class _Asked:
    """A name that is being looked up, or waits to be.

    `counts_for` is the client whose share it takes, None until it has begun; `waiting` how many want it.
    """

    host: str
    answer: asyncio.Future[tuple[str, ...]]
    waiting: int = 0
    counts_for: str | None = None


class NameLookup:
    """Asks the machine's resolver, which blocks: never on the event loop, and for one name once.

    A name whose server is slow keeps one thread busy, however many ask for it. A client has a share of the
    threads, and a queue of its own for the rest of its names: names of others wait only when four clients
    have nothing but slow ones. A name that several wait for is looked up as soon as one of them has its
    turn; one that nobody waits for any more, not at all.
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
        self._asked: dict[str, _Asked] = {}
        self._begun: Counter[str] = Counter()
        # By client, in the order of their turns; each by name, the first to ask first.
        self._queues: dict[str, dict[str, _Asked]] = {}

    async def addresses(self, host: str, client: str) -> tuple[str, ...]:
        """Return the addresses of a host, the preferred first; of an address, that address.

        `client` is the address of the one who wants to know.
        Raises OSError, with a text for people, when there is none or too many names of this client wait.
        """
        if _is_literal(host):
            return (host,)
        now = time.monotonic()
        kept = self._kept.get(host)
        found = kept[1] if kept is not None and kept[0] > now else await self._ask(host, client)
        if not found:
            raise OSError("the name was not found")
        return found

    async def _ask(self, host: str, client: str) -> tuple[str, ...]:
        asked = self._asked.get(host) or _Asked(host, asyncio.get_running_loop().create_future())
        if asked.counts_for is None:
            if not self._has_room(client):
                queue = self._queues.setdefault(client, {})
                if len(queue) >= _MOST_WAITING_OF_ONE:
                    raise OSError("too many names are being looked up")
                queue[host] = asked
            else:
                self._begin(asked, client)
        self._asked[host] = asked
        asked.waiting += 1
        try:
            # One who gives up waiting does not end it for the others.
            return await asyncio.shield(asked.answer)
        finally:
            asked.waiting -= 1
            if not asked.waiting and asked.counts_for is None:
                del self._asked[host]
                self._take_out_of_queues(host)

    def _has_room(self, client: str) -> bool:
        return self._begun[client] < AT_ONCE_OF_ONE and self._begun.total() < AT_ONCE

    def _begin(self, asked: _Asked, client: str) -> None:
        asked.counts_for = client
        self._begun[client] += 1
        self._take_out_of_queues(asked.host)
        egress_metrics.NAMES_LOOKED_UP.inc()
        loop = asyncio.get_running_loop()
        looked_up = loop.run_in_executor(self._threads, self._look_up, asked.host)
        looked_up.add_done_callback(lambda done: self._end(asked, client, done))

    def _end(self, asked: _Asked, client: str, done: asyncio.Future[tuple[str, ...]]) -> None:
        del self._asked[asked.host]
        self._begun[client] -= 1
        if not self._begun[client]:
            del self._begun[client]
        if done.cancelled():
            asked.answer.cancel()
        elif (error := done.exception()) is not None:
            asked.answer.set_exception(error)
        else:
            self._keep(asked.host, done.result())
            asked.answer.set_result(done.result())
        self._begin_next()

    def _begin_next(self) -> None:
        """Begin the first name of the client whose turn it is, and put that client last."""
        for client in list(self._queues):
            if self._has_room(client):
                queue = self._queues.pop(client)
                self._queues[client] = queue
                self._begin(next(iter(queue.values())), client)
                return

    def _take_out_of_queues(self, host: str) -> None:
        for client, queue in list(self._queues.items()):
            queue.pop(host, None)
            if not queue:
                del self._queues[client]

    def _keep(self, host: str, found: tuple[str, ...]) -> None:
        if len(self._kept) >= _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
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
