"""Emergency access: a named person opens a site for themselves at once; another looks at it afterwards."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from admin import outbox
from admin.audit import EventKind, events_of
from admin.corrections import correct
from admin.emergency_reviews import EmergencyReviews
from admin.letters.parts import Town
from admin.letters.wording import words_of
from admin.one_by_one import RoundError
from admin.outbox import Channel, LetterKind
from categories.match import CategoryMatch
from policy.deciding import decide
from policy.decision import Cause, Verdict
from policy.snapshot import PolicySnapshot
from policy.visit import Visit
from tests import people, towns
from tests.admin.small_town import unchangeable
from tests.admin.web.conftest import FRIDAY_MORNING, Site, post, visit
from tests.people import CLERK_AT_WORK, SOMEONE_IN_PARKS

FORM = "/requests/emergency"
ASKED = {"site": "https://www.cardroom.example/", "reason": "A caller reports a threat made there."}
TERMS = "asking: {emergency_access: {people: [clerk, it], reviewed_by: town_administrator}}\n"
MONDAY = datetime(2026, 3, 9, 12, tzinfo=UTC)
"""8 AM in the town: clocks went forward the day before."""
ONE_HOUR = timedelta(hours=1)
IT_AT_WORK = CLERK_AT_WORK.__class__(address="192.0.2.9", person=people.IT, is_signed_in=True)


async def allowing(site: Site, terms: str = TERMS, more: str = "") -> None:
    site.state.policy_document.write_text(towns.DOCUMENT + terms + more)
    await site.admin._publisher.reload_document()
    assert site.admin.policy.asking.emergency_access is not None, site.admin.policy_problems


def decided(
    site: Site,
    *,
    at: datetime | None = None,
    client: object = CLERK_AT_WORK,
    also: str = "gambling",
    host: str = "cardroom.example",
) -> tuple[Verdict, Cause]:
    """Return what the proxy decides by what is published."""
    snapshot = PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes())
    matches = tuple(
        CategoryMatch(id_, "cardroom.example", "test") for id_ in dict.fromkeys((also, "gambling"))
    )
    visit = Visit(client, "https", host, 443, None, at or site.clock.at, matches)  # type: ignore[arg-type]
    decision = decide(visit, snapshot.policy, snapshot.state())
    return decision.verdict, decision.cause


async def opened(site: Site, **changed: str) -> httpx.AsyncClient:
    clerk = await site.signed_in(people.CLERK)
    answer = await post(clerk, FORM, **{**ASKED, **changed})
    assert answer.headers.get("location") == "/requests/1", answer.text
    return clerk


async def test_site_opens_for_the_person_at_once_and_for_an_hour(site: Site) -> None:
    await allowing(site)
    clerk = await opened(site)
    assert decided(site) == (Verdict.ALLOW, Cause.EXEMPTION)
    assert decided(site, client=SOMEONE_IN_PARKS)[0] is Verdict.BLOCK
    assert decided(site, also="malware")[0] is Verdict.BLOCK, "a risk that comes later was never accepted"
    assert decided(site, at=FRIDAY_MORNING + ONE_HOUR - timedelta(seconds=1))[0] is Verdict.ALLOW
    assert decided(site, at=FRIDAY_MORNING + ONE_HOUR)[0] is Verdict.BLOCK
    shown = (await clerk.get("/requests/1")).text.replace("\u00a0", " ")
    assert "You opened it until" in shown and "looks at it from" in shown and "Mon, March 9, 8 AM" in shown


@pytest.mark.parametrize(
    ("person", "delegates", "hears"),
    [
        (people.CLERK, "", "Your department head and IT hear of it now."),
        (
            people.CLERK,
            "delegates: [it], ",
            "Your department head, who stands in for them, and IT hear of it now.",
        ),
        (people.HEAD, "", "The town administrator and IT hear of it now."),
    ],
)
async def test_the_form_says_who_hears_of_it(site: Site, person: str, delegates: str, hears: str) -> None:
    document = towns.DOCUMENT.replace("head: head, ", f"head: head, {delegates}")
    site.state.policy_document.write_text(document + TERMS.replace("[clerk, it]", "[clerk, head]"))
    await site.admin._publisher.reload_document()
    assert hears in (await (await site.signed_in(person)).get(FORM)).text


async def test_emergency_access_opens_no_subdomain_that_is_a_risk_or_never_allowed(site: Site) -> None:
    never = TERMS.replace("{emergency_access", "{never: [adult], emergency_access")
    await allowing(site, never)
    await opened(site)
    assert decided(site, also="press")[0] is Verdict.ALLOW
    for shut in ("adult", "phishing"):
        assert decided(site, also=shut, host="a.cardroom.example")[0] is Verdict.BLOCK, shut


async def test_who_hears_of_it_reads_that_the_site_was_not_allowed_a_while_ago(site: Site) -> None:
    await allowing(site)
    head = await site.signed_in(people.HEAD)
    await site.sent_request()
    await post(head, "/decide/1", answer="deny", reason="Not needed for work")
    clerk = await site.signed_in(people.CLERK)
    assert (await post(clerk, FORM, **ASKED)).headers["location"] == "/requests/2"
    put = await outbox.due(site.admin.db, Channel.MAIL, site.clock.at)
    (letter,) = [
        one for one in put if (one.letter.kind, one.letter.to) == (LetterKind.EMERGENCY_OPENED, people.IT)
    ]
    words = await words_of(letter, site.admin.db, Town(site.admin.policy, site.clock.at))
    assert ("Earlier", "not allowed Fri, March 6: “Not needed for work”") in words.facts
    site.clock.at = MONDAY
    administrator = await site.signed_in(people.ADMINISTRATOR)
    review = (await administrator.get("/decide/2/review")).text.replace("\u00a0", " ")
    assert "not allowed <time" in review and "Fri, March 6</time>: “Not needed for work”" in review


async def test_it_is_recorded_as_a_kind_of_its_own_and_told_at_once(site: Site) -> None:
    await allowing(site)
    await opened(site)
    events = await events_of(site.admin.db, "REQ-1")
    assert [(event.kind, event.actor, event.details.get("role")) for event in events] == [
        (EventKind.REQUEST_SUBMITTED, people.CLERK, None),
        (EventKind.REQUEST_OPENED_AT_ONCE, people.CLERK, None),
    ]
    rows = await site.admin.db.fetch_all(
        "SELECT kind, recipient FROM letter WHERE channel = 'mail' ORDER BY kind, recipient"
    )
    assert [(row["kind"], row["recipient"]) for row in rows] == [
        ("emergency_opened", people.ADMINISTRATOR),
        ("emergency_opened", people.HEAD),
        ("emergency_opened", people.IT),
        ("request_allowed", people.CLERK),
        ("ticket", "help_desk"),
    ]
    head = await site.signed_in(people.HEAD)
    assert (await head.get("/requests/1")).status_code == 200
    assert (await (await site.signed_in(people.PARKS_HEAD)).get("/requests/1")).status_code == 404
    shown = (await (await site.signed_in(people.IT)).get("/records")).text
    assert "Opened a site for themselves, in an emergency" in shown


@pytest.mark.parametrize("person", [people.HEAD, people.IT, people.ADMINISTRATOR])
async def test_whoever_hears_of_it_may_stop_it(site: Site, person: str) -> None:
    await allowing(site)
    await opened(site)
    stranger = await site.signed_in(people.PARKS_HEAD)
    stop = {"reason": "There is no emergency."}
    assert (await post(stranger, "/decide/1/stop", "/requests", **stop)).status_code in (403, 404)
    told = await site.signed_in(person)
    assert "Stop access" in (await told.get("/requests/1")).text
    stopped = await post(told, "/decide/1/stop", "/decide/1/done?stop=yes", **stop)
    assert stopped.status_code == 303
    assert decided(site)[0] is Verdict.BLOCK


async def test_where_it_opens_what_is_approved_emergency_access_does_not_wait(site: Site) -> None:
    await allowing(site, more="after_approval: wait_for_it\n")
    await opened(site)
    assert decided(site)[0] is Verdict.ALLOW


async def test_reviewer_answers_on_the_next_business_day_and_the_person_hears_of_it(site: Site) -> None:
    await allowing(site)
    clerk = await opened(site)
    administrator = await site.signed_in(people.ADMINISTRATOR)
    assert "to review" not in (await administrator.get("/decide")).text
    early = await administrator.get("/decide/1/review")
    assert 'name="was_right"' not in early.text
    await site.log(
        visit(verdict=Verdict.ALLOW, cause=Cause.EXEMPTION, rule=None, exemption="EX-1", bytes_down=900)
    )
    site.clock.at = MONDAY
    administrator = await site.signed_in(people.ADMINISTRATOR)
    inbox = (await administrator.get("/decide")).text
    assert "Emergency access to review" in inbox and "To decide (1)" in inbox
    page, note = "/decide/1/review", "Ask the help desk next time."
    assert "1\u00a0visit, under 3 people" in (await administrator.get(page)).text, "what it was used for"
    unanswered = await post(administrator, page, note=note)
    assert unanswered.status_code == 422 and "Choose whether" in unanswered.text and note in unanswered.text
    assert (await post(administrator, page, was_right="not_right", note=" ")).status_code == 422
    answered = await post(administrator, page, was_right="not_right", note=note)
    assert answered.headers.get("location") == page
    again = await post(administrator, page, "/requests", was_right="right", note="No.")
    assert again.status_code == 409
    assert "to review" not in (await administrator.get("/decide")).text
    # Who is something else by now was that when they looked.
    changed = site.state.policy_document.read_text().replace("[administrator]", "[helpdesk]")
    site.state.policy_document.write_text(changed)
    await site.admin._publisher.reload_document()
    clerk = await site.signed_in(people.CLERK)
    shown = (await clerk.get("/requests/1")).text
    assert f"It was not right: “{note}” The town administrator, " in shown.replace("\xa0", " ")
    row = await site.admin.db.fetch_one(
        "SELECT recipient FROM letter WHERE kind = 'emergency_reviewed' AND channel = 'mail'"
    )
    assert row is not None and row["recipient"] == people.CLERK


async def test_nobody_reviews_their_own(site: Site) -> None:
    terms = TERMS.replace("town_administrator", "it_security")
    document = towns.DOCUMENT.replace("it_security: [it]", "it_security: [it, helpdesk]")
    site.state.policy_document.write_text(document + terms)
    await site.admin._publisher.reload_document()
    it = await site.signed_in(people.IT)
    assert (await post(it, FORM, **ASKED)).headers.get("location") == "/requests/1"
    assert decided(site, client=IT_AT_WORK)[0] is Verdict.ALLOW
    site.clock.at = MONDAY
    it, other = await site.signed_in(people.IT), await site.signed_in(people.HELP_DESK)
    assert "to review" not in (await it.get("/decide")).text
    answer = await post(it, "/decide/1/review", "/requests", was_right="right", note="It was.")
    assert answer.status_code == 403
    refused = [e for e in await events_of(site.admin.db, "REQ-1") if e.kind is EventKind.REQUEST_MOVE_REFUSED]
    assert [event.actor for event in refused] == [people.IT]
    assert "to review" in (await other.get("/decide")).text


async def test_who_reviews_it_or_it_security_stops_it(site: Site) -> None:
    await allowing(site)
    await opened(site)
    administrator = await site.signed_in(people.ADMINISTRATOR)
    await post(administrator, "/decide/1/stop", "/decide/1/done?stop=yes", reason="Not for that.")
    assert decided(site)[0] is Verdict.BLOCK


REFUSED = (
    ("phish.example", "x", "Only IT security can open it"),
    ("never.example", "x", "of a kind that the town never opens"),
    ("library.example", "x", "is open for you"),
    ("nonsense", "x", "Enter a site"),
    ("cardroom.example", " ", "Enter what you need it for"),
)


async def test_what_it_does_not_open_is_refused_in_words(site: Site) -> None:
    await allowing(site, TERMS.replace("{emergency", "{never: [hate], emergency"))
    block = "rules:\n  - {id: hate, categories: [hate], action: block, approval: [department_head]}\n"
    document = site.state.policy_document
    document.write_text(document.read_text().replace("rules:\n", block))
    await site.admin._publisher.reload_document()
    for host, category in (("phish.example", "phishing"), ("never.example", "hate")):
        await correct(site.admin.db, host, [category], why="x", actor="it", at=site.clock.at, seen=None)
    clerk = await site.signed_in(people.CLERK)
    for typed, reason, said in REFUSED:
        answer = await post(clerk, FORM, site=typed, reason=reason)
        assert answer.status_code == 422 and said in answer.text, typed
    assert "No requests yet" in (await clerk.get("/requests")).text


async def test_site_that_is_open_to_read_alone_opens_whole(site: Site) -> None:
    await allowing(site)
    reading = (
        "rules:\n  - {id: read, categories: [gambling], action: view_only, approval: [department_head]}\n"
    )
    document = site.state.policy_document
    document.write_text(document.read_text().replace("rules:\n", reading).split("tests:\n")[0] + TERMS)
    await site.admin._publisher.reload_document()
    assert decided(site)[0] is Verdict.VIEW_ONLY, site.admin.policy_problems
    await opened(site)
    assert decided(site) == (Verdict.ALLOW, Cause.EXEMPTION)


async def test_lockdown_comes_before_it(site: Site) -> None:
    await allowing(site)
    clerk = await opened(site)
    it = await site.signed_in(people.IT)
    lockdown = {"department": "", "because": "A worm.", "sure": "yes", "lasts": "2h"}
    begun = await post(it, "/emergency/lockdown", **lockdown)
    assert begun.status_code == 303, begun.text
    assert decided(site) == (Verdict.BLOCK, Cause.LOCKDOWN)
    answer = await post(clerk, FORM, site="dice.example", reason="x")
    assert answer.status_code == 422 and "IT has limited the web" in answer.text


async def test_policy_caps_how_often_a_day(site: Site) -> None:
    await allowing(site, TERMS.replace("reviewed_by", "per_day: 2, longest: 30m, reviewed_by"))
    clerk = await site.signed_in(people.CLERK)
    for host in ("cardroom.example", "dice.example"):
        await correct(site.admin.db, host, ["gambling"], why="x", actor="it", at=site.clock.at, seen=None)
        assert (await post(clerk, FORM, site=host, reason="x")).status_code == 303
    await correct(
        site.admin.db, "bets.example", ["gambling"], why="x", actor="it", at=site.clock.at, seen=None
    )
    third = await post(clerk, FORM, site="bets.example", reason="x")
    assert third.status_code == 422 and "as many as a day has" in third.text
    assert "bets.example" not in (await clerk.get("/requests")).text
    assert decided(site, at=FRIDAY_MORNING + timedelta(minutes=30))[0] is Verdict.BLOCK
    site.clock.at += timedelta(days=1)
    clerk = await site.signed_in(people.CLERK)
    assert (await post(clerk, FORM, site="bets.example", reason="x")).status_code == 303


async def test_who_is_not_named_is_told_so_and_a_try_is_recorded(site: Site) -> None:
    await allowing(site)
    head = await site.signed_in(people.HEAD)
    assert f'href="{FORM}"' not in (await head.get("/requests")).text
    assert "you are not among them" in (await head.get(FORM)).text
    assert (await post(head, FORM, "/requests", **ASKED)).status_code == 403
    assert decided(site)[0] is Verdict.BLOCK
    shown = (await (await site.signed_in(people.IT)).get("/records")).text
    assert "Emergency access is for those" in shown


async def test_block_page_and_my_requests_lead_a_named_person_there(site: Site) -> None:
    await allowing(site)
    asking = await site.asking()
    shown = (await asking.get("/ask/K7M-4QP")).text
    assert f"{FORM}?site=cardroom.example" in shown
    at_the_device = await asking.get(f"{FORM}?site=cardroom.example")
    assert at_the_device.headers["location"].startswith("/sign-in")
    clerk = await site.signed_in(people.CLERK)
    assert f'href="{FORM}"' in (await clerk.get("/requests")).text
    assert 'value="cardroom.example"' in (await clerk.get(f"{FORM}?site=cardroom.example")).text


async def unreviewed(site: Site) -> list[str]:
    """Look for what is due; return who has been written to by now."""
    await EmergencyReviews(site.admin.db, lambda: site.admin.policy, site.clock).look()
    rows = await site.admin.db.fetch_all(
        "SELECT recipient FROM letter WHERE kind = 'emergency_unreviewed' ORDER BY id"
    )
    return [row["recipient"] for row in rows]


async def test_emergency_access_of_which_something_is_wrong_holds_up_no_other_and_is_named(
    site: Site,
) -> None:
    await allowing(site)
    clerk = await opened(site)
    await post(clerk, FORM, **{**ASKED, "site": "pokerstars.com"})
    await unchangeable(site.admin.db, "emergency_review", "new.access_request = 1")
    site.clock.at = MONDAY + 4 * ONE_HOUR
    with pytest.raises(RoundError, match=r"^REQ-1: .*it is damaged.*\)$"):
        await unreviewed(site)
    reminded = await site.admin.db.fetch_all("SELECT about FROM letter WHERE kind = 'emergency_unreviewed'")
    assert [row["about"] for row in reminded] == ["REQ-2"]


async def test_reviewer_who_does_not_look_is_reminded_and_then_those_above_may_look_as_well(
    site: Site,
) -> None:
    await allowing(site)
    await opened(site)
    it = await site.signed_in(people.IT)
    site.clock.at = MONDAY + 4 * ONE_HOUR - timedelta(seconds=1)
    assert await unreviewed(site) == []
    site.clock.at = MONDAY + 4 * ONE_HOUR
    for _ in range(2):
        assert await unreviewed(site) == [people.ADMINISTRATOR]
    site.clock.at = MONDAY + 8 * ONE_HOUR
    it = await site.signed_in(people.IT)
    assert 'name="was_right"' not in (await it.get("/decide/1/review")).text, "not yet IT's to say"
    for _ in range(2):
        assert await unreviewed(site) == [people.ADMINISTRATOR, people.IT]
    assert "Emergency access to review" in (await it.get("/decide")).text
    answered = await post(it, "/decide/1/review", was_right="right", note="It was needed.")
    assert answered.headers.get("location") == "/decide/1/review"
    events = [(event.kind, event.actor) for event in await events_of(site.admin.db, "REQ-1")]
    assert events[-3:] == [
        (EventKind.REQUEST_REMINDED, "the clock"),
        (EventKind.REQUEST_PASSED_ON, "the clock"),
        (EventKind.REQUEST_REVIEWED, people.IT),
    ]
    site.clock.at += 7 * 24 * ONE_HOUR
    assert len(await unreviewed(site)) == 2, "what was looked at waits for nobody"


async def test_what_goes_up_never_comes_to_the_one_who_opened_it(site: Site) -> None:
    await allowing(site)
    it = await site.signed_in(people.IT)
    assert (await post(it, FORM, **ASKED)).headers.get("location") == "/requests/1"
    site.clock.at = MONDAY + 8 * ONE_HOUR
    assert await unreviewed(site) == [people.ADMINISTRATOR], "nobody is above: reminded alone"
    it = await site.signed_in(people.IT)
    assert (
        await post(it, "/decide/1/review", "/requests", was_right="right", note="Mine.")
    ).status_code == 403
