"""One worker for all tests that leave it as they found it: a start takes seconds of CPU."""

from collections.abc import Iterator

import pytest

from admin.demo_web import DemoWeb
from tests.proxied_town import TOWN, ProxiedTown, served_web
from tests.published_town import PublishedTown
from tests.running_proxy import running_worker


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoWeb]:
    """Return the demo web, running."""
    with served_web(tmp_path_factory.mktemp("demo-web")) as web:
        yield web


@pytest.fixture(scope="session")
def shared_town(web: DemoWeb, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedTown]:
    folder = tmp_path_factory.mktemp("town")
    published = PublishedTown(folder / "state", document=TOWN)
    hosts = web.hosts_file(folder / "hosts")
    metrics = str(published.state.metrics)
    with running_worker(published.state.root, hosts, PROMETHEUS_MULTIPROC_DIR=metrics) as proxy:
        yield ProxiedTown(web, published, proxy)
    assert "Traceback" not in proxy.logged()


@pytest.fixture
def town(shared_town: ProxiedTown) -> ProxiedTown:
    """Return a town behind a running worker, with its policy and categories as every test has them."""
    shared_town.begin()
    return shared_town
