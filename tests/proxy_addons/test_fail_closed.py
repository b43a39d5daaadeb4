"""An exception while deciding blocks the visit, is counted, logged and recorded; nobody sees more of it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from mitmproxy.exceptions import AddonHalt
from mitmproxy.options import Options
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.test import tflow
from mitmproxy.tls import TlsData
from OpenSSL import SSL

from admin.demo_web import DemoWeb
from policy.decision import Cause, Lane, Verdict
from proxy_addons.chain import Towngate
from tests.proxied_town import ORIGIN_ISSUER, TOWN, ProxiedTown
from tests.proxy_addons import failing_worker
from tests.proxy_addons.failing_worker import enforcing_hooks
from tests.proxy_client import RefusedConnectError
from tests.published_town import CATEGORIES, PublishedTown
from tests.running_proxy import running_worker

OPENED = "https://news.example/"
SITES = ["http://library.example/", "https://library.example/", "https://cardroom.example/", OPENED]
INSPECTING = TOWN.replace(
    "rules:\n", "rules:\n  - {id: inner-pages, categories: [adult], action: block, inspect: urls}\n"
)
URLS = {"adult": [("news.example", "/forbidden")]}


class FailingTown(ProxiedTown):
    """A town whose worker fails where `fault` says."""

    fault: Path

    @contextmanager
    def failing_at(self, place: str) -> Iterator[None]:
        self.fault.write_text(place)
        yield
        self.fault.write_text("")

    def visit_fails(self, url: str, hook: str) -> bool:
        """Visit a URL; return whether the hook failed. Then it was blocked, and nobody learned why."""
        failures, connections = self.metric("egress_fail_closed_total", hook=hook), self.web.connections
        hits = self.web.hits.total()
        try:
            answer = self.client.get(url)
        except RefusedConnectError as refused:
            answer = refused.answer
        except TimeoutError:
            raise AssertionError(f"{hook} failed, and whoever visits waits for ever") from None
        except OSError:
            answer = None
        if self.metric("egress_fail_closed_total", hook=hook) == failures:
            return False
        # What an origin server answers is judged when it has been asked.
        assert hook == "responseheaders" or self.web.hits.total() == hits
        # One that is looked into is dialled before anything is asked of it.
        is_dialled = url == OPENED or hook in ("responseheaders", "server_connected")
        assert is_dialled or self.web.connections == connections
        if answer is not None:
            assert answer.status in (502, 503)
            assert failing_worker.SECRET not in answer.text
            assert "Traceback" not in answer.text
        return True


@pytest.fixture(scope="module")
def failing_town(
    web: DemoWeb, hosts_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FailingTown]:
    """Return a town whose addons fail, without the lane: it would keep allowed tunnels from them."""
    with _failing(web, hosts_file, tmp_path_factory.mktemp("failing"), "--no-lane") as town:
        yield town


@pytest.fixture(scope="module")
def failing_lane_town(
    web: DemoWeb, hosts_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FailingTown]:
    """Return the same with the lane."""
    with _failing(web, hosts_file, tmp_path_factory.mktemp("failing-lane")) as town:
        yield town


@contextmanager
def _failing(web: DemoWeb, hosts_file: Path, folder: Path, *options: str) -> Iterator[FailingTown]:
    published = PublishedTown(folder / "state", document=INSPECTING)
    published.publish_categories(CATEGORIES, URLS)
    shutil.copyfile(web.ca_certificate, published.state.extra_roots)
    fault = published.state.root / "fault"
    fault.write_text("")
    with running_worker(
        published.state.root,
        hosts_file,
        program=("-m", failing_worker.__name__),
        options=options,
        FAULT=str(fault),
        PROMETHEUS_MULTIPROC_DIR=str(published.state.metrics),
    ) as proxy:
        town = FailingTown(web, published, proxy, INSPECTING, CATEGORIES, URLS)
        town.fault = fault
        yield town


def test_every_hook_that_sees_a_visit_before_its_end_fails_closed() -> None:
    assert set(enforcing_hooks()) >= {
        "http_connect",
        "next_layer",
        "requestheaders",
        "responseheaders",
        "server_connect",
        "tls_start_client",
        "tls_start_server",
    }


@pytest.mark.parametrize("hook", enforcing_hooks())
def test_exception_in_a_hook_blocks_the_visit(hook: str, failing_town: FailingTown) -> None:
    with failing_town.failing_at(hook):
        failed = [url for url in SITES if failing_town.visit_fails(url, hook)]

    assert failed
    assert f"fail closed: hook={hook}" in failing_town.proxy.logged()
    assert [failing_town.client.get(url).status for url in SITES] == [200, 200, 403, 200]


@pytest.mark.parametrize("hook", ["http_connect", "requestheaders", "responseheaders", "server_connect"])
def test_visit_that_could_not_be_decided_is_recorded(hook: str, failing_town: FailingTown) -> None:
    failing_town.begin()

    with failing_town.failing_at(hook):
        assert failing_town.visit_fails(SITES[1] if hook == "http_connect" else SITES[0], hook)

    visit = failing_town.visit()
    assert (visit.verdict, visit.lane, visit.cause) == (Verdict.BLOCK, Lane.REFUSE, Cause.FAULT)
    assert (visit.host, visit.person) == ("library.example", "clerk")


@pytest.mark.parametrize("place", ["policy", "everything"])
def test_exception_of_the_policy_itself_blocks_every_visit(place: str, failing_town: FailingTown) -> None:
    with failing_town.failing_at(place):
        for site, hook in ((SITES[0], "requestheaders"), (SITES[1], "http_connect")):
            assert failing_town.visit_fails(site, "client_connected" if place == "everything" else hook)

    assert failing_town.client.get(SITES[1]).status == 200


@pytest.mark.parametrize("place", ["policy", "everything"])
def test_lane_that_cannot_decide_leaves_the_visit_to_the_addons_which_fail_closed(
    place: str, failing_lane_town: FailingTown
) -> None:
    town = failing_lane_town
    in_lane = town.metric("egress_fail_closed_total", hook="tunnel_lane")
    with town.failing_at(place):
        assert town.visit_fails(SITES[1], "client_connected" if place == "everything" else "http_connect")
    assert town.metric("egress_fail_closed_total", hook="tunnel_lane") == in_lane + 1
    assert town.client.get(SITES[1]).status == 200


@pytest.mark.parametrize("place", [*enforcing_hooks(), "policy", "a refusal", "everything"])
@pytest.mark.parametrize("lane", ["failing_lane_town", "failing_town"])
def test_site_that_must_not_be_opened_is_not_opened_whatever_fails(
    lane: str, place: str, request: pytest.FixtureRequest
) -> None:
    town: FailingTown = request.getfixturevalue(lane)
    town.begin()
    closed = "never_inspect: {sites: [news.example, dead.example]}\n"
    town.publish_policy(INSPECTING.replace("rules:\n", f"{closed}rules:\n"))
    seen = set()
    with town.failing_at(place):
        for url in (OPENED, "https://dead.example/"):
            with suppress(OSError, RefusedConnectError):
                seen.add(town.client.get(url).issuer)
    assert seen <= {ORIGIN_ISSUER}
    assert town.client.get(OPENED).issuer == ORIGIN_ISSUER


async def test_hooks_fail_closed_until_the_policy_has_been_read() -> None:
    towngate = Towngate()
    _, connect_gate, request_gate, dial_gate, tls_gate = towngate.addons
    flow, connect = tflow.tflow(), tflow.tflow()
    server = ServerConnectionHookData(client=flow.client_conn, server=flow.server_conn)
    context = Context(flow.client_conn, Options())
    shown, taken = TlsData(flow.client_conn, context), TlsData(flow.server_conn, context)

    for hook, data in (
        (request_gate.requestheaders, flow),
        (connect_gate.http_connect, connect),
        (dial_gate.server_connect, server),
        (tls_gate.tls_start_client, shown),
        (tls_gate.tls_start_server, taken),
    ):
        with suppress(AddonHalt):
            await hook(data)

    assert flow.response is not None
    assert flow.response.status_code == 503
    assert connect.response is not None
    assert connect.response.status_code == 503
    assert server.server.error
    for data in (shown, taken):
        assert data.ssl_conn is not None
        with pytest.raises(SSL.Error):
            data.ssl_conn.do_handshake()
