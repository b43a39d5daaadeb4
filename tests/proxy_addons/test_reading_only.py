"""Sites that are for reading only: told once a day, reading works, and what acts is stopped unsent."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from playwright.async_api import Page

from admin.demo_web import DemoWeb
from policy.decision import Cause, Lane, Verdict
from tests.acting_cases import FORM, JSON, SENT, Sent, as_json
from tests.browsing import StartBrowser, violations
from tests.proxied_town import TOWN, TOWN_ISSUER, ProxiedTown, exemption, served_web, town_behind_a_worker
from tests.proxy_client import ProxyClient, exchange
from tests.published_town import CATEGORIES
from tests.recording_origin import RecordingOrigin

READING = TOWN.replace("127.0.0.3/32", "127.0.0.3/32, 127.0.8.0/24").replace(
    "rules:\n",
    "rules:\n"
    "  - {id: social-read, categories: [social_networks], action: view_only, approval: [department_head],"
    " because: 'Acceptable Use Policy, Social Media 3'}\n",
)
SOCIAL = "readable.example"
DOCUMENT = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}
_desks = count(1)


HOSTS = sorted({sent.host for sent in SENT} - {SOCIAL})


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordingOrigin]:
    origin = RecordingOrigin(tmp_path_factory.mktemp("recording"), [*HOSTS, "chat.example"])
    yield origin
    origin.close()


@pytest.fixture(scope="module")
def social_web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoWeb]:
    with served_web(tmp_path_factory.mktemp("social-web"), (SOCIAL, "library.example")) as web:
        yield web


@pytest.fixture(scope="module")
def reading_town(
    social_web: DemoWeb, origin: RecordingOrigin, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProxiedTown]:
    folder = tmp_path_factory.mktemp("reading")
    hosts = social_web.hosts_file(folder / "hosts")
    hosts.write_text(hosts.read_text() + origin.hosts_lines())
    names = {**CATEGORIES, "social_networks": [SOCIAL, "chat.example", *HOSTS]}
    roots = (social_web.ca_certificate, origin.ca_certificate)
    with town_behind_a_worker(folder, social_web, hosts, READING, names, roots) as town:
        yield town


@pytest.fixture
def town(reading_town: ProxiedTown) -> ProxiedTown:
    """Return a town that has social media for reading only, behind a worker."""
    reading_town.begin()
    return reading_town


@pytest.fixture
def desk(town: ProxiedTown) -> ProxyClient:
    """Return a workstation of Parks that has not been told yet."""
    return town.client.at(f"127.0.8.{next(_desks)}")


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

    answer = desk.request("POST", f"{scheme}://{SOCIAL}{page.continue_form}")

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


@pytest.mark.parametrize("sent", SENT, ids=str)
def test_reading_reaches_the_site_and_acting_does_not(
    sent: Sent, town: ProxiedTown, desk: ProxyClient, origin: RecordingOrigin
) -> None:
    told = len(origin.told)
    fields = {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"}
    if sent.is_navigation:
        fields = DOCUMENT
    if sent.media_type:
        fields["Content-Type"] = sent.media_type

    answer = desk.request(sent.method, f"https://{sent.host}{sent.path}", sent.body, fields)

    if sent.does is None:
        assert (answer.status, answer.text) == (200, "seen")
        assert bytes(origin.told[told:]).endswith(sent.body), "the body goes on whole"
        assert town.visit().verdict is Verdict.VIEW_ONLY
        return
    assert (answer.status, origin.told[told:]) == (403, b""), "not one byte of it"
    stopped = next(visit for visit in town.visits(2) if visit.lane is Lane.BLOCK)
    assert (stopped.verdict, stopped.cause, stopped.rule) == (Verdict.BLOCK, Cause.RULE, "social-read")
    assert (stopped.category, stopped.refusal) == ("social_networks", sent.does.refusal)
    assert stopped.code in answer.text
    assert "secret-words" not in answer.text


def test_acting_is_stopped_in_plain_http_and_counted_once(
    town: ProxiedTown, desk: ProxyClient, origin: RecordingOrigin
) -> None:
    told = len(origin.told)
    mutation, query = ({"query": text} for text in ("mutation { post }", "{ posts }"))
    fields = {"Content-Type": JSON}
    assert desk.request("POST", "http://x.com/graphql", as_json(mutation), fields).status == 403
    assert (
        desk.request("POST", "http://chat.example/post", b"secret-words", {"Content-Type": FORM}).status
        == 403
    )
    assert origin.told[told:] == b""
    assert desk.request("POST", "http://chat.example/graphql", as_json(query), fields).status == 200
    stopped, sent, read = town.visits(3)
    assert [visit.lane for visit in (stopped, sent, read)] == [Lane.BLOCK, Lane.BLOCK, Lane.PLAIN]
    assert (stopped.verdict, read.verdict) == (Verdict.BLOCK, Verdict.VIEW_ONLY)
    assert read.bytes_up > len(as_json(query))


def test_exemption_for_reading_opens_what_is_blocked_and_stops_what_acts(town: ProxiedTown) -> None:
    reading = replace(exemption("chat.example", person="clerk"), is_for_reading=True)
    town.publish_policy(READING.replace("action: view_only", "action: block"), [reading])
    assert (
        town.client.request(
            "POST", "https://chat.example/post", b"secret-words", {"Content-Type": FORM}
        ).status
        == 403
    )
    assert town.client.get("https://chat.example/feed").text == "seen"
    stopped, read = town.visits(2)
    assert [(visit.cause, visit.exemption) for visit in (stopped, read)] == [
        (Cause.EXEMPTION, reading.id)
    ] * 2
    assert (stopped.verdict, read.verdict, read.lane) == (Verdict.BLOCK, Verdict.VIEW_ONLY, Lane.INSPECT)


@pytest.mark.parametrize(("path", "key"), [("/graphql", "errors"), ("/post", "error")])
def test_script_is_told_in_the_form_that_it_expects_and_may_go_on(
    path: str, key: str, desk: ProxyClient
) -> None:
    fields = {"Content-Type": "multipart/form-data; boundary=x", "Origin": "https://www.chat.example"}
    with desk.tunnel("chat.example") as secured:
        for _ in range(2):
            answer = exchange(secured, "POST", path, "chat.example", b"secret-words", fields)
            assert (answer.status, answer.headers["Content-Type"]) == (403, "application/json; charset=utf-8")
            assert key in json.loads(answer.body)
            assert answer.headers["Access-Control-Allow-Origin"] == "https://www.chat.example"
        assert exchange(secured, "GET", "/feed", "chat.example").text == "seen"


@pytest.mark.parametrize(("destination", "says"), [("image", "Blocked by"), ("iframe", "See why")])
def test_part_of_a_page_is_told_shortly(destination: str, says: str, desk: ProxyClient) -> None:
    fields = {"Sec-Fetch-Dest": destination, "Content-Type": "image/png"}
    answer = desk.request("POST", "https://chat.example/pixel", b"x", fields)
    assert (answer.status, says in answer.text, len(answer.body) < 1024) == (403, True, True)


def test_websocket_is_refused_before_anything_is_sent(desk: ProxyClient, origin: RecordingOrigin) -> None:
    told = len(origin.told)
    fields = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    fields["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    assert desk.get("https://chat.example/socket", fields).status == 403
    assert origin.told[told:] == b""


def test_body_without_a_length_is_stopped_unsent(desk: ProxyClient, origin: RecordingOrigin) -> None:
    told = len(origin.told)
    fields = {"Transfer-Encoding": "chunked", "Content-Type": "application/octet-stream"}
    assert (
        desk.request("POST", "https://chat.example/photo", [b"5\r\nphoto\r\n0\r\n\r\n"], fields).status == 403
    )
    fields["Content-Type"] = JSON
    assert (
        desk.request("POST", "https://chat.example/graphql", [b"2\r\n{}\r\n0\r\n\r\n"], fields).status == 403
    )
    assert origin.told[told:] == b""


def test_exemption_opens_the_site_whole(
    town: ProxiedTown, desk: ProxyClient, origin: RecordingOrigin
) -> None:
    town.publish_policy(READING, [exemption("chat.example", department="parks")])
    answer = desk.trusting(origin.ca_certificate).request("POST", "https://chat.example/post", b"x=1")
    assert answer.text == "seen"


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
    await page.set_content(f"<form method=post action=https://{SOCIAL}/post><button>Post</button></form>")
    await page.get_by_role("button", name="Post").click()
    await page.wait_for_url(f"https://{SOCIAL}/post")
    assert await page.locator("h1").inner_text() == "Posting, comments and uploads are off here"
    await page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")
    await look_at(page, screenshots, "acting-stopped")


async def look_at(page: Page, screenshots: Path, name: str) -> None:
    """Take a page's picture in each width and color scheme; nothing is cut, and axe finds nothing."""
    for width in (320, 360, 1280):
        await page.set_viewport_size({"width": width, "height": 640})
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            assert await violations(page) == []
            await page.screenshot(path=screenshots / f"{name}-{width}-{scheme}.png", full_page=True)
