"""Visits on their way to admin: on disk in time, whatever happens to the worker or to the disk."""

import asyncio
import errno
import fcntl
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from categories.taxonomy import taxonomy
from proxy_addons import chain
from proxy_addons import spool as spool_module
from proxy_addons.spool import Spool
from proxy_addons.visit_log import VisitLog
from tests.at_once import assert_at_once
from tests.proxied_town import PATIENCE_SECONDS, ProxiedTown, eventually
from tests.proxy_client import ProxyClient
from tests.published_town import PublishedTown
from tests.running_proxy import running_worker

LINE = b'{"a": "record"}\n'


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.visits"))


def is_finished(segment: Path) -> bool:
    """Whether a segment can be locked: what admin asks before it deletes one."""
    with segment.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def opened_in(folder: Path) -> list[str]:
    """Return what this process holds open in a folder; other threads open and close elsewhere."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(descriptor.readlink()))
    return [path for path in found if path.startswith(str(folder))]


def test_visit_is_on_disk_within_a_second_of_its_end_though_the_worker_is_killed(
    tmp_path: Path, hosts_file: Path
) -> None:
    published = PublishedTown(tmp_path)
    with running_worker(tmp_path, hosts_file) as proxy:
        client, visits = ProxyClient(proxy.port), count(1)

        def seconds_until_on_disk() -> float:
            number = next(visits)
            client.get("http://library.example/")
            ended_at = time.monotonic()
            eventually(lambda: len(published.spooled()) == number)
            return time.monotonic() - ended_at

        assert_at_once(seconds_until_on_disk)
        segment = segments(published.state.spool)[-1]
        assert not is_finished(segment)

        proxy.process.send_signal(signal.SIGKILL)
        proxy.process.wait(PATIENCE_SECONDS)

    assert {visit.host for visit in published.spooled()} == {"library.example"}
    assert is_finished(segment)


def test_visits_that_are_going_on_are_written_when_the_worker_stops(tmp_path: Path, hosts_file: Path) -> None:
    published = PublishedTown(tmp_path)
    with running_worker(tmp_path, hosts_file) as proxy:
        connection = ProxyClient(proxy.port).connect("library.example")

    connection.close()
    (visit,) = published.spooled()
    assert (visit.host, visit.refusal) == ("library.example", "the proxy was stopped")
    assert all(is_finished(segment) for segment in segments(published.state.spool))


def test_segment_is_locked_from_the_moment_it_can_be_seen_until_it_is_closed(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(LINE)
    spool.flush()
    (segment,) = segments(tmp_path)

    assert not is_finished(segment)
    spool.close()
    assert is_finished(segment)
    assert segment.read_bytes() == LINE
    assert segment.stat().st_mode & 0o777 == 0o660 & ~_umask()


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def test_nothing_is_written_before_there_is_a_record(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.flush()

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("limit", ["_SEGMENT_BYTES", "_SEGMENT_SECONDS"])
def test_segment_that_is_long_or_old_is_finished_and_another_begun(
    limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, limit, 0)
    spool = Spool(tmp_path)
    for _ in range(3):
        spool.append(LINE)
        spool.flush()
    spool.flush()

    assert [segment.read_bytes() for segment in segments(tmp_path)] == [LINE] * 3
    assert all(is_finished(segment) for segment in segments(tmp_path))


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from proxy_addons import spool as spool_module
from proxy_addons.spool import Spool

spool_module._MAX_PENDING = int(sys.argv[2])
# The kernel refuses to let a file grow further, as it does on a full disk.
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2, resource.RLIM_INFINITY))
spool = Spool(Path(sys.argv[1]))
for number in range(30):
    spool.append(b"%03d\\n" % number)
    spool.flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
spool.append(b"030\\n")
spool.flush()
print(spool.shed)
"""


@pytest.mark.parametrize(("max_pending", "shed"), [(100, 0), (10, 20)])
def test_records_wait_while_the_disk_is_full_and_the_oldest_are_shed_with_a_count(
    max_pending: int, shed: int, tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path, str(max_pending)],
        capture_output=True,
        text=True,
        check=True,
    )

    lines = b"".join(segment.read_bytes() for segment in segments(tmp_path)).split()
    assert lines == [b"%03d" % number for number in range(shed, 31)]
    assert ended.stdout == f"{shed}\n"
    assert ended.stderr.count("spool takes no more for now") == 1


def test_folder_that_is_away_for_a_moment_loses_nothing_and_leaves_nothing_open(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    spool = Spool(folder)
    for _ in range(5):
        spool.append(LINE)
        spool.flush()
    assert opened_in(tmp_path) == []

    folder.mkdir()
    spool.flush()

    assert spool.shed == 0
    (segment,) = segments(folder)
    assert segment.read_bytes() == LINE * 5


async def test_what_was_flushed_is_synced_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    spool = Spool(tmp_path)
    spool.append(LINE)
    spool.flush()
    await spool.sync()
    await spool.sync()

    assert len(synced) == 1
    spool.close()


class Disk:
    """Stands in for fdatasync: notes how much of which file is on disk, fails as often as it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.synced: dict[int, int] = {}
        self.failures = 0
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.is_busy = threading.Event()
        monkeypatch.setattr(os, "fdatasync", self._sync)

    def _sync(self, fd: int) -> None:
        before = os.fstat(fd)
        self.is_busy.set()
        assert self.may_go_on.wait(PATIENCE_SECONDS)
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.synced[before.st_ino] = before.st_size

    def has(self, segment: Path) -> bool:
        """Whether all of a segment is on disk."""
        found = segment.stat()
        return self.synced.get(found.st_ino) == found.st_size


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


async def test_segment_that_is_finished_while_the_disk_is_busy_is_synced_afterwards(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    spool.append(LINE)
    spool.flush()
    disk.may_go_on.clear()
    syncing = asyncio.create_task(spool.sync())
    await asyncio.to_thread(disk.is_busy.wait)
    spool.append(LINE)
    spool.flush()
    monkeypatch.setattr(spool_module, "_SEGMENT_BYTES", 0)
    spool.flush()
    disk.may_go_on.set()
    await syncing
    (segment,) = segments(tmp_path)

    # Admin does not have to wait for the disk.
    assert is_finished(segment)
    await spool.sync()
    assert disk.has(segment)
    assert opened_in(tmp_path) == []


async def test_what_the_disk_failed_to_sync_is_synced_the_next_time(tmp_path: Path, disk: Disk) -> None:
    spool = Spool(tmp_path)
    spool.append(LINE)
    spool.flush()
    disk.failures = 1
    with pytest.raises(OSError, match="Input/output error"):
        await spool.sync()
    (segment,) = segments(tmp_path)
    assert not disk.has(segment)

    await spool.sync()

    assert disk.has(segment)
    spool.close()


def test_last_segment_is_on_disk_when_the_worker_has_stopped(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path)
    spool.append(LINE)
    spool.flush()
    spool.close()

    (segment,) = segments(tmp_path)
    assert disk.has(segment)

    spool.append(LINE)
    spool.flush()
    disk.failures = 1
    spool.close()
    assert "spool not synced" in caplog.text
    assert all(is_finished(segment) for segment in segments(tmp_path))


async def test_a_disk_that_is_slow_to_sync_does_not_keep_visits_from_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_done = threading.Event()
    monkeypatch.setattr(os, "fdatasync", lambda fd: is_done.wait(PATIENCE_SECONDS))
    monkeypatch.setattr(chain, "_FLUSH_SECONDS", 0.01)
    spool = Spool(tmp_path)
    flushing = asyncio.create_task(chain._flush(VisitLog(spool, taxonomy())))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS / 2):
            for count in (1, 2, 3):
                spool.append(LINE)
                while not segments(tmp_path) or segments(tmp_path)[0].read_bytes() != LINE * count:
                    await asyncio.sleep(0.01)
    finally:
        is_done.set()
        flushing.cancel()
        spool.close()


def test_full_disk_stops_nobody_and_visits_wait_for_room(town: ProxiedTown) -> None:
    limits = resource.prlimit(town.proxy.process.pid, resource.RLIMIT_FSIZE)
    town.client.get("http://library.example/")
    town.visits(1)

    resource.prlimit(town.proxy.process.pid, resource.RLIMIT_FSIZE, (1, limits[1]))
    try:
        assert town.client.get("http://library.example/").status == 200
        assert town.client.get("http://cardroom.example/").status == 403
        time.sleep(1)
    finally:
        resource.prlimit(town.proxy.process.pid, resource.RLIMIT_FSIZE, limits)

    assert town.client.get("http://news.example/").status == 200
    assert [visit.host for visit in town.visits(4)] == [
        *("library.example", "library.example", "cardroom.example", "news.example")
    ]
