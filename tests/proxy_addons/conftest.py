"""One worker for all tests that leave it as they found it: a start takes seconds of CPU."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from admin.demo_web import DemoWeb
from tests.odd_origin import OddOrigin
from tests.proxied_town import TOWN, ProxiedTown, served_web
from tests.published_town import PublishedTown
from tests.running_proxy import running_worker


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoWeb]:
    """Return the demo web, running."""
    with served_web(tmp_path_factory.mktemp("demo-web")) as web:
        yield web


@pytest.fixture(scope="session")
def odd_origin() -> Iterator[OddOrigin]:
    """Return the servers behind odd.example, raw.example, dead.example and silent.example."""
    origin = OddOrigin()
    yield origin
    origin.close()


@pytest.fixture(scope="session")
def hosts_file(web: DemoWeb, odd_origin: OddOrigin, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the proxy's resolver table: where all these servers are."""
    path = web.hosts_file(tmp_path_factory.mktemp("hosts") / "hosts")
    path.write_text(path.read_text() + odd_origin.hosts_lines())
    return path


@pytest.fixture(scope="session")
def shared_town(
    web: DemoWeb, hosts_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProxiedTown]:
    folder = tmp_path_factory.mktemp("town")
    published = PublishedTown(folder / "state", document=TOWN)
    with running_worker(
        published.state.root,
        hosts_file,
        program=("-m", "tests.quick_worker"),
        PROMETHEUS_MULTIPROC_DIR=str(published.state.metrics),
    ) as proxy:
        yield ProxiedTown(web, published, proxy)
    assert "Traceback" not in proxy.logged()


@pytest.fixture
def town(shared_town: ProxiedTown) -> ProxiedTown:
    """Return a town behind a running worker, with its policy and categories as every test has them."""
    shared_town.begin()
    return shared_town
