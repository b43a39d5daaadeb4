import asyncio
import fcntl
import os
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from admin import spool_reader
from admin.database import Database
from admin.ingest import Ingest
from admin.spool_reader import MAX_LINE_BYTES
from admin.visit_log.searching import VisitFilter
from admin.visit_log.visit_log import Month
from admin.visits import WhoCodes, query
from policy.visit_record import VisitRecord
from tests.admin.small_town import MONDAY, visit_record
from tests.admin.visit_files import in_visit_files

NEW_YORK = ZoneInfo("America/New_York")


class Writer:
    """Writes a segment as a worker does: locked while it lives."""

    def __init__(self, spool: Path, name: str = "00000000000000000001-1.visits") -> None:
        self.path = spool / name
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o660)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def write(self, *parts: VisitRecord | bytes) -> None:
        for part in parts:
            os.write(self._fd, part if isinstance(part, bytes) else part.to_line())

    def die(self) -> None:
        os.close(self._fd)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
def ingest(db: Database, spool: Path) -> Ingest:
    return Ingest(db, spool, lambda: MONDAY)


async def hosts(db: Database) -> list[str]:
    rows = await query(db, VisitFilter(), WhoCodes(b"secret", NEW_YORK), names_shown=True, limit=1000)
    return sorted(row.host for row in rows)


async def bad_lines(db: Database) -> list[tuple[int, str]]:
    rows = await in_visit_files(db, "SELECT position, reason FROM bad_line ORDER BY position")
    return [(row["position"], row["reason"]) for row in rows]


def visit(host: str, **changed: Any) -> VisitRecord:
    return visit_record(host=host, **changed)


async def test_visits_arrive_while_their_writer_lives_and_the_segment_goes_when_it_ends(
    db: Database, spool: Path, ingest: Ingest
) -> None:
    writer = Writer(spool)
    writer.write(visit("a.example"), visit("b.example"))
    assert await ingest.take_in() == 2
    assert writer.path.exists()
    writer.write(visit("c.example"))
    assert await ingest.take_in() == 1
    writer.die()
    assert await ingest.take_in() == 0
    assert not writer.path.exists()
    assert await hosts(db) == ["a.example", "b.example", "c.example"]
    assert ingest.status.caught_up_at == MONDAY
    assert (ingest.status.waiting_bytes, ingest.status.failure) == (0, None)


async def test_a_record_arrives_as_it_was_written(db: Database, spool: Path, ingest: Ingest) -> None:
    record = visit_record(
        ended_at=MONDAY + timedelta(milliseconds=1234),
        exemption="EX-1",
        refusal="gone",
        bytes_down=1 << 40,
        addresses=("http://cardroom.example/b", "http://cardroom.example/a"),
    )
    writer = Writer(spool)
    writer.write(record)
    await ingest.take_in()
    (row,) = await query(db, VisitFilter(), WhoCodes(b"secret", NEW_YORK), names_shown=True)
    for name in set(VisitRecord.__struct_fields__) - {"is_running", "is_shown"}:
        shown = row.who if name in ("person", "device", "department", "address") else row
        assert getattr(shown, name) == getattr(record, name), name
    writer.die()


async def test_addresses_are_made_safe_as_other_texts_are(db: Database, spool: Path, ingest: Ingest) -> None:
    writer = Writer(spool)
    writer.write(visit("a.example", addresses=("http://a.example/\x1b[2J\u202e", "x" * 2000)))
    await ingest.take_in()
    rows = await in_visit_files(db, "SELECT address FROM visit_address ORDER BY place")
    assert [row["address"] for row in rows] == ["http://a.example/\ufffd[2J\ufffd", "x" * 2000]
    writer.die()


async def test_half_a_line_waits_for_its_rest(db: Database, spool: Path, ingest: Ingest) -> None:
    line = visit("a.example").to_line()
    writer = Writer(spool)
    writer.write(line[:100])
    assert await ingest.take_in() == 0
    writer.write(line[100:])
    assert await ingest.take_in() == 1
    writer.die()
    await ingest.take_in()
    assert await bad_lines(db) == []


async def test_half_a_line_of_a_killed_worker_is_counted_and_kept(
    db: Database, spool: Path, ingest: Ingest
) -> None:
    line = visit("a.example").to_line()
    writer = Writer(spool)
    writer.write(line, line[:100])
    writer.die()
    assert await ingest.take_in() == 1
    assert await bad_lines(db) == [(len(line), "cut: its end was never written")]
    assert not writer.path.exists()
    assert ingest.status.bad_lines == 1


HOSTILE = {
    "no JSON": b"garbage",
    "empty": b"",
    "a number": b"7",
    "a deep list": b"[" * 5000,
    "binary": bytes(range(1, 10)) + bytes(range(11, 256)),
    "NUL": b"\x00" * 50,
    "before there were gates": visit_record(started_at=datetime(1970, 1, 1, tzinfo=UTC)).to_line()[:-1],
    "in a far future": visit_record(ended_at=datetime(2400, 1, 1, tzinfo=UTC)).to_line()[:-1],
    "no time zone": visit_record(started_at=datetime(2026, 3, 2)).to_line()[:-1],  # noqa: DTZ001 - the point
    "negative bytes": visit_record(bytes_up=-1).to_line()[:-1],
    "more bytes than SQLite can count": visit_record(bytes_down=1 << 63).to_line()[:-1],
    "a number without end": visit_record().to_line()[:-1].replace(b'"port":443', b'"port":' + b"9" * 5000),
    "an absurd port": visit_record(port=70000).to_line()[:-1],
    "an unknown verdict": visit_record().to_line()[:-1].replace(b'"block"', b'"perhaps"'),
    "a missing field": visit_record().to_line()[:-1].replace(b'"code"', b'"kode"'),
    "half a surrogate pair": visit_record(host="HOST").to_line()[:-1].replace(b"HOST", b"\\ud800"),
}


@pytest.mark.parametrize("line", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_hostile_line_is_kept_aside_and_the_next_one_taken(
    db: Database, spool: Path, ingest: Ingest, line: bytes
) -> None:
    writer = Writer(spool)
    writer.write(visit("a.example"), line + b"\n", visit("b.example"))
    writer.die()
    assert await ingest.take_in() == 2
    assert ingest.status.failure is None
    assert len(await bad_lines(db)) == 1
    assert await hosts(db) == ["a.example", "b.example"]


async def test_texts_are_cut_and_cannot_steer_a_terminal(db: Database, spool: Path, ingest: Ingest) -> None:
    writer = Writer(spool)
    writer.write(visit("a\x1b[2J\x00\r\n.example", refusal="x" * 10_000, rule="<script>"))
    writer.die()
    assert await ingest.take_in() == 1
    (row,) = await query(db, VisitFilter(), WhoCodes(b"secret", NEW_YORK), names_shown=True)
    assert row.host == "a\ufffd[2J\ufffd\ufffd\ufffd.example"
    assert row.refusal == "x" * 512
    assert row.rule == "<script>"


async def test_a_visit_never_ends_before_it_began(db: Database, spool: Path, ingest: Ingest) -> None:
    writer = Writer(spool)
    writer.write(visit("a.example", ended_at=MONDAY - timedelta(hours=1)))
    writer.die()
    await ingest.take_in()
    (row,) = await query(db, VisitFilter(), WhoCodes(b"secret", NEW_YORK), names_shown=True)
    assert row.lasted == timedelta(0)


@pytest.mark.parametrize("length", [MAX_LINE_BYTES + 1, (1 << 20) + 5, 5 << 20])
@pytest.mark.parametrize("in_pieces", [False, True])
async def test_a_line_without_end_is_skipped_once(
    db: Database, spool: Path, ingest: Ingest, length: int, in_pieces: bool
) -> None:
    writer = Writer(spool)
    writer.write(visit("a.example"), b"x" * (length // 2))
    if in_pieces:
        await ingest.take_in()
    writer.write(b"x" * (length - length // 2))
    if in_pieces:
        await ingest.take_in()
    writer.write(b"\n", visit("b.example"))
    writer.die()
    await ingest.take_in()
    assert await hosts(db) == ["a.example", "b.example"]
    ((position, reason),) = await bad_lines(db)
    assert position == len(visit("a.example").to_line())
    assert reason == "longer than 65536 bytes"


async def test_the_first_hundred_bad_lines_of_a_segment_are_kept_and_all_counted(
    db: Database, spool: Path, ingest: Ingest
) -> None:
    writer = Writer(spool)
    writer.write(b"x\n" * 150)
    await ingest.take_in()
    writer.write(b"y\n" * 150, visit("a.example"))
    writer.die()
    await ingest.take_in()
    await ingest.take_in()
    assert len(await bad_lines(db)) == 100
    assert ingest.status.bad_lines == 300
    (row,) = await in_visit_files(db, "SELECT bad_lines FROM segment")
    assert row["bad_lines"] == 300


async def test_many_segments_and_mebibytes_are_taken_in_whole(
    db: Database, spool: Path, ingest: Ingest
) -> None:
    line = visit("a.example").to_line()
    for n in range(3):
        writer = Writer(spool, f"{n}.visits")
        writer.write(line * ((3 << 20) // 2 // len(line)))
        writer.die()
    taken = await ingest.take_in()
    assert taken == 3 * ((3 << 20) // 2 // len(line))
    assert list(spool.iterdir()) == []


async def test_killed_after_the_commit_and_before_the_file_is_deleted_nothing_comes_twice(
    db: Database, spool: Path, ingest: Ingest
) -> None:
    writer = Writer(spool)
    writer.write(visit("a.example"), b"half a")
    writer.die()
    kept = spool.parent / "kept"
    shutil.copy(writer.path, kept)
    await ingest.take_in()
    shutil.copy(kept, writer.path)  # as if it had never been deleted
    again = Ingest(db, spool, lambda: MONDAY)
    assert await again.take_in() == 0
    assert not writer.path.exists()
    assert await hosts(db) == ["a.example"]
    assert len(await bad_lines(db)) == 1


async def test_cancelled_at_any_point_nothing_is_lost_or_comes_twice(db: Database, spool: Path) -> None:
    expected = []
    for n in range(30):
        expected.append(f"{n:02}.example")
        writer = Writer(spool, f"{n:02}.visits")
        writer.write(visit(expected[-1]))
        writer.die()
        task = asyncio.create_task(Ingest(db, spool, lambda: MONDAY).take_in())
        await asyncio.sleep(0.001 * n)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await Ingest(db, spool, lambda: MONDAY).take_in()
    assert await hosts(db) == expected


async def test_while_the_database_is_locked_visits_wait_and_arrive_later(
    db: Database, spool: Path, ingest: Ingest
) -> None:
    month = await db.visits.writer(Month.of(MONDAY))
    writer = Writer(spool)
    writer.write(visit("a.example"))
    other = sqlite3.connect(month._file.path, autocommit=True)
    other.execute("BEGIN IMMEDIATE")
    await month._file._writer.execute_fetchall("PRAGMA busy_timeout = 50")
    assert await ingest.take_in() == 0
    assert "locked" in (ingest.status.failure or "")
    assert ingest.status.caught_up_at is None
    assert ingest.status.waiting_bytes == len(visit("a.example").to_line())
    assert ingest.status.waiting_records == 1
    other.execute("ROLLBACK")
    other.close()
    assert await ingest.take_in() == 1
    assert ingest.status.failure is None
    writer.die()


async def test_a_long_round_tells_how_much_is_still_on_its_way(db: Database, spool: Path) -> None:
    line = visit("a.example").to_line()
    for n in range(3):
        writer = Writer(spool, f"{n}.visits")
        writer.write(line * 10)
        writer.die()
    told: list[int] = []

    def clock() -> datetime:
        # Every look at the clock a minute later: each segment makes this a long round.
        told.append(ingest.status.waiting_records)
        return MONDAY + timedelta(minutes=len(told))

    ingest = Ingest(db, spool, clock)
    assert await ingest.take_in() == 30
    expected = [-(-len(line) * 10 * segments // 600) for segments in (2, 1)]
    assert [n for n in dict.fromkeys(told) if n] == expected
    assert ingest.status.waiting_records == 0
    assert ingest.status.caught_up_at == MONDAY + timedelta(minutes=1)


async def test_what_is_no_plain_file_is_left_alone_and_named(
    db: Database, spool: Path, ingest: Ingest, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(visit("secret.example").to_line())
    (spool / "link.visits").symlink_to(secret)
    os.mkfifo(spool / "pipe.visits")
    (spool / "folder.visits").mkdir()
    (spool / "other.txt").write_bytes(visit("other.example").to_line())
    (spool / ".hidden.visits").write_bytes(visit("hidden.example").to_line())
    for name in (b"\xff.visits", b"a\nb.visits"):
        (spool / os.fsdecode(name)).write_bytes(visit("misnamed.example").to_line())
    writer = Writer(spool, "z.visits")
    writer.write(visit("a.example"))
    writer.die()
    async with asyncio.timeout(60):
        assert await ingest.take_in() == 1
    assert ingest.status.failure is not None
    assert ingest.status.failure.isprintable()
    assert ingest.status.misnamed == ("a\nb.visits", os.fsdecode(b"\xff.visits"))
    assert await hosts(db) == ["a.example"]
    assert secret.exists()


async def test_a_spool_that_is_missing_is_said_and_waited_for(
    db: Database, spool: Path, ingest: Ingest
) -> None:
    spool.rmdir()
    assert await ingest.take_in() == 0
    assert "No such file" in (ingest.status.failure or "")
    spool.mkdir()
    await ingest.take_in()
    assert ingest.status.failure is None


async def test_a_second_reader_of_the_spool_stops_instead_of_doubling_visits(
    db: Database, spool: Path, ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(spool)
    writer.write(visit("a.example"))
    read_batch = spool_reader.read_batch
    other = Ingest(db, spool, lambda: MONDAY)

    def read_slowly(path: Path, place: spool_reader.Place) -> spool_reader.Batch:
        batch = read_batch(path, place)
        monkeypatch.setattr(spool_reader, "read_batch", read_batch)
        asyncio.run_coroutine_threadsafe(other.take_in(), loop).result(60)
        return batch

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(spool_reader, "read_batch", read_slowly)
    assert await ingest.take_in() == 0
    assert "another process" in (ingest.status.failure or "")
    assert await hosts(db) == ["a.example"]
    writer.die()


async def test_segments_that_are_gone_are_forgotten(db: Database, spool: Path, ingest: Ingest) -> None:
    writer = Writer(spool)
    writer.write(visit("a.example"))
    writer.die()
    await ingest.take_in()
    await ingest.take_in()
    assert await in_visit_files(db, "SELECT * FROM segment") == []
