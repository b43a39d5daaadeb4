"""Social media, from a proposal to a signature, and what the proxy opens of it."""

import csv
import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from admin import stored_requests
from admin.asking import State
from admin.audit import EventKind, events_of
from admin.corrections import correct
from categories.match import CategoryMatch
from policy.deciding import decide
from policy.decision import Cause, Verdict
from policy.snapshot import PolicySnapshot
from policy.visit import Visit
from tests import people, towns
from tests.admin.web.conftest import FRIDAY_MORNING, Site, post, visit
from tests.people import CLERK_AT_WORK

FORM = "/social-media/propose"
PROPOSAL = {
    "person": people.CLERK,
    "sites": "https://www.facebook.com/town\nsocial.example",
    "level": "view",
    "last": "2026-12-31",
    "reason": "Answers what people ask of the tax office.",
}
TERMS = "asking:\n  social_media:\n    terms: |\n      Write for the town.\n\n      Never of one person.\n"
COORDINATED = f"{TERMS}    coordinators: {{finance: clerk-2}}\n"
SECOND = "  clerk-2:       {name: Second clerk, department: finance}\n"
AGREE = {"agree": "yes"}
YEAR_END = datetime(2027, 1, 1, 5, tzinfo=UTC)


async def authorising(site: Site, more: str = "") -> Site:
    document = towns.DOCUMENT.replace("people:\n", f"people:\n{SECOND}")
    social = "rules:\n  - {id: no-social, categories: [social_networks], action: block}\n"
    site.state.policy_document.write_text(document.replace("rules:\n", social) + COORDINATED + more)
    await site.admin._publisher.reload_document()
    assert site.admin.policy.asking.social_media is not None, site.admin.policy_problems
    return site


def decided(site: Site, host: str = "facebook.com", at: datetime | None = None) -> tuple[Verdict, Cause]:
    """Return what the proxy decides of the clerk's visit, by what is published."""
    snapshot = PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes())
    matches = (CategoryMatch("social_networks", host, "test"),)
    visit = Visit(CLERK_AT_WORK, "https", host, 443, None, at or site.clock.at, matches)
    decision = decide(visit, snapshot.policy, snapshot.state())
    return decision.verdict, decision.cause


async def allow(client: httpx.AsyncClient, number: int, step: int) -> httpx.Response:
    shown = await client.get(f"/decide/{number}")
    end = re.search(r'name="expires_at" value="([^"]+)"', shown.text)
    assert end is not None, shown.text
    hosts = re.search(r'name="hosts" value="([^"]*)"', shown.text)
    assert hosts is not None
    return await post(
        client, f"/decide/{number}", answer="allow", step=str(step), hosts=hosts[1], expires_at=end[1]
    )


async def version_of(client: httpx.AsyncClient, number: int) -> str:
    found = re.search(r'name="version" value="(\w+)"', (await client.get(f"/requests/{number}/terms")).text)
    assert found is not None
    return found[1]


async def approved(site: Site, **changed: str) -> httpx.AsyncClient:
    """Let the head propose, the administrator agree; return the clerk's browser."""
    head, administrator = await site.signed_in(people.HEAD), await site.signed_in(people.ADMINISTRATOR)
    sent = await post(head, FORM, **{**PROPOSAL, **changed})
    assert sent.headers.get("location") == "/requests/1/sent", sent.text
    assert (await allow(administrator, 1, 1)).status_code == 303
    return await site.signed_in(people.CLERK)


async def signed(site: Site, **changed: str) -> httpx.AsyncClient:
    clerk = await approved(site, **changed)
    version = await version_of(clerk, 1)
    answer = await post(clerk, "/requests/1/terms", version=version, **AGREE)
    assert answer.headers.get("location") == "/requests/1", answer.text
    return clerk


async def test_sites_open_for_reading_once_the_person_has_signed(site: Site) -> None:
    await authorising(site)
    clerk = await approved(site)
    head = await site.signed_in(people.HEAD)
    assert "The sites then open<" in (await head.get("/requests/1/sent")).text
    assert decided(site) == (Verdict.BLOCK, Cause.RULE), "approved is not signed"
    assert "the terms are to be signed" in (await clerk.get("/requests/1")).text
    terms = (await clerk.get("/requests/1/terms")).text
    assert "Never of one person." in terms and "Sign as Clerk" in terms
    unchecked = await post(clerk, "/requests/1/terms", version=await version_of(clerk, 1))
    assert unchecked.status_code == 422 and "Check the box" in unchecked.text
    assert decided(site) == (Verdict.BLOCK, Cause.RULE)
    await post(clerk, "/requests/1/terms", version=await version_of(clerk, 1), **AGREE)
    for host in ("facebook.com", "social.example", "m.facebook.com"):
        assert decided(site, host) == (Verdict.VIEW_ONLY, Cause.EXEMPTION)
    assert decided(site, at=YEAR_END - timedelta(seconds=1))[0] is Verdict.VIEW_ONLY
    assert decided(site, at=YEAR_END)[0] is Verdict.BLOCK
    assert "signed the terms" in (await clerk.get("/requests/1")).text
    kept = (await clerk.get("/requests/1/terms")).text
    assert "Never of one person." in kept and "Sign as" not in kept


async def test_full_opens_the_sites_whole_and_the_rest_is_recorded_alone(site: Site) -> None:
    await authorising(site)
    await signed(site, level="full", authorisations="publish")
    assert decided(site) == (Verdict.ALLOW, Cause.EXEMPTION)
    shown = (await (await site.signed_in(people.HEAD)).get("/social-media")).text
    assert "Recorded, not enforced" in shown and "Publish" in shown


async def test_head_agrees_by_proposing_and_a_coordinator_does_not(site: Site) -> None:
    await authorising(site)
    coordinator, head = await site.signed_in("clerk-2"), await site.signed_in(people.HEAD)
    await post(coordinator, FORM, **PROPOSAL)
    assert "/decide/1" in (await head.get("/decide")).text
    assert (await allow(head, 1, 0)).status_code == 303
    administrator = await site.signed_in(people.ADMINISTRATOR)
    assert "/decide/1" in (await administrator.get("/decide")).text
    await post(head, FORM, **{**PROPOSAL, "person": "clerk-2"})
    assert "/decide/2" not in (await head.get("/decide")).text
    assert "/decide/2" in (await administrator.get("/decide")).text


async def test_register_says_who_coordinates(site: Site) -> None:
    await authorising(site)
    said = "Second clerk is the social media coordinator of Finance."
    for person in (people.HEAD, people.IT, "clerk-2"):
        assert said in (await (await site.signed_in(person)).get("/social-media")).text
    parks_head = await site.signed_in(people.PARKS_HEAD)
    assert said not in (await parks_head.get("/social-media")).text


async def test_no_one_approves_what_they_proposed_in_another_role(site: Site) -> None:
    await authorising(site)
    document = site.state.policy_document
    document.write_text(document.read_text().replace("head: head,", "head: administrator,"))
    await site.admin._publisher.reload_document()
    administrator = await site.signed_in(people.ADMINISTRATOR)
    await post(administrator, FORM, **PROPOSAL)
    answer = await post(
        administrator,
        "/decide/1",
        page="/requests/1",
        answer="allow",
        step="1",
        expires_at=YEAR_END.isoformat(),
    )
    assert answer.status_code == 403
    it = await site.signed_in(people.IT)
    assert "/decide/1" in (await it.get("/decide")).text, "it goes up to who is left"


async def test_only_the_person_signs_and_only_the_terms_that_are_in_force(site: Site) -> None:
    await authorising(site)
    clerk = await approved(site)
    head, version = await site.signed_in(people.HEAD), await version_of(clerk, 1)
    assert (await post(head, "/requests/1/terms", "/requests/1", version=version, **AGREE)).status_code == 403
    document = site.state.policy_document
    document.write_text(document.read_text().replace("Write for the town.", "Write kindly."))
    await site.admin._publisher.reload_document()
    stale = await post(clerk, "/requests/1/terms", version=version, **AGREE)
    assert stale.status_code == 422 and "have changed" in stale.text and "Write kindly." in stale.text
    assert decided(site) == (Verdict.BLOCK, Cause.RULE)


async def test_terms_stay_as_they_were_signed_and_are_signed_once(site: Site) -> None:
    await authorising(site)
    clerk = await signed(site)
    document = site.state.policy_document
    document.write_text(document.read_text().replace("Write for the town.", "Write kindly."))
    await site.admin._publisher.reload_document()
    kept = (await clerk.get("/requests/1/terms")).text
    assert "Write for the town." in kept and "Write kindly." not in kept
    again = await post(clerk, "/requests/1/terms", "/requests", version="x", **AGREE)
    assert again.status_code == 409


@pytest.mark.parametrize("who", [people.HEAD, people.IT])
async def test_head_or_it_stops_it_before_and_after_it_is_signed(who: str, site: Site) -> None:
    await authorising(site)
    clerk, stops = await approved(site), await site.signed_in(who)
    await post(stops, "/decide/1/stop", "/decide/1/done?stop=yes", reason="Not now.")
    late = await post(clerk, "/requests/1/terms", "/requests", version="x", **AGREE)
    assert late.status_code == 409
    head, administrator = await site.signed_in(people.HEAD), await site.signed_in(people.ADMINISTRATOR)
    await post(head, FORM, **PROPOSAL)
    await allow(administrator, 2, 1)
    await post(clerk, "/requests/2/terms", version=await version_of(clerk, 2), **AGREE)
    assert decided(site)[0] is Verdict.VIEW_ONLY
    await post(stops, "/decide/2/stop", "/decide/2/done?stop=yes", reason="Not now.")
    assert decided(site)[0] is Verdict.BLOCK


async def test_it_ends_when_the_person_leaves(site: Site) -> None:
    await authorising(site)
    await signed(site)
    it = await site.signed_in(people.IT)
    await post(it, f"/people/{people.CLERK}/close", f"/people/{people.CLERK}", why="Left")
    snapshot = PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes())
    assert snapshot.exemptions == ()


async def test_what_waits_for_the_signature_of_who_left_is_over_though_they_come_back(site: Site) -> None:
    await authorising(site)
    clerk = await approved(site)
    version, it = await version_of(clerk, 1), await site.signed_in(people.IT)
    await post(it, f"/people/{people.CLERK}/close", f"/people/{people.CLERK}", why="Left")
    await post(it, f"/people/{people.CLERK}/reopen", f"/people/{people.CLERK}", why="Back.")
    site.accounts.discard(people.CLERK)
    clerk = await site.signed_in(people.CLERK)
    answer = await post(clerk, "/requests/1/terms", "/requests", version=version, **AGREE)
    assert answer.status_code == 409
    assert decided(site) == (Verdict.BLOCK, Cause.RULE)


async def test_who_proposed_neither_widens_nor_keeps_it(site: Site) -> None:
    await authorising(site)
    await signed(site, sites="facebook.com")
    head, at = await site.signed_in(people.HEAD), site.clock.at
    await site.log(visit(at, host="facebook.com"), visit(at + timedelta(seconds=3), host="dice.example"))
    widened = await post(head, "/requests/1/hosts", "/requests/1", host="dice.example")
    assert widened.status_code == 403
    site.clock.at += timedelta(days=90)
    await site.admin.exemption_reviews.look()
    head, administrator = await site.signed_in(people.HEAD), await site.signed_in(people.ADMINISTRATOR)
    assert "Keep it" not in (await head.get("/requests/1")).text
    assert (await post(head, "/requests/1/keep", "/requests")).status_code == 403
    assert "Keep it" in (await administrator.get("/requests/1")).text
    assert (await post(administrator, "/requests/1/keep", "/requests")).status_code == 303


async def test_who_proposed_does_not_open_it_where_another_of_it_can(site: Site) -> None:
    await authorising(site, "after_approval: wait_for_it\n")
    document = site.state.policy_document
    document.write_text(document.read_text().replace("head: head,", f"head: {people.IT},"))
    await site.admin._publisher.reload_document()
    it, administrator = await site.signed_in(people.IT), await site.signed_in(people.ADMINISTRATOR)
    await post(it, FORM, **PROPOSAL)
    await allow(administrator, 1, 1)
    clerk = await site.signed_in(people.CLERK)
    await post(clerk, "/requests/1/terms", version=await version_of(clerk, 1), **AGREE)
    assert (await post(it, "/decide/1/open", "/requests/1")).status_code == 403
    desk = await site.signed_in(people.HELP_DESK)
    await post(desk, "/decide/1/open", "/decide/1/done")
    assert decided(site)[0] is Verdict.VIEW_ONLY


async def test_where_it_opens_what_was_approved_the_signature_comes_before_that(site: Site) -> None:
    await authorising(site, "after_approval: wait_for_it\n")
    await signed(site)
    assert decided(site)[0] is Verdict.BLOCK
    it = await site.signed_in(people.IT)
    await post(it, "/decide/1/open", "/decide/1/done")
    assert decided(site)[0] is Verdict.VIEW_ONLY
    assert decided(site, at=YEAR_END)[0] is Verdict.BLOCK


async def test_what_nobody_signed_in_time_is_over(site: Site) -> None:
    await authorising(site)
    await approved(site)
    version = await version_of(await site.signed_in(people.CLERK), 1)
    site.clock.at = YEAR_END
    clerk = await site.signed_in(people.CLERK)
    shown = (await clerk.get("/requests/1")).text
    assert "nobody had signed" in shown and "Read and sign" not in shown
    answer = await post(clerk, "/requests/1/terms", "/requests", version=version, **AGREE)
    assert answer.status_code == 409 and "Its time is over" in answer.text
    assert decided(site)[0] is Verdict.BLOCK
    head = await site.signed_in(people.HEAD)
    again = await post(head, FORM, **{**PROPOSAL, "last": "2027-06-30"})
    assert again.headers.get("location") == "/requests/2/sent", again.text


@pytest.mark.parametrize("who", [people.CLERK, people.HEAD])
async def test_person_or_proposer_takes_it_back_until_it_is_signed(who: str, site: Site) -> None:
    await authorising(site)
    await approved(site)
    client = await site.signed_in(who)
    answer = await post(client, "/requests/1/withdraw", "/requests/1")
    assert answer.status_code == 303 and "Withdrawn" in (await client.get("/requests")).text


REFUSED: tuple[tuple[dict[str, str], str], ...] = (
    ({"person": people.PARKS_HEAD}, "Choose whom you propose"),
    ({"sites": " "}, "Name the sites"),
    ({"sites": "com"}, "com is not a site"),
    ({"sites": "phish.example"}, "nobody is authorised for"),
    ({"sites": "\n".join(f"{n}.example" for n in range(11))}, "at most 10"),
    ({"level": "write"}, "Choose what the sites open for"),
    ({"authorisations": "edit"}, "does nothing of that there"),
    ({"last": ""}, "Choose a last day"),
    ({"last": "2026-03-05"}, "Choose a last day"),
    ({"last": "2027-03-07"}, "within 365 days"),
    ({"reason": " "}, "Enter what you need it for"),
)


async def test_what_the_policy_does_not_offer_brings_the_form_back(site: Site) -> None:
    await authorising(site)
    await correct(
        site.admin.db, "phish.example", ["phishing"], why="x", actor="it", at=site.clock.at, seen=None
    )
    head = await site.signed_in(people.HEAD)
    for changed, said in REFUSED:
        answer = await post(head, FORM, **{**PROPOSAL, **changed})
        assert answer.status_code == 422 and said in answer.text, changed


async def test_register_is_of_the_department_for_its_head_and_of_all_for_it(site: Site) -> None:
    await authorising(site)
    await signed(site)
    shown = {}
    for who in (people.HEAD, "clerk-2", people.PARKS_HEAD, people.IT, people.ADMINISTRATOR, people.CLERK):
        answer = await (await site.signed_in(who)).get("/social-media")
        shown[who] = "facebook.com" in answer.text if answer.status_code == 200 else answer.status_code
    assert shown == {
        people.HEAD: True,
        "clerk-2": True,
        people.PARKS_HEAD: False,
        people.IT: True,
        people.ADMINISTRATOR: True,
        people.CLERK: 403,
    }


async def test_table_says_who_signed_what_when_and_computes_nothing(site: Site) -> None:
    await authorising(site)
    document = site.state.policy_document
    document.write_text(document.read_text().replace("name: Clerk,", "name: '=cmd()',"))
    await site.admin._publisher.reload_document()
    await signed(site, level="full", authorisations="comment")
    answer = await (await site.signed_in(people.IT)).get("/social-media.csv")
    (row,) = csv.DictReader(answer.text.splitlines())
    assert row["person"] == "'=cmd()" and row["sites"] == "facebook.com social.example"
    assert (row["level"], row["recorded_not_enforced"]) == ("Full use", "comment")
    assert row["state"].startswith("Allowed until "), "as on the page"
    assert row["signed_at"] == FRIDAY_MORNING.isoformat() and row["terms_version"]


async def test_who_proposes_nobody_is_told_who_does_and_a_try_is_recorded(site: Site) -> None:
    await authorising(site)
    clerk = await site.signed_in(people.CLERK)
    assert "social media coordinator proposes" in (await clerk.get(FORM)).text
    assert (await post(clerk, FORM, "/requests", **PROPOSAL)).status_code == 403
    shown = (await (await site.signed_in(people.IT)).get("/records")).text
    assert "A move on a request was refused" in shown and "head, delegate or coordinator" in shown


async def test_mails_tell_person_proposer_and_help_desk_what_became_of_it(site: Site) -> None:
    await authorising(site)
    await signed(site)
    rows = await site.admin.db.fetch_all(
        "SELECT kind, recipient FROM letter WHERE channel = 'mail' ORDER BY id"
    )
    assert [(row["kind"], row["recipient"]) for row in rows] == [
        ("request_to_decide", people.ADMINISTRATOR),
        ("request_to_sign", people.CLERK),
        ("request_allowed", people.CLERK),
        ("request_allowed", people.HEAD),
        ("ticket", "help_desk"),
    ]


async def test_where_the_policy_has_none_there_is_nothing_to_propose(site: Site) -> None:
    head = await site.signed_in(people.HEAD)
    assert "authorises nobody" in (await head.get(FORM)).text
    assert 'href="/social-media"' not in (await head.get("/requests")).text


async def test_nothing_is_signed_that_the_policy_never_allows_by_now(site: Site) -> None:
    await authorising(site)
    clerk = await approved(site)
    await correct(
        site.admin.db, "social.example", ["adult"], why="So", actor=people.IT, at=site.clock.at, seen=None
    )
    document = site.state.policy_document.read_text().replace("asking:\n", "asking:\n  never: [adult]\n")
    site.state.policy_document.write_text(document)
    await site.admin._publisher.reload_document()
    assert site.admin.policy.asking.never == {"adult"}, site.admin.policy_problems
    refused = await post(clerk, "/requests/1/terms", version=await version_of(clerk, 1), **AGREE)
    assert refused.status_code == 422 and "never opens social.example" in refused.text
    assert decided(site) == (Verdict.BLOCK, Cause.RULE), "not even its other site is open"
    events = await events_of(site.admin.db, "REQ-1")
    assert [(e.kind, e.actor) for e in events][-1] == (EventKind.REQUEST_MOVE_REFUSED, people.CLERK)


async def test_head_renews_it_with_all_its_sites_and_the_person_signs_again(site: Site) -> None:
    await authorising(site)
    await signed(site)
    site.clock.at += timedelta(days=2)
    head, clerk = await site.signed_in(people.HEAD), await site.signed_in(people.CLERK)
    assert (await post(clerk, "/requests/1/renew", "/requests/1")).status_code == 403
    assert (await post(head, "/requests/1/renew", "/requests/1")).headers["location"] == "/requests/2"
    assert (await allow(await site.signed_in(people.ADMINISTRATOR), 2, 1)).status_code == 303
    first, second = [await stored_requests.get(site.admin.db, number) for number in (1, 2)]
    assert (second.host, second.hosts, second.renews) == (first.host, first.hosts, 1) and first.hosts
    assert second.asked_until == YEAR_END + timedelta(days=2)
    answer = await post(clerk, "/requests/2/terms", version=await version_of(clerk, 2), **AGREE)
    assert answer.headers.get("location") == "/requests/2"
    first = await stored_requests.get(site.admin.db, 1)
    assert first.state_at(site.clock.at) is State.ENDED
