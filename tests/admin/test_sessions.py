from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from admin import accounts, sessions
from admin.database import Database
from admin.sessions import Level
from policy.ask_token import AskToken
from tests.admin.small_town import MONDAY
from tests.people import CLERK, HEAD

PASSWORD = "correct horse battery"


def ask_token(**changed: Any) -> AskToken:
    """Return what the block page's link says when the clerk is kept from a gambling site."""
    token = AskToken(
        host="cardroom.example",
        category="gambling",
        entry="cardroom.example",
        source="starter",
        rule="not-town-business",
        approval=("department_head",),
        person=CLERK,
        device="FIN-PC-15",
        department="finance",
        policy_version="one",
        code="K7M-4QP",
        issued_at=MONDAY,
    )
    return replace(token, **changed)


@pytest.mark.parametrize(
    ("after", "is_open"),
    [
        (timedelta(hours=2) - timedelta(milliseconds=1), True),
        (timedelta(hours=2), False),
    ],
)
async def test_a_signed_in_session_ends_after_two_idle_hours(
    db: Database, after: timedelta, is_open: bool
) -> None:
    async with db.transaction() as t:
        opened = await sessions.open_signed_in(t, CLERK, MONDAY, None)
    assert opened.token is not None
    assert (await sessions.session_of(db, opened.token, MONDAY + after) is not None) == is_open


async def test_a_session_in_use_goes_on_but_not_beyond_twelve_hours(db: Database) -> None:
    async with db.transaction() as t:
        opened = await sessions.open_signed_in(t, CLERK, MONDAY, None)
    assert opened.token is not None
    for hour in range(1, 12):
        assert await sessions.session_of(db, opened.token, MONDAY + timedelta(hours=hour)) == opened.session
    assert await sessions.session_of(db, opened.token, MONDAY + timedelta(hours=12)) is None


async def test_a_token_nobody_was_given_opens_nothing(db: Database) -> None:
    assert await sessions.session_of(db, "a guess", MONDAY) is None


async def test_following_an_ask_link_knows_the_person_by_the_device_alone(db: Database) -> None:
    opened = await sessions.follow_link(db, ask_token(), MONDAY, None)
    assert (opened.session.level, opened.session.person) == (Level.DEVICE, CLERK)
    assert not opened.session.is_signed_in
    assert opened.token is not None
    almost = MONDAY + timedelta(hours=12) - timedelta(milliseconds=1)
    assert await sessions.session_of(db, opened.token, almost) == opened.session
    assert await sessions.session_of(db, opened.token, MONDAY + timedelta(hours=12)) is None
    assert await sessions.followed_ask(db, opened.session, "K7M-4QP", MONDAY) == ask_token()
    assert await sessions.followed_ask(db, opened.session, "ANO-THR", MONDAY) is None


async def test_another_link_in_the_same_browser_joins_the_session(db: Database) -> None:
    first = await sessions.follow_link(db, ask_token(), MONDAY, None)
    second = await sessions.follow_link(db, ask_token(code="ANO-THR"), MONDAY, first.session)
    assert second.token is None
    assert second.session.id == first.session.id
    assert await sessions.followed_ask(db, first.session, "ANO-THR", MONDAY) == ask_token(code="ANO-THR")


async def test_a_link_of_another_person_opens_another_session(db: Database) -> None:
    first = await sessions.follow_link(db, ask_token(), MONDAY, None)
    second = await sessions.follow_link(db, ask_token(person=HEAD, code="ANO-THR"), MONDAY, first.session)
    assert second.token is not None
    assert second.session.person == HEAD
    assert await sessions.followed_ask(db, second.session, "K7M-4QP", MONDAY) is None


async def test_a_link_followed_in_one_browser_opens_nothing_in_another(db: Database) -> None:
    first = await sessions.follow_link(db, ask_token(), MONDAY, None)
    with pytest.raises(sessions.LinkUsedError):
        await sessions.follow_link(db, ask_token(), MONDAY + timedelta(minutes=1), None)
    (kept,) = await db.fetch_all("SELECT id FROM session")
    assert kept["id"] == first.session.id, "the second follow left a session behind"


async def test_a_link_followed_again_in_its_browser_opens_the_form_and_proves_nothing_new(
    db: Database,
) -> None:
    first = await sessions.follow_link(db, ask_token(), MONDAY, None)
    again = await sessions.follow_link(db, ask_token(), MONDAY + timedelta(minutes=14), first.session)
    assert (again.token, again.session.followed_at) == (None, MONDAY)
    assert await sessions.followed_ask(db, again.session, "K7M-4QP", MONDAY) == ask_token()


async def test_a_new_link_for_the_same_visit_opens_in_another_browser(db: Database) -> None:
    await sessions.follow_link(db, ask_token(), MONDAY, None)
    newer = ask_token(issued_at=MONDAY + timedelta(seconds=1))
    assert (await sessions.follow_link(db, newer, MONDAY, None)).token is not None


async def test_a_session_is_at_the_device_for_fifteen_minutes_from_the_last_new_link(db: Database) -> None:
    opened = await sessions.follow_link(db, ask_token(), MONDAY, None)
    assert opened.token is not None
    session = await sessions.session_of(db, opened.token, MONDAY)
    assert session == opened.session
    assert session.is_at_the_device_at(MONDAY + timedelta(minutes=14, seconds=59))
    late = MONDAY + timedelta(minutes=15)
    assert not session.is_at_the_device_at(late)
    again = await sessions.follow_link(db, ask_token(code="ANO-THR"), late, session)
    assert again.session.is_at_the_device_at(late)


async def test_a_link_never_changes_who_is_signed_in(db: Database) -> None:
    async with db.transaction() as t:
        head = await sessions.open_signed_in(t, HEAD, MONDAY, None)
    opened = await sessions.follow_link(db, ask_token(), MONDAY, head.session)
    assert (opened.session.id, opened.session.person, opened.token) == (head.session.id, HEAD, None)


async def test_signing_in_changes_the_token_and_keeps_the_browser_and_its_links(db: Database) -> None:
    await accounts.set_password(db, HEAD, PASSWORD, "admin", actor="test", now=MONDAY)
    before = await sessions.follow_link(db, ask_token(person=None), MONDAY, None)
    after = await accounts.sign_in(db, HEAD, PASSWORD, MONDAY, previous=before.session)
    assert before.token is not None
    assert after.token not in (None, before.token)
    assert after.session.csrf_token != before.session.csrf_token
    assert after.session.browser == before.session.browser
    assert await sessions.session_of(db, before.token, MONDAY) is None
    assert await sessions.followed_ask(db, after.session, "K7M-4QP", MONDAY) == ask_token(person=None)


async def test_names_are_shown_until_the_instant_the_time_is_over(db: Database) -> None:
    async with db.transaction() as t:
        opened = await sessions.open_signed_in(t, CLERK, MONDAY, None)
        await sessions.show_names(t, opened.session.id, CLERK, MONDAY + timedelta(minutes=30))
    assert opened.token is not None
    shown = await sessions.session_of(db, opened.token, MONDAY)
    assert shown is not None
    assert not opened.session.shows_names_at(MONDAY)
    assert shown.shows_names_at(MONDAY + timedelta(minutes=29, seconds=59))
    assert not shown.shows_names_at(MONDAY + timedelta(minutes=30))
    assert not shown.shows_names_at(MONDAY - timedelta(hours=1)), "the clock was set back"


async def test_a_link_that_was_followed_long_ago_fills_in_no_form(db: Database) -> None:
    opened = await sessions.follow_link(db, ask_token(), MONDAY, None)
    late = MONDAY + sessions.FOLLOWED_FOR
    almost = late - timedelta(milliseconds=1)
    assert await sessions.followed_ask(db, opened.session, "K7M-4QP", almost) == ask_token()
    assert await sessions.followed_ask(db, opened.session, "K7M-4QP", late) is None
