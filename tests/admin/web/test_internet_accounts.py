"""Internet accounts, from a head's request to the last day, and what the proxy opens meanwhile."""

from datetime import UTC, datetime, timedelta

from policy.deciding import decide
from policy.decision import Cause
from policy.snapshot import PolicySnapshot
from policy.visit import Client, Visit
from tests import people, towns
from tests.admin.web.conftest import Site, post
from tests.admin.web.test_social_media import allow

ASK = "/accounts/ask"
FOR_TEMP = {
    "person": "temp",
    "employer": "Acme Builders",
    "sponsor": people.CLERK,
    "last": "2026-04-30",
    "reason": "Repairs the town hall's network.",
}
MAY = datetime(2026, 5, 1, 4, tzinfo=UTC)
PEOPLE = (
    "  temp:          {name: Terry Temp, mail: temp@acme.example, department: finance, kind: contractor}\n"
    "  helper:        {name: Vera Helper, department: finance, kind: volunteer}\n"
)
TERMS = "asking:\n  internet_account: {required_for: REQUIRED}\n"


async def requiring(site: Site, required: str = "[contractors, volunteers]") -> Site:
    document = towns.DOCUMENT.replace("people:\n", f"people:\n{PEOPLE}")
    document = document.replace("person: clerk}", "person: temp}").replace("as: clerk", "as: temp")
    site.state.policy_document.write_text(document + TERMS.replace("REQUIRED", required))
    await site.admin._publisher.reload_document()
    assert site.admin.policy.asking.internet_account is not None, site.admin.policy_problems
    return site


def cause(site: Site, person: str = "temp", at: datetime | None = None) -> Cause:
    """Return what the proxy decides a person's visit by, as is published."""
    snapshot = PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes())
    client = Client("10.10.20.77", person=person, department="finance")
    visit = Visit(client, "https", "library.example", 443, None, at or site.clock.at)
    return decide(visit, snapshot.policy, snapshot.state()).cause


async def opened(site: Site, number: int = 1, **changed: str) -> None:
    """Let the head ask and IT agree."""
    head, it = await site.signed_in(people.HEAD), await site.signed_in(people.IT)
    sent = await post(head, ASK, **{**FOR_TEMP, **changed})
    assert sent.headers.get("location") == f"/requests/{number}/sent", sent.text
    assert (await allow(it, number, 1)).status_code == 303


async def test_web_opens_for_a_contractor_when_it_agrees_and_shuts_after_the_last_day(site: Site) -> None:
    await requiring(site)
    assert cause(site) is Cause.NO_ACCOUNT and cause(site, people.CLERK) is Cause.DEFAULT
    await opened(site)
    assert cause(site) is Cause.DEFAULT and cause(site, "helper") is Cause.NO_ACCOUNT
    assert cause(site, at=MAY - timedelta(seconds=1)) is Cause.DEFAULT
    assert cause(site, at=MAY) is Cause.NO_ACCOUNT
    shown = (await (await site.signed_in("temp")).get("/requests/1")).text.replace("\u00a0", " ")
    assert "Allowed until" in shown and "Thu, April 30" in shown


async def test_heads_request_goes_to_it_at_once_and_their_own_to_the_administrator(site: Site) -> None:
    await requiring(site, "everyone")
    head, administrator = await site.signed_in(people.HEAD), await site.signed_in(people.ADMINISTRATOR)
    await post(head, ASK, **FOR_TEMP)
    assert "/decide/1" in (await (await site.signed_in(people.IT)).get("/decide")).text
    await post(head, ASK, person=people.HEAD, reason="I head Finance.")
    assert "/decide/2" in (await administrator.get("/decide")).text
    assert "/decide/2" not in (await head.get("/decide")).text


async def test_it_gets_an_account_where_everyone_needs_one(site: Site) -> None:
    await requiring(site, "everyone")
    it, administrator = await site.signed_in(people.IT), await site.signed_in(people.ADMINISTRATOR)
    sent = await post(it, ASK, person=people.IT, reason="I run the network.")
    assert sent.headers.get("location") == "/requests/1/sent", sent.text
    for step in (0, 1):
        assert (await allow(administrator, 1, step)).status_code == 303
    assert cause(site, people.IT) is Cause.DEFAULT
    assert cause(site, people.IT, site.clock.at + timedelta(days=367)) is Cause.NO_ACCOUNT


async def test_register_on_people_says_who_for_whom_and_until_when(site: Site) -> None:
    await requiring(site)
    await opened(site)
    shown = (await (await site.signed_in(people.IT)).get("/people")).text.replace("\u00a0", " ")
    assert "Contractor of Acme Builders" in shown and "sponsor Clerk" in shown and "Thu, April 30" in shown
    assert "Volunteer, none" in shown and "Not needed" in shown
    assert ">Contractor, Finance<" in shown and ">Employee, Finance<" in shown


async def test_another_one_goes_on_in_the_place_of_the_first(site: Site) -> None:
    await requiring(site)
    await opened(site)
    await opened(site, 2, last="2026-05-31")
    assert cause(site, at=MAY) is Cause.DEFAULT
    it = await site.signed_in(people.IT)
    await post(it, "/decide/2/stop", "/decide/2/done?stop=yes", reason="The contract ended.")
    assert cause(site) is Cause.NO_ACCOUNT, "the first does not come back"


async def test_it_stops_it_and_it_ends_when_the_person_leaves(site: Site) -> None:
    await requiring(site)
    await opened(site)
    it = await site.signed_in(people.IT)
    await post(it, "/decide/1/stop", "/decide/1/done?stop=yes", reason="The contract ended.")
    assert cause(site) is Cause.NO_ACCOUNT
    await opened(site, 2)
    assert cause(site) is Cause.DEFAULT
    await post(it, "/people/temp/close", "/people/temp", why="Left")
    await post(it, "/people/temp/reopen", "/people/temp", why="Back.")
    assert cause(site) is Cause.NO_ACCOUNT, "who is back needs another one"


async def test_a_week_before_the_end_those_who_asked_and_agreed_are_asked_whether_it_is_needed(
    site: Site,
) -> None:
    await requiring(site)
    await opened(site)
    site.clock.at = MAY - timedelta(days=7, seconds=1)
    await site.admin.exemption_reviews.look()
    query = "SELECT recipient FROM letter WHERE kind = 'exemption_review' ORDER BY recipient"
    assert await site.admin.db.fetch_all(query) == []
    site.clock.at = MAY - timedelta(days=7)
    for _ in range(2):
        await site.admin.exemption_reviews.look()
    told = [row["recipient"] for row in await site.admin.db.fetch_all(query)]
    assert told == [people.HEAD, people.IT, "temp"]
    shown = (await (await site.signed_in(people.HEAD)).get("/requests/1")).text
    assert ">Renew<" in shown


async def test_records_tell_the_sponsor_by_role(site: Site) -> None:
    await requiring(site)
    await opened(site)
    shown = (await (await site.signed_in(people.IT)).get("/records")).text
    assert "Acme Builders" in shown and "Sponsor" in shown and "Clerk" not in shown
    assert "Employee, Finance" in shown


REFUSED: tuple[tuple[dict[str, str], str], ...] = (
    ({"person": people.CLERK}, "Choose for whom you ask"),
    ({"employer": " "}, "Enter whom they work for"),
    ({"sponsor": "helper"}, "Choose who in the town answers for them"),
    ({"last": ""}, "Choose a last day"),
    ({"last": "2026-03-05"}, "Choose a last day"),
    ({"last": "2027-03-07"}, "within 365 days"),
    ({"person": "helper", "last": ""}, "Choose a last day"),
    ({"reason": " "}, "Enter what you need it for"),
)


async def test_what_the_policy_does_not_offer_brings_the_form_back(site: Site) -> None:
    await requiring(site)
    head, clerk = await site.signed_in(people.HEAD), await site.signed_in(people.CLERK)
    for changed, said in REFUSED:
        answer = await post(head, ASK, **{**FOR_TEMP, **changed})
        assert answer.status_code == 422 and said in answer.text, changed
    assert "Ask them" in (await clerk.get(ASK)).text
    assert (await post(clerk, ASK, "/requests", **FOR_TEMP)).status_code == 403
    parks = await site.signed_in(people.PARKS_HEAD)
    assert "Nobody of your department" in (await parks.get(ASK)).text
    assert (await post(parks, ASK, "/requests", **FOR_TEMP)).status_code == 422


async def test_where_nobody_needs_one_there_is_nothing_to_ask_for(site: Site) -> None:
    head = await site.signed_in(people.HEAD)
    assert "Nobody needs" in (await head.get(ASK)).text
    assert ASK not in (await head.get("/decide")).text


async def test_head_renews_it_and_who_has_it_does_not(site: Site) -> None:
    await requiring(site)
    await opened(site)
    site.clock.at += timedelta(days=40)
    head, person = await site.signed_in(people.HEAD), await site.signed_in("temp")
    page = (await head.get("/requests/1")).text
    assert ">Renew<" in page and page.count(">Stop access<") == 1
    assert ">Renew<" not in (await person.get("/requests/1")).text
    assert (await post(person, "/requests/1/renew", "/requests/1")).status_code == 403
    assert (await post(head, "/requests/1/renew", "/requests/1")).headers["location"] == "/requests/2"
    assert (await allow(await site.signed_in(people.IT), 2, 1)).status_code == 303
    assert cause(site, at=MAY + timedelta(days=40, seconds=-1)) is Cause.DEFAULT
    assert cause(site, at=MAY + timedelta(days=40)) is Cause.NO_ACCOUNT
    assert "Ended" in (await head.get("/requests/1")).text


async def test_exemptions_has_accounts_by_its_filters_for_it_and_the_head(site: Site) -> None:
    await requiring(site)
    await opened(site)
    for days, shown in ((0, ""), (50, "ending"), (50, "review")):
        site.clock.at = max(site.clock.at, MAY - timedelta(days=7) if days else site.clock.at)
        await site.admin.exemption_reviews.look()
        for who in (people.IT, people.HEAD):
            page = (await (await site.signed_in(who)).get(f"/exemptions?show={shown}")).text
            assert "Internet accounts" in page and "Terry Temp" in page, (who, shown)
            assert "Nothing is open" not in page and "No access is like that" not in page
    parks_head = await site.signed_in(people.PARKS_HEAD)
    assert "Terry Temp" not in (await parks_head.get("/exemptions")).text
    it = await site.signed_in(people.IT)
    assert "/requests/1/keep" in (await it.get("/requests/1")).text
