"""What a worker tells admin: who may read it, and when it is written anew."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from policy.worker_facts import WorkerFacts
from proxy_addons.facts_file import FactsFile

NOW = datetime(2026, 3, 6, 15, 0, tzinfo=UTC)


class Known:
    """Facts as a test sets them."""

    ca_ends_at = NOW + timedelta(days=40)

    def __call__(self, at: datetime) -> WorkerFacts:
        return WorkerFacts(at, self.ca_ends_at)


@pytest.fixture
def as_a_service() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.usefixtures("as_a_service")
def test_group_of_the_spool_may_read_it_and_others_may_not(tmp_path: Path) -> None:
    FactsFile(tmp_path, 3, Known()).write(NOW)

    assert (tmp_path / "worker-3.facts").stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["worker-3.facts"]


def test_it_is_written_when_a_fact_changes_and_every_half_minute(tmp_path: Path) -> None:
    known = Known()
    file = FactsFile(tmp_path, 1, known)

    def written_at(seconds: int) -> datetime:
        file.write(NOW + timedelta(seconds=seconds))
        return WorkerFacts.from_bytes((tmp_path / "worker-1.facts").read_bytes()).written_at

    assert written_at(0) == NOW
    assert written_at(29) == NOW
    assert written_at(30) == NOW + timedelta(seconds=30)
    known.ca_ends_at += timedelta(days=1)
    assert written_at(31) == NOW + timedelta(seconds=31)
    # A clock that was set back would else keep it from being written.
    assert written_at(5) == NOW + timedelta(seconds=5)


def test_disk_that_takes_nothing_is_logged_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = tmp_path / "spool"
    file = FactsFile(spool, 1, Known())
    file.write(NOW)
    file.write(NOW)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["facts for admin not written"]

    spool.mkdir()
    file.write(NOW)
    assert (spool / "worker-1.facts").exists()


def test_worker_that_drains_goes_on_in_a_file_of_its_own_and_leaves_none(tmp_path: Path) -> None:
    killed = tmp_path / "worker-1-draining-9999999.facts"
    killed.touch()
    old, known = FactsFile(tmp_path, 1, Known()), Known()
    assert not killed.exists()
    old.write(NOW)
    old.begin_draining()
    new = FactsFile(tmp_path, 1, known)
    new.write(NOW + timedelta(seconds=1))
    old.write(NOW + timedelta(seconds=2))
    told = {
        path.name: WorkerFacts.from_bytes(path.read_bytes()).written_at for path in tmp_path.glob("*.facts")
    }
    assert told == {
        "worker-1.facts": NOW + timedelta(seconds=1),
        f"worker-1-draining-{os.getpid()}.facts": NOW + timedelta(seconds=2),
    }
    old.close(NOW + timedelta(seconds=3))
    assert [path.name for path in tmp_path.iterdir()] == ["worker-1.facts"]
