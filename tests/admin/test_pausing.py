"""Access whose site becomes a security risk is paused, told of once, and counts again when it is none."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from admin import access_requests, audit, corrections, exemptions, request_time_line, stored_requests
from admin.asked import DeviceUse, Kind
from admin.asking import AccessRequest
from admin.audit import EventKind
from admin.database import Database
from admin.one_by_one import RoundError
from admin.pausing import Pausing
from admin.publisher import Publisher
from admin.request_time_line import Turn
from admin.site_lists import SiteLists
from categories.snapshot import CategorySnapshotError
from categories.taxonomy import taxonomy
from policy.access_duration import Duration
from policy.town_policy import Approver, Asking
from tests.admin.small_town import COLLEAGUE, MONDAY, SECOND_IT, TOWN, listed, submitted, unchangeable
from tests.people import CLERK, HEAD, IT
from tests.published_town import CATEGORIES, PublishedTown

HOST = "cardroom.example"
LATER = MONDAY + timedelta(minutes=1)


@pytest.fixture
def town(tmp_path: Path) -> PublishedTown:
    return PublishedTown(tmp_path / "state")


@pytest.fixture
async def town_db(town: PublishedTown) -> AsyncIterator[Database]:
    async with Database.open(town.state.database) as db:
        yield db


@pytest.fixture
def pausing(town: PublishedTown, town_db: Database) -> Pausing:
    minutes = itertools.count(1)

    def clock() -> datetime:
        return MONDAY + next(minutes) * timedelta(minutes=1)

    publisher = Publisher(town.state, town_db, "http://127.0.0.1:9", taxonomy(), clock)
    publisher.policy = TOWN
    return Pausing(town_db, publisher, SiteLists(town.state.categories, town_db), clock)


async def opened(db: Database) -> AccessRequest:
    request = await submitted(db, host=HOST)
    return await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=MONDAY)


async def correct(db: Database, *categories: str) -> None:
    present = await corrections.in_force(db, HOST)
    seen = present.id if present else None
    await corrections.correct(db, HOST, categories, why="So", actor=IT, at=LATER, seen=seen)


async def told(db: Database) -> list[str]:
    rows = await db.fetch_all("SELECT recipient FROM letter WHERE kind = 'exemption_paused' ORDER BY id")
    return [row["recipient"] for row in rows]


async def test_access_of_which_something_is_wrong_keeps_no_other_from_being_paused(
    town: PublishedTown, town_db: Database, pausing: Pausing
) -> None:
    damaged = await opened(town_db)
    other = await submitted(town_db, COLLEAGUE, host=HOST)
    await access_requests.approve(town_db, TOWN, listed, other.id, actor=HEAD, at=MONDAY)
    town.publish_categories({**CATEGORIES, "phishing": [HOST], "malware": [HOST]})
    await unchangeable(town_db, "exemption", f"new.access_request = {damaged.id}")
    for _ in range(2):
        with pytest.raises(RoundError, match=r"^EX-1: .*it is damaged"):
            await pausing.look()
    assert (await stored_requests.get(town_db, other.id)).paused_for == ("malware", "phishing")


async def test_new_lists_pause_access_and_all_concerned_are_told_once(
    town: PublishedTown, town_db: Database, pausing: Pausing
) -> None:
    request = await opened(town_db)
    await pausing.look()
    assert (await stored_requests.get(town_db, request.id)).paused_for == ()
    town.publish_categories({**CATEGORIES, "phishing": [HOST], "malware": [HOST]})
    await pausing.look()
    await pausing.look()
    paused = await stored_requests.get(town_db, request.id)
    assert paused.paused_for == ("malware", "phishing")
    assert await told(town_db) == sorted([CLERK, HEAD, IT, SECOND_IT])
    kinds = [event.kind for event in await audit.events_of(town_db, request.number)]
    assert kinds.count(EventKind.EXEMPTION_PAUSED) == 1
    assert [move.after for move in await request_time_line.time_line(town_db, request)][-1] is Turn.PAUSED


async def test_access_to_a_page_is_paused_for_what_that_page_is_listed_as_and_not_for_another(
    town: PublishedTown, town_db: Database, pausing: Pausing
) -> None:
    request = await submitted(town_db, host=HOST, path="/r/cards")
    await access_requests.approve(town_db, TOWN, listed, request.id, actor=HEAD, at=MONDAY)
    town.publish_categories(CATEGORIES, {"malware": [(HOST, "/r/poker")]})
    await pausing.look()
    assert (await stored_requests.get(town_db, request.id)).paused_for == ()
    town.publish_categories(CATEGORIES, {"malware": [(HOST, "/r")]})
    await pausing.look()
    assert (await stored_requests.get(town_db, request.id)).paused_for == ("malware",)
    (move,) = [m for m in await request_time_line.time_line(town_db, request) if m.after is Turn.PAUSED]
    assert move.host == f"{HOST}/r/cards"


async def test_access_counts_again_when_the_risk_is_gone_and_a_second_pause_is_told_again(
    town_db: Database, pausing: Pausing
) -> None:
    request = await opened(town_db)
    await correct(town_db, "phishing")
    await pausing.look()
    await correct(town_db, "reference")
    await pausing.look()
    assert (await stored_requests.get(town_db, request.id)).paused_for == ()
    turns = [move.after for move in await request_time_line.time_line(town_db, request)]
    assert turns[-2:] == [Turn.PAUSED, Turn.RESUMED]
    assert len(await told(town_db)) == 4, "that it counts again is on the page"


async def test_another_risk_of_what_is_paused_already_is_told_to_nobody(
    town_db: Database, pausing: Pausing
) -> None:
    request = await opened(town_db)
    await correct(town_db, "phishing")
    await pausing.look()
    await correct(town_db, "phishing", "malware")
    await pausing.look()
    assert (await stored_requests.get(town_db, request.id)).paused_for == ("malware", "phishing")
    assert len(await told(town_db)) == 4


async def test_accepted_risk_pauses_nothing(town_db: Database, pausing: Pausing) -> None:
    await correct(town_db, "phishing")
    new = {"chain": (Approver.IT_SECURITY,), "category": "phishing", "risks": ("phishing",)}
    request = await submitted(town_db, host=HOST, **new)
    await access_requests.approve(town_db, TOWN, listed, request.id, actor=IT, at=MONDAY)
    await pausing.look()
    assert (await stored_requests.get(town_db, request.id)).paused_for == ()
    assert await told(town_db) == []


async def test_what_the_policy_never_allows_by_now_is_paused_while_it_says_so(
    town_db: Database, pausing: Pausing
) -> None:
    request = await opened(town_db)
    await correct(town_db, "gambling")
    never = replace(TOWN, version="two", asking=Asking(never=frozenset({"gambling"})))
    pausing._publisher.policy = never
    await pausing.look()
    assert (await stored_requests.get(town_db, request.id)).paused_for == ("gambling",)
    assert await told(town_db) == sorted([CLERK, HEAD, IT, SECOND_IT])
    pausing._publisher.policy = TOWN
    await pausing.look()
    assert (await stored_requests.get(town_db, request.id)).paused_for == ()


@pytest.mark.parametrize(("types", "paused_for"), [((), ()), (("executable",), ("gambling",))])
async def test_lifted_limits_count_on_where_a_site_that_nobody_can_allow_is_open_and_no_lifted_rule_does(
    types: tuple[str, ...], paused_for: tuple[str, ...], town_db: Database, pausing: Pausing
) -> None:
    request = await submitted(town_db, host=HOST, kind=Kind.DOWNLOAD, duration=Duration.TODAY)
    await access_requests.approve(town_db, TOWN, listed, request.id, actor=HEAD, at=MONDAY)
    await correct(town_db, "gambling")
    rules = (replace(TOWN.rules[0], file_types=frozenset(types)),)
    pausing._publisher.policy = replace(TOWN, rules=rules, asking=Asking(never=frozenset({"gambling"})))
    await pausing.look()
    assert (await stored_requests.get(town_db, request.id)).paused_for == paused_for


async def test_what_has_ended_is_not_paused(town_db: Database, pausing: Pausing) -> None:
    request = await opened(town_db)
    await access_requests.stop(town_db, TOWN, request.id, actor=HEAD, at=MONDAY, reason="Done")
    await correct(town_db, "phishing")
    await pausing.look()
    assert await told(town_db) == []


async def test_device_of_ones_own_keeps_no_access_from_being_paused(
    town_db: Database, pausing: Pausing
) -> None:
    tablet = DeviceUse("CLERK-TABLET", "10.10.20.77", MONDAY + timedelta(days=30))
    request = await submitted(town_db, host="", kind=Kind.DEVICE, asked=tablet)
    await access_requests.approve(town_db, TOWN, listed, request.id, actor=HEAD, at=MONDAY)
    await opened(town_db)
    await correct(town_db, "phishing")
    await pausing.look()
    assert sorted(await told(town_db)) == sorted([CLERK, HEAD, IT, SECOND_IT])


async def test_pausing_publishes_nothing_anew(town_db: Database, pausing: Pausing) -> None:
    await opened(town_db)
    await correct(town_db, "phishing")
    before = await town_db.fetch_one("SELECT change FROM publication")
    await pausing.look()
    after = await town_db.fetch_one("SELECT change FROM publication")
    assert before is not None and after is not None and before["change"] == after["change"]
    (live,) = await exemptions.live(town_db, LATER)
    assert live.accepted_risks == frozenset(), "deciding itself does not count it"


async def test_without_lists_nothing_changes(
    town: PublishedTown, town_db: Database, pausing: Pausing
) -> None:
    await opened(town_db)
    (town.state.categories / "current.json").unlink()
    with pytest.raises(CategorySnapshotError):
        await pausing.look()
    assert await told(town_db) == []
