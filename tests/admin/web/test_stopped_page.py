"""What was stopped here: said in sentences, and asked for as the block page would let."""

from datetime import timedelta

import httpx
import pytest

from admin.web.application import create_application
from policy.decision import Cause, Lane
from policy.file_types import refusal_of
from policy.visit_record import VisitRecord
from tests import people, towns
from tests.admin.web.conftest import Site, post, visit

NOT_LISTED = {"rule": None, "category": None, "entry": None, "source": None}
COMPUTERS = towns.DOCUMENT.replace(
    "127.0.0.1: {name: FIN-PC-15, person: clerk}",
    "10.10.20.15: {name: FIN-PC-15, person: clerk}\n  10.10.20.16: {name: COUNTER, department: finance}",
)


def risk() -> VisitRecord:
    return visit(
        code="R2S-K22", host="bad.example", cause=Cause.SECURITY_RISK, **{**NOT_LISTED, "category": "malware"}
    )


async def test_security_risk_that_no_rule_names_can_be_asked_of_it(site: Site) -> None:
    await site.log(risk())
    client = await site.signed_in(people.CLERK)
    answer = await post(client, await site.of_visit(1, "stopped", "ask"), "/stopped")
    assert answer.headers["location"] == "/ask/R2S-K22"
    form = (await client.get("/ask/R2S-K22")).text
    assert "IT security" in form and "Send request" in form


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (Cause.PORT, "asked for on port 8443"),
        (Cause.PRIVATE_ADDRESS, "inside a private network"),
        (Cause.UNKNOWN_CLIENT, "which department this computer belongs to"),
        (Cause.MISMATCH, "asked for this site and then for another"),
        (Cause.NOT_TLS, "no request for a website"),
        (Cause.MALFORMED, "read as two different sites"),
        (Cause.LOCKDOWN, "IT had limited the web."),
        (Cause.DEVICE_OFF, "IT took the device off the web."),
        (Cause.NOTICE, "notice has to be accepted first."),
        (Cause.FAULT, "could not check this site"),
        (Cause.DEFAULT, "not on a list of sites that the town allows"),
    ],
)
async def test_causes_are_sentences_and_cannot_be_asked_about(site: Site, cause: Cause, said: str) -> None:
    refusal = "E_RAW: host 'x' says"
    await site.log(visit(host="library.example", port=8443, cause=cause, refusal=refusal, **NOT_LISTED))
    page = (await (await site.signed_in(people.CLERK)).get("/stopped")).text
    assert said in page
    assert "E_RAW" not in page and await site.of_visit(1, "stopped", "ask") not in page
    assert ('href="/notice"' in page) == (cause is Cause.NOTICE), "nobody is left without a way forward"


async def test_file_that_was_stopped_is_named_and_the_site_is_not_blamed(site: Site) -> None:
    await site.log(visit(refusal=refusal_of(frozenset({"installer"}))))
    page = (await (await site.signed_in(people.CLERK)).get("/stopped")).text
    assert "Only a download was stopped: an installer. The site itself is open." in page


async def test_what_is_asked_for_already_shows_its_state_and_no_second_ask(site: Site) -> None:
    await site.log(visit(host="www.cardroom.example"), visit(host="other.example"))
    number = await site.sent_request()
    client = await site.signed_in(people.CLERK)
    page = (await client.get("/stopped")).text
    assert "REQ-1" in page and "Waiting for your department head" in page
    first, second = [await site.of_visit(number, "stopped", "ask") for number in (1, 2)]
    assert first not in page and second in page
    head = await site.signed_in(people.HEAD)
    await post(head, f"/decide/{number}", answer="allow", step="0", expires_at="2026-03-13T15:14:07+00:00")
    page = (await client.get("/stopped")).text
    assert "Allowed until" in page and await site.of_visit(1, "stopped", "ask") not in page


async def test_of_visits_that_were_stopped_alike_the_newest_is_shown(site: Site) -> None:
    minute = timedelta(minutes=1)
    await site.log(
        visit(site.clock.at - 3 * minute, code="AAA-AAA", is_shown=True),
        visit(site.clock.at - 2 * minute, code="BBB-BBB", is_shown=True),
        visit(site.clock.at - minute, code="CCC-CCC", refusal=refusal_of(frozenset({"installer"}))),
    )
    page = (await (await site.signed_in(people.CLERK)).get("/stopped")).text
    assert "AAA-AAA" not in page and "BBB-BBB" in page and "CCC-CCC" in page


async def test_site_whose_block_page_a_program_did_not_take_is_shown_once(site: Site) -> None:
    minute = timedelta(minutes=1)
    not_taken = "the program did not accept the town's certificate"
    await site.log(
        visit(site.clock.at - 2 * minute, code="AAA-AAA", lane=Lane.REFUSE, refusal=not_taken),
        visit(site.clock.at - minute, code="BBB-BBB", is_shown=True),
    )
    page = (await (await site.signed_in(people.CLERK)).get("/stopped")).text
    assert "AAA-AAA" not in page and "BBB-BBB" in page and page.count("Listed as Gambling") == 1


@pytest.mark.parametrize("cause", [Cause.LOCKDOWN, Cause.DEVICE_OFF, Cause.ENDED, Cause.NOTICE])
async def test_what_was_not_stopped_for_its_category_offers_nothing_about_it(
    site: Site, cause: Cause
) -> None:
    await site.log(visit(cause=cause, rule=None))
    page = (await (await site.signed_in(people.CLERK)).get("/stopped")).text
    assert "cardroom.example" in page
    assert "This is the wrong category" not in page and "I came here by accident" not in page


def at(site: Site, address: str, **headers: str) -> httpx.AsyncClient:
    """Return a browser whose connections come from an address of the town's network."""
    transport = httpx.ASGITransport(create_application(site.admin, site.url), client=(address, 50_000))
    return httpx.AsyncClient(transport=transport, base_url=site.url, headers=headers)


async def test_one_person_computer_shows_what_was_stopped_there_for_them_without_signing_in(
    site: Site,
) -> None:
    site.state.policy_document.write_text(COMPUTERS)
    await site.until(lambda: "10.10.20.15" in site.admin.policy.devices)
    here = {"address": "10.10.20.15"}
    await site.sent_request(host="asked.example")
    await site.log(
        visit(host="here.example", **here),
        visit(host="asked.example", **here),
        visit(site.clock.at - timedelta(minutes=16), host="earlier.example", **here),
        visit(host="elsewhere.example"),
        visit(host="colleague.example", person=people.HEAD, **here),
    )
    async with at(site, "10.10.20.15") as browser:
        page = (await browser.get("/stopped")).text
        assert "here.example" in page and "asked.example" in page and "Listed as Gambling." in page
        for other in ("earlier.example", "elsewhere.example", "colleague.example", "REQ-1", "Clerk"):
            assert other not in page
        assert 'href="/sign-in?next=/stopped">Sign in to ask' in page and "<form" not in page
        for other in ("/requests", "/visits/own"):
            assert (await browser.get(other)).headers["location"].startswith("/sign-in")
        ask = await site.of_visit(1, "stopped", "ask")
        assert (
            (await browser.post(ask, data={"csrf_token": browser.cookies["towngate_visitor"]}))
            .headers["location"]
            .startswith("/sign-in")
        )
        site.clock.at += timedelta(minutes=15)
        assert "Nothing was stopped here." in (await browser.get("/stopped")).text
        await site.log(
            visit(site.clock.at, host="down.example", cause=Cause.UNREACHABLE, **NOT_LISTED, **here)
        )
        page = (await browser.get("/stopped")).text
        assert "down.example" in page and "Sign in to ask" not in page, "nobody can be asked for it"


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("10.10.20.16", {}),
        ("10.10.20.17", {}),
        # From this machine the proxy brings everybody; what a header says, anybody may have written.
        ("127.0.0.1", {}),
        ("127.0.0.1", {"X-Forwarded-For": "10.10.20.15"}),
        ("10.10.20.15", {"X-Forwarded-For": "10.10.20.15"}),
    ],
)
async def test_what_was_stopped_is_shown_at_no_other_address_without_signing_in(
    address: str, headers: dict[str, str], site: Site
) -> None:
    site.state.policy_document.write_text(COMPUTERS)
    await site.until(lambda: "10.10.20.15" in site.admin.policy.devices)
    await site.log(visit(host="here.example", address="10.10.20.15"))
    async with at(site, address, **headers) as browser:
        answer = await browser.get("/stopped")
        assert answer.headers["location"] == "/sign-in?next=/stopped"
    forwarded = site.client()
    forwarded.headers["X-Forwarded-For"] = "10.10.20.15"
    assert "here.example" not in (await forwarded.get("/stopped", follow_redirects=True)).text
