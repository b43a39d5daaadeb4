"""A gate whose disk is full: it goes on deciding, and puts new workers in the place of those that end."""

import errno
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.missing_parts import require_root
from tests.proxied_town import eventually, served_web
from tests.proxy_client import ProxyClient
from tests.published_town import PublishedTown
from tests.running_town import WORKER, children_of, free_ports

TOWNGATE = str(Path(sys.executable).with_name("towngate"))
PATIENCE_SECONDS = 60.0
NURSERY = "proxy_addons.nursery"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a small disk."""
    require_root("mounts a small disk")
    found = tmp_path / "disk"
    found.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(found)], check=True)
    yield found
    subprocess.run(["umount", "--lazy", str(found)], check=True)


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as file, pytest.raises(OSError) as failure:
        while True:
            file.write(bytes(4096))
    assert failure.value.errno == errno.ENOSPC


def blocked(metrics: int) -> float:
    """Return how many visits were blocked, as the port for metrics tells it."""
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics") as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == "egress_visits_total" and sample.labels["action"] == "block"
    )


@pytest.mark.needs("mount", "umount")
def test_on_a_full_disk_it_filters_on_and_what_is_killed_is_replaced(disk: Path, tmp_path: Path) -> None:
    state = PublishedTown(disk / "state").state
    port, metrics = free_ports(2)
    with served_web(tmp_path) as web:
        command = [
            *(TOWNGATE, "proxy", "--state", str(state.root), "--workers", "1"),
            *("--proxy", f"127.0.0.1:{port}", "--metrics", f"127.0.0.1:{metrics}"),
            *("--hosts", str(web.hosts_file(tmp_path / "hosts"))),
        ]
        supervisor = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert supervisor.stdout is not None and supervisor.stdout.readline() == "ready\n"
            fill(disk)
            client = ProxyClient(port, (web.ca_certificate, state.ca / "town-ca.pem"))
            for number in range(2):
                workers = children_of(supervisor.pid, WORKER)
                assert client.get("https://library.example/").status == 200
                assert client.get("https://cardroom.example/").status == 403
                # What it has not counted yet ends with it.
                eventually(lambda number=number: blocked(metrics) > number, PATIENCE_SECONDS)
                # A worker's command line is the nursery's.
                for pid in {*workers, *children_of(supervisor.pid, NURSERY)}:
                    os.kill(pid, signal.SIGKILL)
                eventually(
                    lambda workers=workers: set(children_of(supervisor.pid, WORKER)) - set(workers),
                    PATIENCE_SECONDS,
                )
            assert client.get("https://library.example/").status == 200
            assert blocked(metrics) == 2
        finally:
            supervisor.terminate()
            assert supervisor.wait(PATIENCE_SECONDS) == 0
