"""What every test can use."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from admin.demo_web import DemoWeb
from admin.demo_web import demo_web as serve_demo_web
from tests.running_town import free_ports

# How long an example takes tells how busy the machine is.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

pytest_plugins = [
    "pytester",
    "tests.missing_parts",
    "tests.coverage_floor",
    "tests.long_files",
    "tests.real_data",
    "tests.browsing",
    "tests.faked_clock",
]


@pytest.fixture
async def demo_web(tmp_path: Path) -> AsyncIterator[DemoWeb]:
    """Return the demo town's web, running; `admin.demo_web` serves other names."""
    async with serve_demo_web(tmp_path / "demo-web") as web:
        yield web


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Return a function that names a port of loopback which nothing listens on."""

    return lambda: free_ports(1)[0]
