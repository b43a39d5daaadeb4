"""Everyone hears of what concerns them: a real town, a real mail server, a real receiver of tickets."""

import asyncio
import base64
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest
from playwright.async_api import Page
from standardwebhooks import Webhook

from admin.demo_web import demo_web
from tests.admin.letters.test_webhook import SECRET, Receiver, receiving
from tests.admin.letters.test_wording import tags_of
from tests.browsing import StartBrowser
from tests.journeys.steps import PHONE, Patience, heading, sign_in, visit, visit_until
from tests.post_office import PostOffice, post_office
from tests.running_town import RunningTown, running_town

pytestmark = pytest.mark.long

CARDROOM = "cardroom.example"


async def test_from_the_block_page_to_the_ticket_by_mail(browser: StartBrowser, tmp_path: Path) -> None:
    async with post_office() as office, demo_web(tmp_path / "web", names=[CARDROOM]) as web:
        hosts = web.hosts_file(tmp_path / "hosts")
        with receiving() as receiver:
            async with running_town(tmp_path / "state", "--demo", "--hosts", str(hosts)) as town:
                _set_up(town, office, receiver)
                workstation = await browser(proxy=town.proxy, trusts=[town.town_ca, web.ca_certificate])
                clerk = await (await workstation.new_context()).new_page()
                await _play(town, office, receiver, browser, clerk)


def _set_up(town: RunningTown, office: PostOffice, receiver: Receiver) -> None:
    """Name the servers, and let the policy leave it to IT to open what was approved."""
    (town.state / "webhook-secret").write_text(f"whsec_{base64.b64encode(SECRET).decode()}\n")
    (town.state / "settings.yaml").write_text(
        f"mail: {{server: 'smtp://127.0.0.1:{office.port}', starttls: never, from: gate@town.example}}\n"
        f"webhook: {{url: 'http://127.0.0.1:{receiver.port}/hook', secret_file: webhook-secret}}\n"
    )
    policy = town.state / "policy.yaml"
    policy.write_text(policy.read_text() + "\nafter_approval: wait_for_it\n")


async def _play(
    town: RunningTown, office: PostOffice, receiver: Receiver, browser: StartBrowser, clerk: Page
) -> None:
    # While the mail server is away she asks; her head's mail waits, and comes.
    await office.close()
    assert (await visit(clerk, CARDROOM)).status == 403
    await clerk.get_by_role("link", name="Ask for access").click()
    await clerk.get_by_label("What do you need it for?").fill("I need their charity report.")
    await clerk.get_by_text("1 week").click()
    await clerk.get_by_role("button", name="Send request").click()
    assert await heading(clerk) == "Request sent"
    await clerk.get_by_role("link", name="See the request").click()
    await asyncio.sleep(1)
    await office.open()
    mail = await _mail(office, "head", "Finance: a web request, by")

    # The head decides from the mail, on a phone.
    phone = await (await (await browser()).new_context(viewport=PHONE)).new_page()
    await _follow(phone, mail, town, "head")
    await phone.get_by_role("button", name="Allow until").click()
    assert await heading(phone) == "Approved, waiting for IT to open it"
    await _mail(office, "clerk", "Approved, waiting for IT to open it")
    assert (await visit(await clerk.context.new_page(), CARDROOM)).status == 403

    # The help desk opens it from the ticket.
    ticket = await _mail(office, "helpdesk", f"To open: {CARDROOM} until 20")
    desk = await (await (await browser()).new_context()).new_page()
    await _follow(desk, ticket, town, "helpdesk")
    await desk.get_by_role("button", name="Open until").click()
    assert (await heading(desk)).startswith("Open now, until")
    await _mail(office, "clerk", "Allowed until")
    await town.in_force()
    await visit_until(await clerk.context.new_page(), CARDROOM, 200)

    # IT stops it: who is concerned hears of it, where they heard of it before.
    await desk.context.clear_cookies()
    await sign_in(desk, town, "it")
    await desk.goto(f"http://{town.admin}/decide/1/done?stop=yes")
    await desk.get_by_label("Why does it end?").fill("It spreads malware now.")
    await desk.get_by_role("button", name="Stop access now").click()
    for person in ("clerk", "head"):
        stopped = await _mail(office, person, "Stopped by IT")
        assert "It spreads malware now." in stopped.as_string()
    follow_up = await _mail(office, "helpdesk", f"Access stopped: {CARDROOM}")
    assert ticket["Message-ID"] in follow_up["References"]
    await _until(lambda: len(receiver.posted) == 3)
    told = [Webhook(SECRET).verify(body, headers) for headers, body in receiver.posted]
    assert [each["type"] for each in told] == ["access.to_open", "access.allowed", "access.stopped"]
    assert {each["data"]["request"] for each in told} == {"REQ-1"}
    await town.in_force()
    await visit_until(await clerk.context.new_page(), CARDROOM, 403)
    assert len({mail["Message-ID"] for mail in office.messages}) == len(office.messages)


async def _follow(page: Page, mail: EmailMessage, town: RunningTown, person: str) -> None:
    """Follow a mail's one link, and sign in on the way."""
    (link,) = (link for link in tags_of(mail).links if link.startswith("http"))
    await page.goto(link)
    await page.get_by_label("Name").fill(person)
    await page.get_by_label("Password", exact=True).fill(town.passwords[person])
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(link)


async def _mail(office: PostOffice, person: str, subject: str) -> EmailMessage:
    """Return the person's mail with this subject, once it has come."""

    def found() -> list[EmailMessage]:
        return [
            mail
            for mail in office.messages
            if mail["To"].addresses[0].username == person and mail["Subject"].startswith(f"[REQ-1] {subject}")
        ]

    await _until(lambda: bool(found()))
    (mail,) = found()
    return mail


async def _until(holds: Callable[[], bool]) -> None:
    patience = Patience()
    while not holds():
        await patience.wait("nothing has come")
