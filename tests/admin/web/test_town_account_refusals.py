"""What no real provider says, by a fake one: tokens that prove nothing, claims of nobody, broken answers."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from joserfc.jwk import RSAKey

from admin import accounts, audit, closed_people, openid_provider
from admin.audit import Event, EventKind
from admin.town_account import HOW, RETURN_PATH
from tests import people
from tests.admin.web.conftest import Site, post
from tests.openid.browsing import begin, query, with_town_accounts
from tests.openid.fake import FakeProvider, fake_provider

DISCOVERY = "/.well-known/openid-configuration"
UNKNOWN = "Your town account is not known here yet"
TROUBLE = "Town accounts cannot be used right now"


@pytest.fixture(scope="module")
def key() -> RSAKey:
    return RSAKey.generate_key(2048, {"use": "sig", "kid": "first"})


@pytest.fixture(scope="module")
def another_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"use": "sig", "kid": "second"})


@pytest.fixture
def fake(key: RSAKey) -> Iterator[FakeProvider]:
    with fake_provider(key) as fake:
        yield fake


@pytest.fixture
async def town(site: Site, fake: FakeProvider) -> Site:
    """Return the site, set to the fake provider, at the time by which it signs."""
    site.clock.at = datetime.now(UTC)
    await with_town_accounts(site, fake.issuer)
    return site


async def come_back(
    site: Site, fake: FakeProvider, key: RSAKey | None = None, next_path: str = "/", **changed: object
) -> httpx.Response:
    """Come back from the provider with a code for this token."""
    browser = site.client()
    asked = query(await begin(browser, next_path))
    fake.sign(asked["nonce"], key, **changed)
    return await browser.get(RETURN_PATH, params={"code": "x", "state": asked["state"]})


async def refusals(site: Site) -> list[Event]:
    """Return the sign-ins that were refused to who is nobody."""
    return await events_of_kind(site, HOW, EventKind.SIGN_IN_REFUSED)


async def events_of_kind(site: Site, subject: str, kind: EventKind) -> list[Event]:
    """Return what the audit log has of somebody."""
    return [event for event in await audit.events_of(site.admin.db, subject) if event.kind is kind]


async def test_a_token_that_proves_nothing_signs_nobody_in(
    town: Site, fake: FakeProvider, another_key: RSAKey
) -> None:
    now = town.clock.at.timestamp()
    assert (await come_back(town, fake)).status_code == 303
    for changed in (
        {"nonce": "another"},
        {"iss": "https://evil.example"},
        {"aud": "another"},
        {"exp": now - 61},
        {"key": RSAKey.import_key({**another_key.as_dict(private=True), "kid": "first"})},
    ):
        answer = await come_back(town, fake, **changed)  # type: ignore[arg-type]
        assert answer.status_code == 503 and TROUBLE in answer.text, changed


async def test_who_is_closed_while_the_provider_is_asked_who_it_is_gets_no_session(
    town: Site, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    who_signed_in = openid_provider.OpenIdProvider.who_signed_in

    async def and_is_closed(*asked: Any) -> dict[str, Any]:
        claims = await who_signed_in(*asked)
        admin, at = town.admin, town.clock.at
        await closed_people.close(
            admin.db, admin.policy, people.CLERK, why="Retired.", actor=people.IT, at=at
        )
        return claims

    monkeypatch.setattr(openid_provider.OpenIdProvider, "who_signed_in", and_is_closed)
    answer = await come_back(town, fake)
    assert answer.status_code == 403 and "Your access here has ended" in answer.text
    (refused,) = await events_of_kind(town, people.CLERK, EventKind.SIGN_IN_REFUSED)
    assert refused.details["why"] == "the person is closed"


async def test_keys_are_asked_for_once_a_minute_whatever_a_token_names(
    town: Site, fake: FakeProvider, key: RSAKey, another_key: RSAKey
) -> None:
    assert (await come_back(town, fake)).status_code == 303
    town.clock.at += timedelta(minutes=1)
    for _ in range(3):
        assert (await come_back(town, fake, another_key)).status_code == 503
    assert fake.asked["/jwks"] == 2
    fake.publish(another_key)
    town.clock.at += timedelta(minutes=1)
    assert (await come_back(town, fake, another_key)).status_code == 303
    assert (await come_back(town, fake, key)).status_code == 503, "one that is published no more"


async def test_keys_that_were_withdrawn_are_trusted_for_a_minute_at_most(
    town: Site, fake: FakeProvider, another_key: RSAKey
) -> None:
    browser = town.client()
    asked = query(await begin(browser))
    fake.publish(another_key)
    fake.sign(asked["nonce"])
    town.clock.at += timedelta(minutes=1)
    answer = await browser.get(RETURN_PATH, params={"code": "x", "state": asked["state"]})
    assert answer.status_code == 503


@pytest.mark.parametrize(
    ("more", "table"),
    [
        (
            "person_claim: preferred_username",
            [
                ({"preferred_username": "Clerk"}, 303),
                ({"preferred_username": None}, 403),
                ({"preferred_username": ["clerk"]}, 403),
                ({"preferred_username": "it "}, 403),
            ],
        ),
        (
            "person_claim: email",
            [
                ({"email": "Clerk@Town.example", "email_verified": True}, 303),
                ({"email": "clerk@town.example", "email_verified": "true"}, 403),
                ({"email": "it@town.example", "email_verified": False}, 403),
                ({"email": "it@town.example"}, 403),
                ({"email": "else@town.example", "email_verified": True}, 403),
            ],
        ),
        (
            "person_claim: upn, claim_domain: town.example",
            [
                ({"upn": "clerk@Town.example"}, 303),
                ({"upn": "clerk@other.example"}, 403),
                ({"upn": "it"}, 403),
            ],
        ),
    ],
)
async def test_the_claim_of_the_settings_says_who_it_is(
    town: Site, fake: FakeProvider, more: str, table: list[tuple[dict[str, object], int]]
) -> None:
    await with_town_accounts(town, fake.issuer, more)
    for claims, status in table:
        answer = await come_back(town, fake, **claims)
        assert answer.status_code == status, claims
        assert (UNKNOWN in answer.text) is (status == 403)


async def test_a_mail_address_of_two_people_is_nobodys(town: Site, fake: FakeProvider) -> None:
    document = town.state.policy_document
    document.write_text(document.read_text().replace("mail: head@town", "mail: Clerk@town"))
    await town.until(lambda: town.admin.policy.people["head"].mail == "Clerk@town.example")
    await with_town_accounts(town, fake.issuer, "person_claim: email")
    answer = await come_back(town, fake, email="clerk@town.example", email_verified=True)
    assert UNKNOWN in answer.text
    (event,) = await refusals(town)
    assert event.details["why"] == "the mail address is that of 2 people, not of one"


async def test_who_is_refused_again_and_again_is_refused_for_a_while_and_recorded_no_more(
    town: Site, fake: FakeProvider
) -> None:
    for status in (403, 403, 403, 403, 403, 429):
        answer = await come_back(town, fake, preferred_username="mallory")
        assert answer.status_code == status
    assert "Too many tries. Try again at" in answer.text
    assert len(await refusals(town)) == 5
    assert (await come_back(town, fake)).status_code == 303, "others sign in"


async def test_whatever_a_provider_calls_somebody_acts_as_nobody_in_the_records(
    town: Site, fake: FakeProvider
) -> None:
    claimed = ["clerk at the command line", "x" * 5000, "policy.yaml", "\u202ekrelc"]
    for name in claimed:
        assert UNKNOWN in (await come_back(town, fake, preferred_username=name)).text
    found = await refusals(town)
    assert [event.actor for event in found] == [HOW] * 4
    assert [event.details["name"] for event in found] == [name[:100] for name in claimed]


async def test_nobody_is_led_to_another_site(town: Site, fake: FakeProvider) -> None:
    for elsewhere in ("https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:x"):
        answer = await come_back(town, fake, next_path=elsewhere)
        assert answer.headers["location"] == "/", elsewhere
    answer = await come_back(town, fake, next_path="/requests?page=2")
    assert answer.headers["location"] == "/requests?page=2"


async def test_nothing_is_asked_of_the_provider_before_the_link_is_pressed(
    town: Site, fake: FakeProvider
) -> None:
    for path in ("/", "/sign-in", "/recorded"):
        await town.client().get(path)
    await (await town.signed_in(people.IT)).get("/settings")
    assert fake.asked == {}


async def test_a_provider_that_cannot_be_used_is_said_to_it(town: Site, fake: FakeProvider) -> None:
    it = await town.signed_in(people.IT)
    document = fake.answers[DISCOVERY]
    assert isinstance(document, dict)
    for path, broken, problem in (
        (DISCOVERY, b"<html>", "answered 200, and no JSON object"),
        (DISCOVERY, None, "answered 404"),
        (DISCOVERY, document | {"issuer": "https://evil.example"}, "is of the issuer &#39;https://evil.e"),
        (DISCOVERY, document | {"token_endpoint": "http://evil.example/"}, "its token_endpoint is no https:"),
        (
            DISCOVERY,
            document | {"authorization_endpoint": "javascript:x"},
            "its authorization_endpoint is no",
        ),
        (DISCOVERY, document | {"jwks_uri": "https://127.0.0.2:1/jwks"}, "127.0.0.2 is not a public address"),
        (DISCOVERY, b" " * 1_000_001, "larger than 1000000 bytes"),
        ("/jwks", {"keys": []}, "no key that can check a signature"),
        ("/jwks", {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}, "no key that can check a signature"),
    ):
        fake.answers = fake.answers | {DISCOVERY: document, path: broken}
        await post(it, "/settings/test/town-account", "/settings")
        page = (await it.get("/settings")).text.replace("<wbr>", "")
        assert problem in page and "Does not work" in page, problem
    assert TROUBLE in (await town.client().get("/sign-in/town-account")).text


@pytest.mark.parametrize("passed", [openid_provider._FAILED_FOR, timedelta(days=-1)])
async def test_a_provider_that_was_away_is_asked_again_after_a_while_or_when_the_clock_was_set_back(
    town: Site, fake: FakeProvider, passed: timedelta
) -> None:
    document = fake.answers.pop(DISCOVERY)
    for _ in range(3):
        assert (await town.client().get("/sign-in/town-account")).status_code == 503
    assert fake.asked[DISCOVERY] == 1
    fake.answers[DISCOVERY] = document
    town.clock.at += passed
    answer = await come_back(town, fake, iat=town.clock.at.timestamp())
    assert answer.status_code == 303


async def test_what_was_begun_or_known_before_the_clock_was_set_back_counts_no_more(
    town: Site, fake: FakeProvider
) -> None:
    browser = town.client()
    asked = query(await begin(browser))
    town.clock.at -= timedelta(hours=1)
    answer = await browser.get(RETURN_PATH, params={"code": "x", "state": asked["state"]})
    assert answer.status_code == 400
    await begin(browser)
    assert fake.asked[DISCOVERY] == 2


async def test_a_provider_that_is_silent_is_given_up(
    town: Site, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openid_provider, "ANSWERS_WITHIN", timedelta(seconds=0.2))
    fake.silent_seconds = 1.0
    it = await town.signed_in(people.IT)
    await post(it, "/settings/test/town-account", "/settings")
    assert "no answer in 0.2 s" in (await it.get("/settings")).text


async def test_whoever_signs_in_waits_for_a_silent_provider_for_less_long_than_a_test_does(
    town: Site, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert openid_provider.TELLS_ITSELF_WITHIN < openid_provider.ANSWERS_WITHIN
    monkeypatch.setattr(openid_provider, "TELLS_ITSELF_WITHIN", timedelta(seconds=0.2))
    fake.silent_seconds = 1.0
    assert (await town.client().get("/sign-in/town-account")).status_code == 503
    assert "no answer in 0.2 s" in caplog.text


async def test_after_many_tries_from_an_address_more_are_begun_late_and_push_out_its_own(
    town: Site, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "MAX_TRIES_FROM_ADDRESS", 2)
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(town.admin.town_account, "_wait", wait)
    browser = town.client()
    elsewhere = query(await begin(browser))["state"]
    browser.headers["X-Forwarded-For"] = "10.10.20.15"
    for _ in range(3):
        asked = query(await begin(browser))
        fake.sign(asked["nonce"])
        answer = await browser.get(RETURN_PATH, params={"code": "x", "state": asked["state"]})
        assert answer.status_code == 303, "who signs in has not tried"
    states = []
    for tries in range(5):
        states.append(query(await begin(browser))["state"])
        assert waited == [accounts.LATE_SECONDS] * max(0, tries - 1)
    assert list(town.admin.town_account._begun) == [elsewhere, *states[-2:]]


async def test_sign_ins_that_were_begun_and_left_are_forgotten(
    town: Site, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("admin.town_account._MOST_BEGUN", 3)
    browser = town.client()
    states = [query(await begin(browser))["state"] for _ in range(5)]
    assert list(town.admin.town_account._begun) == states[-3:]
    for passed in (timedelta(minutes=10), timedelta(hours=-1)):
        town.clock.at += passed
        await begin(browser)
        assert len(town.admin.town_account._begun) == 1
