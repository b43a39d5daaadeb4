"""Personal use, from ask to effect: categories in a window of time, decided by the head."""

import re
from datetime import UTC, datetime

import pytest

from admin import stored_requests
from admin.asking import State
from categories.match import CategoryMatch
from policy.deciding import decide
from policy.snapshot import PolicySnapshot
from policy.visit import Visit
from tests import people, towns
from tests.admin.web.conftest import PASSWORD, Site, post
from tests.people import CLERK_AT_WORK, SOMEONE_IN_PARKS

FORM = "/requests/personal-use"
ASKED = {
    "categories": "sports",
    "day": "2026-03-06",
    "begins": "15:00",
    "ends": "16:00",
    "reason": "The match of my daughter.",
}
THREE_PM = datetime(2026, 3, 6, 20, tzinfo=UTC)
FOUR_PM = datetime(2026, 3, 6, 21, tzinfo=UTC)


async def offering(site: Site) -> Site:
    terms = "asking: {personal_use: {categories: [sports, shopping], longest: 90m}}\n"
    site.state.policy_document.write_text(towns.DOCUMENT + terms)
    await site.admin._publisher.reload_document()
    return site


def opens(site: Site, at: datetime, *categories: str, client: object = CLERK_AT_WORK) -> bool:
    """Whether the proxy opens a site of these categories by what is published."""
    snapshot = PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes())
    matches = tuple(CategoryMatch(one, "match.example", "test") for one in categories)
    visit = Visit(client, "https", "match.example", 443, None, at, matches)  # type: ignore[arg-type]
    return decide(visit, snapshot.policy, snapshot.state()).is_allowed


async def test_who_uses_the_browser_next_neither_sees_nor_withdraws_it(site: Site) -> None:
    await offering(site)
    clerk = await site.signed_in(people.CLERK)
    await post(clerk, FORM, **ASKED)
    assert "Withdraw" in (await clerk.get("/requests/1")).text
    await post(clerk, "/sign-out", "/requests")
    await site.give_password(people.PARKS_HEAD)
    next_one = clerk
    assert (await post(next_one, "/sign-in", name=people.PARKS_HEAD, password=PASSWORD)).status_code == 303
    assert ": Sports" not in (await next_one.get("/requests")).text
    assert (await next_one.get("/requests/1")).status_code == 404
    assert (await post(next_one, "/requests/1/withdraw", "/requests")).status_code == 404
    assert (await stored_requests.get(site.admin.db, 1)).state is State.SUBMITTED


async def test_personal_use_is_open_to_the_person_for_its_window_alone(site: Site) -> None:
    await offering(site)
    clerk = await site.signed_in(people.CLERK)
    assert f'href="{FORM}"' in (await clerk.get("/requests")).text
    sent = await post(clerk, FORM, **ASKED)
    assert sent.headers["location"] == "/requests/1/sent"
    next_steps = " ".join(re.sub(r"<[^>]+>", " ", (await clerk.get("/requests/1/sent")).text).split())
    assert "Sites of this kind then open Fri, March 6, 3 PM to 4 PM ." in next_steps
    assert ">Personal use: Sports<" in (await clerk.get("/requests")).text
    assert not opens(site, THREE_PM, "sports")
    head = await site.signed_in(people.HEAD)
    page = (await head.get("/decide/1")).text.replace("\u00a0", " ")
    assert "Allow personal use: Sports for" in page and "Fri, March 6, 3 PM" in page
    assert "Change time" not in page
    assert ">Personal use: Sports<" in (await head.get("/decide")).text
    allowed = await post(
        head, "/decide/1", answer="allow", step="0", hosts="", joined="", expires_at=FOUR_PM.isoformat()
    )
    assert allowed.status_code == 303, allowed.text
    assert not opens(site, THREE_PM.replace(hour=19, minute=59), "sports")
    assert opens(site, THREE_PM, "sports") and not opens(site, FOUR_PM, "sports")
    assert not opens(site, THREE_PM, "shopping") and not opens(site, THREE_PM, "sports", "gambling")
    assert not opens(site, THREE_PM, "sports", "malware")
    assert not opens(site, THREE_PM, "sports", client=SOMEONE_IN_PARKS)
    assert "open from" in (await clerk.get("/requests/1")).text
    it = await site.signed_in(people.IT)
    exemptions = (await it.get("/exemptions")).text.replace("\u00a0", " ")
    assert ">Personal use: Sports<" in exemptions and "1 exemption is in force." in exemptions
    await post(it, "/decide/1/stop", "/decide/1/done?stop=yes", reason="Not today.")
    assert not opens(site, THREE_PM, "sports")


async def awaiting_opening(site: Site) -> None:
    """Let the head allow personal use that IT is to open."""
    await offering(site)
    document = site.state.policy_document
    document.write_text(document.read_text() + "after_approval: wait_for_it\n")
    await site.admin._publisher.reload_document()
    clerk, head = await site.signed_in(people.CLERK), await site.signed_in(people.HEAD)
    await post(clerk, FORM, **ASKED)
    await post(head, "/decide/1", answer="allow", step="0", expires_at=FOUR_PM.isoformat())


async def test_it_opens_late_and_the_window_ends_as_it_was_asked_for(site: Site) -> None:
    await awaiting_opening(site)
    site.clock.at = THREE_PM.replace(minute=50)
    it = await site.signed_in(people.IT)
    shown = (await it.get("/decide/1/done")).text.replace("\u00a0", " ")
    assert re.search("Open until <time[^>]*>[^<]*4 PM</time>", shown)
    await post(it, "/decide/1/open", "/decide/1/done")
    assert opens(site, FOUR_PM.replace(hour=20, minute=59), "sports") and not opens(site, FOUR_PM, "sports")


async def test_personal_use_whose_window_is_over_is_not_opened(site: Site) -> None:
    await awaiting_opening(site)
    site.clock.at = FOUR_PM
    it = await site.signed_in(people.IT)
    shown = (await it.get("/decide/1/done")).text
    assert ">Ended</h1>" in shown and "/decide/1/open" not in shown and "Stop access" not in shown
    assert "Open it" not in (await it.get("/requests/1")).text
    answer = await post(it, "/decide/1/open", "/decide")
    assert answer.status_code == 409 and "Its time is over" in answer.text
    clerk = await site.signed_in(people.CLERK)
    shown = (await clerk.get("/requests/1")).text
    assert "IT had not opened it" in shown and "Withdraw the request" not in shown
    assert not opens(site, FOUR_PM, "sports")


async def test_head_cannot_allow_it_for_longer_than_was_asked(site: Site) -> None:
    await offering(site)
    clerk, head = await site.signed_in(people.CLERK), await site.signed_in(people.HEAD)
    await post(clerk, FORM, **ASKED)
    longer = FOUR_PM.replace(minute=1).isoformat()
    answer = await post(head, "/decide/1", answer="allow", step="0", expires_at=longer)
    assert answer.status_code == 422
    assert not opens(site, THREE_PM, "sports")


async def test_what_would_end_before_it_begins_is_not_allowed(site: Site) -> None:
    await offering(site)
    clerk, head = await site.signed_in(people.CLERK), await site.signed_in(people.HEAD)
    await post(clerk, FORM, **ASKED)
    answer = await post(head, "/decide/1", answer="allow", step="0", expires_at=THREE_PM.isoformat())
    assert answer.status_code == 422 and "Choose another" in answer.text


async def test_the_asker_takes_back_what_it_has_not_opened_yet(site: Site) -> None:
    await awaiting_opening(site)
    clerk = await site.signed_in(people.CLERK)
    assert "Withdraw the request" in (await clerk.get("/requests/1")).text
    answer = await post(clerk, "/requests/1/withdraw", "/requests/1")
    assert answer.status_code == 303 and "Withdrawn" in (await clerk.get("/requests/1")).text


async def test_what_nobody_answered_in_time_waits_for_nobody(site: Site) -> None:
    await offering(site)
    clerk = await site.signed_in(people.CLERK)
    await post(clerk, FORM, **ASKED)
    site.clock.at = FOUR_PM
    head = await site.signed_in(people.HEAD)
    assert "Nothing to decide." in (await head.get("/decide")).text
    assert (await head.get("/decide/1")).headers["location"] == "/decide/1/done"
    assert ">Ended</h1>" in (await head.get("/decide/1/done")).text
    assert "Decide" not in (await head.get("/requests/1")).text.partition("<main")[2]
    answer = await post(head, "/decide/1", "/decide", answer="deny", step="0", reason="Use another site")
    assert answer.status_code == 409 and "Its time is over" in answer.text
    clerk = await site.signed_in(people.CLERK)
    assert "nobody had answered" in (await clerk.get("/requests/1")).text
    again = await post(clerk, FORM, **{**ASKED, "day": "2026-03-07"})
    assert again.headers["location"] == "/requests/2/sent"


async def test_who_asks_again_reads_the_answer_of_lately_first(site: Site) -> None:
    await offering(site)
    clerk, head = await site.signed_in(people.CLERK), await site.signed_in(people.HEAD)
    await post(clerk, FORM, **ASKED)
    await post(head, "/decide/1", answer="deny", step="0", reason="Not needed for work")
    form = (await clerk.get(FORM)).text
    assert "The answer lately" in form and form.index("Not needed for work") < form.index("<textarea")
    assert "The answer lately" not in (await head.get(FORM)).text


async def test_no_one_decides_their_own_personal_use(site: Site) -> None:
    await offering(site)
    head = await site.signed_in(people.HEAD)
    await post(head, FORM, **ASKED)
    answer = await post(
        head, "/decide/1", page="/requests/1", answer="allow", step="0", expires_at=FOUR_PM.isoformat()
    )
    assert answer.status_code == 403
    administrator = await site.signed_in(people.ADMINISTRATOR)
    assert "Personal use" in (await administrator.get("/decide")).text


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"categories": "gambling"}, "Choose what you want to use"),
        ({"day": "tomorrow"}, "Choose a day"),
        ({"day": "2026-03-05"}, "Choose a day, from today on"),
        ({"day": "9999-12-31", "begins": "22:30", "ends": "23:30"}, "Choose a day, from today on"),
        ({"begins": "08:00", "ends": "08:30"}, "That time is over"),
        ({"begins": "15:00Z"}, "Choose from when until when"),
        ({"begins": "16:00"}, "Choose from when until when"),
        ({"ends": "16:31"}, "At most 1.5 hours at once"),
        # Clocks go forward from 2 to 3 on March 8, 2026, and back from 2 to 1 on November 1.
        ({"day": "2026-03-08", "begins": "02:00", "ends": "03:00"}, "Clocks go forward then"),
        ({"day": "2026-11-01", "begins": "00:30", "ends": "02:00"}, "At most 1.5 hours at once"),
        ({"reason": " "}, "Enter what you need it for"),
    ],
)
async def test_what_the_policy_does_not_offer_brings_the_form_back(
    site: Site, changed: dict[str, str], said: str
) -> None:
    await offering(site)
    clerk = await site.signed_in(people.CLERK)
    answer = await post(clerk, FORM, **{**ASKED, **changed})
    assert answer.status_code == 422 and said in answer.text


async def test_where_the_policy_has_none_there_is_no_form(site: Site) -> None:
    clerk = await site.signed_in(people.CLERK)
    shown = (await clerk.get(FORM)).text
    assert "offers no personal use" in shown and "textarea" not in shown
    answer = await post(clerk, FORM, page="/requests", **ASKED)
    assert answer.status_code == 422
