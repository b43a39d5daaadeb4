"""Standing permissions: a department holds access for a case, until a day."""

from datetime import UTC, datetime, timedelta

from admin import stored_requests
from admin.corrections import correct
from categories.match import CategoryMatch
from policy.deciding import Step, decide
from policy.decision import Cause, Verdict
from policy.snapshot import PolicySnapshot
from policy.visit import Visit
from tests import people, towns
from tests.admin.web.conftest import Site, post
from tests.admin.web.test_social_media import allow
from tests.people import CLERK_AT_WORK, SOMEONE_IN_PARKS

FORM = "/requests/standing"
ASKED = {
    "department": "finance",
    "site": "",
    "categories": "gambling",
    "case_number": "2026-104",
    "last": "2026-08-31",
    "reason": "Follows where the money went.",
}
TERMS = "asking: {standing_permission: {departments: [finance], approval: [town_administrator]}}\n"
WITH_IT = TERMS.replace("[town_administrator]", "[town_administrator, it_security]")
ENDS = datetime(2026, 9, 1, 4, tzinfo=UTC)


async def allowing(site: Site, terms: str = TERMS) -> None:
    site.state.policy_document.write_text(towns.DOCUMENT + terms)
    await site.admin._publisher.reload_document()
    assert site.admin.policy.asking.standing_permission is not None, site.admin.policy_problems


def decided(
    site: Site, *categories: str, client: object = CLERK_AT_WORK, at: datetime | None = None
) -> tuple[Verdict, Cause, str]:
    """Return what the proxy decides of a visit by what is published, and what deciding says of exemptions."""
    snapshot = PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes())
    matches = tuple(CategoryMatch(id_, "bets.example", "test") for id_ in categories or ("gambling",))
    visit = Visit(client, "https", "bets.example", 443, None, at or site.clock.at, matches)  # type: ignore[arg-type]
    trace: list[Step] = []
    decision = decide(visit, snapshot.policy, snapshot.state(), trace)
    return decision.verdict, decision.cause, next(step.why for step in trace if step.what == "exemption")


async def test_department_holds_categories_for_a_case_until_the_last_day_is_over(site: Site) -> None:
    await allowing(site)
    head, administrator = await site.signed_in(people.HEAD), await site.signed_in(people.ADMINISTRATOR)
    assert f'href="{FORM}"' in (await head.get("/requests")).text
    sent = await post(head, FORM, **ASKED)
    assert sent.headers.get("location") == "/requests/1/sent", sent.text
    assert (await stored_requests.get(site.admin.db, 1)).browser is None, "it is the person's alone"
    assert decided(site)[0] is Verdict.BLOCK
    to_decide = (await administrator.get("/decide/1")).text
    assert (
        "2026-104" in to_decide and "sites listed as Gambling" in to_decide and "no other rule" in to_decide
    )
    assert (await allow(administrator, 1, 0)).status_code == 303
    verdict, cause, why = decided(site)
    assert (verdict, cause) == (Verdict.ALLOW, Cause.EXEMPTION) and "EX-1 (case 2026-104)" in why
    assert decided(site, client=SOMEONE_IN_PARKS)[0] is Verdict.BLOCK
    assert decided(site, "gambling", "malware")[0] is Verdict.BLOCK
    assert decided(site, "gambling", "adult")[0] is Verdict.BLOCK, "another rule stops it"
    assert decided(site, at=ENDS - timedelta(seconds=1))[0] is Verdict.ALLOW
    assert decided(site, at=ENDS)[0] is Verdict.BLOCK
    it = await site.signed_in(people.IT)
    assert "case 2026-104" in (await it.get("/exemptions")).text
    assert "2026-104" in (await it.get("/records")).text
    site.clock.at += timedelta(days=90)
    await site.admin.exemption_reviews.look()
    it = await site.signed_in(people.IT)
    assert "case 2026-104" in (await it.get("/exemptions?show=review")).text
    await post(it, "/decide/1/stop", "/decide/1/done?stop=yes", reason="The case is closed.")
    assert decided(site)[0] is Verdict.BLOCK


async def test_two_cases_are_asked_for_at_once_and_the_same_one_is_not_asked_twice(site: Site) -> None:
    await allowing(site)
    head = await site.signed_in(people.HEAD)
    await post(head, FORM, **ASKED)
    twice = await post(head, FORM, **ASKED)
    assert twice.headers["location"] == "/requests/1"
    other = await post(head, FORM, **{**ASKED, "case_number": "2026-105"})
    assert other.headers["location"] == "/requests/2/sent"


async def test_security_risk_opens_when_it_security_of_the_chain_accepts_it(site: Site) -> None:
    await allowing(site, WITH_IT)
    head = await site.signed_in(people.HEAD)
    sent = await post(head, FORM, **{**ASKED, "categories": "phishing"})
    assert sent.status_code == 303, sent.text
    assert (await allow(await site.signed_in(people.ADMINISTRATOR), 1, 0)).status_code == 303
    assert decided(site, "phishing")[0] is Verdict.BLOCK
    it = await site.signed_in(people.IT)
    assert "A known security risk" in (await it.get("/decide/1")).text
    assert (await allow(it, 1, 1)).status_code == 303
    assert decided(site, "phishing")[:2] == (Verdict.ALLOW, Cause.EXEMPTION)
    assert decided(site, "phishing", "malware")[0] is Verdict.BLOCK, "nobody accepted that"


async def test_one_site_opens_for_the_department(site: Site) -> None:
    await allowing(site)
    head, administrator = await site.signed_in(people.HEAD), await site.signed_in(people.ADMINISTRATOR)
    await correct(
        site.admin.db, "bets.example", ["gambling"], why="x", actor="it", at=site.clock.at, seen=None
    )
    fields = {key: value for key, value in ASKED.items() if key != "categories"}
    await post(head, FORM, **{**fields, "site": "https://www.bets.example/"})
    assert "Gambling" in (await administrator.get("/decide/1")).text
    colleague = await site.asking(host="bets.example")
    assert "Someone in" not in (await colleague.get("/ask/K7M-4QP")).text, "nobody joins it"
    await allow(administrator, 1, 0)
    verdict, cause, why = decided(site)
    assert (verdict, cause) == (Verdict.ALLOW, Cause.EXEMPTION) and "(case 2026-104)" in why


REFUSED: tuple[tuple[dict[str, str], str], ...] = (
    ({"department": "parks"}, "Choose for which department"),
    ({"site": "bets.example"}, "Enter one site, or choose categories"),
    ({"categories": "hate"}, "The town never opens that"),
    ({"categories": "phishing"}, "Only IT security can open it"),
    ({"categories": "nonsense"}, "Choose categories of the list"),
    ({"case_number": " "}, "Enter the case number"),
    ({"last": "2026-09-03"}, "within 180 days"),
    ({"reason": " "}, "Enter what you need it for"),
)


async def test_what_the_policy_does_not_offer_brings_the_form_back(site: Site) -> None:
    await allowing(site, TERMS.replace("{standing", "{never: [hate], standing"))
    head = await site.signed_in(people.HEAD)
    offered = (await head.get(FORM)).text
    assert (
        'value="gambling"' in offered and 'value="hate"' not in offered and 'value="phishing"' not in offered
    )
    for changed, said in REFUSED:
        answer = await post(head, FORM, **{**ASKED, **changed})
        assert answer.status_code == 422 and said in answer.text, changed


async def test_only_who_decides_for_a_named_department_asks_and_a_try_is_recorded(site: Site) -> None:
    await allowing(site)
    for who in (people.CLERK, people.PARKS_HEAD):
        client = await site.signed_in(who)
        assert "the town&#39;s policy names" in (await client.get(FORM)).text.replace("'", "&#39;")
        assert (await post(client, FORM, "/requests", **ASKED)).status_code == 403
    shown = (await (await site.signed_in(people.IT)).get("/records")).text
    assert "head or delegate of a department" in shown


async def test_head_renews_it_for_as_long_through_the_same_chain(site: Site) -> None:
    await allowing(site)
    head, administrator = await site.signed_in(people.HEAD), await site.signed_in(people.ADMINISTRATOR)
    await post(head, FORM, **ASKED)
    await allow(administrator, 1, 0)
    site.clock.at += timedelta(days=150)
    for days in (0, 1):
        site.clock.at += timedelta(days=days)
        head = await site.signed_in(people.HEAD)
        assert ">Renew<" in (await head.get("/requests/1")).text
        assert (await post(head, "/requests/1/renew", "/requests/1")).headers["location"] == "/requests/2"
    administrator = await site.signed_in(people.ADMINISTRATOR)
    assert "2026-104" in (await administrator.get("/decide/2")).text
    assert (await allow(administrator, 2, 0)).status_code == 303
    assert (await stored_requests.get(site.admin.db, 2)).asked_until == datetime(2027, 1, 29, 5, tzinfo=UTC)
    snapshot = PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes())
    assert [(e.id, e.case_number) for e in snapshot.exemptions] == [("EX-2", "2026-104")]
