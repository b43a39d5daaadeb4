"""Who continued past a warning: written by one worker, known to all, for a while."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from policy.visit import Client
from proxy_addons import egress_metrics
from proxy_addons.continuations import REMEMBERED, Continuations
from tests.people import CLERK_AT_WORK, SOMEONE_IN_PARKS

MORNING = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
KEY = b"k" * 32
SITE = "shop.example"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "continued"


def test_other_workers_know_at_once_and_one_started_later_too(folder: Path) -> None:
    one, other = Continuations(folder, KEY), Continuations(folder, KEY)
    assert not other.has(CLERK_AT_WORK, SITE, MORNING)

    one.add(CLERK_AT_WORK, SITE, MORNING)

    for worker in (one, other, Continuations(folder, KEY)):
        assert worker.has(CLERK_AT_WORK, SITE, MORNING)
        assert not worker.has(CLERK_AT_WORK, "news.example", MORNING)
        assert not worker.has(SOMEONE_IN_PARKS, SITE, MORNING)


def test_person_is_known_at_every_device_and_a_device_without_one_by_its_address(folder: Path) -> None:
    continuations = Continuations(folder, KEY)
    continuations.add(CLERK_AT_WORK, SITE, MORNING)
    continuations.add(SOMEONE_IN_PARKS, SITE, MORNING)

    assert continuations.has(Client("10.10.20.99", person=CLERK_AT_WORK.person), SITE, MORNING)
    assert not continuations.has(Client(CLERK_AT_WORK.address), SITE, MORNING)
    assert not continuations.has(Client("10.10.40.8", department="parks"), SITE, MORNING)


@pytest.mark.parametrize(
    ("after", "holds"),
    [
        (-timedelta(seconds=1), False),
        (timedelta(0), True),
        (REMEMBERED - timedelta(seconds=1), True),
        (REMEMBERED, False),
        (3 * REMEMBERED, False),
    ],
)
def test_it_holds_for_eight_hours_whatever_hour_it_began(after: timedelta, holds: bool, folder: Path) -> None:
    for hours in range(9):
        began = MORNING + timedelta(hours=hours)
        Continuations(folder, KEY).add(CLERK_AT_WORK, SITE, began)
        # One who reads it then, and one who has known it from the start.
        knows = Continuations(folder, KEY)
        knows.has(CLERK_AT_WORK, SITE, began)
        assert knows.has(CLERK_AT_WORK, SITE, began + after) is holds
        assert Continuations(folder, KEY).has(CLERK_AT_WORK, SITE, began + after) is holds
        for path in folder.iterdir():
            path.unlink()


def test_its_end_is_told_once_to_every_worker(folder: Path) -> None:
    one, other = Continuations(folder, KEY), Continuations(folder, KEY)
    one.add(CLERK_AT_WORK, SITE, MORNING)
    for worker in (one, other):
        assert not worker.have_ended(MORNING)
        assert not worker.have_ended(MORNING + REMEMBERED - timedelta(seconds=1))
        assert worker.have_ended(MORNING + REMEMBERED)
        assert not worker.have_ended(MORNING + REMEMBERED + timedelta(seconds=1))


def test_continuing_twice_is_written_once(folder: Path) -> None:
    one, other = Continuations(folder, KEY), Continuations(folder, KEY)
    one.add(CLERK_AT_WORK, SITE, MORNING)
    other.add(CLERK_AT_WORK, SITE, MORNING + timedelta(hours=1))

    (path,) = folder.iterdir()
    assert path.read_bytes().count(b"\n") == 1


def test_files_in_which_nothing_has_held_for_long_are_deleted(folder: Path) -> None:
    continuations = Continuations(folder, KEY)
    for times in range(6):
        continuations.add(CLERK_AT_WORK, SITE, MORNING + times * REMEMBERED)
    # What may hold, and two before that.
    assert len(list(folder.iterdir())) == 4

    later = MORNING + 20 * REMEMBERED
    assert not Continuations(folder, KEY).has(CLERK_AT_WORK, SITE, later)

    assert len(list(folder.iterdir())) == 2


def test_a_workers_clock_that_is_days_ahead_has_nobody_warned_again(folder: Path) -> None:
    right, ahead = Continuations(folder, KEY), Continuations(folder, KEY)
    right.add(CLERK_AT_WORK, SITE, MORNING)
    right.add(SOMEONE_IN_PARKS, SITE, MORNING)

    ahead.add(CLERK_AT_WORK, SITE, MORNING + timedelta(days=2))

    assert Continuations(folder, KEY).has(CLERK_AT_WORK, SITE, MORNING)
    right.add(CLERK_AT_WORK, "news.example", MORNING)
    for worker in (right, ahead):
        assert worker.has(CLERK_AT_WORK, "news.example", MORNING)


def test_file_gives_away_neither_who_nor_where(folder: Path) -> None:
    Continuations(folder, KEY).add(CLERK_AT_WORK, SITE, MORNING)
    (path,) = folder.iterdir()
    assert b"clerk" not in path.read_bytes() and b"shop" not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_lines_that_are_none_are_passed_over_and_counted(folder: Path) -> None:
    Continuations(folder, KEY).add(CLERK_AT_WORK, SITE, MORNING)
    (path,) = folder.iterdir()
    good = path.read_bytes()
    years_later = f"{'0' * 64} {int((MORNING + timedelta(days=3650)).timestamp())}\n".encode()
    hostile = [b"\n", b"\0\xff\n", good[:40] + b"\n", b"x" * 100_000 + b"\n", years_later, good.upper()]
    path.write_bytes(b"".join(hostile) + good + b"half a li")
    before = egress_metrics.CONTINUATIONS_REFUSED._value.get()

    continuations = Continuations(folder, KEY)

    assert continuations.has(CLERK_AT_WORK, SITE, MORNING)
    assert egress_metrics.CONTINUATIONS_REFUSED._value.get() - before == len(hostile)
    # What was half a line becomes one that is none, and what follows it counts.
    with path.open("ab") as file:
        file.write(b"ne\n")
    continuations.add(SOMEONE_IN_PARKS, SITE, MORNING)
    assert continuations.has(SOMEONE_IN_PARKS, SITE, MORNING)
    assert egress_metrics.CONTINUATIONS_REFUSED._value.get() - before == len(hostile) + 1


def test_what_another_key_made_counts_for_nothing(folder: Path) -> None:
    Continuations(folder, b"x" * 32).add(CLERK_AT_WORK, SITE, MORNING)
    assert not Continuations(folder, KEY).has(CLERK_AT_WORK, SITE, MORNING)


def test_what_cannot_be_read_is_said_once_and_all_are_warned_again(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write_text("a file, and no folder")
    continuations = Continuations(folder, KEY)
    assert not continuations.has(CLERK_AT_WORK, SITE, MORNING)
    assert not continuations.has(CLERK_AT_WORK, SITE, MORNING)
    assert [record.message for record in caplog.records] == [
        f"cannot read who continued, all are warned again: error=[Errno 20] Not a directory: '{folder}'"
    ]
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        continuations.add(CLERK_AT_WORK, SITE, MORNING)


def test_many_writers_at_once_lose_nothing(folder: Path) -> None:
    clients = [Client(f"10.0.{i}.{j}") for i in range(8) for j in range(25)]

    def write(mine: list[Client]) -> None:
        continuations = Continuations(folder, KEY)
        for client in mine:
            continuations.add(client, SITE, MORNING)

    threads = [threading.Thread(target=write, args=[clients[i::8]]) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    reader = Continuations(folder, KEY)
    assert all(reader.has(client, SITE, MORNING) for client in clients)
