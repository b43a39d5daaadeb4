"""A device of one's own: who sits at an address, as the proxy sees it, until a day."""

from datetime import UTC, datetime, timedelta

import httpx

from admin import stored_requests
from policy.deciding import next_edge_after
from policy.decision import Cause, Lane, Verdict
from policy.identity import Identities
from policy.snapshot import PolicySnapshot
from policy.state import State
from policy.visit import Client
from tests import people, towns
from tests.admin.web.conftest import Site, post, visit
from tests.admin.web.test_social_media import allow

FORM = "/requests/device"
ADDRESS = "10.10.20.77"
ASKED = {"name": "CLERK-TABLET", "address": ADDRESS, "last": "2026-03-31", "reason": "For site visits."}
TERMS = "asking: {own_device: {longest: 90d}}\n"
ENDS = datetime(2026, 4, 1, 4, tzinfo=UTC)
ALLOWED = {"verdict": Verdict.ALLOW, "lane": Lane.TUNNEL, "cause": Cause.DEFAULT, "rule": None}
AS_CLERKS = Client(address=ADDRESS, person=people.CLERK, device="CLERK-TABLET", department="finance")
AS_NETWORK = Client(address=ADDRESS, department="finance")


async def allowing(site: Site, document: str = towns.DOCUMENT) -> None:
    site.state.policy_document.write_text(document + TERMS)
    await site.admin._publisher.reload_document()
    assert site.admin.policy.asking.own_device is not None, site.admin.policy_problems


def client(site: Site, at: datetime | None = None) -> Client:
    """Return who the proxy sees at the address, by what is published."""
    snapshot = PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes())
    return Identities(snapshot.policy).identify(ADDRESS, at=at or site.clock.at)


async def approved(site: Site, **changed: str) -> httpx.AsyncClient:
    """Let the clerk ask, the head and then IT agree; return the clerk's browser."""
    clerk = await site.signed_in(people.CLERK)
    assert "Your department head decides, then IT security." in (await clerk.get(FORM)).text
    sent = await post(clerk, FORM, **{**ASKED, **changed})
    assert sent.headers.get("location") == "/requests/1/sent", sent.text
    assert (await stored_requests.get(site.admin.db, 1)).browser is None, "it is the person's alone"
    assert (await allow(await site.signed_in(people.HEAD), 1, 0)).status_code == 303
    assert client(site) == AS_NETWORK, "IT has not agreed"
    assert (await allow(await site.signed_in(people.IT), 1, 1)).status_code == 303
    return clerk


async def test_device_is_the_persons_until_its_last_day_is_over(site: Site) -> None:
    await allowing(site)
    clerk = await approved(site)
    assert client(site) == AS_CLERKS
    assert client(site, ENDS - timedelta(seconds=1)) == AS_CLERKS
    assert client(site, ENDS) == AS_NETWORK
    policy = site.admin.policy
    assert next_edge_after(ENDS - timedelta(seconds=1), policy, State()) == ENDS, "visits are judged again"
    assert "known as that of Clerk" in (await clerk.get("/requests/1")).text
    assert "CLERK-TABLET" in (await (await site.signed_in(people.IT)).get("/records")).text
    site.clock.at = ENDS
    await site.until(lambda: ADDRESS not in site.admin.policy.devices)
    clerk = await site.signed_in(people.CLERK)
    assert "Ended" in (await clerk.get("/requests/1")).text


async def test_it_finds_and_stops_it(site: Site) -> None:
    await allowing(site)
    await approved(site)
    it = await site.signed_in(people.IT)
    shown = (await it.get("/exemptions")).text
    assert shown.count('href="/requests/1"') == shown.count('href="/decide/1/done?stop=yes"') == 1
    await post(it, "/decide/1/stop", "/decide/1/done?stop=yes", reason="It is lost.")
    assert client(site) == AS_NETWORK
    assert "CLERK-TABLET" not in (await it.get("/exemptions")).text


async def test_it_ends_when_the_person_leaves_and_does_not_come_back_with_them(site: Site) -> None:
    await allowing(site)
    await approved(site)
    it = await site.signed_in(people.IT)
    page = f"/people/{people.CLERK}"
    await post(it, f"{page}/close", page, why="Left")
    assert client(site) == AS_NETWORK
    await post(it, f"{page}/reopen", page, why="Back.")
    assert client(site) == AS_NETWORK


async def test_what_the_document_lists_comes_first(site: Site) -> None:
    await allowing(site)
    await approved(site)
    listed = towns.DOCUMENT.replace("devices:\n", f"devices:\n  {ADDRESS}: {{name: FIN-PC-77}}\n")
    await allowing(site, listed)
    assert client(site).device == "FIN-PC-77" and client(site).person is None
    await allowing(site)
    assert client(site) == AS_CLERKS


async def test_restart_with_a_bad_document_keeps_no_device_that_was_stopped(site: Site) -> None:
    await allowing(site)
    await approved(site)
    await site.admin._publisher.resume()
    assert ADDRESS not in site.admin._publisher.document_policy.devices
    assert ADDRESS in site.admin.policy.devices


REFUSED: tuple[tuple[dict[str, str], str], ...] = (
    ({"address": "127.0.0.1"}, "No device of the network"),
    ({"address": "10.10.20.15"}, "10.10.20.15 is the address of another device"),
    ({"name": "fin-pc-15"}, "is the name of another device"),
    ({"address": "tablet"}, "Enter its IP address"),
    ({"name": " "}, "Enter a name"),
    ({"name": "x" * 41}, "40 characters at most"),
    ({"last": "2026-06-05"}, "within 90 days"),
    ({"reason": " "}, "Enter what you need it for"),
)


async def test_what_cannot_be_is_refused_in_words(site: Site) -> None:
    listed = "devices:\n  10.10.20.15: {name: FIN-PC-16}\n"
    await allowing(site, towns.DOCUMENT.replace("devices:\n", listed))
    clerk = await site.signed_in(people.CLERK)
    for changed, said in REFUSED:
        answer = await post(clerk, FORM, **{**ASKED, **changed})
        assert answer.status_code == 422 and said in answer.text, changed


async def test_address_that_another_got_meanwhile_is_not_approved(site: Site) -> None:
    await allowing(site)
    clerk, head, it = [await site.signed_in(who) for who in (people.CLERK, people.HEAD, people.IT)]
    await post(clerk, FORM, **ASKED)
    second = await post(head, FORM, **{**ASKED, "name": "HEAD-TABLET"})
    assert second.headers["location"] == "/requests/2/sent"
    await allow(head, 1, 0)
    await allow(it, 1, 1)
    administrator = await site.signed_in(people.ADMINISTRATOR)
    refused = await allow(administrator, 2, 0)
    assert refused.status_code == 422 and "address of another device" in refused.text
    own = await post(clerk, FORM, **{**ASKED, "name": "SECOND"})
    assert own.status_code == 422


async def test_its_review_has_its_own_use_and_one_click_renews_it(site: Site) -> None:
    await allowing(site)
    await approved(site)
    site.clock.at = ENDS - timedelta(days=7)
    seen = visit(site.clock.at - timedelta(days=1), address=ADDRESS, device="CLERK-TABLET", **ALLOWED)
    elsewhere = visit(site.clock.at - timedelta(days=1), **ALLOWED)
    await site.log(seen, elsewhere)
    await site.admin.exemption_reviews.look()
    head = await site.signed_in(people.HEAD)
    inbox = (await head.get("/decide")).text
    assert "Still needed?" in inbox and f"Device CLERK-TABLET at {ADDRESS}" in inbox
    shown = (await head.get("/requests/1")).text.replace("\xa0", " ")
    assert "1 visit, under 3 people" in shown and 'action="/requests/1/keep"' in shown
    mails = await site.admin.db.fetch_all("SELECT recipient FROM letter WHERE kind = 'exemption_review'")
    assert {mail["recipient"] for mail in mails} == {people.CLERK, people.HEAD, people.IT}
    clerk = await site.signed_in(people.CLERK)
    sent = await post(clerk, "/requests/1/renew", "/requests/1")
    assert sent.headers.get("location") == "/requests/2", sent.text
    assert "Waiting for your department head" in (await clerk.get("/requests/2")).text


async def test_where_the_policy_has_none_there_is_nothing_to_ask_for(site: Site) -> None:
    clerk = await site.signed_in(people.CLERK)
    assert FORM not in (await clerk.get("/requests")).text
    assert "has no devices of one" in (await clerk.get(FORM)).text


async def test_it_is_renewed_while_it_runs_for_as_long_through_the_same_chain(site: Site) -> None:
    await allowing(site)
    clerk = await approved(site)
    site.clock.at += timedelta(days=20)
    clerk = await site.signed_in(people.CLERK)
    assert ">Renew<" in (await clerk.get("/requests/1")).text
    head = await site.signed_in(people.HEAD)
    assert ">Renew<" not in (await head.get("/requests/1")).text, "it is their device"
    assert (await post(head, "/requests/1/renew", "/requests/1")).status_code == 403
    for days in (0, 1):
        site.clock.at += timedelta(days=days)
        clerk = await site.signed_in(people.CLERK)
        sent = await post(clerk, "/requests/1/renew", "/requests/1")
        assert sent.headers.get("location") == "/requests/2", sent.text
    head = await site.signed_in(people.HEAD)
    assert (await allow(head, 2, 0)).status_code == 303
    assert (await allow(await site.signed_in(people.IT), 2, 1)).status_code == 303
    # Asked for on March 6 until March 31; 25 days again from March 26.
    assert client(site, datetime(2026, 4, 21, 3, 59, tzinfo=UTC)) == AS_CLERKS
    assert client(site, datetime(2026, 4, 21, 4, tzinfo=UTC)) == AS_NETWORK
    shown = (await (await site.signed_in(people.IT)).get("/exemptions")).text
    assert shown.count(f"Device CLERK-TABLET at {ADDRESS}</a>") == 1, "the other one goes on with it"
    other = await post(clerk, FORM, **{**ASKED, "name": "OTHER"})
    assert "is the address of another device already" in other.text
