"""Access to a page of a site: asked for, joined, answered and renewed by host and path together."""

from datetime import timedelta

import pytest

from admin import access_requests, audit, decided_requests, exemptions, submitting, waiting_requests
from admin.asked import Kind
from admin.asking import AccessRequest, AlreadyOpenError, JoinInsteadError
from admin.database import Database
from tests.admin.small_town import COLLEAGUE, MONDAY, TOWN, ask, listed, submitted
from tests.people import CLERK, HEAD

PATH = "/r/cards"
LATER = MONDAY + timedelta(minutes=1)


async def approved(db: Database, request: AccessRequest) -> AccessRequest:
    return await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=LATER)


async def test_what_is_approved_is_access_to_the_page_and_the_record_says_so(db: Database) -> None:
    request = await submitted(db, host="www.cardroom.example", path=PATH)
    assert (request.host, request.path) == ("cardroom.example", PATH)
    await approved(db, request)
    (exemption,) = await exemptions.live(db, LATER)
    assert (exemption.host, exemption.path, exemption.person) == ("cardroom.example", PATH, CLERK)
    (paused,) = await exemptions.live_with_pauses(db, LATER)
    assert paused.exemption == exemption
    sent = (await audit.events_of(db, request.number))[0]
    assert (sent.details["host"], sent.details["path"]) == ("cardroom.example", PATH)


async def test_further_hosts_of_a_page_are_open_whole(db: Database) -> None:
    await approved(db, await submitted(db, path=PATH, hosts=("cdn.example",)))
    opened = {one.host: one.path for one in await exemptions.live(db, LATER)}
    assert opened == {"cardroom.example": PATH, "cdn.example": ""}


@pytest.mark.parametrize(
    ("first", "then", "is_open_already"),
    [
        ("", "", True),
        (PATH, PATH, True),
        # All of the site has its pages, too.
        ("", PATH, True),
        (PATH, "", False),
        (PATH, "/r/poker", False),
    ],
)
async def test_asked_already_is_who_asked_for_the_same_page_or_all_of_the_site(
    db: Database, first: str, then: str, *, is_open_already: bool
) -> None:
    request = await submitted(db, path=first)
    if is_open_already:
        with pytest.raises(AlreadyOpenError) as refused:
            await submitted(db, path=then)
        assert refused.value.request.id == request.id
    else:
        assert (await submitted(db, path=then)).path == then
    found = await waiting_requests.open_request_for(db, request.host, Kind.SITE, "finance", then)
    assert (found is not None and found.id == request.id) is is_open_already


async def test_the_request_for_the_page_is_joined_before_the_one_for_all_of_the_site(db: Database) -> None:
    page = await submitted(db, COLLEAGUE, path=PATH)
    whole = await submitted(db)

    async def found(path: str) -> AccessRequest | None:
        return await waiting_requests.open_request_for(db, whole.host, Kind.SITE, "finance", path)

    assert await found(PATH) == page
    assert await found("/r/poker") == await found("") == whole


async def test_who_could_join_for_the_page_asks_for_it_no_more_but_for_all_of_the_site(db: Database) -> None:
    page = await submitted(db, path=PATH)
    with pytest.raises(JoinInsteadError) as refused:
        await submitted(db, COLLEAGUE, path=PATH)
    assert refused.value.request.id == page.id
    for path in ("/r/poker", ""):
        assert (await submitted(db, COLLEAGUE, path=path)).path == path


async def test_an_answer_about_another_page_is_told_to_nobody(db: Database) -> None:
    page = await submitted(db, path=PATH)
    await access_requests.deny(db, TOWN, page.id, actor=HEAD, at=LATER, reason="Use the library's copy.")

    async def before(path: str) -> int | None:
        found = await decided_requests.answered_before(
            db, "cardroom.example", Kind.SITE, CLERK, "finance", MONDAY, path
        )
        return found.id if found else None

    assert [await before(path) for path in (PATH, "/r/poker", "")] == [page.id, None, None]
    waiting = {path: await submitted(db, path=path) for path in (PATH, "/r/poker", "")}
    earlier = {
        path: [one.id for one in await decided_requests.earlier_decisions(db, request)]
        for path, request in waiting.items()
    }
    assert earlier == {PATH: [page.id], "/r/poker": [], "": []}
    await access_requests.deny(db, TOWN, waiting[""].id, actor=HEAD, at=LATER, reason="All of it? No.")
    assert [await before(path) for path in ("/r/poker", "")] == [waiting[""].id] * 2


async def test_what_renews_access_to_a_page_takes_its_place(db: Database) -> None:
    first = await approved(db, await submitted(db, path=PATH))
    new = ask(path=PATH, renews=first.id)
    again = await submitting.submit(db, TOWN, listed, new, LATER)
    then = LATER + timedelta(minutes=1)
    await access_requests.approve(db, TOWN, listed, again.id, actor=HEAD, at=then)
    (exemption,) = await exemptions.live(db, then)
    assert (exemption.path, exemption.granted_at) == (PATH, then)
