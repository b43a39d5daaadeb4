"""What is done through each proxy, and which figures that gives."""

import ssl
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.client import AT_ONCE, at_once, every, get_plain, get_through_tunnel
from tests.benchmarks.measuring import Measurement
from tests.benchmarks.proxies import Proxy

GIB = 1 << 30
UNITS = {"GiB": GIB, "MiB": 1 << 20, "KiB": 1 << 10}
"""The units of a size, in bytes, the largest first."""

_MIB = UNITS["MiB"]
_SMALL = "/bytes/1024"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done in one round of each load."""

    connections: int = 1000
    requests: int = 1500
    pages: int = 300
    download_bytes: int = 2 * GIB


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of each measurement; over several rounds, the middle one or the highest."""

    title: str
    of: Callable[[Measurement], float]
    over_rounds: Callable[[Sequence[float]], float] = statistics.median


@dataclass(frozen=True, slots=True)
class Load:
    """One kind of work. `run` does so much of it through a proxy: `warm_up`, then `amount` a round."""

    name: str
    about: str
    run: Callable[[Proxy, int], None]
    warm_up: int
    amount: int
    figures: Sequence[Figure]

    def is_for(self, proxy: Proxy) -> bool:
        """Whether this proxy can do it at all: only a filter has pages of its own."""
        return self.run is not _blocked_pages or bool(proxy.blocked)


def loads(scale: Scale) -> list[Load]:
    """Return every load, in the order of the table."""
    unit = next((unit for unit in UNITS if scale.download_bytes % UNITS[unit] == 0), "KiB")
    size = f"{scale.download_bytes / UNITS[unit]:g} {unit}"
    return [
        _small(
            "tunnel",
            "new connections, each CONNECT, a full TLS handshake with the origin server and one GET of 1 KiB",
            "connections",
            _tunnels,
            scale.connections,
        ),
        _small(
            "plain-new",
            "plain GETs of 1 KiB, each on a new connection",
            "requests",
            _plain_new,
            scale.requests,
        ),
        _small(
            "plain-kept",
            "plain GETs of 1 KiB over 16 kept connections",
            "requests",
            _plain_kept,
            scale.requests,
        ),
        _small(
            "blocked",
            "new connections to a blocked HTTPS site, each handshake under the town's CA and one page",
            "pages",
            _blocked_pages,
            scale.pages,
        ),
        _download(
            "tunnel-download",
            f"one download of {size} through a tunnel",
            _tunnel_download,
            scale.download_bytes,
        ),
        _download(
            "plain-download", f"one download of {size} over plain HTTP", _plain_download, scale.download_bytes
        ),
    ]


def _small(name: str, about: str, unit: str, run: Callable[[Proxy, int], None], amount: int) -> Load:
    figures = [
        Figure(f"CPU seconds per 1,000 {unit}", lambda done: done.cpu_seconds / amount * 1000),
        _PEAK,
    ]
    return Load(name, f"{about}; 16 at once", run, min(amount, 100), amount, figures)


def _download(name: str, about: str, run: Callable[[Proxy, int], None], amount: int) -> Load:
    figures = [
        Figure("CPU seconds per GiB", lambda done: done.cpu_seconds / amount * GIB),
        Figure("memory before, MiB", lambda done: done.memory_before_bytes / _MIB),
        _PEAK,
    ]
    return Load(name, about, run, min(amount, _MIB), amount, figures)


_PEAK = Figure("peak memory, MiB", lambda done: done.memory_peak_bytes / _MIB, max)


def _tunnels(proxy: Proxy, count: int) -> None:
    targets, tls = every(proxy.https, count), _trusting(proxy.origin.ca_certificate)
    at_once(count, lambda number: get_through_tunnel(proxy.port, targets[number], tls, _SMALL))


def _tunnel_download(proxy: Proxy, size: int) -> None:
    tls = _trusting(proxy.origin.ca_certificate)
    get_through_tunnel(proxy.port, proxy.https[0], tls, f"/bytes/{size}")


def _blocked_pages(proxy: Proxy, count: int) -> None:
    assert proxy.ca_certificate is not None
    targets, tls = every(proxy.blocked, count), _trusting(proxy.ca_certificate)
    at_once(count, lambda number: get_through_tunnel(proxy.port, targets[number], tls, "/", status=403))


def _plain_new(proxy: Proxy, count: int) -> None:
    targets = every(proxy.http, count)
    at_once(count, lambda number: get_plain(proxy.port, [targets[number]], _SMALL))


def _plain_kept(proxy: Proxy, count: int) -> None:
    # A connection stays with one site, as a browser's do.
    targets = every(proxy.http, AT_ONCE)

    def one_connection(number: int) -> None:
        share = len(range(number, count, AT_ONCE))
        get_plain(proxy.port, [targets[number]] * share, _SMALL)

    at_once(AT_ONCE, one_connection)


def _plain_download(proxy: Proxy, size: int) -> None:
    get_plain(proxy.port, [proxy.http[0]], f"/bytes/{size}")


def _trusting(ca_certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_certificate)
