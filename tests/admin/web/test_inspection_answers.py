"""The board's section on programs that do not trust the town's certificate: one click, and a way back."""

from datetime import timedelta
from typing import Any

import pytest

from admin import corrections
from admin.audit import EventKind
from policy.decision import Cause, Lane, Verdict
from policy.snapshot import PolicySnapshot
from policy.visit_record import NOT_TRUSTED, VisitRecord
from tests import people
from tests.admin.web.conftest import Site, post, visit
from tests.people import IT

HOST = "social.example"
BOARD = "/review"


def failed(**changed: Any) -> VisitRecord:
    values: dict[str, Any] = {
        "host": HOST,
        "verdict": Verdict.VIEW_ONLY,
        "lane": Lane.INSPECT,
        "cause": Cause.RULE,
        "rule": "social-read",
        "category": "social_networks",
        "entry": HOST,
        "refusal": NOT_TRUSTED,
    }
    return visit(**(values | changed))


async def with_social_read(site: Site) -> None:
    """Have social networks read only, and HOST be one."""
    document = site.state.policy_document
    rule = "rules:\n  - {id: social-read, categories: [social_networks], action: view_only}\n"
    document.write_text(document.read_text().replace("rules:\n", rule, 1))
    await site.until(lambda: site.admin.policy.rules[0].id == "social-read")
    await with_social_read_of(site, HOST)


async def with_social_read_of(site: Site, host: str) -> None:
    """List a site as a social network."""
    await corrections.correct(
        site.admin.db, host, ["social_networks"], why="It is", actor=IT, at=site.clock.at, seen=None
    )
    await site.until(lambda: host in {one.site for one in published(site).corrections})


def published(site: Site) -> PolicySnapshot:
    return PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes())


async def test_site_is_not_opened_after_one_click_and_opened_again_after_another(site: Site) -> None:
    await with_social_read(site)
    earlier = site.clock.at - timedelta(minutes=20)
    await site.log(failed(started_at=earlier, ended_at=earlier), failed())
    it = await site.signed_in(IT)
    board = (await it.get(BOARD)).text.replace("\u00a0", " ")
    assert "Programs that do not trust the town’s certificate" in board and "To review (1)" in board
    assert "2 refusals on 1 or 2 devices, in Finance. Last" in board
    assert "<b>social-read</b>" in board
    assert published(site).never_inspect == ()
    empty = await post(it, "/review/never-inspect", BOARD, host=HOST, why=" ")
    assert empty.status_code == 422 and "Enter why" in empty.text
    answer = await post(it, "/review/never-inspect", BOARD, host=HOST, why="Its app pins")
    assert answer.status_code == 303
    assert published(site).never_inspect == (HOST,)
    done = (await it.get(answer.headers["location"])).text
    assert "Not decrypted anywhere since" in done and "Nothing to review" in done and "Its app pins" in done
    late = await post(it, "/review/never-inspect", BOARD, host=HOST, why="Me too")
    assert late.status_code == 409 and "Nothing changed" in late.text
    again = await post(it, "/review/inspect-again", BOARD, host=HOST, why="It trusts us now")
    assert published(site).never_inspect == ()
    assert "Rules have it decrypted again everywhere since" in (await it.get(again.headers["location"])).text
    kinds = [row["kind"] for row in await site.admin.db.fetch_all("SELECT kind FROM event ORDER BY id")]
    assert [kind for kind in kinds if "inspect" in kind] == [
        EventKind.SITE_NEVER_INSPECTED,
        EventKind.SITE_INSPECTION_REFUSED,
        EventKind.SITE_INSPECTED_AGAIN,
    ]


async def test_what_is_left_leaves_the_board_and_is_opened_as_before(site: Site) -> None:
    await with_social_read(site)
    await site.log(failed())
    it = await site.signed_in(IT)
    answer = await post(it, "/review/leave-inspected", BOARD, host=HOST)
    board = (await it.get(answer.headers["location"])).text
    assert "It is decrypted as before" in board and "Nothing to review" in board
    assert published(site).never_inspect == ()


async def test_site_that_became_blocked_since_the_board_was_shown_is_not_added(site: Site) -> None:
    await with_social_read(site)
    await site.log(failed())
    it = await site.signed_in(IT)
    present = await corrections.in_force(site.admin.db, HOST)
    assert present is not None
    await corrections.correct(
        site.admin.db, HOST, ["gambling"], why="So", actor=IT, at=site.clock.at, seen=present.id
    )
    answer = await post(it, "/review/never-inspect", BOARD, host=HOST, why="Its app pins")
    assert answer.status_code == 422
    assert f"{HOST} is listed as Gambling, which the policy blocks" in answer.text
    assert published(site).never_inspect == ()


@pytest.mark.parametrize("person", [people.HEAD, people.HELP_DESK, people.CLERK])
@pytest.mark.parametrize("move", ["never-inspect", "inspect-again", "leave-inspected"])
async def test_only_it_answers_and_another_is_recorded(site: Site, person: str, move: str) -> None:
    client = await site.signed_in(person)
    answer = await post(client, f"/review/{move}", "/requests", host=HOST, why="So")
    assert answer.status_code == 403
    assert published(site).never_inspect == ()
    row = await site.admin.db.fetch_one(
        "SELECT actor FROM event WHERE kind = ?", EventKind.SITE_INSPECTION_REFUSED.value
    )
    assert row is not None and row["actor"] == person


async def test_other_pages_count_these_sites_anew_after_an_answer_or_five_minutes(site: Site) -> None:
    await with_social_read(site)
    await site.log(failed())
    it = await site.signed_in(IT)

    async def counted() -> bool:
        return "To review (1)" in (await it.get("/requests")).text

    assert await counted()
    await post(it, "/review/leave-inspected", "/requests", host=HOST)
    assert not await counted(), "who has answered sees it at once"
    await with_social_read_of(site, "forum.example")
    await site.log(failed(host="forum.example"))
    assert not await counted(), "it is not looked for on every page"
    site.clock.at += timedelta(minutes=5)
    assert await counted()
