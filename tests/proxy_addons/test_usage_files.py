"""Use of quotas in files: added up over workers, by the town's day, however many use something."""

import os
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from policy.limiting import Use
from policy.usage import HEAD_BYTES, MAX_BYTES, MOST_KEYS, Usage, UsageError, used_in_all
from proxy_addons.usage_files import UsageFiles

NEW_YORK = ZoneInfo("America/New_York")
TEN = datetime(2026, 3, 2, 15, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def key_of(who: str) -> bytes:
    return blake2b(who.encode(), digest_size=16).digest()


CLERK = key_of("clerk")


def files_of(folder: Path) -> UsageFiles:
    """Return those of a worker that has begun the day."""
    files = UsageFiles(folder)
    files.look(TEN, NEW_YORK)
    return files


def written(usage: Usage) -> bytes:
    data = bytearray()

    def write(at: int, piece: bytes) -> None:
        data[at : at + len(piece)] = piece

    usage.write_changed(write, is_new=True)
    return bytes(data)


def test_use_is_added_up_over_workers_and_begins_anew_at_the_towns_midnight(tmp_path: Path) -> None:
    one, other = files_of(tmp_path), files_of(tmp_path)
    for at, worker, size in (
        (TEN, one, 9_999),
        (TEN + timedelta(seconds=5), one, 1),
        (TEN + timedelta(seconds=30), other, 20_000),
        (TEN + timedelta(minutes=3), other, 20_000),
        (TEN + timedelta(minutes=4), other, 9_999),
    ):
        worker.add(CLERK, size, at, NEW_YORK)
    assert one.used(CLERK) == Use(10_000, timedelta(minutes=1))
    later = TEN + timedelta(minutes=5)
    for worker in (one, other, one):
        worker.look(later, NEW_YORK)
    # One minute is one, whoever counted it; one in which next to nothing came is none.
    assert one.used(CLERK) == other.used(CLERK) == Use(59_999, timedelta(minutes=2))
    new = UsageFiles(tmp_path)
    new.look(later, NEW_YORK)
    assert new.used(CLERK) == Use(59_999, timedelta(minutes=2))
    before_midnight = datetime(2026, 3, 3, 4, 59, tzinfo=UTC)
    new.look(before_midnight, NEW_YORK)
    assert new.used(CLERK).size_bytes == 59_999
    new.look(before_midnight + timedelta(minutes=1), NEW_YORK)
    assert new.used(CLERK) == Use()
    # A clock that is put back, or a zone that is, finds the day as it was.
    new.look(before_midnight, NEW_YORK)
    assert new.used(CLERK).size_bytes == 59_999


def days_of_files(folder: Path) -> list[str]:
    return sorted({path.name[:10] for path in folder.glob("*.usage")})


def test_files_are_kept_of_two_days_before_however_long_ago_they_were(tmp_path: Path) -> None:
    files = UsageFiles(tmp_path)
    for day in (0, 1, 2, 9):
        files.look(TEN + timedelta(days=day), NEW_YORK)
        files.add(CLERK, 5, TEN + timedelta(days=day), NEW_YORK)
        files.exchange()
    assert days_of_files(tmp_path) == ["2026-03-03", "2026-03-04", "2026-03-11"]


@pytest.mark.parametrize("ahead", [timedelta(days=1), timedelta(days=2), timedelta(days=400)])
def test_what_was_used_is_known_after_a_clock_was_ahead_and_what_was_used_meanwhile_counts_too(
    ahead: timedelta, tmp_path: Path
) -> None:
    one, other = files_of(tmp_path), files_of(tmp_path)
    one.add(CLERK, 20_000, TEN, NEW_YORK)
    for worker in (one, other):
        worker.look(TEN, NEW_YORK)
    later = TEN + timedelta(minutes=5)
    for worker in (one, other, one):
        worker.look(later + ahead, NEW_YORK)
    # By that clock it is a day on which nothing was used.
    assert one.used(CLERK) == other.used(CLERK) == Use()
    other.add(CLERK, 30_000, later + ahead, NEW_YORK)
    for worker in (other, one, other):
        worker.look(later + SECOND, NEW_YORK)
    assert one.used(CLERK) == other.used(CLERK) == Use(50_000, timedelta(minutes=2))
    # One that begins now knows it as well; and were it the later day after all, that one has lost nothing.
    new = UsageFiles(tmp_path)
    new.look(later + SECOND, NEW_YORK)
    assert new.used(CLERK).size_bytes == 50_000
    new.look(later + ahead, NEW_YORK)
    assert new.used(CLERK).size_bytes == 30_000


def test_a_clock_that_goes_to_and_fro_counts_nothing_twice_for_the_day_it_comes_back_to(
    tmp_path: Path,
) -> None:
    files, ahead = files_of(tmp_path), timedelta(days=1)
    files.add(CLERK, 100, TEN, NEW_YORK)
    for _ in range(3):
        files.look(TEN + ahead, NEW_YORK)
        files.add(CLERK, 10, TEN + ahead, NEW_YORK)
        files.look(TEN, NEW_YORK)
    assert files.used(CLERK).size_bytes == 130


def test_a_clock_that_goes_to_and_fro_before_anything_is_written_loses_nothing(tmp_path: Path) -> None:
    files, later = files_of(tmp_path), TEN + timedelta(days=1)
    files.add(CLERK, 100, TEN, NEW_YORK)
    for used in (110, 120):
        files.go_on_to(later, NEW_YORK)
        files.add(CLERK, 10, later, NEW_YORK)
        files.go_on_to(TEN, NEW_YORK)
        assert files.used(CLERK).size_bytes == used, "at once"
    files.exchange()
    for at, used in ((TEN, 120), (later, 20)):
        new = UsageFiles(tmp_path)
        new.look(at, NEW_YORK)
        assert new.used(CLERK).size_bytes == used


def test_other_workers_know_the_use_of_each_however_many_there_are(tmp_path: Path) -> None:
    one, other = files_of(tmp_path), files_of(tmp_path)
    keys = [key_of(f"limit {number % 4} person {number // 4}") for number in range(40_000)]
    for key in keys:
        one.add(key, 20_000, TEN, NEW_YORK)
    one.look(TEN, NEW_YORK)
    other.look(TEN, NEW_YORK)
    assert all(other.used(key) == Use(20_000, timedelta(minutes=1)) for key in keys)
    # What is used later, and by one more, is known as well.
    for key in (keys[0], keys[-1], CLERK):
        one.add(key, 1, TEN + SECOND, NEW_YORK)
    one.look(TEN + SECOND, NEW_YORK)
    other.look(TEN + SECOND, NEW_YORK)
    assert [other.used(key).size_bytes for key in (keys[0], keys[1], keys[-1], CLERK)] == [
        *(20_001, 20_000, 20_001, 1)
    ]


def test_who_has_no_place_any_more_shares_one_and_is_never_taken_for_unused() -> None:
    usage, known = Usage(TEN.date()), Usage(TEN.date())
    keys = [key_of(f"{number}") for number in range(MOST_KEYS + 1000)]
    for key in keys:
        usage.add(usage.place(key), 5)
    data = written(usage)
    assert len(data) <= MAX_BYTES
    known.take_in(data)
    for one in (usage, known):
        assert all(one.used(key) == (5, 0) for key in keys[:MOST_KEYS])
        assert all(one.used(key)[0] >= 5 for key in keys[MOST_KEYS:])
    assert used_in_all([usage, known], keys[0]) == Use(10)


def test_who_reads_while_much_is_written_knows_all_of_it_in_the_end() -> None:
    usage, known, file = Usage(TEN.date()), Usage(TEN.date()), bytearray()

    def write(at: int, piece: bytes) -> None:
        # As a file is written: what is skipped is there, as zeros.
        file.extend(bytes(max(0, at - len(file))))
        file[at : at + len(piece)] = piece
        known.take_in(bytes(file))

    keys = [key_of(f"{number}") for number in range(2000)]
    # Every second some more of it is new.
    for start in range(0, len(keys), 200):
        for key in keys[start : start + 200]:
            usage.add(usage.place(key), 5)
        usage.write_changed(write, is_new=not file)
        assert {known.used(key) for key in keys[: start + 200]} == {(5, 0)}


def test_file_that_is_no_usage_is_passed_over_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "2026-03-02-x.usage").write_bytes(b"[1, 2" * 20)
    files = UsageFiles(tmp_path)
    for second in range(3):
        files.look(TEN + second * SECOND, NEW_YORK)
    assert files.used(CLERK) == Use()
    assert caplog.text.count("use of quotas passed over") == 1


def test_what_a_file_said_counts_though_it_is_damaged_later() -> None:
    usage, known = Usage(TEN.date()), Usage(TEN.date())
    usage.add(usage.place(CLERK), 5)
    data = written(usage)
    # The last place was not written whole: it is not known yet.
    known.take_in(data[:-1])
    assert known.used(CLERK) == (0, 0)
    known.take_in(data)
    of_another_day = written(Usage(TEN.date() + timedelta(days=1)))
    for damaged in (b"", data[:HEAD_BYTES], b"\0" * len(data), of_another_day, data + bytes(MAX_BYTES)):
        with pytest.raises(UsageError, match="no usage"):
            known.take_in(damaged)
    assert known.used(CLERK) == (5, 0)


def test_use_by_other_workers_is_known_while_the_disk_fails(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "2026-03-02-a-pipe.usage")
    (tmp_path / "2026-03-02-a-link.usage").symlink_to(tmp_path / "2026-03-02-a-link.usage")
    one, other = files_of(tmp_path), files_of(tmp_path)
    one.look(TEN, NEW_YORK)
    other.add(CLERK, 10, TEN, NEW_YORK)
    other.look(TEN, NEW_YORK)
    # Where a file is to be is a folder: nothing can be written.
    one.add(CLERK, 5, TEN, NEW_YORK)
    path = one._today.path
    path.mkdir()
    one.look(TEN, NEW_YORK)
    assert one.used(CLERK).size_bytes == 15
    path.rmdir()
    one.look(TEN + SECOND, NEW_YORK)
    other.look(TEN + SECOND, NEW_YORK)
    assert other.used(CLERK).size_bytes == 15
    # A file that somebody deleted is written whole again.
    path.unlink()
    one.add(key_of("other"), 1, TEN, NEW_YORK)
    one.look(TEN + 2 * SECOND, NEW_YORK)
    new = UsageFiles(tmp_path)
    new.look(TEN + 2 * SECOND, NEW_YORK)
    assert new.used(CLERK).size_bytes == 15


def test_use_is_counted_though_that_of_days_before_cannot_be_deleted(tmp_path: Path) -> None:
    (tmp_path / "2026-02-20-x.usage").mkdir()
    files = files_of(tmp_path)
    files.add(CLERK, 5, TEN, NEW_YORK)
    files.look(TEN, NEW_YORK)
    assert files.used(CLERK).size_bytes == 5
