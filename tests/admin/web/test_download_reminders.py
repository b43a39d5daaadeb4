"""A large download's "Remind me": one mail, to the person alone, once its limit's hours are over."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx

from admin import audit, outbox
from admin.audit import EventKind
from admin.download_reminders import _COUNT, MOST_A_DAY
from admin.outbox import Channel
from policy.town_policy import LimitAction
from tests import people, towns
from tests.admin.web.conftest import Site, post, visit
from tests.admin.web.mailed_site import with_mail
from tests.admin.web.test_api import program_of
from tests.admin.web.test_limit_pages import stopped
from tests.post_office import post_office

ADDRESS = "http://files.example/maps/county.zip"
HALF_PAST_FOUR = datetime(2026, 3, 6, 21, 30, tzinfo=UTC)
DOCUMENT = (
    towns.DOCUMENT.replace(
        "schedules:\n", 'schedules:\n  business_hours: {days: mon-fri, from: "08:00", to: "16:30"}\n'
    )
    .replace(
        "default: {action",
        "limits:\n  - {id: big, when: business_hours, larger_than: 500MB, action: warn}\ndefault: {action",
    )
    .replace("people:\n", "people:\n  no-mail: {name: No mail, department: finance}\n")
)


async def with_limit(site: Site) -> None:
    site.state.policy_document.write_text(DOCUMENT)
    await site.until(lambda: bool(site.admin.policy.limits))


async def follow(site: Site, client: httpx.AsyncClient, code: str = "K7M-4QP", **changed: object) -> str:
    """Follow the link of a page that stopped a download; return where it leads."""
    values = {"host": "files.example", "rule": "big", "approval": (), "address": ADDRESS, "code": code}
    nothing_listed = {"category": None, "entry": None, "source": None}
    token = site.token(**(values | nothing_listed | changed))
    answer = await client.get("/remind", params={"token": token})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def asked(client: httpx.AsyncClient, path: str) -> str:
    """Send the form, and return the page it leads to, with plain spaces."""
    answer = await post(client, path)
    assert answer.status_code == 303, answer.text
    return (await client.get(answer.headers["location"])).text.replace("\u00a0", " ")


async def until_sent(site: Site) -> None:
    """Wait until the outbox has sent what it had, and has nothing left to send."""
    async with asyncio.timeout(60):
        while True:
            depth = await site.admin.correspondence.depth(Channel.MAIL)
            if depth.waiting == 0 and depth.last_sent_at is not None:
                return
            await asyncio.sleep(0.02)


async def test_mail_comes_when_the_hours_are_over_with_the_address_and_not_before(site: Site) -> None:
    await with_limit(site)
    client = site.client()
    async with post_office() as office:
        await with_mail(site, office)
        path = await follow(site, client)
        assert path == "/remind/K7M-4QP"
        page = (await client.get(path)).text.replace("\u00a0", " ")
        assert "clerk@town.example" in page and ADDRESS in page and "Remind me at" in page
        page = await asked(client, path)
        assert (
            "You get a mail at" in page and "4:30 PM" in page and "<button" not in page.partition("<main")[2]
        )
        depth = await site.admin.correspondence.depth(Channel.MAIL)
        assert (depth.waiting, depth.oldest_at) == (0, None), "what is for later is not behind"
        early = HALF_PAST_FOUR - timedelta(milliseconds=1)
        assert await outbox.due(site.admin.db, Channel.MAIL, early) == []
        assert office.messages == []
        site.clock.at = HALF_PAST_FOUR
        await until_sent(site)
    (mail,) = office.messages
    assert office.recipients == ["clerk@town.example"]
    assert mail["Subject"] == "Your reminder: a download"
    text = mail.get_body(("plain",)).get_content()
    assert f"Open it:\n{ADDRESS}\n" in text.replace("\r\n", "\n") and "no longer slows others down" in text
    (event,) = await audit.events_of(site.admin.db, "files.example")
    assert (event.kind, event.actor) == (EventKind.REMINDER_ASKED, people.CLERK)
    assert ADDRESS not in str(event.details)
    (letter,) = await site.admin.db.fetch_all("SELECT state, details FROM letter")
    assert letter["state"] == "sent" and ADDRESS not in letter["details"], "once it went nobody needs it"


async def test_the_mail_goes_to_whoever_signed_in_and_twice_asked_is_one(site: Site) -> None:
    await with_limit(site)
    async with post_office() as office:
        await with_mail(site, office)
        head = await site.signed_in(people.HEAD)
        path = await follow(site, head)
        answers = await asyncio.gather(*(post(head, path, "/stopped") for _ in range(3)))
        assert {answer.status_code for answer in answers} == {303}
        # The same download, opened once more.
        again = await follow(site, head, "N7Q-9DD")
        assert "You get a mail at" in (await head.get(again)).text
        site.clock.at = HALF_PAST_FOUR
        await until_sent(site)
    assert office.recipients == ["head@town.example"]


async def test_another_link_of_the_page_leaves_the_reminder_as_it_is(site: Site) -> None:
    await with_limit(site)
    client = site.client()
    async with post_office() as office:
        await with_mail(site, office)
        await asked(client, await follow(site, client))
        assert "You get a mail at" in (await client.get(await follow(site, client, address=""))).text


async def test_a_page_of_a_download_reads_no_letters_but_the_persons_reminders(site: Site) -> None:
    (plan,) = await site.admin.db.fetch_all(f"EXPLAIN QUERY PLAN {_COUNT}", people.CLERK, 0, ADDRESS, 0)
    assert plan["detail"] == ("SEARCH letter USING INDEX letter_download_reminder (recipient=? AND put_at>?)")


async def test_a_person_has_so_many_a_day_and_no_more(site: Site) -> None:
    await with_limit(site)
    async with post_office() as office:
        await with_mail(site, office)
        client = await site.signed_in(people.CLERK)
        for number in range(MOST_A_DAY):
            await asked(client, await follow(site, client, f"K7M-4Q{number}", address=f"{ADDRESS}?{number}"))
        path = await follow(site, client, "N7Q-9DD", address="http://other.example/")
        page = (await client.get(path)).text
        assert "You have 10 reminders already" in page and "Remind me" not in page
        assert (await post(client, path, "/stopped")).status_code == 403
        (refused,) = await audit.events_of(site.admin.db, "limits")
        assert (refused.kind, refused.actor) == (EventKind.REQUEST_MOVE_REFUSED, people.CLERK)
        assert office.messages == []


async def test_where_nobody_can_be_written_to_the_page_says_what_to_do_instead(site: Site) -> None:
    await with_limit(site)
    client = site.client()
    path = await follow(site, client)
    page = (await client.get(path)).text.replace("\u00a0", " ")
    assert "No mail can be sent to you." in page, "no mail server is set"
    back = f'<a href="{ADDRESS}" rel="noreferrer">'
    assert f"{back}Go back</a> and choose Download now, or open it again at" in page
    blocks = DOCUMENT.replace("500MB, action: warn", "500MB, action: block")
    site.state.policy_document.write_text(blocks)
    await site.until(lambda: site.admin.policy.limits[0].action is LimitAction.BLOCK)
    page = (await client.get(path)).text
    assert f"{back}Open it again</a> at" in page and "Download now" not in page
    async with post_office() as office:
        await with_mail(site, office)
        nobody = site.client()
        path = await follow(site, nobody, "N7Q-9DD", person=None, device=None)
        page = (await nobody.get(path)).text
        assert "Nobody is known at this computer" in page and f'href="/sign-in?next={path}"' in page
        assert (await post(nobody, path, "/sign-in")).status_code == 403
        addressless = await site.signed_in("no-mail")
        path = await follow(site, addressless, "P7Q-9DD")
        assert "the town knows no address of yours" in (await addressless.get(path)).text
        assert (await post(addressless, path, "/stopped")).status_code == 403
    assert await site.admin.db.fetch_all("SELECT * FROM letter") == []


async def test_once_the_hours_are_over_there_is_nothing_to_wait_for(site: Site) -> None:
    await with_limit(site)
    client = site.client()
    async with post_office() as office:
        await with_mail(site, office)
        path = await follow(site, client)
        site.clock.at = HALF_PAST_FOUR
        page = (await client.get(path)).text
        assert "It slows nobody down at this hour." in page and "Remind me" not in page
        assert (await post(client, path, "/sign-in")).status_code == 303
    assert await site.admin.db.fetch_all("SELECT * FROM letter") == []


async def test_link_that_is_about_no_download_or_was_not_followed_here_asks_for_nothing(site: Site) -> None:
    await with_limit(site)
    client = site.client()
    assert (await client.get(await follow(site, client, address=""))).status_code == 404
    assert (await client.get("/remind/N7Q-9DD")).status_code == 404


async def test_program_is_promised_the_mail_for_a_download_that_was_stopped(site: Site) -> None:
    await with_limit(site)
    async with post_office() as office:
        await with_mail(site, office)
        await site.log(stopped("big", "files.example", "over 500 MB"), visit())
        program = await program_of(site, people.CLERK)
        ids = {one["host"]: one["id"] for one in (await program.get("/stopped"))["items"]}
        path = f"/stopped/{ids['files.example']}/reminder"
        promised = await program.post(path, address=f"{ADDRESS}?secret=1")
        assert promised == {"address": ADDRESS, "at": "2026-03-06T21:30:00Z", "is_asked": True}
        assert await program.post(path, address=ADDRESS) == promised
        wrong = await program.post(path, 422, address="http://other.example/county.zip")
        said = "Enter the address of the download, at files.example"
        assert wrong["errors"] == [{"field": "address", "message": said}]
        await program.post(f"/stopped/{ids['cardroom.example']}/reminder", 404, address=ADDRESS)
        site.clock.at = HALF_PAST_FOUR
        await until_sent(site)
    (mail,) = office.messages
    assert f"{ADDRESS}\n" in mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    (event,) = await audit.events_of(site.admin.db, "files.example")
    assert (event.kind, event.actor) == (EventKind.REMINDER_ASKED, people.CLERK)
