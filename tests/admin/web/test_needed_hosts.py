"""What a page needs: found where it was blocked, added with one click, and never a security risk."""

from datetime import timedelta

import httpx
import pytest

from admin import exemptions
from policy.decision import Cause
from policy.snapshot import PolicySnapshot
from policy.visit_record import VisitRecord
from tests import people
from tests.admin.web.conftest import FRIDAY_MORNING, Site, post, visit
from tests.people import HEAD, IT

CODE = "K7M-4QP"
VISITED_AT = FRIDAY_MORNING - timedelta(minutes=10)
UNTIL = "2026-03-13T15:14:07+00:00"


def site_visit() -> VisitRecord:
    return visit(VISITED_AT, code=CODE, host="www.cardroom.example")


def asset(host: str, seconds: int = 3, **changed: object) -> VisitRecord:
    return visit(VISITED_AT + timedelta(seconds=seconds), host=host, **changed)


async def add(client: httpx.AsyncClient, number: int, host: str) -> httpx.Response:
    return await post(client, f"/requests/{number}/hosts", f"/requests/{number}", host=host)


def offered(page: str) -> list[str]:
    return [part.partition('"')[0] for part in page.split('name="host" value="')[1:]]


async def test_asker_adds_what_was_blocked_right_after_the_site_most_often_first(site: Site) -> None:
    await site.log(
        site_visit(),
        asset("once.example"),
        *(asset("www.cdn.example", seconds) for seconds in (4, 5)),
        asset("cdn.example", 119),
        asset("late.example", 130),
        asset("before.example", -1),
        asset("play.cardroom.example"),
        asset("parks.example", person="parks-clerk"),
        asset("down.example", cause=Cause.UNREACHABLE),
        asset("com"),
    )
    number = await site.sent_request()
    clerk = await site.signed_in(people.CLERK)
    page = (await clerk.get(f"/requests/{number}")).text
    assert "Also blocked there" in page
    assert offered(page) == ["cdn.example", "once.example"]
    assert (await add(clerk, number, "cdn.example")).status_code == 303
    page = (await clerk.get(f"/requests/{number}")).text
    assert offered(page) == ["once.example"] and "added cdn.example" in page
    head = await site.signed_in(HEAD)
    decision = (await head.get(f"/decide/{number}")).text
    assert 'value="cdn.example"' in decision, "the head signs for what was added"
    await post(head, f"/decide/{number}", answer="allow", step="0", hosts="cdn.example", expires_at=UNTIL)
    snapshot = PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes())
    assert [(e.host, e.person) for e in snapshot.exemptions] == [
        ("cardroom.example", people.CLERK),
        ("cdn.example", people.CLERK),
    ]
    assert len({e.expires_at for e in snapshot.exemptions}) == 1
    exempted = (await (await site.signed_in(IT)).get("/exemptions")).text
    assert "with cdn.example" in exempted
    assert exempted.count(f'href="/requests/{number}"') == 1, "one line a request"


async def test_what_another_page_needed_before_too_is_offered_where_it_was_blocked_again(site: Site) -> None:
    # Connections of no page are one visit of the log while they go on.
    await site.log(
        asset("cdn.example", -60, is_shown=False),
        asset("before.example", -60, is_shown=False),
        site_visit(),
        asset("before.example", -1, is_shown=False),
        asset("cdn.example", 3, is_shown=False),
    )
    number = await site.sent_request()
    clerk = await site.signed_in(people.CLERK)
    assert offered((await clerk.get(f"/requests/{number}")).text) == ["cdn.example"]


async def test_what_access_opens_for_the_asker_by_now_is_not_offered(site: Site) -> None:
    await site.log(site_visit(), asset("cdn.example"), asset("img.example"))
    number = await site.sent_request()
    clerk, head = await site.signed_in(people.CLERK), await site.signed_in(HEAD)
    other = await site.sent_request(code="C7M-4QP", host="cdn.example", entry="cdn.example")
    assert offered((await clerk.get(f"/requests/{number}")).text) == ["cdn.example", "img.example"]
    await post(head, f"/decide/{other}", answer="allow", step="0", expires_at=UNTIL)
    for client, page in ((clerk, "requests"), (head, "decide")):
        assert offered((await client.get(f"/{page}/{number}")).text) == ["img.example"]
    await post(head, f"/decide/{other}/stop", f"/decide/{other}/done", reason="Not needed")
    assert offered((await clerk.get(f"/requests/{number}")).text) == ["cdn.example", "img.example"]


async def test_security_risk_is_never_offered_nor_added(site: Site) -> None:
    await site.log(site_visit(), asset("phish.example", category="phishing"), asset("cdn.example"))
    number = await site.sent_request()
    clerk = await site.signed_in(people.CLERK)
    assert offered((await clerk.get(f"/requests/{number}")).text) == ["cdn.example"]
    answer = await add(clerk, number, "phish.example")
    assert answer.status_code == 422 and "phish.example cannot be added here" in answer.text


async def test_what_was_added_since_the_page_was_shown_is_not_allowed_unseen(site: Site) -> None:
    await site.log(site_visit(), asset("cdn.example"))
    number = await site.sent_request()
    await add(await site.signed_in(people.CLERK), number, "cdn.example")
    head = await site.signed_in(HEAD)
    answer = await post(head, f"/decide/{number}", answer="allow", step="0", hosts="", expires_at=UNTIL)
    assert answer.status_code == 422 and "Hosts were added meanwhile" in answer.text
    assert await exemptions.live(site.admin.db, site.clock.at) == ()


async def test_whoever_decides_sees_what_the_page_loaded_and_not_the_next_visit(site: Site) -> None:
    await site.log(site_visit(), asset("cdn.example", 14), asset("private.example", 60))
    number = await site.sent_request()
    head = await site.signed_in(HEAD)
    assert offered((await head.get(f"/decide/{number}")).text) == ["cdn.example"]
    answer = await post(head, f"/requests/{number}/hosts", f"/decide/{number}", host="cdn.example")
    assert answer.status_code == 303
    assert "cdn.example" in (await head.get(f"/decide/{number}")).text


async def test_open_access_is_widened_by_who_may_stop_it_and_stops_as_a_whole(site: Site) -> None:
    await site.log(site_visit(), asset("cdn.example"))
    number = await site.sent_request()
    head, it = await site.signed_in(HEAD), await site.signed_in(IT)
    await post(head, f"/decide/{number}", answer="allow", step="0", expires_at=UNTIL)
    await post(it, f"/review/requests/{number}/leave-open", "/review")
    clerk = await site.signed_in(people.CLERK)
    assert "Also blocked there" not in (await clerk.get(f"/requests/{number}")).text
    assert (await add(clerk, number, "cdn.example")).status_code == 403
    assert (await add(it, number, "cdn.example")).status_code == 303
    board = (await it.get("/review")).text
    assert "To review (1)" in board and "With" in board, "what was widened is looked at again"
    snapshot = PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes())
    first, second = snapshot.exemptions
    assert (second.host, second.expires_at, second.granted_at) == (
        "cdn.example",
        first.expires_at,
        site.clock.at,
    )
    events = await site.admin.db.fetch_all(
        "SELECT actor, kind FROM event WHERE kind LIKE 'request.%' ORDER BY id"
    )
    assert [(row["actor"], row["kind"]) for row in events][-2:] == [
        (people.CLERK, "request.move_refused"),
        (IT, "request.host_added"),
    ]
    await post(it, f"/decide/{number}/stop", f"/decide/{number}/done", reason="Not safe")
    assert PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes()).exemptions == ()


async def test_at_a_shared_device_the_page_s_own_code_says_which_visits_count(site: Site) -> None:
    shared = {"person": None, "device": "LOBBY"}
    await site.log(
        visit(VISITED_AT, code=CODE, **shared),
        asset("cdn.example", **shared),
        asset("other.example", person=None, device="COUNTER"),
    )
    number = await site.sent_request()
    clerk = await site.signed_in(people.CLERK)
    assert offered((await clerk.get(f"/requests/{number}")).text) == ["cdn.example"]


@pytest.mark.parametrize("person", [people.PARKS_HEAD, people.HELP_DESK])
async def test_who_has_no_say_adds_nothing(site: Site, person: str) -> None:
    await site.log(site_visit(), asset("cdn.example"))
    number = await site.sent_request()
    client = await site.signed_in(person)
    answer = await post(client, f"/requests/{number}/hosts", "/requests", host="cdn.example")
    assert answer.status_code in (403, 404)
    assert await site.admin.db.fetch_all("SELECT * FROM access_request_host") == []


async def test_asker_adds_nothing_once_somebody_has_agreed(site: Site) -> None:
    document = site.state.policy_document
    both = document.read_text().replace(
        "approval: [department_head]", "approval: [department_head, it_security]"
    )
    document.write_text(both)
    await site.until(lambda: len(site.admin.policy.rules[-1].approval) == 2)
    await site.log(site_visit(), asset("cdn.example"))
    number = await site.sent_request()
    clerk, head = await site.signed_in(people.CLERK), await site.signed_in(HEAD)
    await post(head, f"/decide/{number}", answer="allow", step="0", expires_at=UNTIL)
    assert "Also blocked there" not in (await clerk.get(f"/requests/{number}")).text
    assert (await add(clerk, number, "cdn.example")).status_code == 403
    it = await site.signed_in(IT)
    assert offered((await it.get(f"/decide/{number}")).text) == ["cdn.example"]


async def test_nobody_widens_access_of_their_own(site: Site) -> None:
    own = {"person": IT, "device": "IT-PC-1"}
    await site.log(visit(VISITED_AT, code=CODE, department=None, **own), asset("cdn.example", **own))
    number = await site.sent_request(IT, device=None)
    administrator = await site.signed_in(people.ADMINISTRATOR)
    await post(administrator, f"/decide/{number}", answer="allow", step="0", expires_at=UNTIL)
    it = await site.signed_in(IT)
    assert "Also blocked there" not in (await it.get(f"/requests/{number}")).text
    assert (await post(it, f"/requests/{number}/hosts", "/requests", host="cdn.example")).status_code == 403
    assert len(await exemptions.live(site.admin.db, site.clock.at)) == 1


LEFT_TO_OTHERS = {
    "a rule that asks IT security, too": {"host": "tunnel.example", "category": "vpn", "rule": "ways-around"},
    "a rule that nobody can be asked about": {"host": "adult.example", "category": "adult", "rule": "never"},
    "a rule that is no longer there": {"host": "old.example", "category": "adult", "rule": "former"},
    "the default": {"host": "unlisted.example", "category": None, "rule": None, "cause": Cause.DEFAULT},
}


@pytest.mark.parametrize("blocked", LEFT_TO_OTHERS.values(), ids=LEFT_TO_OTHERS.keys())
async def test_what_the_policy_leaves_to_others_is_added_by_it_security_alone(
    site: Site, blocked: dict[str, object]
) -> None:
    document = site.state.policy_document
    further = (
        "  - {id: ways-around, categories: [vpn], action: block, approval: [department_head, it_security]}\n"
        "  - {id: never, categories: [adult], action: block}\n"
    )
    document.write_text(document.read_text().replace("rules:\n", f"rules:\n{further}"))
    await site.until(lambda: len(site.admin.policy.rules) == 5)
    host = str(blocked["host"])
    await site.log(site_visit(), asset(**blocked), asset("cdn.example"))  # type: ignore[arg-type]
    number = await site.sent_request()
    clerk, head, it = [await site.signed_in(person) for person in (people.CLERK, HEAD, IT)]
    for client, page in ((clerk, "requests"), (head, "decide")):
        assert offered((await client.get(f"/{page}/{number}")).text) == ["cdn.example"]
        assert (await add(client, number, host)).status_code == 422
    await post(head, f"/decide/{number}", answer="allow", step="0", expires_at=UNTIL)
    assert (await add(head, number, host)).status_code == 422
    assert (await add(it, number, host)).status_code == 303
    assert {e.host for e in await exemptions.live(site.admin.db, site.clock.at)} == {"cardroom.example", host}
