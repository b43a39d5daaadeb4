"""Settings: a test of mail by the way that mail goes, what waits, and what was not delivered."""

import asyncio
import socket
from datetime import timedelta

import pytest

from admin import outbox
from admin.outbox import Channel, Letter, LetterKind
from tests import people
from tests.admin.web.conftest import Site, post
from tests.admin.web.mailed_site import with_mail
from tests.admin.web.test_api import program_of
from tests.post_office import Day, post_office

FOR_CLERK = Letter(
    LetterKind.ACCIDENT_ANSWERED, people.CLERK, "ACC-1", {"host": "a.example", "answer": "blocked"}
)


async def settings(site: Site) -> str:
    page = await (await site.signed_in(people.IT)).get("/settings")
    return page.text.replace("\u00a0", " ")


@pytest.mark.parametrize("person", [people.CLERK, people.HEAD, people.HELP_DESK, people.ADMINISTRATOR])
async def test_only_it_security_sees_or_tries_them(site: Site, person: str) -> None:
    client = await site.signed_in(person)
    assert (await client.get("/settings")).status_code == 403
    for path in ("/settings/test/mail", "/settings/letters/1/again"):
        assert (await post(client, path, "/requests")).status_code == 403
    assert 'href="/settings"' not in (await client.get("/requests")).text


async def test_without_a_server_mail_waits_and_the_page_says_so(site: Site) -> None:
    await site.put(FOR_CLERK)
    page = await settings(site)
    assert "Nobody gets mail until a server is set. 1 mail waits; it is not lost." in page
    assert "The help desk gets no tickets: set mail or a webhook in settings.yaml." in page
    asker = await site.asking()
    await post(asker, "/ask/K7M-4QP", reason="Please.", duration="hour", for_whom="person")
    for path in ("/requests/1/sent", "/requests/1"):
        assert "You get a mail" not in (await asker.get(path)).text
    nobody_asked = await (await site.signed_in(people.PARKS_HEAD)).get("/decide")
    assert "Nothing to decide. What someone asks shows here." in nobody_asked.text


async def test_today_hints_at_the_missing_server_to_it_alone_until_one_is_set(site: Site) -> None:
    hint = "Nobody hears of requests by mail until a mail server is set."
    it = await site.signed_in(people.IT)
    today = (await it.get("/today")).text
    assert hint in today and "All is well." in today
    assert hint not in (await (await site.signed_in(people.HELP_DESK)).get("/today")).text
    async with post_office() as office:
        await with_mail(site, office)
        assert hint not in (await it.get("/today")).text


async def test_who_says_that_a_category_is_wrong_is_told_that_a_mail_comes(site: Site) -> None:
    async with post_office() as office:
        await with_mail(site, office)
        clerk = site.client()
        await clerk.get("/wrong-category", params={"token": site.token(people.CLERK)})
        await post(clerk, "/wrong-category/K7M-4QP", proposed="reference", remark="")
        assert "You get a mail with the answer. It also shows under" in (await clerk.get("/reports/1")).text
        nobody_asked = await (await site.signed_in(people.PARKS_HEAD)).get("/decide")
        assert "You get a mail when someone asks." in nobody_asked.text


async def test_the_asker_is_told_that_a_mail_comes(site: Site) -> None:
    async with post_office() as office:
        await with_mail(site, office)
        asker = await site.asking()
        await post(asker, "/ask/K7M-4QP", reason="Please.", duration="hour", for_whom="person")
        assert "You get a mail; load the site again then." in (await asker.get("/requests/1/sent")).text
        assert "You get a mail when it is answered." in (await asker.get("/requests/1")).text


async def test_a_test_goes_to_whoever_asks_for_it(site: Site) -> None:
    async with post_office() as office:
        await with_mail(site, office)
        it = await site.signed_in(people.IT)
        answer = await post(it, "/settings/test/mail", "/settings")
        assert answer.headers["location"] == "/settings#mail"
        assert office.subjects == ["A test from Town of Exampleton"]
        assert office.recipients == ["it@town.example"]
        page = await settings(site)
        assert "Sent to it@town.example. Look in your inbox." in page


async def test_a_server_that_does_not_answer_is_said_with_what_waits(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("admin.correspondence._TEST_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        await with_mail(site, silent.getsockname()[1])
        await site.put(FOR_CLERK)
        await post(await site.signed_in(people.IT), "/settings/test/mail", "/settings")
        page = await settings(site)
    assert "No answer in 0.3 s. 1 mail waits; it is not lost." in page
    assert "The help desk gets tickets by mail alone." in page


async def test_what_came_of_a_test_is_forgotten_with_the_server_that_was_tried(site: Site) -> None:
    async with post_office() as office, post_office() as another:
        office.days.append(Day.NO_SUCH_SENDER)
        await with_mail(site, office)
        it = await site.signed_in(people.IT)
        await post(it, "/settings/test/mail", "/settings")
        page = await settings(site)
        assert "Does not work" in page and "did not arrive" in page
        await with_mail(site, another)
        await site.until(lambda: site.admin.settings.settings.mail.port == another.port)
        page = await settings(site)
        assert "Not tested since it was changed" in page
        assert "Does not work" not in page and "did not arrive" not in page
        await post(it, "/settings/test/mail", "/settings")
        page = await settings(site)
        assert another.subjects == ["A test from Town of Exampleton"]
        assert "Works" in page and "Not tested" not in page and "Nothing sent yet" not in page


async def test_what_an_earlier_server_took_proves_nothing_of_another(site: Site) -> None:
    async with post_office() as office, post_office() as another:
        await with_mail(site, office)
        await site.put(FOR_CLERK)
        async with asyncio.timeout(60):
            while (await site.admin.correspondence.depth(Channel.MAIL)).last_sent_at is None:
                await asyncio.sleep(0.05)
        site.clock.at += timedelta(minutes=1)
        await with_mail(site, another)
        await site.until(lambda: site.admin.settings.settings.mail.port == another.port)
        assert "Not tested since it was changed" in await settings(site)


async def test_what_was_not_delivered_is_shown_and_can_be_sent_again(site: Site) -> None:
    async with post_office() as office:
        office.days.append(Day.NO_SUCH_MAILBOX)
        await with_mail(site, office)
        await site.put(FOR_CLERK)
        it = await site.signed_in(people.IT)

        async def until(state: str) -> None:
            async with asyncio.timeout(60):
                while await site.admin.db.fetch_one("SELECT 1 FROM letter WHERE state = ?", state) is None:
                    await asyncio.sleep(0.05)

        await until("failed")
        page = await settings(site)
        assert "ACC-1, to Clerk" in page
        assert "550 5.1.1 no such mailbox" in page
        assert "Mail: 1 not delivered in 7 days." in (await it.get("/today")).text
        await post(it, "/settings/letters/1/again", "/settings")
        await until("sent")
        assert office.recipients == ["clerk@town.example"]


async def test_problems_of_the_document_are_shown_here_and_on_today(site: Site) -> None:
    site.state.settings_document.write_text("mail: {servr: x}\n")
    await site.until(lambda: bool(site.admin.settings.problems))
    assert "3 problems in settings.yaml. The running settings stay." in await settings(site)
    today = (await (await site.signed_in(people.IT)).get("/today")).text
    assert "settings.yaml: line 1" in today
    others = (await (await site.signed_in(people.HELP_DESK)).get("/today")).text
    assert "servr" not in others


async def test_a_channel_that_is_none_is_not_found(site: Site) -> None:
    it = await site.signed_in(people.IT)
    assert (await post(it, "/settings/test/pigeon", "/settings")).status_code == 404


async def test_depth_counts_what_failed_for_a_week(site: Site) -> None:
    await site.put(FOR_CLERK)
    async with site.admin.db.transaction() as t:
        (letter,) = await outbox.due(t, Channel.MAIL, site.clock.at)
        await outbox.mark_failed(t, letter, site.clock.at, "550")
    assert (await site.admin.correspondence.depth(Channel.MAIL)).failed == 1
    site.clock.at += timedelta(days=7, seconds=1)
    assert (await site.admin.correspondence.depth(Channel.MAIL)).failed == 0


async def test_program_tries_a_channel_and_sends_again_what_was_not_delivered(site: Site) -> None:
    it = await program_of(site, people.IT)
    assert (await it.get("/settings"))["mail"]["state"] == "not_set"
    async with post_office() as office:
        await with_mail(site, office, webhook="http://127.0.0.1:1/hook")
        tried = await it.post("/settings/test/mail")
        assert (tried["state"], tried["tested_to"], tried["test_problem"]) == (
            "worked",
            "it@town.example",
            None,
        )
        assert office.recipients == ["it@town.example"]
        failed = await it.post("/settings/test/webhook")
        assert failed["state"] == "failed" and failed["test_problem"]
        await it.post("/settings/test/pigeon", 404)
        assert (await it.post("/settings/test/town-account"))["state"] == "not_set"
        office.days.append(Day.NO_SUCH_MAILBOX)
        await site.put(FOR_CLERK)
        async with asyncio.timeout(60):
            while not (undelivered := (await it.get("/settings/letters"))["items"]):
                await asyncio.sleep(0.05)
        (letter,) = undelivered
        assert (letter["to"], letter["about"]) == (people.CLERK, "ACC-1") and "550" in letter["problem"]
        assert (await it.post(f"/settings/letters/{letter['id']}/again"))["items"] == []
        async with asyncio.timeout(60):
            while "clerk@town.example" not in office.recipients:
                await asyncio.sleep(0.05)
    stands = await it.get("/settings")
    assert stands["mail_server"]["server"] == "127.0.0.1" and not stands["mail_server"]["is_encrypted"]
    assert stands["webhook"]["secret_changed_at"] and "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" not in str(stands)
