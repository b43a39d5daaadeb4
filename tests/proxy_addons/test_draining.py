"""A worker that is told to drain: what goes on in it, what ends, and when it ends itself."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mitmproxy.test import tflow

from admin.demo_web import DemoWeb
from categories.taxonomy import taxonomy
from policy.decision import Lane
from proxy_addons.connection_limit import ConnectionLimit
from proxy_addons.draining import Draining
from proxy_addons.gate import Gate
from tests.client_hellos import client_hello
from tests.proxied_town import PATIENCE_SECONDS, TOWN, ProxiedTown, eventually
from tests.proxy_client import exchange
from tests.published_town import CATEGORIES, PublishedTown
from tests.running_proxy import running_worker
from tests.tls.certificates import authority

DRIP = "drip.example"
OPENED = "library.example"
INSPECTING = TOWN.replace(
    "rules:\n", "rules:\n  - {id: inner-pages, categories: [adult], action: block, inspect: urls}\n"
)
URLS = {"adult": [(OPENED, "/never")]}


@contextmanager
def town_of_one_worker(web: DemoWeb, hosts_file: Path, folder: Path, *options: str) -> Iterator[ProxiedTown]:
    """Run a worker of its own, which a test may end."""
    published = PublishedTown(folder / "state", document=INSPECTING)
    published.publish_categories(CATEGORIES, URLS)
    published.state.extra_roots.write_bytes(web.ca_certificate.read_bytes())
    with running_worker(
        published.state.root, hosts_file, program=("-m", "tests.quick_worker"), options=options
    ) as proxy:
        yield ProxiedTown(web, published, proxy, INSPECTING, CATEGORIES, URLS)
    assert "Traceback" not in proxy.logged()


def drain(town: ProxiedTown) -> None:
    os.kill(town.proxy.process.pid, signal.SIGUSR1)
    town.wait_for_log("draining: connections=")


def long_tunnel(town: ProxiedTown) -> socket.socket:
    """Return a tunnel in which the origin server says a little all the time."""
    connection = town.client.connect(DRIP)
    connection.sendall(client_hello(DRIP))
    assert connection.recv(1)
    return connection


def is_open(connection: socket.socket) -> bool:
    """Whether more comes; what waits to be read is read."""
    try:
        return bool(connection.recv(1 << 16))
    except ConnectionResetError:
        return False


def test_draining_worker_ends_kept_connections_with_their_next_answer_and_itself_with_the_last_tunnel(
    web: DemoWeb, hosts_file: Path, tmp_path: Path
) -> None:
    with town_of_one_worker(web, hosts_file, tmp_path) as town:
        plain, opened = town.client.dial(), town.client.tunnel(OPENED)
        asks: list[Callable[[], str | None]] = [
            lambda: exchange(plain, "GET", "http://news.example/", "news.example").headers["Connection"],
            lambda: exchange(opened, "GET", "/", OPENED).headers["Connection"],
        ]
        assert [ask() for ask in asks] == [None, None]
        tunnel, judged_again = long_tunnel(town), long_tunnel(town)

        drain(town)

        assert [ask() for ask in asks] == ["close", "close"]
        assert not is_open(plain) and not is_open(opened)
        with tunnel, judged_again:
            assert is_open(tunnel)
            town.publish_categories({**CATEGORIES, "gambling": [DRIP]}, URLS)
            eventually(lambda: not is_open(judged_again))
            eventually(lambda: not is_open(tunnel))
        assert town.proxy.process.wait(PATIENCE_SECONDS) == 0
        closed = "closed: no longer allowed (not-town-business)"
        refusals = [visit.refusal for visit in town.visits(5) if visit.lane is Lane.TUNNEL]
        assert refusals == [closed, closed]


def test_worker_whose_time_to_drain_is_up_ends_with_its_visits_written(
    web: DemoWeb, hosts_file: Path, tmp_path: Path
) -> None:
    with town_of_one_worker(web, hosts_file, tmp_path, "--drain-seconds", "0.5") as town:
        with long_tunnel(town) as tunnel:
            drain(town)
            assert town.proxy.process.wait(PATIENCE_SECONDS) == 0
            eventually(lambda: not is_open(tunnel))
        assert (town.visit().lane, town.visit().refusal) == (Lane.TUNNEL, "the proxy was stopped")
        assert town.visit().bytes_down > 0


def test_draining_worker_leaves_what_admin_is_told_to_the_next_one(
    web: DemoWeb, hosts_file: Path, tmp_path: Path
) -> None:
    with town_of_one_worker(web, hosts_file, tmp_path) as town:
        told = town.published.state.spool / "worker-1.facts"
        eventually(told.exists)
        with long_tunnel(town):
            drain(town)
            of_the_next_one = b"of the next one"
            told.write_bytes(of_the_next_one)
            # A fact that changes is told within a second; the second one is seen a second after the first.
            for days in (30, 31):
                other = authority("Another", ends_at=datetime.now(UTC) + timedelta(days=days))
                other.write(town.published.state.ca / "mitmproxy-ca.pem")
                town.wait_for_log(f"in force: ends={other.certificate.not_valid_after_utc.isoformat()}")
        assert town.proxy.process.wait(PATIENCE_SECONDS) == 0
        assert told.read_bytes() == of_the_next_one


@pytest.mark.parametrize(("is_streamed", "says"), [(False, "close"), (True, None)])
async def test_an_answer_says_that_its_connection_ends_unless_its_head_was_sent_before(
    is_streamed: bool, says: str | None
) -> None:
    draining = Draining(ConnectionLimit(Gate(taxonomy())))
    flow = tflow.tflow(resp=True)
    assert flow.response is not None
    flow.response.stream = is_streamed
    draining.responseheaders(flow)
    await draining.drain(0, lambda: True)
    draining.response(flow)
    # What was not said must not be so: mitmproxy closes a connection whose answer has this field.
    assert flow.response.headers.get("Connection") == says
