"""Access to one download that workers say is used up: recorded once; their claims are tidied."""

import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from admin import (
    access_requests,
    audit,
    exemptions,
    joining,
    own_requests,
    request_time_line,
    stored_requests,
)
from admin.asked import Kind
from admin.asking import AccessRequest
from admin.audit import EventKind
from admin.database import Database
from admin.request_time_line import Turn
from admin.used_downloads import UsedDownloads
from policy import state_names
from policy.access_duration import Duration
from policy.state import Exemption
from tests.admin.small_town import COLLEAGUE, MONDAY, TOWN, listed, submitted
from tests.people import CLERK, HEAD

DAY = timedelta(days=1)


class Looking:
    """Looks at a spool, at a time."""

    def __init__(self, db: Database, spool: Path) -> None:
        self.at = MONDAY + timedelta(minutes=5)
        self.spool = spool
        self.used = UsedDownloads(db, spool, lambda: self.at)

    def claim(self, access: Exemption, written_at: datetime) -> Path:
        path = self.spool / state_names.claim(access.id, access.granted_at)
        path.touch()
        os.utime(path, (written_at.timestamp(), written_at.timestamp()))
        return path


@pytest.fixture
def looking(db: Database, tmp_path: Path) -> Looking:
    return Looking(db, tmp_path)


async def allowed(db: Database, duration: Duration = Duration.ONCE) -> AccessRequest:
    request = await submitted(db, kind=Kind.DOWNLOAD, duration=duration)
    return await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=MONDAY)


async def test_claim_is_noted_and_recorded_once_as_what_its_person_did(
    db: Database, looking: Looking
) -> None:
    request = await allowed(db)
    (access,) = await exemptions.live(db, MONDAY)
    assert access.is_once and access.expires_at == MONDAY + DAY
    await looking.used.look()
    assert (await stored_requests.get(db, request.id)).used_at is None
    looking.claim(access, MONDAY + timedelta(minutes=2))
    for _ in range(2):
        await looking.used.look()
    assert (await stored_requests.get(db, request.id)).used_at == MONDAY + timedelta(minutes=2)
    last = (await request_time_line.time_line(db, request))[-1]
    assert (last.actor, last.after, last.at) == (CLERK, Turn.USED_UP, looking.at)
    recorded = [event.kind for event in await audit.events_of(db, request.number)]
    assert recorded.count(EventKind.EXEMPTION_USED_UP) == 1
    (still,) = await exemptions.live(db, looking.at)
    assert still == access, "the same file may be loaded again until it ends"


@pytest.mark.parametrize("written_at", [MONDAY - DAY, MONDAY + DAY])
async def test_claim_of_a_clock_that_is_wrong_is_of_while_there_was_access(
    written_at: datetime, db: Database, looking: Looking
) -> None:
    request = await allowed(db)
    (access,) = await exemptions.live(db, MONDAY)
    looking.claim(access, written_at)
    await looking.used.look()
    used_at = (await stored_requests.get(db, request.id)).used_at
    assert used_at == min(looking.at, max(written_at, MONDAY))


async def test_request_that_others_joined_is_used_up_when_each_has_loaded_theirs(
    db: Database, looking: Looking
) -> None:
    request = await submitted(db, kind=Kind.DOWNLOAD, duration=Duration.ONCE)
    await joining.join(db, TOWN, request.id, person=COLLEAGUE, browser="theirs", at=MONDAY)
    await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=MONDAY)
    own, of_colleague = await exemptions.live(db, MONDAY)
    assert (own.person, of_colleague.person) == (CLERK, COLLEAGUE)
    looking.claim(own, MONDAY)
    await looking.used.look()
    assert (await stored_requests.get(db, request.id)).used_at is None
    # Whose own is used up has to ask for another.
    for person, need_not_ask in ((CLERK, False), (COLLEAGUE, True)):
        assert bool(await own_requests.standing(db, person, "finance", looking.at)) is need_not_ask, person
    looking.claim(of_colleague, MONDAY)
    await looking.used.look()
    assert (await stored_requests.get(db, request.id)).used_at == MONDAY


async def test_claims_are_deleted_a_day_after_access_is_over_and_what_is_none_of_a_known_one_after_two(
    db: Database, looking: Looking
) -> None:
    await allowed(db)
    (access,) = await exemptions.live(db, MONDAY)
    claim = looking.claim(access, MONDAY)
    looking.at = access.expires_at + DAY - timedelta(milliseconds=1)
    await looking.used.look()
    assert claim.exists()
    looking.at = access.expires_at + DAY
    others = [
        looking.claim(replace(access, id=id_, granted_at=granted_at), looking.at)
        for id_, granted_at in (("EX-1", MONDAY + DAY), ("EX-99", MONDAY), ("EX-x", MONDAY), (".ab", MONDAY))
    ]
    (looking.spool / "other.usage").touch()
    (looking.spool / "link.claim").symlink_to("elsewhere")
    (looking.spool / "folder.claim").mkdir()
    await looking.used.look()
    assert not claim.exists() and all(other.exists() for other in others)
    looking.at += 2 * DAY
    await looking.used.look()
    assert {path.name for path in looking.spool.glob("*.*")} >= {"other.usage", "link.claim", "folder.claim"}
    assert not any(other.exists() for other in others)


async def test_claim_of_other_access_is_not_its_use(db: Database, looking: Looking) -> None:
    request = await allowed(db, Duration.TODAY)
    (access,) = await exemptions.live(db, MONDAY)
    looking.claim(access, MONDAY)
    await looking.used.look()
    assert (await stored_requests.get(db, request.id)).used_at is None
