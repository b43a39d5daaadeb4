"""Signing in with a town account at a real OpenID provider, on its own pages."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from admin import audit
from admin.audit import Event, EventKind
from admin.town_account import HOW, RETURN_PATH
from tests import people
from tests.admin.web.conftest import PASSWORD, Site, post
from tests.openid.browsing import begin, query, sign_in, sign_in_at_the_provider, with_town_accounts
from tests.openid.provider import CLIENT_ID, OpenIdProviderProcess, openid_provider

LINK = 'href="/sign-in/town-account?next='
STALE = "This sign-in was begun over 10 minutes ago, or in another browser. Start again."
UNKNOWN = "Your town account is not known here yet"


@pytest.fixture(scope="module")
def running_provider() -> Iterator[OpenIdProviderProcess]:
    with openid_provider() as provider:
        yield provider


@pytest.fixture
async def provider(site: Site, running_provider: OpenIdProviderProcess) -> OpenIdProviderProcess:
    """Return the provider that the site is set to; what it issues, it issues by the real clock."""
    site.clock.at = datetime.now(UTC)
    running_provider.change(redirect_uri=site.url + RETURN_PATH, claims={}, in_id_token=False)
    await with_town_accounts(site, running_provider.issuer)
    return running_provider


async def events(site: Site, kind: EventKind) -> list[Event]:
    rows = await site.admin.db.fetch_all("SELECT DISTINCT subject FROM event WHERE kind = ?", kind.value)
    found = [event for row in rows for event in await audit.events_of(site.admin.db, row["subject"])]
    return [event for event in found if event.kind is kind]


async def test_a_person_signs_in_at_the_provider_and_comes_to_the_page_they_wanted(
    site: Site, provider: OpenIdProviderProcess
) -> None:
    browser = site.client()
    wanted = await browser.get("/decide")
    page = await browser.get(wanted.headers["location"])
    assert page.text.index(f"{LINK}/decide") < page.text.index('name="password"')
    url = await begin(browser, "/decide")
    asked = query(url)
    assert asked["code_challenge_method"] == "S256" and asked["response_type"] == "code"
    assert (asked["client_id"], asked["redirect_uri"]) == (CLIENT_ID, site.url + RETURN_PATH)
    answer = await browser.get(await sign_in_at_the_provider(url, people.HEAD))
    assert (answer.status_code, answer.headers["location"]) == (303, "/decide")
    assert (await browser.get("/decide")).status_code == 200
    (event,) = await events(site, EventKind.SIGNED_IN)
    assert (event.actor, event.details) == (people.HEAD, {**people.AS_HEAD, "how": HOW})


async def test_a_sign_in_with_a_town_account_opens_a_session_like_one_with_a_password(
    site: Site, provider: OpenIdProviderProcess
) -> None:
    browser = await site.asking()
    before = dict(browser.cookies)
    await sign_in(browser, people.CLERK)
    assert browser.cookies["towngate_session"] != before["towngate_session"]
    asker = site.client()
    asker.cookies.update(before)
    assert (await asker.get("/ask/K7M-4QP")).status_code == 303, "the session of before has ended"
    assert (await browser.get("/ask/K7M-4QP")).status_code == 200, "and what it followed is carried over"
    it = site.client()
    await sign_in(it, people.IT)
    assert (await it.get("/settings")).status_code == 200
    document = site.state.policy_document
    document.write_text(document.read_text().replace("it_security: [it]", "it_security: [administrator]"))
    await site.until(lambda: site.admin.policy.roles["it_security"] == ("administrator",))
    assert (await it.get("/requests")).status_code == 303, "sessions die with the role"


async def test_local_accounts_work_beside_town_accounts(site: Site, provider: OpenIdProviderProcess) -> None:
    browser = await site.signed_in(people.HEAD)
    assert (await browser.get("/decide")).status_code == 200
    (event,) = await events(site, EventKind.SIGNED_IN)
    assert event.details == {**people.AS_HEAD, "how": "password"}


async def test_who_is_no_person_of_the_town_is_told_so_and_recorded(
    site: Site, provider: OpenIdProviderProcess
) -> None:
    browser = site.client()
    answer = await sign_in(browser, "Mallory")
    assert answer.status_code == 403
    assert UNKNOWN in answer.text and "555-0100" in answer.text
    assert (await browser.get("/requests")).status_code == 303
    (event,) = await events(site, EventKind.SIGN_IN_REFUSED)
    why = "no person of the policy has the preferred_username"
    assert (event.actor, event.details) == (HOW, {"how": HOW, "name": "mallory", "why": why})
    it = await site.signed_in(people.IT)
    records = (await it.get("/records")).text
    assert why in records and "by town account" in records and "mallory" not in records


async def test_who_is_closed_is_told_so_and_recorded(site: Site, provider: OpenIdProviderProcess) -> None:
    it = await site.signed_in(people.IT)
    await post(it, f"/people/{people.CLERK}/close", f"/people/{people.CLERK}", why="Retired.")
    answer = await sign_in(site.client(), people.CLERK)
    assert answer.status_code == 403
    assert "Your access here has ended" in answer.text
    (event,) = await events(site, EventKind.SIGN_IN_REFUSED)
    assert (event.actor, event.details["why"]) == (people.CLERK, "the person is closed")


@pytest.mark.parametrize("in_id_token", [True, False], ids=["in the ID token", "in userinfo"])
async def test_a_mail_address_that_the_provider_has_verified_is_a_persons(
    site: Site, provider: OpenIdProviderProcess, in_id_token: bool
) -> None:
    await with_town_accounts(site, provider.issuer, "person_claim: email")
    mail = {"email": "Clerk@Town.example", "email_verified": True}
    provider.change(claims={"u-17": mail}, in_id_token=in_id_token)
    assert (await sign_in(site.client(), "u-17")).status_code == 303
    (event,) = await events(site, EventKind.SIGNED_IN)
    assert event.actor == people.CLERK


async def test_the_providers_answer_opens_nothing_twice_or_in_another_browser_or_late(
    site: Site, provider: OpenIdProviderProcess
) -> None:
    browser, another = site.client(), site.client()
    await another.get("/sign-in")
    back = await sign_in_at_the_provider(await begin(browser), people.CLERK)
    stolen = await another.get(back)
    assert stolen.status_code == 400 and STALE in stolen.text
    assert (await browser.get(back)).status_code == 400, "it was answered, if to another"

    back = await sign_in_at_the_provider(await begin(browser), people.CLERK)
    assert (await browser.get(back)).status_code == 303
    assert (await browser.get(back)).status_code == 400

    back = await sign_in_at_the_provider(await begin(browser), people.CLERK)
    site.clock.at += timedelta(minutes=10)
    assert STALE in (await browser.get(back)).text


async def test_a_code_that_was_used_or_is_of_another_sign_in_opens_nothing(
    site: Site, provider: OpenIdProviderProcess
) -> None:
    browser = site.client()
    back = query(await sign_in_at_the_provider(await begin(browser), people.CLERK))
    for _ in range(2):
        # The provider compares PKCE's verifier, which is another's.
        state = query(await begin(browser))["state"]
        answer = await browser.get(RETURN_PATH, params=back | {"state": state})
        assert answer.status_code == 400 and STALE in answer.text
    assert (await browser.get("/requests")).status_code == 303


async def test_an_answer_without_a_code_or_of_another_issuer_opens_nothing(
    site: Site, provider: OpenIdProviderProcess
) -> None:
    browser = site.client()
    state = query(await begin(browser))["state"]
    answer = await browser.get(RETURN_PATH, params={"error": "access_denied", "state": state})
    assert answer.status_code == 403
    assert "You are not signed in: your town account did not say who you are." in answer.text
    for issuer in ({"iss": "https://evil.example"}, {}):
        back = query(await sign_in_at_the_provider(await begin(browser), people.CLERK))
        del back["iss"]
        answer = await browser.get(RETURN_PATH, params=back | issuer)
        assert answer.status_code == 503
    assert (await browser.get(RETURN_PATH, params={"code": "x"})).status_code == 400


async def test_keys_that_the_provider_has_changed_are_known_after_a_minute(
    site: Site, provider: OpenIdProviderProcess
) -> None:
    assert (await sign_in(site.client(), people.CLERK)).status_code == 303
    provider.change(new_keys=True)
    refused = await sign_in(site.client(), people.CLERK)
    assert refused.status_code == 503, "they were fetched less than a minute before"
    site.clock.at += timedelta(minutes=1)
    assert (await sign_in(site.client(), people.CLERK)).status_code == 303


async def test_a_provider_that_goes_down_is_told_of_a_minute_after_it_was_asked(
    site: Site, provider: OpenIdProviderProcess
) -> None:
    with openid_provider() as another:
        another.change(redirect_uri=site.url + RETURN_PATH, claims={}, in_id_token=False)
        await with_town_accounts(site, another.issuer)
        assert (await sign_in(site.client(), people.CLERK, "/requests")).status_code == 303
    site.clock.at += timedelta(minutes=1)
    answer = await site.client().get("/sign-in/town-account", params={"next": "/requests"})
    assert answer.status_code == 503 and "Town accounts cannot be used right now" in answer.text
    assert "If you have a password here, use it below" in answer.text


@pytest.mark.parametrize(
    ("led_by", "begins"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Referer": "{url}/sign-in?next=/"}, True),
        ({"Referer": "{url}.evil.example/"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({}, False),
    ],
)
async def test_no_other_site_begins_a_sign_in(
    site: Site, provider: OpenIdProviderProcess, led_by: dict[str, str], *, begins: bool
) -> None:
    browser = site.client()
    del browser.headers["Origin"]
    browser.headers.update({name: value.format(url=site.url) for name, value in led_by.items()})
    answer = await browser.get("/sign-in/town-account", params={"next": "/requests"})
    there = answer.headers["location"]
    assert there.startswith(provider.issuer) if begins else there == "/sign-in?next=/requests"


async def test_whoever_is_not_signed_in_keeps_the_page_that_they_wanted(
    site: Site, provider: OpenIdProviderProcess
) -> None:
    browser = site.client()
    back = await sign_in_at_the_provider(await begin(browser, "/requests"), "mallory")
    another = site.client()
    await another.get("/sign-in")
    assert 'name="next" value="/"' in (await another.get(back)).text, "what another wanted is theirs"
    answer = await sign_in(browser, "mallory", "/requests")
    assert UNKNOWN in answer.text and f"{LINK}/requests" in answer.text
    state = query(await begin(browser, "/requests"))["state"]
    answer = await browser.get(RETURN_PATH, params={"error": "access_denied", "state": state})
    assert 'name="next" value="/requests"' in answer.text
    late = await sign_in_at_the_provider(await begin(browser, "/requests"), people.CLERK)
    site.clock.at += timedelta(minutes=10)
    answer = await browser.get(late)
    assert STALE in answer.text and 'name="next" value="/requests"' in answer.text


async def test_with_the_provider_down_the_page_says_so_and_passwords_work(
    site: Site, provider: OpenIdProviderProcess, free_port: Callable[[], int]
) -> None:
    await with_town_accounts(site, f"http://127.0.0.1:{free_port()}")
    await site.give_password(people.CLERK)
    browser = site.client()
    answer = await browser.get("/sign-in/town-account", params={"next": "/requests"})
    assert answer.status_code == 503
    assert "Town accounts cannot be used right now" in answer.text
    assert 'name="next" value="/requests"' in answer.text
    assert (await post(browser, "/sign-in", name=people.CLERK, password=PASSWORD)).status_code == 303


async def test_the_settings_page_asks_the_provider_and_says_what_to_register(
    site: Site, provider: OpenIdProviderProcess, free_port: Callable[[], int]
) -> None:
    it = await site.signed_in(people.IT)
    page = (await it.get("/settings")).text
    assert "Not tested" in page and site.url + RETURN_PATH in page and "Person is" in page
    answer = await post(it, "/settings/test/town-account", "/settings")
    assert answer.headers["location"] == "/settings#town-account"
    page = (await it.get("/settings")).text.replace("\u00a0", " ")
    assert "answered, with 1 key to check sign-ins." in page and "Works" in page
    await with_town_accounts(site, f"http://127.0.0.1:{free_port()}")
    assert "Not tested" in (await it.get("/settings")).text
    await post(it, "/settings/test/town-account", "/settings")
    page = (await it.get("/settings")).text
    assert "cannot connect" in page and "Names and passwords still work." in page
    head = await site.signed_in(people.HEAD)
    assert (await post(head, "/settings/test/town-account", "/requests")).status_code == 403


async def test_without_a_provider_nothing_leads_to_one(site: Site) -> None:
    browser = site.client()
    page = (await browser.get("/sign-in")).text
    assert LINK not in page and "town account" not in page and "Use the name and password" in page
    assert (await browser.get("/sign-in/town-account")).status_code == 404
    assert (await browser.get(RETURN_PATH, params={"code": "x", "state": "y"})).status_code == 400
    assert (
        "no provider of OpenID Connect is set"
        in (await (await site.signed_in(people.IT)).get("/settings")).text
    )
