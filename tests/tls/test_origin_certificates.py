"""Origin servers are verified as a browser would: refused with a page, and nothing is sent to them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from policy.decision import Cause, Lane, Verdict
from proxy_addons import certificate_authority
from proxy_addons.origin_certificate import OriginFault
from tests.proxied_town import TOWN, TOWN_ISSUER, ProxiedTown, eventually, served_web
from tests.proxy_client import ProxyClient, exchange
from tests.published_town import CATEGORIES, PublishedTown
from tests.running_proxy import running_mitmdump, running_worker
from tests.running_town import free_ports
from tests.tls.certificates import Issued, pem
from tests.tls.origin_cases import CASES, Case, Pki
from tests.tls.origin_servers import OriginServer

INSPECTING = TOWN.replace(
    "rules:\n", "rules:\n  - {id: inner-pages, categories: [adult], action: block, inspect: urls}\n"
)
TURNING = "turning.tls.example"
"""Has a good certificate at first."""
CASES_BY_ID = {case.id: case for case in CASES}
_WORDS = {
    OriginFault.ENDED: "Its certificate ended on ",
    OriginFault.NOT_BEGUN: "Its certificate is not valid before ",
    OriginFault.OTHER_SITE: "Its certificate is another site's",
    OriginFault.UNKNOWN_ISSUER: "Its certificate has an unknown issuer",
    OriginFault.TOO_WEAK: "Its certificate is too weak",
    OriginFault.REVOKED: "Its certificate was taken back by its issuer",
    OriginFault.UNPROVEN: "Its certificate came without the proof that it asks for",
    OriginFault.TOWNS_OWN: "Its certificate claims to be the town's own",
    OriginFault.INVALID: "Its certificate breaks the rules for certificates",
    OriginFault.WEAK_CONNECTION: "It offers no encryption that is safe",
}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> PublishedTown:
    published = PublishedTown(tmp_path_factory.mktemp("origins") / "state", document=INSPECTING)
    hosts = [case.host for case in CASES] + [TURNING]
    published.publish_categories(CATEGORIES, {"adult": [(host, "/forbidden") for host in hosts]})
    return published


@pytest.fixture(scope="module")
def pki(state: PublishedTown) -> Pki:
    """Return the authorities; the town's own among them, which the proxy is made to trust as well."""
    made = certificate_authority.ensure(state.state.ca, "Town of Exampleton")
    pki = Pki(Issued(made.key, made.certificate))
    state.state.extra_roots.write_bytes(pem(pki.trusted))
    return pki


@pytest.fixture(scope="module")
def servers(pki: Pki) -> Iterator[dict[str, OriginServer]]:
    served = {case.host: case.served(pki, case.host) for case in CASES}
    served[TURNING] = CASES_BY_ID["good"].served(pki, TURNING)
    servers = {host: OriginServer(shown) for host, shown in served.items()}
    yield servers
    for server in servers.values():
        server.close()


@pytest.fixture(scope="module")
def hosts_file(servers: dict[str, OriginServer], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hosts") / "hosts"
    path.write_text("".join(f"{host}:443 127.0.0.1:{server.port}\n" for host, server in servers.items()))
    return path


@pytest.fixture(scope="module")
def shared_town(
    state: PublishedTown, hosts_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProxiedTown]:
    with (
        served_web(tmp_path_factory.mktemp("web")) as web,
        running_worker(
            state.state.root,
            hosts_file,
            program=("-m", "tests.quick_worker"),
            PROMETHEUS_MULTIPROC_DIR=str(state.state.metrics),
        ) as proxy,
    ):
        yield ProxiedTown(web, state, proxy, INSPECTING)
    assert "Traceback" not in proxy.logged()
    assert "fail closed" not in proxy.logged()


@pytest.fixture
def town(shared_town: ProxiedTown) -> ProxiedTown:
    shared_town.begin()
    return shared_town


@pytest.mark.parametrize("case", [case for case in CASES if case.refused is None], ids=lambda case: case.id)
def test_origin_server_that_proves_who_it_is_is_reached(
    case: Case, town: ProxiedTown, servers: dict[str, OriginServer]
) -> None:
    answer = town.client.get(f"https://{case.host}/")

    assert (answer.status, answer.text, answer.issuer) == (200, "ok", TOWN_ISSUER)
    assert servers[case.host].requests[0].startswith(b"GET / HTTP/1.1\r\n")
    assert (town.visit().lane, town.visit().refusal) == (Lane.INSPECT, None)


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.refused is not None], ids=lambda case: case.id
)
def test_origin_server_that_does_not_gets_a_page_and_not_one_byte(
    case: Case, town: ProxiedTown, servers: dict[str, OriginServer]
) -> None:
    answer = town.client.get(f"https://{case.host}/private?secret=1")

    visit = town.visit()
    assert (visit.verdict, visit.lane, visit.cause) == (Verdict.ALLOW, Lane.BLOCK, Cause.CERTIFICATE)
    assert visit.refusal is not None
    assert visit.refusal.partition(":")[0] == case.refused, visit.refusal
    assert (answer.status, answer.issuer, answer.names) == (502, TOWN_ISSUER, (case.host,))
    assert "This site could not prove who it is" in answer.text
    assert _WORDS[case.refused] in answer.text
    assert "Nothing was sent." in answer.text
    assert "secret" not in answer.text
    server = servers[case.host]
    assert (server.connections, server.requests) == (1, [])


def test_certificate_that_is_no_proof_is_counted_for_each_connection_that_it_ends(
    town: ProxiedTown, servers: dict[str, OriginServer]
) -> None:
    def counted() -> float:
        return town.metric("egress_upstream_errors_total", kind="certificate")

    before = counted()
    case = CASES_BY_ID["wrong-host"]
    for _ in range(3):
        assert town.client.get(f"https://{case.host}/").status == 502
    eventually(lambda: counted() == before + 3)


@pytest.mark.parametrize(
    ("method", "body", "turned"),
    [("GET", b"", "ended"), ("POST", b"secret=1", "wrong-host"), ("GET", b"", "revoked")],
)
def test_certificate_that_turns_bad_between_two_requests_gets_a_page_and_not_one_byte(
    method: str, body: bytes, turned: str, town: ProxiedTown, servers: dict[str, OriginServer], pki: Pki
) -> None:
    server = servers[TURNING]
    server.show(CASES_BY_ID["good"].served(pki, TURNING))
    before = server.connections, len(server.requests)
    with town.client.tunnel(TURNING) as secured:
        ended = server.ended
        assert exchange(secured, "GET", "/", TURNING).text == "ok"
        # After its answer this server closes its connection; the client's is kept.
        eventually(lambda: server.ended == ended + 1)
        server.show(CASES_BY_ID[turned].served(pki, TURNING))
        answer = exchange(secured, method, "/private?secret=1", TURNING, body)

    fault = CASES_BY_ID[turned].refused
    assert fault is not None
    assert (answer.status, answer.issuer) == (502, TOWN_ISSUER)
    assert _WORDS[fault] in answer.text
    assert "secret" not in answer.text
    assert (server.connections, len(server.requests)) == (before[0] + 2, before[1] + 1)
    visit = town.visit()
    assert (visit.lane, visit.cause) == (Lane.BLOCK, Cause.CERTIFICATE)
    assert visit.refusal is not None and visit.refusal.startswith(f"{fault.value}: ")


def test_stock_mitmdump_takes_and_refuses_the_same(
    state: PublishedTown, hosts_file: Path, servers: dict[str, OriginServer]
) -> None:
    (port,) = free_ports(1)
    with running_mitmdump(state.state.root, port, hosts_file) as proxy:
        client = ProxyClient(proxy.port, (state.state.ca / "town-ca.pem",))
        for case in (CASES_BY_ID[id_] for id_ in ("good", "wrong-host", "revoked", "towns-own")):
            heard = len(servers[case.host].requests)
            answer = client.get(f"https://{case.host}/")
            if case.refused is None:
                assert answer.status == 200
            else:
                assert _WORDS[case.refused] in answer.text
                assert len(servers[case.host].requests) == heard
    assert "Traceback" not in proxy.logged()
