"""A forgotten password: a link by mail, once, within 30 minutes, that says nothing of who has an account."""

import re
from datetime import timedelta

import pytest

from admin import audit, password_resets
from admin.audit import EventKind
from admin.password_resets import ResetLinkError, token
from tests import people
from tests.admin.web.conftest import PASSWORD, Site, post
from tests.admin.web.mailed_site import with_mail
from tests.admin.web.test_records_page import text
from tests.post_office import PostOffice, post_office

NEW = "another long password"


async def link_in(office: PostOffice, site: Site, count: int = 1) -> str:
    """Return the path of the newest mail's link, once so many have come."""
    await site.until(lambda: len(office.messages) >= count)
    body = office.messages[-1].get_body(("plain",))
    assert body is not None
    found = re.search(rf"{re.escape(site.url)}(/password/new\?token=\S+)", str(body.get_content()))
    assert found is not None
    return found[1]


async def test_a_link_by_mail_sets_one_new_password_and_ends_sessions_and_lock_out(site: Site) -> None:
    clerk = await site.signed_in(people.CLERK)
    browser = site.client()
    async with post_office() as office:
        await with_mail(site, office)
        for _ in range(5):
            await post(browser, "/sign-in", name=people.CLERK, password="not it")
        locked = await post(browser, "/sign-in", name=people.CLERK, password=PASSWORD)
        assert locked.status_code == 429
        assert "Too many tries. Try again at 10:30 AM ." in text(locked)
        assert "/password/forgot" in locked.text
        asked = await post(browser, "/password/forgot", name=people.CLERK)
        path = await link_in(office, site)
        assert office.messages[0]["Subject"] == "Set a new password"
        assert office.recipients == ["clerk@town.example"]
    for _ in range(2):  # a mail scanner looks at it first
        shown = await browser.get(path)
        assert (shown.status_code, "Choose a new password" in shown.text) == (200, True)
    link_token = path.partition("token=")[2]
    short = await post(browser, "/password/new", path, token=link_token, password="short")
    assert (short.status_code, "A password has 8 to 256 characters" in short.text) == (422, True)
    done = await post(browser, "/password/new", path, token=link_token, password=NEW)
    assert (asked.headers["location"], done.headers["location"]) == ("/password/sent", "/sign-in")
    assert (await clerk.get("/requests")).status_code == 303
    assert (await post(browser, "/sign-in", name=people.CLERK, password=NEW)).status_code == 303
    again = await browser.get(path)
    assert (again.status_code, "This link is over" in again.text) == (410, True)
    once_more = await post(browser, "/password/new", "/requests", token=link_token, password=PASSWORD)
    assert once_more.status_code == 410
    kinds = [event.kind for event in await audit.events_of(site.admin.db, people.CLERK)]
    assert kinds[-4:] == [
        EventKind.SIGN_IN_REFUSED,
        EventKind.PASSWORD_LINK_SENT,
        EventKind.PASSWORD_SET,
        EventKind.SIGNED_IN,
    ]


async def test_a_name_without_an_account_is_answered_alike_and_gets_nothing(site: Site) -> None:
    await site.give_password(people.CLERK)
    answers = []
    for name in (people.CLERK, people.HEAD, "nobody at all"):
        browser = site.client()
        sent = await post(browser, "/password/forgot", "/sign-in", name=name)
        page = await browser.get("/password/sent")
        token_free = re.sub(r'name="csrf_token" value="[^"]*"', "", page.text)
        answers.append((sent.status_code, sent.headers["location"], token_free))
    assert answers[0] == answers[1] == answers[2]
    rows = await site.admin.db.fetch_all("SELECT recipient FROM letter WHERE kind = 'password_reset'")
    assert [row["recipient"] for row in rows] == [people.CLERK]


async def test_a_name_is_sent_5_links_within_15_minutes_and_may_sign_in_all_the_same(site: Site) -> None:
    await site.give_password(people.CLERK)
    browser = site.client()
    for _ in range(8):
        assert (await post(browser, "/password/forgot", "/sign-in", name=people.CLERK)).status_code == 303
    row = await site.admin.db.fetch_one("SELECT count(*) AS links FROM password_reset")
    assert row is not None
    assert row["links"] == 5
    assert (await post(browser, "/sign-in", name=people.CLERK, password=PASSWORD)).status_code == 303


async def test_links_end_after_30_minutes_with_a_newer_password_and_with_their_person(site: Site) -> None:
    await site.give_password(people.CLERK)
    browser, key = site.client(), site.state.reset_key.read_bytes()
    for _ in range(2):
        await post(browser, "/password/forgot", "/sign-in", name=people.CLERK)
    at = site.clock.at
    first, second = (f"/password/new?token={token(str(n), people.CLERK, at, key)}" for n in (1, 2))
    site.clock.at += timedelta(minutes=29, seconds=59)
    assert (await browser.get(first)).status_code == 200
    site.clock.at += timedelta(seconds=1)
    assert (await browser.get(first)).status_code == 410
    site.clock.at -= timedelta(minutes=20)
    await post(browser, "/password/new", second, token=second.partition("token=")[2], password=NEW)
    assert (await browser.get(first)).status_code == 410
    await post(browser, "/password/forgot", "/sign-in", name=people.CLERK)
    third = f"/password/new?token={token('3', people.CLERK, site.clock.at, key)}"
    assert (await browser.get(third)).status_code == 200
    it, before = await site.signed_in(people.IT), site.admin.policy
    await post(it, f"/people/{people.CLERK}/close", f"/people/{people.CLERK}", why="Left.")
    assert (await browser.get(third)).status_code == 410
    # By the policy of a moment before, too.
    with pytest.raises(ResetLinkError, match="has left"):
        await password_resets.use(
            site.admin.db, before, third.partition("token=")[2], key, NEW, site.clock.at
        )
    assert (await browser.get("/password/new?token=x.y")).status_code == 410
    assert (await browser.get("/password/new")).status_code == 410


async def test_a_link_of_before_a_restore_is_nobody_elses(site: Site) -> None:
    for person in (people.CLERK, people.HEAD):
        await site.give_password(person)
    browser, key = site.client(), site.state.reset_key.read_bytes()
    await post(browser, "/password/forgot", "/sign-in", name=people.CLERK)
    before = token("1", people.CLERK, site.clock.at, key)
    await as_restored(site)
    site.clock.at += timedelta(minutes=1)
    await post(browser, "/password/forgot", "/sign-in", name=people.HEAD)
    assert (await browser.get(f"/password/new?token={before}")).status_code == 410
    refused = await post(browser, "/password/new", "/sign-in", token=before, password=NEW)
    assert refused.status_code == 410
    theirs = token("1", people.HEAD, site.clock.at, key)
    assert (await browser.get(f"/password/new?token={theirs}")).status_code == 200
    await as_restored(site)
    site.clock.at += timedelta(minutes=1)
    await post(browser, "/password/forgot", "/sign-in", name=people.HEAD)
    assert (await browser.get(f"/password/new?token={theirs}")).status_code == 410


async def as_restored(site: Site) -> None:
    """Leave the town as from a backup of before the first link: numbers are given again."""
    async with site.admin.db.transaction() as t:
        await t.execute("DELETE FROM password_reset")
        await t.execute("DELETE FROM letter")
        await t.execute("DELETE FROM sqlite_sequence WHERE name = 'password_reset'")


async def test_without_mail_the_help_desk_is_named(site: Site) -> None:
    shown = await site.client().get("/password/forgot")
    assert 'The help desk can set a new password for you: <span class="code">555-0100</span>.' in shown.text
