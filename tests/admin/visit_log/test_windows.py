"""What is one visit of the log: many connections to a host are, while the client goes on."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admin.database import Database
from admin.ingest import Ingest
from admin.sqlite_file import Row
from admin.state_folder import StateFolder
from admin.visit_log import counting, windows
from admin.visit_log.counting import SiteUse
from admin.visit_log.visit_log import Month
from policy.decision import Cause, Lane, Verdict
from policy.visit_record import VisitRecord
from tests.admin.small_town import MONDAY, PARKS_CLERK, visit_record
from tests.admin.visit_files import in_visit_files

HOST = "library.example"

type Arrive = Callable[..., Awaitable[None]]


def record(began: float, lasted: float = 10, **changed: object) -> VisitRecord:
    """Return an allowed connection that began so many seconds after Monday's start."""
    values = {
        "host": HOST,
        "verdict": Verdict.ALLOW,
        "lane": Lane.TUNNEL,
        "cause": Cause.DEFAULT,
        "rule": None,
        "category": None,
        "started_at": MONDAY + timedelta(seconds=began),
        "ended_at": MONDAY + timedelta(seconds=began + lasted),
        "bytes_up": 1,
        "bytes_down": 10,
        "is_shown": False,
    }
    return visit_record(**{**values, **changed})


@pytest.fixture
def arrive(db: Database, tmp_path: Path) -> Arrive:
    """Return what has records arrive together, as a worker's segment."""
    folder = tmp_path / "spool"
    folder.mkdir()
    ingest = Ingest(db, folder, lambda: MONDAY)
    number = 0

    async def take_in(*records: VisitRecord, by: Ingest = ingest) -> None:
        nonlocal number
        number += 1
        (folder / f"{number:04}.visits").write_bytes(b"".join(one.to_line() for one in records))
        await by.take_in()
        assert by.status.failure is None

    return take_in


async def kept(db: Database) -> list[Row]:
    return await in_visit_files(db, "SELECT * FROM visit ORDER BY started_at, id")


def spans(rows: list[Row]) -> list[tuple[float, float, int]]:
    """Return when each visit began and ended, in seconds of Monday, and its connections."""
    zero = MONDAY.timestamp()
    return [
        (row["started_at"] / 1000 - zero, row["ended_at"] / 1000 - zero, row["connections"]) for row in rows
    ]


async def test_connections_of_one_client_to_a_host_are_one_visit_while_it_goes_on(
    db: Database, arrive: Arrive
) -> None:
    await arrive(record(0, code="K7M-4QP"), record(3), record(100))
    await arrive(record(110 + 300), record(110 + 301 + 310))
    rows = await kept(db)
    assert spans(rows) == [(0, 420, 4), (721, 731, 1)]
    assert (rows[0]["code"], rows[0]["bytes_up"], rows[0]["bytes_down"]) == ("K7M-4QP", 4, 40)


async def test_a_visit_of_several_connections_has_each_address_once_and_twenty_at_most(
    db: Database, arrive: Arrive
) -> None:
    def page(number: int) -> str:
        return f"http://{HOST}/{number}"

    await arrive(record(0, addresses=(page(0), page(1))), record(3, addresses=(page(1), page(2))))
    await arrive(record(10, addresses=tuple(page(number) for number in range(20))))
    await arrive(record(20, addresses=(page(99),)), record(2000, addresses=(page(0),)))
    rows = await in_visit_files(db, "SELECT visit, address FROM visit_address ORDER BY visit, place")
    assert [(row["visit"], row["address"]) for row in rows] == [
        *((1, page(number)) for number in range(20)),
        (2, page(0)),
    ]


async def test_a_visit_lasts_as_long_as_its_longest_connection(db: Database, arrive: Arrive) -> None:
    await arrive(record(0, lasted=2000))
    await arrive(record(30), record(2000 + 299))
    assert spans(await kept(db)) == [(0, 2309, 3)]


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_what_a_clock_that_was_ahead_left_does_not_make_visits_of_hits(
    tmp_path: Path, arrive: Arrive, is_restarted: bool
) -> None:
    path, spool = StateFolder(tmp_path / "other").database, tmp_path / "spool"
    path.parent.mkdir(parents=True)
    async with Database.open(path) as db:
        ingest = Ingest(db, spool, lambda: MONDAY)
        await arrive(record(3600), record(0), by=ingest)
        if not is_restarted:
            await arrive(record(20), record(40), by=ingest)
    async with Database.open(path) as db:
        if is_restarted:
            await arrive(record(20), record(40), by=Ingest(db, spool, lambda: MONDAY))
        assert spans(await kept(db)) == [(0, 50, 3), (3600, 3610, 1)]


async def test_connection_that_lasted_for_hours_ends_no_visit_of_now(db: Database, arrive: Arrive) -> None:
    await arrive(record(7200), record(7210), record(0, lasted=7225), record(7230))
    assert spans(await kept(db)) == [(0, 7225, 1), (7200, 7240, 3)]


async def test_a_visit_begins_anew_after_an_hour(db: Database, arrive: Arrive) -> None:
    await arrive(*(record(minute * 60) for minute in range(61)))
    assert spans(await kept(db)) == [(0, 59 * 60 + 10, 60), (3600, 3610, 1)]


@pytest.mark.parametrize(
    "changed",
    [
        {"host": "www.library.example"},
        {"person": PARKS_CLERK},
        {"address": "10.10.20.16"},
        {"rule": "work"},
        {"port": 8443},
        {"lane": Lane.INSPECT},
        {"policy_version": "two"},
        {"category_version": "newer"},
        {"refusal": "it closed at once"},
        {"is_shown": True},
    ],
)
async def test_what_differs_is_a_visit_of_its_own(
    changed: dict[str, object], db: Database, arrive: Arrive
) -> None:
    await arrive(record(0), record(1, **changed), record(2))
    assert sorted(row["connections"] for row in await kept(db)) == [1, 2]


async def test_what_a_page_pulls_in_after_it_was_stopped_is_of_that_visit(
    db: Database, arrive: Arrive
) -> None:
    page = {"verdict": Verdict.BLOCK, "lane": Lane.BLOCK, "requests": 1}
    await arrive(
        record(0, code="K7M-4QP", pages=1, is_shown=True, **page),
        record(1, code="XXX-XXX", **page),
        record(2, code="H2W-9TR", pages=1, is_shown=True, **page),
    )
    found = [(row["code"], row["requests"], row["pages"]) for row in await kept(db)]
    # Whoever reads a code aloud is found by it.
    assert found == [("K7M-4QP", 2, 1), ("H2W-9TR", 1, 1)]


async def test_counts_know_visits_when_they_began_and_bytes_when_connections_did(
    db: Database, arrive: Arrive
) -> None:
    await arrive(record(0), record(60, lasted=900))
    await arrive(record(900))
    counts = await in_visit_files(db, "SELECT at, visits, bytes_down FROM quarter_count ORDER BY at")
    assert [(row["visits"], row["bytes_down"]) for row in counts] == [(1, 20), (0, 10)]
    (use,) = await counting.busiest_hosts(db.visits, MONDAY, most=None)
    assert use == SiteUse(HOST, visits=1, blocked=0, bytes_up=3, bytes_down=30)


async def test_a_visit_goes_on_after_admin_was_restarted(tmp_path: Path, arrive: Arrive) -> None:
    path, spool = StateFolder(tmp_path / "other").database, tmp_path / "spool"
    path.parent.mkdir(parents=True)
    for began in (0, 60, 120):
        async with Database.open(path) as db:
            await arrive(record(began), by=Ingest(db, spool, lambda: MONDAY))
            rows = await kept(db)
    assert spans(rows) == [(0, 130, 3)]


async def test_only_so_many_visits_are_known_to_go_on_also_when_one_ends_that_lasted_for_days(
    tmp_path: Path, arrive: Arrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "_MOST_KNOWN", 4)
    path, spool = StateFolder(tmp_path / "other").database, tmp_path / "spool"
    path.parent.mkdir(parents=True)
    async with Database.open(path) as db:
        await arrive(
            *(record(second, host=f"{second}.example") for second in range(7)),
            by=Ingest(db, spool, lambda: MONDAY),
        )
    async with Database.open(path) as db:
        ingest = Ingest(db, spool, lambda: MONDAY)
        await arrive(record(-3 * 86_400, lasted=3 * 86_400), by=ingest)
        await arrive(record(10, host="0.example"), record(11, host="6.example"), by=ingest)
        found = {(row["site"], row["connections"]) for row in await kept(db)}
    assert ("example.6.", 2) in found and ("example.0.", 2) not in found
    assert sum(connections for _, connections in found) == 9


async def test_what_went_on_when_the_month_ended_stays_apart(db: Database, arrive: Arrive) -> None:
    begins = Month.of(MONDAY).begins_at
    before = (datetime.fromtimestamp(begins / 1000, MONDAY.tzinfo) - MONDAY).total_seconds() - 30
    # A worker that is killed then has told the month before that the first one went on.
    await arrive(record(before), record(before + 20), record(before + 40), record(before + 50))
    assert [row["connections"] for row in await kept(db)] == [1, 1, 2]


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(0, 7200), st.integers(0, 900), st.sampled_from("ab"), st.booleans()),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 40),
)
async def test_however_records_arrive_nothing_is_lost_and_no_visit_has_a_gap(
    tmp_path_factory: pytest.TempPathFactory, made: list[tuple[int, int, str, bool]], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    spool = folder / "spool"
    spool.mkdir()
    records = [
        record(began, lasted, host=f"{name}.example", is_shown=shown) for began, lasted, name, shown in made
    ]
    async with Database.open(folder / "towngate.db") as db:
        ingest = Ingest(db, spool, lambda: MONDAY)
        for number in range(0, len(records), cut):
            lines = b"".join(one.to_line() for one in records[number : number + cut])
            (spool / f"{number:04}.visits").write_bytes(lines)
            await ingest.take_in()
        rows = await kept(db)
        use = await counting.busiest_hosts(db.visits, MONDAY - timedelta(days=1), most=None)
    assert sum(row["connections"] for row in rows) == len(records)
    assert sum(row["bytes_down"] for row in rows) == 10 * len(records)
    assert sum(one.visits for one in use) == len(rows) >= sum(shown for *_, shown in made)
    assert sum(one.bytes_down for one in use) == 10 * len(records)
    for host in "ab":
        ends = [(row["started_at"], row["ended_at"]) for row in rows if row["site"] == f"example.{host}."]
        assert {one.started_at.timestamp() * 1000 for one in records if one.host == f"{host}.example"} >= {
            began for began, _ in ends
        }
        assert max((ended for _, ended in ends), default=0) == max(
            (round(one.ended_at.timestamp() * 1000) for one in records if one.host == f"{host}.example"),
            default=0,
        )
