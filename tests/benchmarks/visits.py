"""`make bench-visits`: what the visit log costs at a town's scale, each figure beside its bar.

Visits are replayed from `page-requests.jsonl` of traffic.tar.xz in TOWNGATE_TEST_DATA: its page loads, again
and again, by the people of a town of 500, their times spread over the working hours of a month. They go the
way that a worker's visits go: a VisitLog writes segments, ingest takes them in, and then the log is asked.
"""

import argparse
import asyncio
import logging
import math
import os
import random
import tarfile
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from admin import overview, visits
from admin.database import Database
from admin.ingest import Ingest
from admin.visit_log import counting
from admin.visit_log.searching import VisitFilter
from admin.visits import WhoCodes
from admin.week import Week
from admin.weekly_report import weekly_report
from categories.taxonomy import taxonomy
from policy.decision import Cause, Decision, Lane, Verdict
from policy.town_policy import Department, Policy, Town, WeeklyReport
from policy.visit import Client, Visit
from policy.visit_record import VisitRecord, new_code
from proxy_addons.judge import Judgement
from proxy_addons.spool import Spool
from proxy_addons.visit_log import VisitLog
from tests.benchmarks.categories import page_requests
from tests.benchmarks.ingest_kills import killed_ingest
from tests.benchmarks.report import machine, without_log

_START = datetime(2026, 3, 1, tzinfo=UTC)
_DAYS = 30
_PEOPLE = 500
_DEPARTMENTS = [f"department-{number}" for number in range(12)]
_IN_A_SEGMENT = 100_000
_CODES = WhoCodes(b"secret", ZoneInfo("America/New_York"))
_ASKED = 5
_REPORTING = Policy(
    "one",
    Town("Town of Exampleton", "America/New_York"),
    {id_: Department(id_, head="person-3") for id_ in _DEPARTMENTS},
    weekly_report=WeeklyReport(names_shown=True),
)
_WEEK = Week(date(2026, 3, 16))
_AT = _WEEK.after.begins_at(ZoneInfo("America/New_York"))


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure, and the most or the least that it may be."""

    what: str
    value: float
    unit: str
    most: float | None = None
    least: float | None = None

    def __str__(self) -> str:
        bar = "" if self.most is None else f"at most {self.most:g}"
        bar = bar if self.least is None else f"at least {self.least:,g}"
        return f"| {self.what} | {self.value:,.4g} {self.unit} | {bar} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Replay, ask, and print the table."""
    parser = argparse.ArgumentParser(prog="make bench-visits ARGS=...", description=__doc__)
    parser.add_argument("--visits", type=int, default=10_000_000)
    parser.add_argument("--kills", type=int, default=20, help="how often ingest is killed (default 20)")
    parser.add_argument("--folder", type=Path, help="where the log is made; a temporary folder if left out")
    options = parser.parse_args(arguments)
    with (
        without_log(logging.INFO),
        tempfile.TemporaryDirectory(prefix="towngate-visits-", dir=options.folder) as folder,
    ):
        hosts = _hosts(Path(folder))
        print(f"{machine()}\n\n{options.visits:,} visits to {len(set(hosts)):,} hosts in {_DAYS} days\n")
        print("| what | measured | bar |\n|---|---:|---:|", flush=True)
        print(recording(Path(folder), hosts), flush=True)
        for figure in killed(Path(folder), hosts[0], options.kills):
            print(figure, flush=True)
        for figure in asyncio.run(measured(Path(folder), hosts, options.visits)):
            print(figure, flush=True)


def recording(folder: Path, hosts: Sequence[str], count: int = 50_000) -> Figure:
    """Measure what a visit costs a worker that begins, counts, ends and writes it."""
    spool = folder / "recorded"
    spool.mkdir()
    log = VisitLog(Spool(spool), taxonomy())
    judgements = [_judgement(host) for host in hosts[:1000]]
    started = time.process_time()
    for number in range(count):
        visit = log.begin(judgements[number % len(judgements)], Lane.TUNNEL, _nothing)
        visit.bytes_up, visit.bytes_down = 1000, 20_000
        log.end(visit)
        if number % 500 == 0:
            log.flush()
    log.close()
    spent = time.process_time() - started
    return Figure("a worker's cost of recording a visit", spent / count * 1e6, "us CPU", most=20)


def killed(folder: Path, host: str, kills: int) -> list[Figure]:
    """Count what is lost, and what comes twice, while ingest is killed; nothing where it is not."""
    if not kills:
        return []
    taken = killed_ingest(folder, _judgement(host), kills)
    rate = f"{kills} kills of ingest at {taken.written / taken.seconds:.0f} visits a second"
    return [
        Figure(f"{rate}, {taken.written:,} in all: lost", taken.lost, "", most=0),
        Figure("the same: in the log twice", taken.doubled, "", most=0),
    ]


async def measured(folder: Path, hosts: Sequence[str], count: int) -> list[Figure]:
    """Replay so many visits to these hosts, and measure ingest, size and answers."""
    spool = folder / "spool"
    spool.mkdir()
    path = folder / "admin" / "towngate.db"
    path.parent.mkdir()
    figures = []
    async with Database.open(path) as db:
        ingest = Ingest(db, spool, lambda: _START + timedelta(days=_DAYS, hours=-1))
        spent, written = 0.0, 0
        for segment in _segments(hosts, count):
            (spool / f"{written:012}.visits").write_bytes(segment)
            started = time.process_time()
            taken = await ingest.take_in()
            spent += time.process_time() - started
            written += taken
            if not taken or ingest.status.failure or ingest.status.bad_lines:
                raise SystemExit(f"ingest does not take them in: {ingest.status}")
        figures.append(Figure("ingest, rows per CPU second", written / spent, "", least=25_000))
        visits_at_rest = 0
        for month in await db.visits.months():
            async with db.visits.reading(month) as file:
                await file.fetch_all("PRAGMA wal_checkpoint(TRUNCATE)")
                row = await file.fetch_one("SELECT count(*) AS visits FROM visit_row")
                visits_at_rest += row["visits"] if row is not None else 0
    size = sum(file.stat().st_size for file in path.with_name("visits").iterdir())
    # Records that are one visit share a row.
    figures.append(Figure("visits that the records are", visits_at_rest, ""))
    figures.append(Figure("a visit at rest, indexes included", size / visits_at_rest, "bytes", most=120))
    async with Database.open(path) as db:
        for what, most, ask in _questions(db, hosts):
            figures += await _timed(what, most, ask)
    return figures


def _questions(
    db: Database, hosts: Sequence[str]
) -> Iterator[tuple[str, float | None, Callable[[], Awaitable[object]]]]:
    end = _START + timedelta(days=_DAYS)
    week, month = end - timedelta(days=7), _START

    def rows(limit: int = 50, **where: object) -> Callable[[], Awaitable[object]]:
        asked = VisitFilter(**where)  # type: ignore[arg-type]
        return lambda: visits.query(db, asked, _CODES, names_shown=True, limit=limit)

    busiest = max(set(hosts), key=hosts.count)
    yield "the newest 50", None, rows()
    yield "one person's week, all of it", 0.1, rows(person="person-7", since=week, limit=100_000)
    yield "a host's last month, the busiest one, a page", 0.2, rows(host=busiest, since=month)
    yield "a domain with many hosts, a page", None, rows(host="com", since=month)
    yield (
        "top 20 hosts of a department's month",
        0.5,
        lambda: counting.busiest_hosts(db.visits, month, 20, _DEPARTMENTS[3]),
    )
    day = end - timedelta(days=1)
    yield "overview page", 0.2, lambda: overview.overview(db, day, end)
    yield "what was blocked, a page", None, rows(verdict=Verdict.BLOCK)
    yield (
        "a department's blocked gambling, a page",
        None,
        rows(department=_DEPARTMENTS[3], verdict=Verdict.BLOCK, category="gambling"),
    )
    yield (
        "a department's month of a host: reach",
        None,
        lambda: counting.reach(db.visits, busiest, _DEPARTMENTS[3], month),
    )
    yield (
        "a department's weekly report",
        None,
        lambda: weekly_report(db, _REPORTING, _DEPARTMENTS[3], _WEEK, _AT),
    )
    yield "the town's weekly report", None, lambda: weekly_report(db, _REPORTING, None, _WEEK, _AT)
    yield "first visits of every site", None, lambda: counting.first_visits(db.visits)


async def _timed(what: str, most: float | None, ask: Callable[[], Awaitable[object]]) -> list[Figure]:
    walls, cpus = [], []
    for _ in range(_ASKED):
        started, spent = time.perf_counter(), time.process_time()
        await ask()
        walls.append(time.perf_counter() - started)
        cpus.append(time.process_time() - spent)
    # The first has to read the file; whoever asks waits for that, too.
    return [
        Figure(f"{what}, first", walls[0], "s", most=most),
        Figure(f"{what}, again, CPU", sorted(cpus)[_ASKED // 2], "s", most=most),
    ]


def _segments(hosts: Sequence[str], count: int) -> Iterator[bytes]:
    dice = random.Random(7)
    for first in range(0, count, _IN_A_SEGMENT):
        records = sorted(
            (
                _record(hosts, number / count, dice)
                for number in range(first, min(count, first + _IN_A_SEGMENT))
            ),
            key=lambda record: record.ended_at,
        )
        yield b"".join(record.to_line() for record in records)


def _record(hosts: Sequence[str], share: float, dice: random.Random) -> VisitRecord:
    day = math.floor(share * _DAYS)
    began = _START + timedelta(days=day, hours=13 + 9 * ((share * _DAYS) % 1) + dice.random() / 60)
    host = hosts[int(dice.random() ** 1.5 * len(hosts))]
    number = dice.randrange(_PEOPLE)
    kind = hash(host) % 20
    is_blocked = kind == 0
    category = ("gambling", "press", "shopping", None)[min(3, kind)] if kind < 12 else None
    return VisitRecord(
        code=new_code(),
        started_at=began,
        ended_at=began + timedelta(milliseconds=dice.expovariate(1 / 20_000)),
        address=f"10.10.{number // 250}.{number % 250}",
        person=f"person-{number}",
        device=f"PC-{number}",
        department=_DEPARTMENTS[number % len(_DEPARTMENTS)],
        scheme="https",
        host=host,
        port=443,
        verdict=Verdict.BLOCK if is_blocked else Verdict.ALLOW,
        lane=Lane.BLOCK if is_blocked else Lane.TUNNEL,
        cause=Cause.RULE if is_blocked else Cause.DEFAULT,
        rule="not-town-business" if is_blocked else None,
        exemption=None,
        category=category,
        entry=host if category else None,
        source="ut1" if category else None,
        refusal="the origin server closed it" if dice.random() < 0.02 else None,
        bytes_up=int(dice.lognormvariate(7.5, 1)),
        bytes_down=0 if is_blocked else int(dice.lognormvariate(10, 2)),
        policy_sequence=math.floor(share * 40),
        policy_version=f"{math.floor(share * 4):012x}",
        category_version=f"{day:012x}",
    )


def _judgement(host: str) -> Judgement:
    client = Client("10.10.0.1", "person-1", "PC-1", "department-1")
    visit = Visit(client, "https", host, 443, None, _START)
    return Judgement(visit, Decision(Verdict.ALLOW, Cause.DEFAULT), 1, "policy", "lists")


def _hosts(folder: Path) -> list[str]:
    with tarfile.open(Path(os.environ["TOWNGATE_TEST_DATA"]) / "traffic.tar.xz") as tar:
        tar.extract("traffic/page-requests.jsonl", folder, filter="data")
    # A page load visits each of its hosts once, whatever it asks of it.
    return [host for host, _ in page_requests(folder / "traffic/page-requests.jsonl")]


def _nothing() -> None:
    """Close nothing."""


if __name__ == "__main__":
    main()
