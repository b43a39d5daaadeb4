"""What is done through each proxy, and which figures that gives."""

import ssl
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from tests.benchmarks.client import AT_ONCE, Target, at_once, every, get_plain, get_through_tunnel
from tests.benchmarks.measuring import Measurement
from tests.benchmarks.proxies import Proxy

GIB = 1 << 30
UNITS = {"GiB": GIB, "MiB": 1 << 20, "KiB": 1 << 10}
"""The units of a size, in bytes, the largest first."""

_MIB = UNITS["MiB"]
_SMALL = "/bytes/1024"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done in one round of each load, and how long the lists of the peers that filter are."""

    connections: int = 1000
    requests: int = 1500
    pages: int = 300
    download_bytes: int = 2 * GIB
    listed_names: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of each measurement; over several rounds, the middle one or the highest."""

    title: str
    of: Callable[[Measurement], float]
    over_rounds: Callable[[Sequence[float]], float] = statistics.median


@dataclass(frozen=True, slots=True)
class Load:
    """One kind of work. `run` does so much of it through a proxy: `warm_up`, then `amount` a round.

    `targets_of` is what a proxy is asked for; one that has none of it is left out.
    """

    name: str
    about: str
    run: Callable[[Proxy, int], Sequence[float] | None]
    warm_up: int
    amount: int
    figures: Sequence[Figure]
    targets_of: Callable[[Proxy], Sequence[Target]]

    def is_for(self, proxy: Proxy) -> bool:
        """Whether this proxy can do it at all: only a filter has pages of its own."""
        return bool(self.targets_of(proxy))


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
            _HTTPS,
            (_MEDIAN, _SLOWEST_HUNDREDTH),
        ),
        _small(
            "plain-new",
            "plain GETs of 1 KiB, each on a new connection",
            "requests",
            _plain_new,
            scale.requests,
            _HTTP,
        ),
        _small(
            "plain-kept",
            "plain GETs of 1 KiB over 16 kept connections",
            "requests",
            _plain_kept,
            scale.requests,
            _HTTP,
        ),
        _small(
            "blocked",
            "new connections to a blocked HTTPS site, each handshake under the town's CA and one page",
            "pages",
            _blocked_pages,
            scale.pages,
            _BLOCKED,
        ),
        _small(
            "opened-new",
            "new connections that are decrypted, each a full TLS handshake on both sides, one GET of 1 KiB",
            "connections",
            _opened_new,
            scale.connections // 2,
            _OPENED,
        ),
        _small(
            "opened-kept",
            "GETs of 1 KiB over 16 kept connections that are decrypted",
            "requests",
            _opened_kept,
            scale.requests,
            _OPENED,
        ),
        _download(
            "tunnel-download",
            f"one download of {size} through a tunnel",
            _tunnel_download,
            scale.download_bytes,
            _HTTPS,
        ),
        _download(
            "plain-download",
            f"one download of {size} over plain HTTP",
            _plain_download,
            scale.download_bytes,
            _HTTP,
        ),
        _download(
            "opened-download",
            f"one download of {size} over a connection that is decrypted",
            _opened_download,
            scale.download_bytes,
            _OPENED,
        ),
    ]


def _small(
    name: str,
    about: str,
    unit: str,
    run: Callable[[Proxy, int], Sequence[float] | None],
    amount: int,
    targets_of: Callable[[Proxy], Sequence[Target]],
    more_figures: Sequence[Figure] = (),
) -> Load:
    figures = [
        Figure(f"CPU seconds per 1,000 {unit}", lambda done: done.cpu_seconds / amount * 1000),
        *more_figures,
        _PEAK,
    ]
    return Load(name, f"{about}; 16 at once", run, min(amount, 100), amount, figures, targets_of)


def _download(
    name: str,
    about: str,
    run: Callable[[Proxy, int], None],
    amount: int,
    targets_of: Callable[[Proxy], Sequence[Target]],
) -> Load:
    figures = [
        Figure("CPU seconds per GiB", lambda done: done.cpu_seconds / amount * GIB),
        Figure("memory before, MiB", lambda done: done.memory_before_bytes / _MIB),
        _PEAK,
    ]
    return Load(name, about, run, min(amount, _MIB), amount, figures, targets_of)


_HTTPS: Callable[[Proxy], Sequence[Target]] = attrgetter("https")
_HTTP: Callable[[Proxy], Sequence[Target]] = attrgetter("http")
_OPENED: Callable[[Proxy], Sequence[Target]] = attrgetter("opened")
_BLOCKED: Callable[[Proxy], Sequence[Target]] = attrgetter("blocked")
_MEDIAN = Figure("median of one, ms", lambda done: statistics.median(done.seconds_each) * 1000)
_SLOWEST_HUNDREDTH = Figure(
    "99 of 100 within, ms", lambda done: statistics.quantiles(done.seconds_each, n=100)[98] * 1000
)
_PEAK = Figure("peak memory, MiB", lambda done: done.memory_peak_bytes / _MIB, max)


def _tunnels(proxy: Proxy, count: int) -> Sequence[float]:
    targets, tls = every(proxy.https, count), trusting(proxy.origin.ca_certificate)
    return at_once(count, lambda number: get_through_tunnel(proxy.port, targets[number], tls, _SMALL))


def _tunnel_download(proxy: Proxy, size: int) -> None:
    tls = trusting(proxy.origin.ca_certificate)
    get_through_tunnel(proxy.port, proxy.https[0], tls, f"/bytes/{size}")


def _blocked_pages(proxy: Proxy, count: int) -> None:
    targets, tls = every(proxy.blocked, count), of_town(proxy)
    at_once(count, lambda number: get_through_tunnel(proxy.port, targets[number], tls, "/", status=403))


def _opened_new(proxy: Proxy, count: int) -> None:
    targets, tls = every(proxy.opened, count), of_town(proxy)
    at_once(count, lambda number: get_through_tunnel(proxy.port, targets[number], tls, _SMALL))


def _opened_kept(proxy: Proxy, count: int) -> None:
    targets, tls = every(proxy.opened, AT_ONCE), of_town(proxy)

    def one_connection(number: int) -> None:
        share = len(range(number, count, AT_ONCE))
        get_through_tunnel(proxy.port, targets[number], tls, _SMALL, times=share)

    at_once(AT_ONCE, one_connection)


def _opened_download(proxy: Proxy, size: int) -> None:
    get_through_tunnel(proxy.port, proxy.opened[0], of_town(proxy), f"/bytes/{size}")


def of_town(proxy: Proxy) -> ssl.SSLContext:
    """Return what a workstation trusts: the authority under which a proxy decrypts."""
    assert proxy.ca_certificate is not None
    return trusting(proxy.ca_certificate)


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


def trusting(ca_certificate: Path) -> ssl.SSLContext:
    """Return what a client trusts: this authority, and no other."""
    context = ssl.create_default_context(cafile=ca_certificate)
    # The leaves that mitmdump and squid make lack what RFC 5280 asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
