"""Sites that are for reading only: told once a day, reading works, and what acts is stopped unsent."""

import html
import re
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from playwright.async_api import Page

from admin.demo_web import DemoWeb
from policy.decision import Cause, Lane, Verdict
from tests.browsing import StartBrowser, violations
from tests.proxied_town import TOWN, TOWN_ISSUER, ProxiedTown, served_web
from tests.proxy_client import Answer, ProxyClient
from tests.published_town import CATEGORIES, PublishedTown
from tests.running_proxy import running_worker

READING = TOWN.replace("127.0.0.3/32", "127.0.0.3/32, 127.0.8.0/24").replace(
    "rules:\n",
    "rules:\n"
    "  - {id: social-read, categories: [social_networks], action: view_only, approval: [department_head],"
    " because: 'Acceptable Use Policy, Social Media 3'}\n",
)
SOCIAL = "social.example"
DOCUMENT = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}
_desks = count(1)


@pytest.fixture(scope="module")
def social_web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoWeb]:
    with served_web(tmp_path_factory.mktemp("social-web"), (SOCIAL, "library.example")) as web:
        yield web


@pytest.fixture(scope="module")
def reading_town(social_web: DemoWeb, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedTown]:
    folder = tmp_path_factory.mktemp("reading")
    hosts = social_web.hosts_file(folder / "hosts")
    names = {**CATEGORIES, "social_networks": [SOCIAL]}
    published = PublishedTown(folder / "state", document=READING)
    published.publish_categories(names)
    shutil.copyfile(social_web.ca_certificate, published.state.extra_roots)
    with running_worker(published.state.root, hosts, program=("-m", "tests.quick_worker")) as proxy:
        yield ProxiedTown(social_web, published, proxy, READING, names)
    assert "Traceback" not in proxy.logged()


@pytest.fixture
def town(reading_town: ProxiedTown) -> ProxiedTown:
    """Return a town that has social media for reading only, behind a worker."""
    reading_town.begin()
    return reading_town


@pytest.fixture
def desk(town: ProxiedTown) -> ProxyClient:
    """Return a workstation of Parks that has not been told yet."""
    return town.client.at(f"127.0.8.{next(_desks)}")


def form_of(page: Answer) -> str:
    found = re.search(r'<form id="continue" method="post" action="([^"]+)"></form>', page.text)
    assert found is not None, page.text
    return html.unescape(found[1])


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_page_says_once_that_the_site_is_for_reading(
    scheme: str, town: ProxiedTown, desk: ProxyClient
) -> None:
    hits = town.web.hits[SOCIAL]

    page = desk.get(f"{scheme}://{SOCIAL}/town-hall?from=mail", DOCUMENT)

    assert (page.status, town.web.hits[SOCIAL]) == (403, hits)
    assert f"You can read {SOCIAL}" in page.text and f"Puede leer {SOCIAL}" in page.text
    assert "Posting, comments and uploads are off." in page.text
    assert "Acceptable Use Policy, Social Media 3" in page.text
    assert "from=mail" not in page.text
    assert len(page.body) <= 8192
    assert "form-action 'self'; frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    told = next(visit for visit in town.visits(1 if scheme == "http" else 2) if visit.lane is Lane.BLOCK)
    assert (told.verdict, told.cause, told.rule) == (Verdict.VIEW_ONLY, Cause.RULE, "social-read")
    assert told.refusal == "told first that the site is for reading only"
    assert told.code in page.text

    answer = desk.request("POST", f"{scheme}://{SOCIAL}{form_of(page)}")

    assert (answer.status, answer.headers["Location"]) == (303, f"{scheme}://{SOCIAL}/town-hall")
    assert town.web.hits[SOCIAL] == hits, "nothing of it is for the origin server"
    reached = desk.get(answer.headers["Location"], DOCUMENT)
    assert (reached.status, town.web.hits[SOCIAL]) == (200, hits + 1)
    assert reached.issuer == (TOWN_ISSUER if scheme == "https" else None), "it is still looked into"


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("GET", {}),
        ("HEAD", DOCUMENT),
        ("GET", {"Sec-Fetch-Dest": "empty"}),
        ("GET", {"Sec-Fetch-Dest": "image"}),
        ("GET", {"Sec-Fetch-Dest": "iframe"}),
    ],
)
def test_what_does_not_say_that_it_is_a_document_is_read_at_once(
    method: str, fields: dict[str, str], desk: ProxyClient
) -> None:
    assert desk.request(method, f"https://{SOCIAL}/feed", headers=fields).status == 200


def test_site_that_is_no_social_medium_says_nothing_first(desk: ProxyClient) -> None:
    assert "You can read" not in desk.get("https://library.example/", DOCUMENT).text


async def test_browser_shows_the_page_and_goes_on(
    town: ProxiedTown, browser: StartBrowser, screenshots: Path
) -> None:
    trusts = [town.published.state.ca / "town-ca.pem", town.web.ca_certificate]
    chromium = await browser(proxy=f"127.0.0.1:{town.proxy.port}", trusts=trusts)
    page = await chromium.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if "403" not in said.text else None)
    await page.goto(f"https://{SOCIAL}/town-hall")
    assert await page.locator("h1").inner_text() == f"You can read {SOCIAL}"
    await page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")
    await look_at(page, screenshots, "read-only")
    await page.get_by_role("button", name=f"Continue to {SOCIAL}").click()
    await page.wait_for_url(f"https://{SOCIAL}/town-hall")
    assert SOCIAL in await page.locator("body").inner_text()
    assert complaints == []


async def look_at(page: Page, screenshots: Path, name: str) -> None:
    """Take a page's picture in each width and color scheme; nothing is cut, and axe finds nothing."""
    for width in (320, 360, 1280):
        await page.set_viewport_size({"width": width, "height": 640})
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            assert await violations(page) == []
            await page.screenshot(path=screenshots / f"{name}-{width}-{scheme}.png", full_page=True)
