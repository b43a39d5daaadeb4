"""`make bench-soak`: whether a worker's memory grows with what it has done.

Each part does the same again and again; memory is read in between, and the slope of a straight line
through the readings says how much stays behind.
"""

import argparse
import resource
import ssl
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.client import (
    WebSocket,
    at_once,
    every,
    get_plain,
    get_through_tunnel,
    post_plain,
    post_through_tunnel,
    tunnel_to,
)
from tests.benchmarks.loads import GIB, UNITS, of_town
from tests.benchmarks.measuring import measure, resident_bytes
from tests.benchmarks.origin import PAUSE_SECONDS, running_origin
from tests.benchmarks.proxies import Proxy, towngate
from tests.benchmarks.report import machine

_TUNNEL, _PLAIN, _DECRYPTED = "through a tunnel", "over plain HTTP", "over a decrypted connection"
_WAYS = (_TUNNEL, _PLAIN, _DECRYPTED)
_READINGS = 20
_MIB = UNITS["MiB"]
_SMALL = "/bytes/1024"
_ON_ONE_CONNECTION = 50
_AT_ONCE_CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class Slope:
    """What stays in memory for each thing done, in bytes, with its standard error."""

    what: str
    count: int
    bytes_each: float
    error: float
    first_bytes: int
    last_bytes: int

    def __str__(self) -> str:
        return (
            f"{self.what}: {self.count:,} done, {self.first_bytes / _MIB:.1f} MiB at first,"
            f" {self.last_bytes / _MIB:.1f} at last: {self.bytes_each:+.2f} bytes each"
            f" (standard error {self.error:.2f})"
        )


def slope_of(what: str, done: Sequence[int], held: Sequence[int]) -> Slope:
    """Return the straight line through memory held (bytes) by how many were done, at least three readings."""
    slope, intercept = statistics.linear_regression(done, held)
    middle = statistics.fmean(done)
    residuals = sum((h - intercept - slope * d) ** 2 for d, h in zip(done, held, strict=True))
    error = (residuals / (len(done) - 2) / sum((d - middle) ** 2 for d in done)) ** 0.5
    return Slope(what, done[-1], slope, error, held[0], held[-1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every part and print what it found."""
    parser = argparse.ArgumentParser(prog="make bench-soak ARGS=...", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000, help="over connections that are decrypted")
    parser.add_argument("--tunnels", type=int, default=1_000_000, help="connections that are not")
    parser.add_argument("--idle", type=int, default=5000, help="tunnels that are open at once, and idle")
    parser.add_argument("--web-sockets", type=int, default=1000, help="open at once, over decrypted ones")
    parser.add_argument("--messages", type=int, default=3600, help="on each WebSocket: an hour's")
    for way in ("--download", "--upload"):
        parser.add_argument(
            way, type=int, default=10 * GIB, help="bytes: in a tunnel, plain and decrypted, fast and slowly"
        )
    options = parser.parse_args(arguments)
    # A descriptor for each connection that stays open, here and in the origin server.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="towngate-soak-")))
        origin = stack.enter_context(running_origin(folder))
        # All of them come from one address, beside what goes on at once.
        connections = max(options.web_sockets, options.idle) + 2 * _AT_ONCE_CONNECTIONS
        proxy = stack.enter_context(towngate(folder, origin, connections=connections))
        print(f"{machine()}\n\n{proxy.about}", flush=True)
        if options.requests:
            print(_requests(proxy, options.requests), flush=True)
        if options.web_sockets:
            print(_messages(proxy, options.web_sockets, options.messages), flush=True)
        if options.idle:
            print(_idle(proxy, options.idle), flush=True)
        if options.tunnels:
            print(_tunnels(proxy, options.tunnels), flush=True)
        for way in _WAYS:
            for is_slow in (False, True):
                if options.download:
                    print(_carried(proxy, "download", options.download, way, is_slow=is_slow), flush=True)
                if options.upload:
                    print(_carried(proxy, "upload", options.upload, way, is_slow=is_slow), flush=True)


def _requests(proxy: Proxy, count: int) -> Slope:
    targets, tls = every(proxy.opened, _AT_ONCE_CONNECTIONS), of_town(proxy)
    times = min(_ON_ONE_CONNECTION, max(1, count // _READINGS // _AT_ONCE_CONNECTIONS))

    def some(number: int) -> None:
        get_through_tunnel(proxy.port, targets[number % len(targets)], tls, _SMALL, times=times)

    return _soak("requests on decrypted connections", proxy, count, times, lambda n: at_once(n, some))


def _tunnels(proxy: Proxy, count: int) -> Slope:
    targets, tls = proxy.https, _trusting(proxy)

    def one(number: int) -> None:
        get_through_tunnel(proxy.port, targets[number % len(targets)], tls, _SMALL)

    return _soak("tunnels", proxy, count, 1, lambda n: at_once(n, one))


def _idle(proxy: Proxy, count: int) -> Slope:
    targets, tls = proxy.https, _trusting(proxy)
    with ExitStack() as stack:

        def some(number: int) -> None:
            for _ in range(number):
                target = targets[len(opened) % len(targets)]
                opened.append(stack.enter_context(tunnel_to(proxy.port, target, tls)))

        opened: list[ssl.SSLSocket] = []
        return _soak("tunnels that stay open, and idle", proxy, count, 1, some)


def _messages(proxy: Proxy, sockets: int, messages: int) -> Slope:
    tls = of_town(proxy)
    with ExitStack() as stack:
        opened = []
        for target in every(proxy.opened, sockets):
            opened.append(WebSocket(tunnel_to(proxy.port, target, tls), target))
            stack.callback(opened[-1].close)

        def say(number: int) -> None:
            opened[number].say(f"a message of WebSocket {number}")

        def rounds(count: int) -> None:
            for _ in range(count):
                at_once(sockets, say)

        return _soak("messages of WebSockets that stay open", proxy, sockets * messages, sockets, rounds)


def _soak(what: str, proxy: Proxy, count: int, each: int, work: Callable[[int], None]) -> Slope:
    """Do `work` in so many steps that `count` is done, each call of one doing `each`."""
    done, held = [], []
    for step in _steps(max(_READINGS, count // each)):
        work(step)
        done.append((done[-1] if done else 0) + step * each)
        held.append(resident_bytes(proxy.pid))
        _say(f"{what}: {done[-1]:,} of {count:,}, {held[-1] / _MIB:.1f} MiB")
    # What is done the first time is kept for the next: caches, pools, metrics.
    warm = len(done) // 5
    return slope_of(what, done[warm:], held[warm:])


def _steps(calls: int) -> Iterator[int]:
    for number in range(_READINGS):
        yield calls * (number + 1) // _READINGS - calls * number // _READINGS


def _carried(proxy: Proxy, what: str, size: int, way: str, *, is_slow: bool) -> str:
    """Carry so much one way, for or to a reader that is slow or not, and say what it took of memory."""
    carry = _download if what == "download" else _upload
    carry(proxy, min(size, 64 * _MIB), way, is_slow=False)
    done = measure(proxy.pid, lambda: carry(proxy, size, way, is_slow=is_slow))
    grown = (done.memory_peak_bytes - done.memory_before_bytes) / _MIB
    reader = "a reader slower than the rest" if is_slow else "a reader as fast as it goes"
    return (
        f"{what} of {size / GIB:g} GiB {way}, {reader}: {grown:.1f} MiB more than before at its peak,"
        f" {done.cpu_seconds:.1f} CPU seconds, {done.wall_seconds:.0f} s"
    )


def _download(proxy: Proxy, size: int, way: str, *, is_slow: bool) -> None:
    path, pause_seconds = f"/bytes/{size}", PAUSE_SECONDS if is_slow else 0.0
    if way == _PLAIN:
        get_plain(proxy.port, [proxy.http[0]], path, pause_seconds=pause_seconds)
    else:
        target = proxy.https[0] if way == _TUNNEL else proxy.opened[0]
        get_through_tunnel(proxy.port, target, _trusting(proxy), path, pause_seconds=pause_seconds)


def _upload(proxy: Proxy, size: int, way: str, *, is_slow: bool) -> None:
    path = "/slowly" if is_slow else "/"
    if way == _PLAIN:
        post_plain(proxy.port, proxy.http[0], path, size)
    else:
        target = proxy.https[0] if way == _TUNNEL else proxy.opened[0]
        post_through_tunnel(proxy.port, target, _trusting(proxy), path, size)


def _trusting(proxy: Proxy) -> ssl.SSLContext:
    tls = of_town(proxy)
    tls.load_verify_locations(proxy.origin.ca_certificate)
    return tls


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
