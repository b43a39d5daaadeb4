"""What is never opened because programs do not trust the town's CA: learnt, listed, decided by people."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from admin import audit, never_inspected
from admin.asking import InvalidRequestError
from admin.audit import EventKind
from admin.clock import from_ms, utc_now
from admin.database import Database
from admin.ingest import Ingest
from admin.never_inspected import InspectionAnsweredError
from admin.state_folder import StateFolder
from admin.untrusting_hosts import UntrustingHost, untrusting_hosts
from categories.match import CategoryMatch
from categories.publishing import CurrentSnapshot
from policy.correction import Correction
from policy.decision import Cause, Lane, Verdict
from policy.snapshot import PolicySnapshot
from policy.visit_record import NOT_TRUSTED, VisitRecord
from tests.admin.small_town import MONDAY, SECOND_IT, TOWN, visit_record
from tests.admin.test_database import made_by_version
from tests.people import IT
from tests.published_town import PublishedTown
from tests.towns import DOCUMENT

HOST = "api.vendor.example"
INSPECTING = DOCUMENT.replace(
    "rules:\n",
    "rules:\n"
    "  - {id: inner-pages, categories: [hate], action: block, inspect: urls}\n"
    "  - {id: social-read, categories: [social_networks], action: view_only}\n",
    1,
)
URLS = {"hate": [(HOST, "/hate"), ("cardroom.example", "/hate"), ("bank.example", "/hate")]}


def failed(host: str = HOST, **changed: Any) -> VisitRecord:
    """Return the record of a program that refused the town's certificate."""
    values: dict[str, Any] = {
        "host": host,
        "verdict": Verdict.ALLOW,
        "lane": Lane.INSPECT,
        "cause": Cause.DEFAULT,
        "rule": None,
        "category": None,
        "entry": None,
        "source": None,
        "refusal": NOT_TRUSTED,
    }
    return visit_record(**(values | changed))


@pytest.fixture
def town(tmp_path: Path) -> PublishedTown:
    town = PublishedTown(tmp_path / "state")
    town.publish_policy(INSPECTING)
    town.publish_categories({"gambling": ["cardroom.example"], "social_networks": ["social.example"]}, URLS)
    return town


async def learnt(db: Database, state: StateFolder, *records: VisitRecord) -> tuple[UntrustingHost, ...]:
    (state.spool / "1.visits").write_bytes(b"".join(record.to_line() for record in records))
    await Ingest(db, state.spool, utc_now).take_in()
    return await look(db, state)


async def look(db: Database, state: StateFolder) -> tuple[UntrustingHost, ...]:
    published = PolicySnapshot.from_bytes(state.policy_snapshot.read_bytes())
    published = replace(published, never_inspect=await never_inspected.live(db))
    lists = CurrentSnapshot(state.categories).snapshot
    return await untrusting_hosts(db, published, lists, MONDAY + timedelta(hours=1))


async def added(
    db: Database, host: str = HOST, *categories: str, actor: str = IT, why: str = "It pins"
) -> None:
    matches = tuple(CategoryMatch(category, host, "test") for category in categories)
    await never_inspected.add(db, host, why=why, actor=actor, at=MONDAY, policy=TOWN, matches=matches)


async def events(db: Database) -> list[tuple[str, str, str]]:
    return [(event.kind.value, event.actor, event.subject) for event in await _all(db)]


async def _all(db: Database) -> list[audit.Event]:
    rows = await db.fetch_all("SELECT kind, actor, subject, at FROM event ORDER BY id")
    return [
        audit.Event(EventKind(row["kind"]), row["actor"], row["subject"], from_ms(row["at"])) for row in rows
    ]


async def test_failed_handshakes_are_told_by_host_with_devices_departments_and_rules(
    db: Database, town: PublishedTown
) -> None:
    parks: dict[str, Any] = {"person": None, "device": None, "department": "parks"}
    found = await learnt(
        db,
        town.state,
        failed(),
        failed(started_at=MONDAY + timedelta(minutes=5)),
        failed(address="10.10.40.7", **parks),
        failed(address="10.10.40.8", **parks),
        failed("social.example", rule="social-read", verdict=Verdict.VIEW_ONLY, cause=Cause.RULE),
    )
    assert found == (
        UntrustingHost(HOST, 4, 3, ("finance", "parks"), MONDAY + timedelta(minutes=5), ("inner-pages",)),
        UntrustingHost("social.example", 1, 1, ("finance",), MONDAY, ("social-read",)),
    )


@pytest.mark.parametrize(
    ("case", "record"),
    [
        ("a page that could not be shown", failed(verdict=Verdict.BLOCK, lane=Lane.REFUSE)),
        ("a visit that went well", failed(refusal=None)),
        ("one that ended otherwise", failed(refusal="the name is not known")),
        ("a blocked category", failed("cardroom.example")),
        ("a site that no rule opens now", failed("library.example")),
        ("longer ago than 30 days", failed(started_at=MONDAY - timedelta(days=31))),
        (
            "whom the policy does not know now",
            failed(address="192.0.2.9", person=None, device=None, department=None),
        ),
    ],
)
async def test_what_is_not_opened_now_or_is_blocked_is_never_listed(
    db: Database, town: PublishedTown, case: str, record: VisitRecord
) -> None:
    assert await learnt(db, town.state, record) == (), case


async def test_what_is_corrected_to_a_blocked_category_is_not_listed(
    db: Database, town: PublishedTown
) -> None:
    town.publish_policy(
        INSPECTING, corrections=[Correction("social.example", ("social_networks", "gambling"))]
    )
    assert await learnt(db, town.state, failed("social.example")) == ()


async def test_what_the_policy_never_inspects_is_not_listed(db: Database, town: PublishedTown) -> None:
    town.publish_policy(
        INSPECTING.replace("rules:\n", "never_inspect: {sites: [vendor.example]}\nrules:\n", 1)
    )
    assert await learnt(db, town.state, failed()) == ()


async def test_nothing_is_added_by_itself_however_often_it_fails(db: Database, town: PublishedTown) -> None:
    found = await learnt(
        db, town.state, *(failed(started_at=MONDAY + timedelta(seconds=n)) for n in range(500))
    )
    assert [(one.host, one.visits) for one in found] == [(HOST, 500)]
    assert await never_inspected.live(db) == ()
    assert await events(db) == []


async def test_host_on_the_list_is_told_to_the_proxy_until_it_is_taken_off(
    db: Database, town: PublishedTown
) -> None:
    async def change() -> int:
        row = await db.fetch_one("SELECT change FROM publication")
        assert row is not None
        return int(row["change"])

    await learnt(db, town.state, failed())
    before = await change()
    await added(db)
    assert await never_inspected.live(db) == (HOST,)
    assert await look(db, town.state) == ()
    between = await change()
    await never_inspected.remove(db, HOST, why="It trusts us", actor=SECOND_IT, at=MONDAY)
    assert await never_inspected.live(db) == ()
    assert [one.host for one in await look(db, town.state)] == [HOST]
    assert before < between < await change()
    assert await events(db) == [
        ("site.never_inspected", IT, HOST),
        ("site.inspected_again", SECOND_IT, HOST),
    ]


@pytest.mark.parametrize(
    ("host", "categories", "message"),
    [
        ("cardroom.example", ("gambling",), "is listed as Gambling, which the policy blocks"),
        ("phish.example", ("press", "phishing"), "is listed as Phishing, which the policy blocks"),
        ("com", (), "is not one site"),
    ],
)
async def test_blocked_category_cannot_be_on_the_list(
    db: Database, host: str, categories: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        await added(db, host, *categories)
    assert await never_inspected.live(db) == ()
    assert await events(db) == [("site.inspection_refused", IT, host)]


async def test_reason_is_needed(db: Database) -> None:
    with pytest.raises(InvalidRequestError, match="Enter why"):
        await added(db, why=" ")
    await added(db)
    with pytest.raises(InvalidRequestError, match="Enter why"):
        await never_inspected.remove(db, HOST, why="", actor=IT, at=MONDAY)
    assert await never_inspected.live(db) == (HOST,)


async def test_what_is_left_is_not_listed_for_30_days_and_can_still_be_added(
    db: Database, town: PublishedTown
) -> None:
    await learnt(db, town.state, failed())
    await never_inspected.leave(db, HOST, actor=IT, at=MONDAY)
    assert await look(db, town.state) == ()
    assert await never_inspected.live(db) == ()
    assert await never_inspected.left_since(db, MONDAY + timedelta(seconds=1)) == frozenset()
    await added(db)
    assert await never_inspected.live(db) == (HOST,)


async def test_of_two_who_answer_at_once_one_is_first(db: Database) -> None:
    answers = await asyncio.gather(added(db), added(db, actor=SECOND_IT), return_exceptions=True)
    (refused,) = [answer for answer in answers if answer is not None]
    assert isinstance(refused, InspectionAnsweredError)
    assert len(await never_inspected.all_never(db)) == 1
    assert sorted(kind for kind, _, _ in await events(db)) == [
        "site.inspection_refused",
        "site.never_inspected",
    ]
    with pytest.raises(InspectionAnsweredError, match="is not opened any more"):
        await never_inspected.leave(db, HOST, actor=IT, at=MONDAY)
    with pytest.raises(InspectionAnsweredError, match="is not on the list"):
        await never_inspected.remove(db, "other.example", why="So", actor=IT, at=MONDAY)


async def test_database_of_an_older_version_gets_the_list(tmp_path: Path) -> None:
    path = tmp_path / "town.db"
    made_by_version(path, 7).close()
    async with Database.open(path) as db:
        await added(db)
        assert await never_inspected.live(db) == (HOST,)
