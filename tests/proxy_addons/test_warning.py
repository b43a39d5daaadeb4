"""A warning: a page to click through, then the site is tunnelled, for that client and site, for a while."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from admin.demo_web import DemoWeb
from policy.decision import Cause, Lane, Verdict
from policy.visit import Client
from proxy_addons.continuations import REMEMBERED, Continuations
from proxy_addons.continue_token import CONTINUE_PATH, seal
from proxy_addons.tls_alert import REFUSED
from tests.at_once import assert_at_once
from tests.browsing import StartBrowser, violations
from tests.client_hellos import client_hello
from tests.proxied_town import ORIGIN_ISSUER, TOWN, TOWN_ISSUER, ProxiedTown
from tests.proxy_client import Answer, ProxyClient, exchange, read_to_end
from tests.published_town import CATEGORIES, PublishedTown
from tests.running_proxy import running_worker

WARNING = TOWN.replace("127.0.0.3/32", "127.0.0.3/32, 127.0.7.0/24")
_desks = count(1)


@pytest.fixture(scope="module")
def warning_town(
    web: DemoWeb, hosts_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProxiedTown]:
    published = PublishedTown(tmp_path_factory.mktemp("warning") / "state", document=WARNING)
    published.publish_categories({**CATEGORIES, "streaming": ["video.example", "drip.example"]})
    with running_worker(published.state.root, hosts_file, program=("-m", "tests.quick_worker")) as proxy:
        yield ProxiedTown(web, published, proxy, WARNING)


@pytest.fixture
def town(warning_town: ProxiedTown) -> ProxiedTown:
    """Return a town that warns of video.example and drip.example, behind a worker."""
    warning_town.begin()
    return warning_town


@pytest.fixture
def desk(town: ProxiedTown) -> ProxyClient:
    """Return a workstation of Parks that has never been warned."""
    return town.client.at(f"127.0.7.{next(_desks)}")


def go_on(client: ProxyClient, site: str, form: str | None = None) -> Answer:
    """Press Continue on the warning of a site ("https://host")."""
    return client.request("POST", site + (form or client.get(f"{site}/").continue_form))


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_page_warns_once_then_the_site_is_reached(scheme: str, town: ProxiedTown, desk: ProxyClient) -> None:
    connections = town.web.connections

    page = desk.get(f"{scheme}://video.example/boots/?size=44")

    assert page.issuer == (TOWN_ISSUER if scheme == "https" else None)
    assert "Before you go on" in page.text
    assert "<b>video.example</b> is listed as Video and music." in page.text
    assert "Acceptable Use Policy, Personal Use 2" in page.text
    assert "size=44" not in page.text
    assert len(page.body) <= 8192
    assert "form-action 'self'" in page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]

    answer = go_on(desk, f"{scheme}://video.example", page.continue_form)

    assert (answer.status, answer.body) == (303, b"")
    assert answer.headers["Location"] == f"{scheme}://video.example/boots/"
    assert answer.headers["Connection"] == "close"
    assert town.web.connections == connections, "nothing of it is for the origin server"
    reached = desk.get(answer.headers["Location"])
    assert town.web.connections == connections + 1
    assert reached.issuer == (ORIGIN_ISSUER if scheme == "https" else None)
    warned, allowed = town.visits(2)
    assert (warned.verdict, warned.lane, warned.rule) == (Verdict.WARN, Lane.BLOCK, "think-first")
    assert warned.code in page.text
    assert (allowed.verdict, allowed.rule, allowed.category) == (Verdict.ALLOW, "think-first", "streaming")
    assert allowed.lane is (Lane.TUNNEL if scheme == "https" else Lane.PLAIN)


def test_who_continued_does_so_for_all_of_the_site_that_is_listed_and_no_other(desk: ProxyClient) -> None:
    assert go_on(desk, "https://video.example").status == 303

    assert desk.get("https://video.example/").status == 200
    assert desk.get("http://video.example/").status == 200
    # Listed by the same entry: a film is often on a host of its own.
    assert "Before you go on" not in desk.get("http://www.video.example/").text
    assert "Before you go on" in desk.get("https://drip.example/").text


def test_who_has_not_continued_is_warned_still(town: ProxiedTown, desk: ProxyClient) -> None:
    assert go_on(desk, "https://video.example").status == 303
    assert "Before you go on" in town.client.at(f"127.0.7.{next(_desks)}").get("https://video.example/").text


def test_every_worker_knows_at_once_and_one_that_starts_when_another_was_killed(
    town: ProxiedTown, desk: ProxyClient, hosts_file: Path
) -> None:
    state = town.published.state.root
    form = desk.get("https://video.example/").continue_form
    with running_worker(state, hosts_file) as proxy:
        elsewhere = replace(desk, port=proxy.port)
        assert "Before you go on" in elsewhere.get("https://video.example/").text

        assert go_on(elsewhere, "https://video.example", form).status == 303

        assert elsewhere.get("https://video.example/").status == 200
        assert desk.get("https://video.example/").status == 200
        proxy.process.kill()
        proxy.process.wait()
    with running_worker(state, hosts_file) as proxy:
        assert replace(desk, port=proxy.port).get("https://video.example/").status == 200


def token_of(town: ProxiedTown, client: Client, host: str, at: datetime) -> str:
    return f"{CONTINUE_PATH}?token={seal('/', town.published.ask_key, client, host, at)}"


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("what", ["expired", "of another host", "of another client", "forged", "none"])
def test_form_that_is_not_of_a_warning_shown_here_and_now_shows_it_again(
    what: str, scheme: str, town: ProxiedTown, desk: ProxyClient
) -> None:
    now, me = datetime.now(UTC), Client(desk.address)
    connections = town.web.connections
    forms = {
        "expired": token_of(town, me, "video.example", now - timedelta(minutes=16)),
        "of another host": token_of(town, me, "drip.example", now),
        "of another client": token_of(town, Client("127.0.7.250"), "video.example", now),
        "forged": token_of(town, me, "video.example", now)[:-1] + "_",
        "none": CONTINUE_PATH,
    }

    answer = go_on(desk, f"{scheme}://video.example", forms[what])

    assert "Before you go on" in answer.text
    # The page that is shown in its place leads to the site, and not back to the form.
    onward = go_on(desk, f"{scheme}://video.example", answer.continue_form)
    assert onward.headers["Location"] == f"{scheme}://video.example/"
    assert town.web.connections == connections


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_only_a_post_continues(method: str, desk: ProxyClient) -> None:
    form = desk.get("https://video.example/").continue_form
    assert desk.request(method, f"https://video.example{form}").status == 403
    assert "Before you go on" in desk.get("https://video.example/").text


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_body_of_any_size_changes_nothing(scheme: str, desk: ProxyClient) -> None:
    form = desk.get(f"{scheme}://video.example/").continue_form
    size = 8 << 20
    answer = desk.request(
        "POST",
        f"{scheme}://video.example{form}",
        (b"x" * (1 << 16) for _ in range(size >> 16)),
        {"Content-Length": str(size)},
    )
    assert answer.status == 303


def test_form_sent_again_leads_on_and_writes_nothing_more(town: ProxiedTown, desk: ProxyClient) -> None:
    form = desk.get("https://video.example/").continue_form
    folder = town.published.state.proxy / "continued"
    assert go_on(desk, "https://video.example", form).status == 303
    lines = sum(path.read_bytes().count(b"\n") for path in folder.iterdir())

    # Over HTTPS it would be the origin server's by now, inside the tunnel.
    again = go_on(desk, "http://video.example", form)
    assert (again.status, again.headers["Location"]) == (303, "http://video.example/")

    assert sum(path.read_bytes().count(b"\n") for path in folder.iterdir()) == lines


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_form_opens_nothing_that_is_blocked_since(scheme: str, town: ProxiedTown, desk: ProxyClient) -> None:
    form = desk.get(f"{scheme}://video.example/").continue_form
    blocking = WARNING.replace("rules:\n", "rules:\n  - {id: shut, categories: [streaming], action: block}\n")
    town.publish_policy(blocking)
    answer = go_on(desk, f"{scheme}://video.example", form)
    assert "This site is blocked" in answer.text
    town.publish_policy(WARNING)
    assert "Before you go on" in desk.get(f"{scheme}://video.example/").text


def test_path_of_the_form_is_the_sites_own_where_nothing_is_warned_of(
    town: ProxiedTown, desk: ProxyClient
) -> None:
    forged = go_on(desk, "http://odd.example", f"{CONTINUE_PATH}?token=x.y")
    assert (forged.status, forged.body) == (200, b"ok")
    # A form of ours is never for the origin server.
    ours = token_of(town, Client(desk.address), "odd.example", datetime.now(UTC))
    assert go_on(desk, "http://odd.example", ours).status == 303


@pytest.mark.parametrize("destination", ["image", "script", "iframe", "empty"])
def test_part_of_a_page_is_told_shortly_and_offered_nothing(destination: str, desk: ProxyClient) -> None:
    answer = desk.get("https://video.example/logo.png", {"Sec-Fetch-Dest": destination})
    assert answer.status == 403
    assert "form" not in answer.text and "token" not in answer.text


def test_program_that_shows_no_page_is_refused(town: ProxiedTown, desk: ProxyClient) -> None:
    with desk.connect("video.example") as connection:
        connection.sendall(b"SSH-2.0-x\r\n")
        assert read_to_end(connection) == b""
    visit = town.visit()
    assert (visit.verdict, visit.lane, visit.cause) == (Verdict.WARN, Lane.REFUSE, Cause.RULE)


def test_tunnel_to_two_sites_is_refused_though_both_were_continued_to(
    town: ProxiedTown, desk: ProxyClient
) -> None:
    for host in ("video.example", "drip.example"):
        assert go_on(desk, f"https://{host}").status == 303
    town.begin()
    with desk.connect("video.example") as connection:
        connection.sendall(client_hello("drip.example"))
        assert read_to_end(connection) == REFUSED
    assert town.visit().cause is Cause.MISMATCH


def test_stricter_name_of_a_connection_is_the_one_that_counts(town: ProxiedTown, desk: ProxyClient) -> None:
    for asked, named, heading in (
        ("library.example", "video.example", "Before you go on"),
        ("video.example", "cardroom.example", "This site is blocked"),
        ("cardroom.example", "video.example", "This site is blocked"),
    ):
        with desk.tunnel(asked, sni=named) as secured:
            assert heading in exchange(secured, "GET", "/", named).text, (asked, named)


def test_open_tunnel_is_closed_and_the_page_shown_again_when_it_ends(town: ProxiedTown) -> None:
    began = Continuations(town.published.state.proxy / "continued", town.published.ask_key)

    def seconds_until_closed() -> float:
        town.begin()
        desk = town.client.at(f"127.0.7.{next(_desks)}")
        ends_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=4)
        began.add(Client(desk.address), "drip.example", ends_at - REMEMBERED)
        with desk.connect("drip.example") as connection:
            connection.sendall(client_hello("drip.example"))
            received = len(read_to_end(connection))
        waited = (datetime.now(UTC) - ends_at).total_seconds()
        assert received > 1000
        assert waited >= 0
        assert town.visit().refusal == "closed: no longer allowed (think-first)"
        assert "Before you go on" in desk.get("https://drip.example/").text
        return waited

    assert_at_once(seconds_until_closed, within_seconds=2.0)


def test_default_can_warn_of_what_is_not_listed(town: ProxiedTown, desk: ProxyClient) -> None:
    town.publish_policy(WARNING.replace("default: {action: allow}", "default: {action: warn}"))
    page = desk.get("https://library.example/")
    assert "The town asks you to stop for a moment before <b>library.example</b>." in page.text
    assert go_on(desk, "https://library.example", page.continue_form).status == 303
    assert desk.get("https://library.example/").status == 200
    assert desk.get("https://drip.example/").status == 403


def test_disk_that_takes_nothing_lets_nobody_on(town: ProxiedTown, desk: ProxyClient) -> None:
    form = desk.get("https://video.example/").continue_form
    folder = town.published.state.proxy / "continued"
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.write_text("no folder")
    try:
        assert go_on(desk, "https://video.example", form).status == 503
    finally:
        folder.unlink()
        aside.rename(folder)
    assert "Before you go on" in desk.get("https://video.example/").text


async def test_browser_shows_the_warning_and_goes_on(
    town: ProxiedTown, browser: StartBrowser, screenshots: Path
) -> None:
    trusts = [town.published.state.ca / "town-ca.pem", town.web.ca_certificate]
    chromium = await browser(proxy=f"127.0.0.1:{town.proxy.port}", trusts=trusts)
    page = await chromium.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if "403" not in said.text else None)
    await page.goto("https://video.example/boots")
    assert await page.locator("h1").inner_text() == "Before you go on"
    await page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")
    for width in (320, 360, 1280):
        await page.set_viewport_size({"width": width, "height": 640})
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            assert await violations(page) == []
            await page.screenshot(path=screenshots / f"warning-{width}-{scheme}.png", full_page=True)
    await page.get_by_role("link", name="Leave").click()
    await page.wait_for_url("about:blank")
    await page.go_back()
    await page.get_by_role("button", name="Continue to video.example").click()
    await page.wait_for_url("https://video.example/boots")
    assert "video.example" in await page.locator("body").inner_text()
    assert complaints == []
