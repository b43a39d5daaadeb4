"""What admin publishes of first visits: from the log, by registrable domain."""

from datetime import timedelta
from pathlib import Path

import pytest

from admin.clock import utc_now
from admin.database import Database
from admin.first_visits import FirstVisitsJob
from admin.ingest import Ingest
from categories.first_visits import FirstVisits
from policy.visit_record import VisitRecord
from tests.admin.small_town import MONDAY, visit_record

NOW = MONDAY + timedelta(days=30)
WEEK = timedelta(days=7)


def visit(host: str, days: float) -> VisitRecord:
    at = MONDAY + timedelta(days=days)
    return visit_record(host=host, started_at=at, ended_at=at)


async def test_first_visit_of_any_host_of_a_site_counts_for_all_of_them(db: Database, tmp_path: Path) -> None:
    records = [
        visit("a.example", 0),
        visit("www.old.example", 23),
        visit("old.example", 29),
        visit("new.example", 23.5),
        visit("new.example", 29),
    ]
    (tmp_path / "1.visits").write_bytes(b"".join(record.to_line() for record in records))
    await Ingest(db, tmp_path, utc_now).take_in()
    path = tmp_path / "first-visits"
    path.write_bytes(b"of before")

    await FirstVisitsJob(path, db, lambda: NOW).publish()

    found = FirstVisits.from_bytes(path.read_bytes())
    assert (len(found), found.published_at) == (3, NOW)
    hosts = ("old.example", "cdn.old.example", "new.example", "other.example")
    assert [found.is_newly_seen(host, NOW, WEEK) for host in hosts] == [False, False, True, True]


async def test_log_without_visits_is_published_too(db: Database, tmp_path: Path) -> None:
    await FirstVisitsJob(tmp_path / "first-visits", db, lambda: NOW).publish()
    assert len(FirstVisits.from_bytes((tmp_path / "first-visits").read_bytes())) == 0


async def test_file_before_stays_when_the_new_one_cannot_be_written(db: Database, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    job = FirstVisitsJob(tmp_path / "gone" / "first-visits", db, lambda: NOW)
    await job.publish()
    before = (tmp_path / "gone" / "first-visits").read_bytes()
    (tmp_path / "gone").rename(tmp_path / "kept")

    with pytest.raises(FileNotFoundError):
        await job.publish()

    assert (tmp_path / "kept" / "first-visits").read_bytes() == before
