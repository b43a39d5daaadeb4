"""A town behind a real proxy: origin servers, a state folder as admin leaves it, and a worker."""

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from admin.demo_web import DemoWeb, demo_web
from admin.measures import InForce
from policy.correction import Correction
from policy.state import Exemption
from policy.town_policy import Policy
from policy.visit_record import VisitRecord
from tests.proxy_client import ProxyClient
from tests.published_town import CATEGORIES, PublishedTown
from tests.recording_origin import RecordingOrigin
from tests.running_proxy import RunningProxy, running_worker
from tests.towns import DOCUMENT

TOWN_ISSUER = "Town of Exampleton web access CA"
ORIGIN_ISSUER = "Towngate demo web"

CLERKS_DESK = "127.0.0.1"
PARKS_DESK = "127.0.0.2"
PARKS_NETWORK = "127.0.0.3"
NOWHERE = "127.0.0.9"

TOWN = (
    DOCUMENT.replace("devices:\n", f"devices:\n  {PARKS_DESK}: {{name: PRK-PC-02, person: parks-head}}\n")
    .replace("[10.10.40.0/24]", f"[10.10.40.0/24, {PARKS_NETWORK}/32]")
    .replace(
        "rules:\n",
        "rules:\n  - {id: think-first, categories: [streaming], action: warn,"
        " because: 'Acceptable Use Policy, Personal Use 2'}\n",
    )
)
"""`tests.towns.DOCUMENT` with a second workstation, a network on loopback, and a warning."""

SITES = (
    *("library.example", "news.example", "shop.example", "video.example"),
    *("cardroom.example", "phish.example"),
)
PATIENCE_SECONDS = 30.0


@contextmanager
def inspecting_town(
    web: DemoWeb, hosts: Path, folder: Path, document: str, urls: Mapping[str, Iterable[tuple[str, str]]]
) -> Iterator["ProxiedTown"]:
    """Run a worker that opens HTTPS for the listed `urls`, and takes `web` for who it says it is."""
    published = PublishedTown(folder / "state", document=document)
    published.publish_categories(CATEGORIES, urls)
    shutil.copyfile(web.ca_certificate, published.state.extra_roots)
    with running_worker(published.state.root, hosts, program=("-m", "tests.quick_worker")) as proxy:
        yield ProxiedTown(web, published, proxy, document, CATEGORIES, urls)
    assert "Traceback" not in proxy.logged()


class ProxiedTown:
    """A proxy with everything around it. What is asked of the visit log counts from `begin` on.

    `document` is the policy that every test begins with, `names` and `urls` what sites are listed as.
    """

    def __init__(
        self,
        web: DemoWeb | RecordingOrigin,
        published: PublishedTown,
        proxy: RunningProxy,
        document: str = TOWN,
        names: Mapping[str, Iterable[str]] = CATEGORIES,
        urls: Mapping[str, Iterable[tuple[str, str]]] | None = None,
    ) -> None:
        self._document = document
        self._names = names
        self._urls = urls
        self.web = web
        self.published = published
        self.proxy = proxy
        trusts = (published.state.ca / "town-ca.pem", web.ca_certificate)
        self.client = ProxyClient(proxy.port, trusts)
        self._began_at = datetime.now(UTC)
        self._spooled_before: dict[Path, int] = {}
        self._policy_is_changed = False
        self._categories_are_changed = False

    def begin(self) -> None:
        """Start a test: no visits so far, and the policy and categories of every test."""
        if self._policy_is_changed:
            self.publish_policy(self._document)
            self._policy_is_changed = False
        if self._categories_are_changed:
            self.publish_categories(self._names, self._urls)
            self._categories_are_changed = False
        self._began_at = datetime.now(UTC)
        self._spooled_before = self.published.spool_sizes()

    def publish_policy(
        self,
        policy: str | Policy = TOWN,
        exemptions: Iterable[Exemption] = (),
        proxy_passwords: Mapping[str, str] | None = None,
        *,
        emergency: InForce | None = None,
        corrections: Iterable[Correction] = (),
        never_inspect: Iterable[str] = (),
        wait: bool = True,
    ) -> None:
        """Publish a policy, and wait until it is in force."""
        self._policy_is_changed = True
        self.published.publish_policy(
            policy,
            exemptions,
            proxy_passwords,
            emergency=emergency,
            corrections=corrections,
            never_inspect=never_inspect,
        )
        if wait:
            self.wait_for_log(f"policy in force: sequence={self.published.sequence} ")

    def publish_categories(
        self,
        names: Mapping[str, Iterable[str]],
        urls: Mapping[str, Iterable[tuple[str, str]]] | None = None,
        *,
        wait: bool = True,
    ) -> None:
        """Publish what sites are listed as, and wait until it is in force."""
        self._categories_are_changed = True
        logged = len(self.proxy.logged())
        version = self.published.publish_categories(names, urls)
        if wait:
            # The same names make the same version again.
            eventually(lambda: f"categories in force: version={version}" in self.proxy.logged()[logged:])

    def visits(self, count: int = 1) -> list[VisitRecord]:
        """Return the visits begun since the test began, once `count` have ended; not one more."""
        eventually(lambda: len(self._visits()) >= count)
        visits = self._visits()
        assert len(visits) == count, visits
        return visits

    def visit(self) -> VisitRecord:
        """Return the one visit since the test began."""
        return self.visits(1)[0]

    def _visits(self) -> list[VisitRecord]:
        visits = self.published.spooled(self._spooled_before)
        return [visit for visit in visits if visit.started_at >= self._began_at]

    def metric(self, name: str, **labels: str) -> float:
        """Return what Prometheus would be told."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self.published.state.metrics))  # type: ignore[no-untyped-call]
        return registry.get_sample_value(name, labels) or 0.0

    def wait_for_log(self, text: str) -> None:
        """Wait until the proxy has logged a line with this text."""
        eventually(lambda: text in self.proxy.logged())


def exemption(host: str, lasts: timedelta = timedelta(hours=1), **for_whom: str) -> Exemption:
    """Return an exemption from now on, for `person=` or `department=`."""
    now = datetime.now(UTC)
    return Exemption(f"exemption-of-{host}", host, now, now + lasts, **for_whom)


def eventually(holds: Callable[[], object], within_seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until something holds; fail when it does not in time."""
    until = time.monotonic() + within_seconds
    while not holds():
        assert time.monotonic() < until, f"still not so after {within_seconds} seconds"
        time.sleep(0.02)


@contextmanager
def town_behind_a_worker(
    folder: Path,
    web: DemoWeb | RecordingOrigin,
    hosts: Path,
    document: str,
    names: Mapping[str, Iterable[str]],
    roots: Iterable[Path],
) -> Iterator[ProxiedTown]:
    """Run a town of its own, with a policy and lists, that believes some authorities; nothing fails in it."""
    published = PublishedTown(folder / "state", document=document)
    published.publish_categories(names)
    published.state.extra_roots.write_text("".join(path.read_text() for path in roots))
    with running_worker(
        published.state.root,
        hosts,
        program=("-m", "tests.quick_worker"),
        PROMETHEUS_MULTIPROC_DIR=str(published.state.metrics),
    ) as proxy:
        yield ProxiedTown(web, published, proxy, document, names)
    assert "Traceback" not in proxy.logged()


@contextmanager
def served_web(ca_folder: Path, names: Iterable[str] = SITES) -> Iterator[DemoWeb]:
    """Serve the demo web from a thread of its own, for tests that block."""
    ready = threading.Event()
    found: list[tuple[DemoWeb, asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        stop = asyncio.Event()
        async with demo_web(ca_folder, names) as web:
            found.append((web, asyncio.get_running_loop(), stop))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=[serve()], name="demo web")
    thread.start()
    assert ready.wait(PATIENCE_SECONDS)
    web, loop, stop = found[0]
    try:
        yield web
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE_SECONDS)
