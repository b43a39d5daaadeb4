"""A real worker under an intermediate of the town's, that is replaced while the worker runs."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from admin.worker_facts import newest_facts
from policy.decision import Cause, Lane
from tests.proxied_town import TOWN, ProxiedTown, eventually, served_web
from tests.published_town import PublishedTown
from tests.running_proxy import running_worker
from tests.tls.certificates import authority


@pytest.fixture(scope="module")
def shared_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedTown]:
    folder = tmp_path_factory.mktemp("town")
    published = PublishedTown(folder / "state", document=TOWN)
    constraints = x509.NameConstraints([x509.DNSName("cardroom.example")], None)
    below = authority("First", authority("Town root"), path_length=0, extensions=[(constraints, True)])
    below.write(published.state.ca / "mitmproxy-ca.pem")
    with (
        served_web(folder) as web,
        running_worker(
            published.state.root,
            web.hosts_file(folder / "hosts"),
            program=("-m", "tests.quick_worker"),
            PROMETHEUS_MULTIPROC_DIR=str(published.state.metrics),
        ) as proxy,
    ):
        yield ProxiedTown(web, published, proxy)
    assert "Traceback" not in proxy.logged()


@pytest.fixture
def town(shared_town: ProxiedTown) -> ProxiedTown:
    shared_town.begin()
    return shared_town


def test_page_is_shown_under_the_intermediate_to_who_trusts_the_root(town: ProxiedTown) -> None:
    answer = town.client.get("https://cardroom.example/")

    assert (answer.status, answer.issuer, answer.names) == (403, "First", ("cardroom.example",))


def test_host_outside_of_the_name_constraints_is_refused_and_recorded_so(town: ProxiedTown) -> None:
    with pytest.raises(ssl.SSLError, match="TLSV1_UNRECOGNIZED_NAME"):
        town.client.get("https://phish.example/")

    visit = town.visit()
    assert (visit.host, visit.lane, visit.cause) == ("phish.example", Lane.REFUSE, Cause.RULE)
    assert visit.refusal == "no page could be shown: a name constraint of CN=First forbids it"
    assert "fail closed" not in town.proxy.logged()


def test_another_authority_is_used_without_a_restart_and_a_damaged_one_never(
    town: ProxiedTown, tmp_path: Path
) -> None:
    path = town.published.state.ca / "mitmproxy-ca.pem"
    put(path, b"damaged")
    town.wait_for_log("certificate authority refused, the one in force stays")
    assert town.client.get("https://cardroom.example/").issuer == "First"

    second = authority("Second")
    put(path, second.write(tmp_path / "second.pem").read_bytes())
    town.wait_for_log("certificate authority in force")

    published = town.published.state.ca / "town-ca.pem"
    assert x509.load_pem_x509_certificate(published.read_bytes()) == second.certificate
    assert town.client.trusting(published).get("https://cardroom.example/").issuer == "Second"
    ends_at = second.certificate.not_valid_after_utc.timestamp()
    assert town.metric("egress_ca_expires_timestamp_seconds") == ends_at
    eventually(lambda: told_to_admin(town) == (second.certificate.not_valid_after_utc, False))

    authority("Third").write(town.published.state.ca / "next-ca.pem")
    eventually(lambda: told_to_admin(town) == (second.certificate.not_valid_after_utc, True))


def told_to_admin(town: ProxiedTown) -> tuple[datetime | None, bool]:
    facts = newest_facts(town.published.state.spool, datetime.now(UTC))
    assert facts is not None
    return facts.ca_ends_at, facts.has_next_ca


def put(path: Path, data: bytes) -> None:
    written = path.with_suffix(".new")
    written.write_bytes(data)
    written.replace(path)
