"""The same visits through worker, worker without lane, and stock mitmdump: the same answers and records."""

import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from admin.demo_web import DemoWeb
from policy.decision import Cause, Lane, Verdict
from proxy_addons.tls_alert import REFUSED
from tests.client_hellos import client_hello, in_many_records, in_two_records
from tests.proxied_town import CLERKS_DESK, NOWHERE, PARKS_DESK, PARKS_NETWORK, TOWN, TOWN_ISSUER, ProxiedTown
from tests.proxy_client import RefusedConnectError, exchange, read_to_end, send_in_parts
from tests.published_town import PublishedTown
from tests.running_proxy import running_mitmdump, running_worker

ORIGIN, PAGE, CLOSED = "the origin server", "a page of the town's", "nobody"
ALERT = "nobody, with a TLS alert"


@dataclass(frozen=True)
class Case:
    """A visit, who answers it, and what is recorded of it."""

    visit: Callable[[ProxiedTown], str]
    answered_by: str
    lane: Lane
    cause: Cause

    @property
    def verdict(self) -> Verdict:
        """Carried, or allowed and not to be reached; else blocked."""
        is_allowed = self.lane in (Lane.TUNNEL, Lane.PLAIN) or self.cause is Cause.UNREACHABLE
        return Verdict.ALLOW if is_allowed else Verdict.BLOCK


def get(url: str, address: str = CLERKS_DESK) -> Callable[[ProxiedTown], str]:
    def visit(town: ProxiedTown) -> str:
        try:
            answer = town.client.at(address).get(url)
        except RefusedConnectError as refused:
            answer = refused.answer
        if answer.status == 200:
            return ORIGIN
        assert answer.issuer in (None, TOWN_ISSUER)
        return PAGE if "<h1" in answer.text else f"a bare {answer.status}"

    return visit


def get_with_hello(host: str, hello_in: Callable[[bytes], Iterable[bytes]]) -> Callable[[ProxiedTown], str]:
    def visit(town: ProxiedTown) -> str:
        with town.client.tunnel(host, hello_in=hello_in) as secured:
            return ORIGIN if exchange(secured, "GET", "/", host).status == 200 else PAGE

    return visit


def get_with_sni(host: str, sni: str) -> Callable[[ProxiedTown], str]:
    def visit(town: ProxiedTown) -> str:
        with town.client.tunnel(host, sni=sni) as secured:
            return ORIGIN if exchange(secured, "GET", "/", sni).status == 200 else PAGE

    return visit


def get_without_sni(host: str) -> Callable[[ProxiedTown], str]:
    def visit(town: ProxiedTown) -> str:
        connections = town.web.connections
        with town.client.connect(host) as connection:
            connection.sendall(client_hello(None))
            assert connection.recv(1) == b"\x16"
            return ORIGIN if town.web.connections > connections else PAGE

    return visit


def say(host: str, *parts: bytes, port: int = 443) -> Callable[[ProxiedTown], str]:
    def visit(town: ProxiedTown) -> str:
        with town.client.connect(host, port) as connection:
            send_in_parts(connection, parts)
            answer = read_to_end(connection)
        if answer in (b"", REFUSED):
            return ALERT if answer else CLOSED
        return ORIGIN if answer.startswith(b"HTTP/1.1 200 ") else PAGE

    return visit


def byte_by_byte(hello: bytes) -> Iterator[bytes]:
    yield from (hello[i : i + 1] for i in range(100))
    yield hello[100:-1]
    yield hello[-1:]


def two_records(hello: bytes) -> Iterator[bytes]:
    yield in_two_records(hello)


GET_INSIDE = b"GET / HTTP/1.1\r\nHost: library.example\r\nConnection: close\r\n\r\n"

CASES = {
    "allowed": Case(get("https://library.example/"), ORIGIN, Lane.TUNNEL, Cause.DEFAULT),
    "blocked": Case(get("https://cardroom.example/"), PAGE, Lane.BLOCK, Cause.RULE),
    "blocked, a subdomain": Case(get("https://www.cardroom.example/"), PAGE, Lane.BLOCK, Cause.RULE),
    "a security risk": Case(get("https://phish.example/"), PAGE, Lane.BLOCK, Cause.RULE),
    "plain, allowed": Case(get("http://library.example/"), ORIGIN, Lane.PLAIN, Cause.DEFAULT),
    "plain, blocked": Case(get("http://cardroom.example/"), PAGE, Lane.BLOCK, Cause.RULE),
    "plain, in other letters": Case(get("http://CardRoom.example./"), PAGE, Lane.BLOCK, Cause.RULE),
    "port 22": Case(get("https://library.example:22/"), "a bare 403", Lane.REFUSE, Cause.PORT),
    "plain, port 8081": Case(get("http://library.example:8081/"), PAGE, Lane.BLOCK, Cause.PORT),
    "a private address": Case(get("https://10.0.0.5/"), PAGE, Lane.BLOCK, Cause.PRIVATE_ADDRESS),
    "plain, a private address": Case(get("http://127.0.0.1/"), PAGE, Lane.BLOCK, Cause.PRIVATE_ADDRESS),
    "plain, the same as a number": Case(get("http://2130706433/"), PAGE, Lane.BLOCK, Cause.PRIVATE_ADDRESS),
    "plain, private IPv6": Case(get("http://[::1]/"), PAGE, Lane.BLOCK, Cause.PRIVATE_ADDRESS),
    "a private IPv6 address": Case(get("https://[::1]/"), PAGE, Lane.BLOCK, Cause.PRIVATE_ADDRESS),
    "plain, private, IPv4-mapped": Case(
        get("http://[::ffff:10.0.0.5]/"), PAGE, Lane.BLOCK, Cause.PRIVATE_ADDRESS
    ),
    "a name of this machine": Case(get("https://localhost/"), PAGE, Lane.BLOCK, Cause.UNREACHABLE),
    "mitmproxy's own page": Case(get("http://mitm.it/"), PAGE, Lane.BLOCK, Cause.UNREACHABLE),
    "an origin server that is down": Case(get("https://dead.example/"), PAGE, Lane.BLOCK, Cause.UNREACHABLE),
    "plain, one that is down": Case(get("http://dead.example/"), PAGE, Lane.BLOCK, Cause.UNREACHABLE),
    "an unknown client": Case(
        get("https://library.example/", NOWHERE), PAGE, Lane.BLOCK, Cause.UNKNOWN_CLIENT
    ),
    "plain, an unknown client": Case(
        get("http://library.example/", NOWHERE), PAGE, Lane.BLOCK, Cause.UNKNOWN_CLIENT
    ),
    "a malformed host": Case(get("https://a..example/"), "a bare 400", Lane.REFUSE, Cause.MALFORMED),
    "plain, a malformed host": Case(get("http://a..example/"), "a bare 400", Lane.REFUSE, Cause.MALFORMED),
    "sni unlike connect": Case(
        say("library.example", client_hello("news.example")), ALERT, Lane.REFUSE, Cause.MISMATCH
    ),
    "sni blocked": Case(get_with_sni("library.example", "cardroom.example"), PAGE, Lane.BLOCK, Cause.RULE),
    "connect blocked": Case(
        get_with_sni("cardroom.example", "library.example"), PAGE, Lane.BLOCK, Cause.RULE
    ),
    "no sni, allowed": Case(get_without_sni("library.example"), ORIGIN, Lane.TUNNEL, Cause.DEFAULT),
    "no sni, blocked": Case(get_without_sni("cardroom.example"), PAGE, Lane.REFUSE, Cause.RULE),
    "hello byte by byte, allowed": Case(
        get_with_hello("library.example", byte_by_byte), ORIGIN, Lane.TUNNEL, Cause.DEFAULT
    ),
    "hello byte by byte, blocked": Case(
        get_with_hello("cardroom.example", byte_by_byte), PAGE, Lane.BLOCK, Cause.RULE
    ),
    "hello in two records, blocked": Case(
        get_with_hello("cardroom.example", two_records), PAGE, Lane.BLOCK, Cause.RULE
    ),
    "hello in a hundred records": Case(
        say("library.example", in_many_records(client_hello("library.example"), 100)),
        ALERT,
        Lane.REFUSE,
        Cause.NOT_TLS,
    ),
    "not tls, allowed": Case(say("library.example", b"SSH-2.0-x\r\n"), CLOSED, Lane.REFUSE, Cause.NOT_TLS),
    "not tls, blocked": Case(say("cardroom.example", b"SSH-2.0-x\r\n"), CLOSED, Lane.REFUSE, Cause.RULE),
    "not tls, one byte and the rest": Case(
        say("library.example", b"\x05", b"\x01\x00"), CLOSED, Lane.REFUSE, Cause.NOT_TLS
    ),
    "http in connect, allowed": Case(
        say("library.example", GET_INSIDE, port=80), ORIGIN, Lane.PLAIN, Cause.DEFAULT
    ),
    "http in connect, blocked": Case(
        say("cardroom.example", GET_INSIDE, port=80), PAGE, Lane.BLOCK, Cause.RULE
    ),
}


@pytest.fixture(scope="module")
def stock_town(
    web: DemoWeb,
    hosts_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
    free_port: Callable[[], int],
) -> Iterator[ProxiedTown]:
    published = PublishedTown(tmp_path_factory.mktemp("stock") / "state", document=TOWN)
    with running_mitmdump(published.state.root, free_port(), hosts_file) as proxy:
        yield ProxiedTown(web, published, proxy)


@pytest.fixture(scope="module")
def laneless_town(
    web: DemoWeb, hosts_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProxiedTown]:
    published = PublishedTown(tmp_path_factory.mktemp("laneless") / "state", document=TOWN)
    program = ("-m", "tests.quick_worker")
    with running_worker(published.state.root, hosts_file, program=program, options=("--no-lane",)) as proxy:
        yield ProxiedTown(web, published, proxy)


@pytest.fixture(params=["shared_town", "laneless_town", "stock_town"])
def either_town(request: pytest.FixtureRequest) -> ProxiedTown:
    """Return a town behind a worker, behind one without the tunnel lane, and behind a stock mitmdump
    with the chain as a script."""
    town: ProxiedTown = request.getfixturevalue(request.param)
    town.begin()
    return town


@pytest.mark.parametrize("name", CASES)
def test_visit_has_the_same_answer_and_record_everywhere(name: str, either_town: ProxiedTown) -> None:
    case = CASES[name]
    connections = either_town.web.connections

    answered_by = case.visit(either_town)

    assert answered_by == case.answered_by
    assert (either_town.web.connections > connections) == (case.answered_by == ORIGIN)
    visit = either_town.visit()
    assert (visit.verdict, visit.lane, visit.cause) == (case.verdict, case.lane, case.cause)
    assert "Traceback" not in either_town.proxy.logged()


@pytest.mark.parametrize("host", ["8.8.8.8", "[::ffff:8.8.8.8]", "[::ffff:808:808]", "[64:ff9b::808:808]"])
def test_listed_address_is_blocked_in_every_form_that_reaches_it(host: str, shared_town: ProxiedTown) -> None:
    shared_town.begin()
    shared_town.publish_categories({"gambling": ["8.8.8.8"]})

    answered_by = get(f"http://{host}/")(shared_town)

    assert answered_by == PAGE
    visit = shared_town.visit()
    assert (visit.cause, visit.category, visit.entry) == (Cause.RULE, "gambling", "8.8.8.8")


def test_no_addon_file_shadows_a_module() -> None:
    """`mitmdump -s` puts the script's folder in front of every other."""
    folder = Path(__file__).parents[2] / "proxy_addons"
    ours = {path.stem for path in folder.iterdir() if not path.name.startswith((".", "__"))}
    others = {
        module.name
        for module in pkgutil.iter_modules()
        if Path(getattr(module.module_finder, "path", "")) != folder
    }

    assert not ours & (sys.stdlib_module_names | others)


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_warning_is_clicked_through_everywhere_alike(scheme: str, either_town: ProxiedTown) -> None:
    client = either_town.client.at(PARKS_DESK if scheme == "https" else PARKS_NETWORK)

    page = client.get(f"{scheme}://video.example/")
    assert "Before you go on" in page.text
    form = re.search(r'action="([^"]+)"', page.text)
    assert form is not None
    assert client.request("POST", f"{scheme}://video.example{form[1]}").status == 303

    assert client.get(f"{scheme}://video.example/").status == 200
    assert [visit.verdict for visit in either_town.visits(2)] == [Verdict.WARN, Verdict.ALLOW]
