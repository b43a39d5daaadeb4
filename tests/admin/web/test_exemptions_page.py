"""Exemptions: filters, use, renewing and keeping, in the pages."""

from datetime import timedelta

from admin import audit
from admin.audit import EventKind
from policy.decision import Cause, Lane, Verdict
from policy.snapshot import PolicySnapshot
from tests import people, towns
from tests.admin.web.conftest import Site, post, visit
from tests.admin.web.test_api import program_of

DAY = timedelta(days=1)


async def open_for(site: Site, host: str, days: int, code: str) -> int:
    """Let the clerk have a site for some days; return the number of the request."""
    id_ = await site.sent_request(host=host, code=code)
    head = await site.signed_in(people.HEAD)
    ends_at = (site.clock.at + days * DAY).isoformat()
    await post(head, f"/decide/{id_}", answer="allow", step="0", hosts="", joined="", expires_at=ends_at)
    return id_


async def test_filters_show_what_ends_this_week_and_what_nobody_uses(site: Site) -> None:
    site.state.policy_document.write_text(towns.DOCUMENT + "asking: {longest: year}\n")
    await site.admin._publisher.reload_document()
    await open_for(site, "one.example", 65, "AAA-111")
    await open_for(site, "two.example", 200, "BBB-222")
    site.clock.at += 61 * DAY
    allowed = {"verdict": Verdict.ALLOW, "lane": Lane.TUNNEL, "cause": Cause.EXEMPTION, "exemption": "EX-1"}
    await site.log(visit(site.clock.at - DAY, host="one.example", bytes_down=2_000_000, **allowed))
    it = await site.signed_in(people.IT)

    async def shown(chosen: str) -> list[str]:
        page = (await it.get("/exemptions", params={"show": chosen})).text
        return [host for host in ("one.example", "two.example") if f">{host}</a>" in page]

    assert await shown("") == ["one.example", "two.example"]
    assert await shown("ending") == ["one.example"]
    assert await shown("unused") == ["two.example"]
    assert await shown("review") == []
    await site.admin.exemption_reviews.look()
    assert await shown("review") == ["one.example", "two.example"], "and what nobody uses, that day"
    page = (await it.get("/exemptions")).text.replace("\u00a0", " ")
    assert "1 visit, 2 MB" in page and "Not in 90 days" in page


async def test_one_click_renews_through_the_same_chain(site: Site) -> None:
    id_ = await open_for(site, "one.example", 20, "AAA-111")
    site.clock.at += 13 * DAY
    await site.admin.exemption_reviews.look()
    clerk = await site.signed_in(people.CLERK)
    page = f"/requests/{id_}"
    shown = (await clerk.get(page)).text
    assert "Is it still needed?" in shown and "Not yet" in shown and "/keep" not in shown
    sent = await post(clerk, f"{page}/renew", page=page)
    assert sent.headers["location"] == "/requests/2"
    assert "renews" in (await clerk.get("/requests/2")).text
    # Once more leads to the request that is open.
    again = await post(clerk, f"{page}/renew", page=page)
    assert again.headers["location"] == "/requests/2"
    head = await site.signed_in(people.HEAD)
    assert ">Use<" in (await head.get("/decide/2")).text
    ends_at = (site.clock.at + 20 * DAY).isoformat()
    await post(head, "/decide/2", answer="allow", step="0", hosts="", joined="", expires_at=ends_at)
    snapshot = PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes())
    assert [(e.id, e.host) for e in snapshot.exemptions] == [("EX-2", "one.example")]


async def test_head_keeps_what_is_still_needed_and_others_may_not(site: Site) -> None:
    id_ = await open_for(site, "one.example", 20, "AAA-111")
    site.clock.at += 13 * DAY
    await site.admin.exemption_reviews.look()
    for person in (people.CLERK, people.PARKS_HEAD):
        other = await site.signed_in(person)
        answer = await post(other, f"/requests/{id_}/keep", page="/requests")
        assert answer.status_code in (403, 404), person
        if person == people.PARKS_HEAD:
            assert (await post(other, f"/requests/{id_}/renew", page="/requests")).status_code == 404
    events = await audit.events_of(site.admin.db, f"REQ-{id_}")
    assert [(e.actor, e.details["move"]) for e in events if e.kind is EventKind.REQUEST_MOVE_REFUSED] == [
        (people.CLERK, "keep"),
        (people.PARKS_HEAD, "keep"),
        (people.PARKS_HEAD, "renew"),
    ]
    program = await program_of(site, people.HEAD)
    asked = (await program.get("/requests", show="still_needed"))["items"]
    assert [one["id"] for one in asked] == [id_]
    head = await site.signed_in(people.HEAD)
    inbox = (await head.get("/decide")).text
    assert "<h2>Still needed?</h2>" in inbox and ">To decide (1)</a>" in inbox
    kept = await post(head, f"/requests/{id_}/keep", page=f"/requests/{id_}")
    assert kept.status_code == 303
    assert (await program.get("/requests", show="still_needed"))["items"] == []
    shown = (await head.get(f"/requests/{id_}")).text
    assert "Is it still needed?" not in shown and "kept it" in shown
    assert ">To decide</a>" in shown, "nothing waits"


async def test_what_cannot_be_renewed_is_said_and_recorded(site: Site) -> None:
    id_ = await site.sent_request(host="one.example", code="AAA-111")
    clerk = await site.signed_in(people.CLERK)
    answer = await post(clerk, f"/requests/{id_}/renew", page=f"/requests/{id_}")
    assert answer.status_code == 409 and "Nothing changed" in answer.text
    event = (await audit.events_of(site.admin.db, f"REQ-{id_}"))[-1]
    assert (event.kind, event.actor) == (EventKind.REQUEST_MOVE_REFUSED, people.CLERK)


async def test_what_the_policy_never_allows_by_now_is_not_renewed(site: Site) -> None:
    id_ = await open_for(site, "cardroom.example", 20, "AAA-111")
    site.state.policy_document.write_text(towns.DOCUMENT + "asking: {never: [gambling]}\n")
    await site.admin._publisher.reload_document()
    clerk = await site.signed_in(people.CLERK)
    answer = await post(clerk, f"/requests/{id_}/renew", page=f"/requests/{id_}")
    assert answer.status_code == 422 and "is never allowed" in answer.text


async def test_asker_ends_what_is_theirs_alone_and_nobody_elses(site: Site) -> None:
    id_ = await open_for(site, "one.example", 20, "AAA-111")
    page = f"/requests/{id_}"
    clerk, parks_head = await site.signed_in(people.CLERK), await site.signed_in(people.PARKS_HEAD)
    assert (await post(parks_head, f"{page}/end", page="/requests")).status_code == 403
    assert f'action="{page}/end"' in (await clerk.get(page)).text
    ended = await post(clerk, f"{page}/end", page=page)
    assert ended.headers["location"] == page
    assert PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes()).exemptions == ()
    shown = (await clerk.get(page)).text
    assert "Ended by you" in shown and "/end" not in shown
    event = (await audit.events_of(site.admin.db, f"REQ-{id_}"))[-1]
    assert (event.kind, event.actor) == (EventKind.REQUEST_STOPPED, people.CLERK)
    head = await site.signed_in(people.HEAD)
    assert "Ended by Clerk" in (await head.get(page)).text


async def test_asker_does_not_end_what_a_colleague_needs_too_or_the_whole_department(site: Site) -> None:
    ids = [
        await open_for(site, host, 20, code) for host, code in (("a.example", "AAA-111"), ("b.example", "B"))
    ]
    async with site.admin.db.transaction() as t:
        await t.execute("UPDATE access_request SET for_whom = 'department' WHERE id = ?", ids[0])
        await t.execute(
            "INSERT INTO access_request_joiner (access_request, person, browser, joined_at)"
            " VALUES (?, 'temp', 'x', 1)",
            ids[1],
        )
    clerk = await site.signed_in(people.CLERK)
    for id_ in ids:
        page = f"/requests/{id_}"
        assert "/end" not in (await clerk.get(page)).text
        assert (await post(clerk, f"{page}/end", page=page)).status_code == 403


async def test_head_sees_access_of_their_department_and_what_waits_for_their_review(site: Site) -> None:
    id_ = await open_for(site, "one.example", 20, "AAA-111")
    site.clock.at += 13 * DAY
    await site.admin.exemption_reviews.look()
    head, parks_head = await site.signed_in(people.HEAD), await site.signed_in(people.PARKS_HEAD)
    assert 'href="/exemptions"' in (await head.get("/decide")).text
    seen = (await head.get("/exemptions?show=review")).text
    assert ">one.example</a>" in seen and "Renew" in seen and "Stop&nbsp;access" in seen
    assert "one.example" not in (await parks_head.get("/exemptions")).text
    assert "Still needed?" in (await head.get("/decide")).text
    assert "Still needed?" not in (await parks_head.get("/decide")).text
    clerk = await site.signed_in(people.CLERK)
    assert (await clerk.get("/exemptions")).status_code == 403
    assert "Still needed?" in (await clerk.get("/requests")).text
    await post(head, f"/requests/{id_}/keep", page=f"/requests/{id_}")
    assert "Still needed?" not in (await head.get("/decide")).text


async def test_head_sees_what_it_alone_decided_for_their_people_once_it_is_open(site: Site) -> None:
    id_ = await open_for(site, "one.example", 20, "AAA-111")
    async with site.admin.db.transaction() as t:
        await t.execute("UPDATE access_request SET chain = '[\"it_security\"]' WHERE id = ?", id_)
    head, parks_head = await site.signed_in(people.HEAD), await site.signed_in(people.PARKS_HEAD)
    assert (await head.get(f"/requests/{id_}")).status_code == 200
    assert (await parks_head.get(f"/requests/{id_}")).status_code == 404
