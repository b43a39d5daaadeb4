"""Signing in beside others who have the same address, as all have whom the proxy brings."""

import httpx
import pytest
from starlette.requests import Request

from admin import accounts
from admin.web import client_address
from tests import people
from tests.admin.web.conftest import PASSWORD, Site, post


async def tries_by_name(site: Site) -> list[int]:
    rows = await site.admin.db.fetch_all("SELECT count(*) AS tries FROM sign_in_try GROUP BY name")
    return sorted(row["tries"] for row in rows)


async def wrong_tries(browser: httpx.AsyncClient, count: int) -> set[int]:
    answers = [await post(browser, "/sign-in", name=f"name-{n}", password="not it") for n in range(count)]
    return {answer.status_code for answer in answers}


async def test_a_browser_that_tries_everybodys_name_through_the_proxy_locks_nobody_out(site: Site) -> None:
    await site.give_password(people.IT)
    count = accounts.MAX_TRIES_FROM_ADDRESS + 1
    assert await wrong_tries(site.client(), count) == {422}
    signed_in = await post(site.client(), "/sign-in", name=people.IT, password=PASSWORD)
    assert signed_in.status_code == 303
    assert await tries_by_name(site) == [1] * count


async def test_an_address_of_its_own_that_a_server_in_front_tells_is_counted_and_locks_nobody_out(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "MAX_TRIES_FROM_ADDRESS", 3)
    monkeypatch.setattr(accounts, "LATE_SECONDS", 0)
    await site.give_password(people.IT)
    browser = site.client()
    browser.headers["X-Forwarded-For"] = "10.10.20.15"
    assert await wrong_tries(browser, 4) == {422}
    assert await tries_by_name(site) == [1, 1, 1, 1, 3]
    signed_in = await post(browser, "/sign-in", name=people.IT, password=PASSWORD)
    assert signed_in.status_code == 303


@pytest.mark.parametrize(
    ("path", "link"),
    [
        ("/policy", "/sign-in?next=/policy"),
        ("/nowhere?a=b", "/sign-in?next=/nowhere%3Fa%3Db"),
        ("/password/new?token=secret", "/sign-in"),
        ("/sign-in/town-account/done?code=secret", "/sign-in"),
    ],
)
async def test_whoever_signs_in_from_a_page_comes_back_to_it(site: Site, path: str, link: str) -> None:
    shown = (await site.client().get(path)).text
    assert f'<a href="{link}">Sign in</a>' in shown and "secret" not in shown


@pytest.mark.parametrize(
    ("client", "counted"),
    [
        ("127.0.0.1", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("10.10.1.5", None),
        ("::ffff:10.10.1.5", None),
        ("not an address", None),
        ("", None),
        ("10.10.20.15", "10.10.20.15"),
        ("::ffff:10.10.20.15", "10.10.20.15"),
        ("fd00::15", "fd00::15"),
    ],
)
@pytest.mark.parametrize("server", ["10.10.1.5", "::ffff:10.10.1.5"])
def test_the_machines_own_addresses_are_not_counted(client: str, counted: str | None, server: str) -> None:
    request = Request({"type": "http", "client": (client, 50_000), "server": (server, 8000)})
    assert client_address.address_to_count(request) == counted
