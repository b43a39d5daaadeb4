"""Whoever opens a mail without having signed in, a scanner or a stranger, changes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx
import pytest

from admin.audit import EventKind
from tests import people
from tests.admin.letters.test_wording import html_of, others
from tests.admin.web.conftest import Site, post
from tests.admin.web.mailed_site import with_mail
from tests.post_office import PostOffice, post_office


@dataclass
class Form:
    """A form of a page, with what a browser would send."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class Found(HTMLParser):
    """The links and forms of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[Form] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get")))
        elif tag in ("input", "textarea", "select") and self.forms and given.get("name"):
            self.forms[-1].fields[given["name"]] = given.get("value", "")
        elif tag == "button" and self.forms:
            self.forms[-1].buttons.append((given.get("name", ""), given.get("value", "")))


def submissions(form: Form) -> Iterator[dict[str, str]]:
    """Yield what each button of a form sends, with every empty field filled in."""
    filled = {name: value or "x" for name, value in form.fields.items()}
    for name, value in form.buttons or [("", "")]:
        yield {**filled, name: value} if name else filled


async def scan(site: Site, links: set[str]) -> int:
    """Open every link and submit every form there, and where that leads; return how many forms."""
    forms = 0
    for link in sorted(links):
        client: httpx.AsyncClient = site.client()
        page = await client.get(link, follow_redirects=True)
        assert page.status_code < 500, link
        for form in Found(page.text).forms:
            where = urljoin(str(page.url), form.action)
            for fields in submissions(form):
                forms += 1
                answer = await client.request(form.method.upper(), where, data=fields)
                assert answer.status_code < 500, where
        # As a scanner that guesses would: the addresses behind the buttons.
        for path in ("/decide/1", "/decide/1/open", "/decide/1/stop", "/requests/1/withdraw"):
            answer = await client.post(path, data={"answer": "allow", "reason": "x"})
            assert answer.status_code in (303, 403), path
            if answer.status_code == 303:
                assert answer.headers["location"].startswith("/sign-in")
    return forms


async def everything(site: Site) -> dict[str, list[tuple[object, ...]]]:
    """Return what has been decided, as the database has it."""
    queries = {
        "requests": "SELECT * FROM access_request ORDER BY id",
        "exemptions": "SELECT * FROM exemption ORDER BY id",
        "events": "SELECT id, kind, actor FROM event WHERE kind <> ? ORDER BY id",
    }
    refused = EventKind.SIGN_IN_REFUSED.value
    return {
        name: [tuple(row) for row in await site.admin.db.fetch_all(sql, *([refused] if "?" in sql else []))]
        for name, sql in queries.items()
    }


@pytest.mark.parametrize("after_approval", ["open", "wait_for_it"])
async def test_every_link_opened_and_every_form_sent_without_signing_in_decides_nothing(
    site: Site, after_approval: str
) -> None:
    document = site.state.policy_document
    document.write_text(document.read_text() + f"after_approval: {after_approval}\n")
    await site.until(lambda: site.admin.policy.after_approval.value == after_approval)
    async with post_office() as office:
        await with_mail(site, office)
        await site.sent_request()
        await mails(site, office, 1)
        before = await everything(site)
        assert await scan(site, links_of(site, office)) >= 1
        assert await everything(site) == before
        head = await site.signed_in(people.HEAD)
        page = (await head.get("/decide/1")).text
        on_button = page.partition('name="expires_at" value="')[2].partition('"')[0]
        await post(head, "/decide/1", answer="allow", step="0", expires_at=on_button)
        await site.put(*others())
        await mails(site, office, 3 + len(others()))
        before = await everything(site)
        assert await scan(site, links_of(site, office)) >= 1
        assert await everything(site) == before


def links_of(site: Site, office: PostOffice) -> set[str]:
    """Return where on the admin site the mails lead; a reminder leads to the download itself."""
    found = {link for mail in office.messages for link in Found(html_of(mail)).links}
    return {link for link in found if link.startswith(f"{site.url}/")}


async def mails(site: Site, office: PostOffice, count: int) -> None:
    """Wait until so many have come."""
    await site.until(lambda: len(office.messages) >= count)
