import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from admin import audit, sessions, visits
from admin.asking import NotAllowedError
from admin.audit import EventKind
from admin.database import Database
from admin.ingest import Ingest
from admin.sessions import Session
from admin.visit_log import counting, searching
from admin.visit_log.counting import Reach
from admin.visit_log.searching import Cursor, LeftOut, VisitFilter
from admin.visit_log.visit_log import Month
from admin.visits import NamesHiddenError, VisitRow, Who, WhoCodes
from policy.decision import Verdict
from policy.visit_record import VisitRecord
from tests.admin.small_town import MONDAY, PARKS_CLERK, visit_record
from tests.people import CLERK, HEAD, IT

NEW_YORK = ZoneInfo("America/New_York")
CODES = WhoCodes(b"k" * 32, NEW_YORK)


def minutes(n: float) -> datetime:
    return MONDAY + timedelta(minutes=n)


async def write(db: Database, folder: Path, *records: VisitRecord) -> None:
    """Bring records into the log the way they come: through the spool."""
    data = b"".join(record.to_line() for record in records)
    (folder / f"{hashlib.sha256(data).hexdigest()}.visits").write_bytes(data)
    await Ingest(db, folder, lambda: MONDAY).take_in()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
async def log(db: Database, spool: Path) -> AsyncIterator[Database]:
    """Return a log of six visits, one a minute."""
    in_parks: dict[str, Any] = {"person": PARKS_CLERK, "device": None, "department": "parks"}
    await write(
        db,
        spool,
        visit_record(started_at=minutes(0), host="cardroom.example"),
        visit_record(started_at=minutes(1), host="www.cardroom.example", person=HEAD, device=None),
        visit_record(started_at=minutes(2), host="notcardroom.example", verdict=Verdict.ALLOW, rule=None),
        visit_record(started_at=minutes(3), host="cardroom.example", code="AAA-222", **in_parks),
        visit_record(started_at=minutes(4), host="news.example", category="press", **in_parks),
        visit_record(
            started_at=minutes(5), host="shop.example", person=None, device=None, department="finance"
        ),
    )
    yield db


async def found(db: Database, names_shown: bool = True, **where: Any) -> list[int]:
    """Return the minutes in which the visits that match began, in the order of the answer."""
    rows = await visits.query(db, VisitFilter(**where), CODES, names_shown=names_shown)
    return [round((row.started_at - MONDAY) / timedelta(minutes=1)) for row in rows]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, [5, 4, 3, 2, 1, 0]),
        ({"host": "cardroom.example"}, [3, 1, 0]),
        ({"host": "example"}, [5, 4, 3, 2, 1, 0]),
        ({"host": "www.cardroom.example"}, [1]),
        ({"department": "parks"}, [4, 3]),
        ({"person": HEAD}, [1]),
        ({"category": "press"}, [4]),
        ({"verdict": Verdict.ALLOW}, [2]),
        ({"rule": "not-town-business", "department": "finance"}, [5, 1, 0]),
        ({"code": "AAA-222"}, [3]),
        ({"since": minutes(2), "until": minutes(4)}, [3, 2]),
        ({"host": "cardroom.example", "department": "finance", "since": minutes(1)}, [1]),
        ({"host": "' OR 1=1 --"}, []),
        ({"left_out": LeftOut(hosts=("cardroom.example",))}, [5, 4, 2]),
        ({"left_out": LeftOut(hosts=("www.cardroom.example", "news.example"))}, [5, 3, 2, 0]),
        ({"host": "cardroom.example", "left_out": LeftOut(hosts=("www.cardroom.example",))}, [3, 0]),
        ({"left_out": LeftOut(departments=("parks", "police"))}, [5, 2, 1, 0]),
        ({"left_out": LeftOut(categories=("press",), departments=("finance",))}, [3]),
        ({"left_out": LeftOut(rules=("not-town-business",))}, [2]),
        ({"person": HEAD, "left_out": LeftOut(categories=("gambling",))}, []),
        ({"left_out": LeftOut(hosts=("' OR 1=1 --",), rules=("' OR 1=1 --",))}, [5, 4, 3, 2, 1, 0]),
    ],
)
async def test_every_condition_of_a_filter_holds(
    log: Database, where: dict[str, Any], expected: list[int]
) -> None:
    assert await found(log, **where) == expected


async def test_a_host_covers_its_subdomains_and_nothing_beside_them(db: Database, spool: Path) -> None:
    below = ["a.b.example", "zz.b.example", "~.b.example", "0.b.example", "-.b.example"]
    beside = ["b.example.net", "ab.example", "bb.example", "b-.example", "b0.example", "example", "b"]
    await write(db, spool, *(visit_record(host=host) for host in ["b.example", *below, *beside]))
    rows = await visits.query(db, VisitFilter(host="b.example"), CODES, names_shown=False)
    assert sorted(row.host for row in rows) == sorted(["b.example", *below])


@pytest.mark.parametrize(("sites", "where"), [(1, VisitFilter()), (101, VisitFilter(host="example"))])
async def test_pages_follow_each_other_without_gap_or_repetition(
    db: Database, spool: Path, sites: int, where: VisitFilter
) -> None:
    # Many visits in the same millisecond are where a cursor of times alone would go wrong.
    count = sites + 22
    records = (
        visit_record(started_at=minutes(n // 5), host=f"n{n % sites}.example", code=f"{n}")
        for n in range(count)
    )
    await write(db, spool, *records)
    seen: list[VisitRow] = []
    before: Cursor | None = None
    while rows := await visits.query(db, where, CODES, names_shown=False, before=before, limit=4):
        seen += rows
        before = Cursor.parse(str(Cursor(rows[-1].started_at, rows[-1].id)))
    assert [row.code for row in seen] == [str(n) for n in reversed(range(count))]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.",
        ".1",
        "a.b",
        "1.2.3",
        "-1.2",
        "1" * 16 + ".1",
        "999999999999999.1",
        "253402300799999.1",
        "٣.٣",
    ],
)
def test_a_cursor_that_nobody_made_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a place in the visit log"):
        Cursor.parse(text)


async def test_names_are_hidden_unless_shown(log: Database) -> None:
    hidden = await visits.query(log, VisitFilter(), CODES, names_shown=False)
    for row in hidden:
        assert (row.who.person, row.who.device, row.who.address) == (None, None, None)
    shown = await visits.query(log, VisitFilter(), CODES, names_shown=True)
    assert [row.who.person for row in shown] == [None, PARKS_CLERK, PARKS_CLERK, CLERK, HEAD, CLERK]
    assert [row.who.code for row in shown] == [row.who.code for row in hidden]


async def test_a_search_by_person_is_refused_while_names_are_hidden(log: Database) -> None:
    with pytest.raises(NamesHiddenError):
        await found(log, names_shown=False, person=CLERK)
    with pytest.raises(NamesHiddenError):
        await visits.arrived_after(log, 0, VisitFilter(person=CLERK), CODES, names_shown=False)


async def test_a_code_is_the_persons_for_a_day_of_the_town(log: Database, spool: Path) -> None:
    rows = await visits.query(log, VisitFilter(), CODES, names_shown=True)
    by_person = {(row.who.person, row.who.code) for row in rows if row.who.person}
    assert len(by_person) == 3
    assert all(code is not None and len(code) == 3 for _, code in by_person)
    # MONDAY is 10 AM; the town's midnight is 5 AM UTC.
    first = CODES.code(CLERK, MONDAY)
    assert CODES.code(CLERK, MONDAY + timedelta(hours=13, minutes=59)) == first
    assert CODES.code(CLERK, MONDAY + timedelta(hours=14)) != first
    assert WhoCodes(b"another secret", NEW_YORK).code(CLERK, MONDAY) != first


async def test_a_department_without_anything_more_has_no_code_and_a_stranger_has_one(
    log: Database, spool: Path
) -> None:
    unknown = {"person": None, "device": None, "department": None}
    await write(log, spool, visit_record(started_at=minutes(6), address="192.0.2.1", **unknown))
    stranger, department, *_ = await visits.query(log, VisitFilter(), CODES, names_shown=False)
    assert department.who == Who("finance", None)
    assert stranger.who == Who(None, CODES.code("192.0.2.1", MONDAY))


async def test_reach_counts_a_departments_tries_and_people_at_a_site_and_below(
    log: Database,
) -> None:
    assert await counting.reach(log.visits, "cardroom.example", "finance", MONDAY) == Reach(tries=2, people=2)
    assert await counting.reach(log.visits, "cardroom.example", "finance", minutes(1)) == Reach(
        tries=1, people=1
    )
    assert await counting.reach(log.visits, "cardroom.example", "parks", MONDAY) == Reach(tries=1, people=1)
    assert await counting.reach(log.visits, "unseen.example", "finance", MONDAY) == Reach(tries=0, people=0)


async def test_reach_is_counted_without_looking_visits_up(log: Database) -> None:
    async for file in log.visits.since(None):
        plan = await file.fetch_all(f"EXPLAIN QUERY PLAN {counting._REACH}", "a.", "a/", 0, "finance")
        steps = [row["detail"] for row in plan if "visit_row" in row["detail"]]
        assert steps == [
            "SEARCH visit_row USING COVERING INDEX visit_by_site (site=? AND started_at>?)",
        ]


async def test_what_was_stopped_is_told_to_the_person_or_at_the_device(log: Database) -> None:
    async def stopped(person: str | None, device: str | None, since: datetime) -> list[str]:
        return [row.host for row in await visits.stopped(log, person, device, since, CODES)]

    assert await stopped(CLERK, None, MONDAY) == ["cardroom.example"]
    assert await stopped(None, "FIN-PC-15", MONDAY) == ["cardroom.example"]
    assert await stopped(PARKS_CLERK, None, MONDAY) == ["news.example", "cardroom.example"]
    assert await stopped(PARKS_CLERK, None, minutes(3.5)) == ["news.example"]
    assert await stopped(None, None, MONDAY) == []


async def test_of_much_that_was_stopped_elsewhere_what_was_stopped_at_an_address_is_found(
    db: Database, spool: Path
) -> None:
    here, elsewhere = {"address": "10.10.20.15"}, {"address": "10.10.20.16"}
    await write(
        db,
        spool,
        visit_record(started_at=minutes(0), host="here.example", **here),
        *(visit_record(started_at=minutes(1), host=f"s{n}.example", **elsewhere) for n in range(101)),
        visit_record(started_at=minutes(2), host="colleague.example", person=HEAD, device=None, **here),
    )
    rows = await visits.stopped_at(db, CLERK, "10.10.20.15", MONDAY, CODES)
    assert [row.host for row in rows] == ["here.example"]
    assert len(await visits.stopped_at(db, CLERK, "10.10.20.16", MONDAY, CODES)) == 100


async def test_following_shows_each_arrival_once_also_one_that_began_long_ago(
    log: Database, spool: Path
) -> None:
    last = await searching.last_id(log.visits)
    await write(log, spool, visit_record(started_at=minutes(-600), host="long.example"))
    await write(log, spool, visit_record(started_at=minutes(7), host="new.example", department="parks"))
    rows, last = await visits.arrived_after(log, last, VisitFilter(), CODES, names_shown=False)
    assert [row.host for row in rows] == ["long.example", "new.example"]
    assert await visits.arrived_after(log, last, VisitFilter(), CODES, names_shown=False) == ([], last)
    only_parks = VisitFilter(department="parks")
    rows, after = await visits.arrived_after(log, 0, only_parks, CODES, names_shown=False)
    assert (len(rows), after) == (3, last)
    no_parks = VisitFilter(left_out=LeftOut(departments=("parks",), hosts=("long.example",)))
    rows, after = await visits.arrived_after(log, 0, no_parks, CODES, names_shown=False)
    assert (len(rows), after) == (4, last)


@pytest.mark.parametrize(
    "where",
    [
        *(VisitFilter(), VisitFilter(department="parks"), VisitFilter(host="cardroom.example")),
        *(VisitFilter(person=CLERK), VisitFilter(since=minutes(2)), VisitFilter(verdict=Verdict.BLOCK)),
        VisitFilter(left_out=LeftOut(departments=("parks",))),
    ],
)
async def test_as_many_are_counted_as_arrived(log: Database, where: VisitFilter) -> None:
    first = Month.of(MONDAY).first_id
    for id_ in (0, first + 2, first + 6):
        rows, last = await visits.arrived_after(log, id_, where, CODES, names_shown=True)
        counted = await visits.count_arrived_after(log, id_, where, names_shown=True)
        assert counted == (len(rows), last)
    with pytest.raises(NamesHiddenError):
        await visits.count_arrived_after(log, 0, VisitFilter(person=CLERK), names_shown=False)


@pytest.mark.parametrize(
    ("where", "step"),
    [
        (VisitFilter(code="AAA-222"), "SCAN visit_row"),
        (VisitFilter(code="AAA-222", verdict=Verdict.BLOCK), "SCAN visit_row USING INDEX visit_blocked"),
        (
            VisitFilter(code="AAA-222", since=MONDAY),
            "SEARCH visit_row USING INDEX visit_by_time (started_at>?)",
        ),
        (VisitFilter(), "SCAN visit_row USING COVERING INDEX visit_by_time"),
    ],
)
async def test_code_is_looked_for_in_rows_as_they_are_kept(
    log: Database, where: VisitFilter, step: str
) -> None:
    parts, params = searching._conditions(where)
    async for file in log.visits.since(None):
        sql = f"EXPLAIN QUERY PLAN {searching._rows_of(where, parts)} {searching._NEWEST_FIRST}"
        steps = [row["detail"] for row in await file.fetch_all(sql, *params, 51)]
        assert step in steps


async def test_what_arrived_is_counted_by_its_numbers(log: Database) -> None:
    async for file in log.visits.since(None):
        condition, params = searching._arrived_after(
            file, 0, VisitFilter(since=MONDAY, verdict=Verdict.BLOCK)
        )
        sql = f"EXPLAIN QUERY PLAN {searching._COUNT_ARRIVED} WHERE {condition}"
        steps = [row["detail"] for row in await file.fetch_all(sql, *params)]
        assert "SEARCH visit_row USING INTEGER PRIMARY KEY (rowid>?)" in steps


async def test_a_visit_that_is_not_there_is_a_lookup_error(log: Database) -> None:
    first = Month.of(MONDAY).first_id + 1
    assert (await visits.get(log, first, CODES, names_shown=False)).host == "cardroom.example"
    with pytest.raises(LookupError, match="no visit 99"):
        await visits.get(log, 99, CODES, names_shown=False)
    with pytest.raises(LookupError, match=f"no visit {first + 98}"):
        await visits.get(log, first + 98, CODES, names_shown=False)


@pytest.fixture
async def it_session(db: Database) -> Session:
    async with db.transaction() as t:
        return (await sessions.open_signed_in(t, IT, MONDAY, None)).session


async def test_showing_names_needs_a_reason_and_is_logged_with_it(db: Database, it_session: Session) -> None:
    with pytest.raises(ValueError, match="Enter why"):
        await visits.show_names(db, it_session, " \n ", "", MONDAY)
    await visits.show_names(db, it_session, "A \u202e\x1bcomplaint\r\n", "C-7\x00", MONDAY)
    shown = await sessions.by_id(db, it_session.id)
    assert shown is not None
    assert shown.names_until == minutes(30)
    (event,) = await audit.events_of(db, "visits")
    assert (event.kind, event.actor) == (EventKind.NAMES_SHOWN, IT)
    assert (event.details["reason"], event.details["case"]) == ("A complaint", "C-7")


async def test_a_session_that_only_knows_the_device_is_never_shown_names(
    db: Database, it_session: Session
) -> None:
    device = replace(it_session, level=sessions.Level.DEVICE)
    with pytest.raises(NotAllowedError):
        await visits.show_names(db, device, "A complaint", "", MONDAY)
    assert await audit.events_of(db, "visits") == []
