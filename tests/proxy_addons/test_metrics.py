"""What a worker tells Prometheus from its first moment on, before anything has happened."""

import time
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from tests.proxied_town import ProxiedTown, eventually, exemption
from tests.published_town import PublishedTown
from tests.running_proxy import running_worker


@pytest.fixture(scope="module")
def fresh_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorRegistry]:
    """Return the metrics of a worker that started with two exemptions in force."""
    published = PublishedTown(tmp_path_factory.mktemp("town") / "state")
    published.publish_policy(
        exemptions=[exemption("cardroom.example", person="clerk"), exemption("shop.example", person="clerk")]
    )
    registry = CollectorRegistry()
    folder = str(published.state.metrics)
    with running_worker(published.state.root, PROMETHEUS_MULTIPROC_DIR=folder):
        MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
        yield registry


@pytest.mark.parametrize("hook", ["http_connect", "next_layer", "requestheaders", "server_connect"])
def test_failures_of_every_enforcing_hook_are_counted_from_zero(
    hook: str, fresh_worker: CollectorRegistry
) -> None:
    assert fresh_worker.get_sample_value("egress_fail_closed_total", {"hook": hook}) == 0


@pytest.mark.parametrize("kind", ["policy", "categories"])
def test_refused_snapshots_are_counted_from_zero(kind: str, fresh_worker: CollectorRegistry) -> None:
    assert fresh_worker.get_sample_value("egress_snapshot_refused_total", {"kind": kind}) == 0


@pytest.mark.parametrize("result", ["right", "wrong", "too_many"])
def test_sign_ins_are_counted_from_zero(result: str, fresh_worker: CollectorRegistry) -> None:
    assert fresh_worker.get_sample_value("egress_sign_ins_total", {"result": result}) == 0


@pytest.mark.parametrize("kind", ["name", "address", "connection", "timeout", "certificate"])
def test_origin_servers_that_were_not_reached_are_counted_from_zero(
    kind: str, fresh_worker: CollectorRegistry
) -> None:
    assert fresh_worker.get_sample_value("egress_upstream_errors_total", {"kind": kind}) == 0


def test_worker_tells_how_late_its_event_loop_is_and_how_large_the_lists_are(
    fresh_worker: CollectorRegistry,
) -> None:
    late = {"le": "+Inf"}
    eventually(lambda: (fresh_worker.get_sample_value("egress_event_loop_lag_seconds_bucket", late) or 0) > 0)
    size = fresh_worker.get_sample_value("egress_snapshot_bytes", {"kind": "categories"})
    assert size is not None and size > 1000


def test_exemptions_that_were_there_before_a_worker_are_counted(fresh_worker: CollectorRegistry) -> None:
    eventually(lambda: fresh_worker.get_sample_value("egress_exemptions") == 2)


def test_worker_counts_itself_and_tells_when_the_ca_ends(fresh_worker: CollectorRegistry) -> None:
    assert fresh_worker.get_sample_value("egress_workers") == 1
    ends_at = fresh_worker.get_sample_value("egress_ca_expires_timestamp_seconds")
    assert ends_at is not None
    years = (ends_at - time.time()) / (365 * 86400)
    assert 4.9 < years < 5.1


@pytest.mark.parametrize(
    ("host", "kind"), [("dead.example", "connection"), ("localhost", "address"), ("a-name-of-nobody", "name")]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_origin_server_that_is_not_reached_is_counted_by_why(
    host: str, kind: str, scheme: str, town: ProxiedTown
) -> None:
    def counted() -> float:
        return town.metric("egress_upstream_errors_total", kind=kind)

    before = counted()
    assert town.client.get(f"{scheme}://{host}/").status == 502
    eventually(lambda: counted() == before + 1)
