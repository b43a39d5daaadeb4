"""Saying that a site is listed wrongly, or that it was an accident: the pages, and IT's answer."""

import asyncio

import httpx
import pytest

from admin import corrections
from policy.snapshot import PolicySnapshot
from tests import people
from tests.admin.web.conftest import Site, post, visit
from tests.admin.web.test_api import program_of
from tests.towns import DOCUMENT

CODE = "K7M-4QP"


async def reporting(
    site: Site, place: str, person: str = people.CLERK, **changed: object
) -> httpx.AsyncClient:
    """Return a browser in which a block page's link was followed."""
    client = site.client()
    answer = await client.get(f"/{place}", params={"token": site.token(person, **changed)})
    assert answer.headers["location"] == f"/{place}/{changed.get('code', CODE)}", (
        "the token has left the address"
    )
    return client


async def say_wrong(site: Site, person: str = people.CLERK, **changed: object) -> httpx.AsyncClient:
    client = await reporting(site, "wrong-category", person, **changed)
    path = f"/wrong-category/{changed.get('code', CODE)}"
    # Nobody sees the mark of direction: neither is it shown, nor does it turn round what follows.
    answer = await post(client, path, proposed="reference", remark="A \u202emuseum\r\nof\x1b cards")
    assert answer.status_code == 303, answer.text
    return client


async def test_wrong_category_is_said_and_seen_until_it_answers(site: Site) -> None:
    client = await reporting(site, "wrong-category")
    form = (await client.get(f"/wrong-category/{CODE}")).text
    assert "What should cardroom.example be listed as?" in form
    assert "Gambling" in form and "I do not know" in form
    answer = await post(client, f"/wrong-category/{CODE}", proposed="reference", remark="A museum of cards")
    page = (await client.get(answer.headers["location"])).text
    assert "Thank you. IT looks at it." in page and "Waiting for IT" in page
    assert "The answer shows under My requests." in page, "no mail is promised without a server"
    mine = (await client.get("/requests")).text
    assert "REP-1" in mine and "wrong category" in mine


async def test_link_says_nothing_by_itself(site: Site) -> None:
    await reporting(site, "wrong-category")
    await reporting(site, "accident", code="H7M-4QP")
    it = await site.signed_in(people.IT)
    assert "Nothing to review" in (await it.get("/review")).text


async def test_it_corrects_what_was_said_for_everyone_and_the_sayer_is_told(site: Site) -> None:
    clerk = await say_wrong(site)
    it = await site.signed_in(people.IT)
    board = (await it.get("/review")).text
    assert "Listed as Gambling by starter" in board.replace("\n", " ")
    assert "Asked: Reference" in board and "A museum of cards" in board and "Finance" in board
    assert "Clerk" not in board, "who said so is not shown"
    assert "To review (1)" in board
    answer = await post(it, "/review/reports/1", "/review", answer="correct", category="education")
    assert answer.headers["location"] == "/review?done=1"
    done = (await it.get("/review?done=1")).text
    assert "In force everywhere since" in done and "To review (" not in done
    snapshot = PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes())
    assert [(c.site, c.categories) for c in snapshot.corrections] == [("cardroom.example", ("education",))]
    page = (await clerk.get("/reports/1")).text
    assert "Corrected: Education" in page
    letter = await site.admin.db.fetch_one("SELECT recipient FROM letter WHERE kind = 'category_answered'")
    assert letter is not None and letter["recipient"] == people.CLERK


async def test_it_keeps_what_is_right_and_says_why(site: Site) -> None:
    clerk = await say_wrong(site)
    it = await site.signed_in(people.IT)
    empty = await post(it, "/review/reports/1", "/review", answer="keep", note=" ")
    assert empty.status_code == 422 and "Enter why. Those who asked read it" in empty.text
    await post(it, "/review/reports/1", "/review", answer="keep", note="They play for money")
    page = (await clerk.get("/reports/1")).text
    assert "The category is right" in page and "They play for money" in page


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"answer": "correct", "category": ""}, "Choose what it is"),
        ({"answer": "correct", "category": "gambing"}, "is not a category"),
        ({"answer": "explode"}, "Choose what it is"),
        ({"answer": "block", "category": "press"}, "Choose a category that the policy blocks"),
        ({"answer": "block", "category": "adult"}, "This is no answer to that"),
        ({"answer": "no_problem"}, "This is no answer to that"),
    ],
)
async def test_answer_that_makes_no_sense_answers_nothing(
    site: Site, fields: dict[str, str], said: str
) -> None:
    clerk = await say_wrong(site)
    it = await site.signed_in(people.IT)
    answer = await post(it, "/review/reports/1", "/review", **fields)
    assert answer.status_code == 422 and said in answer.text
    assert "Waiting for IT" in (await clerk.get("/reports/1")).text
    assert (await post(it, "/review/reports/9", "/review", answer="keep", note="So")).status_code == 404


async def test_of_two_who_answer_at_once_one_wins_and_the_other_is_told(site: Site) -> None:
    await say_wrong(site)
    first, second = await site.signed_in(people.IT), await site.signed_in(people.IT)
    answers = await asyncio.gather(
        post(first, "/review/reports/1", "/review", answer="correct", category="education"),
        post(second, "/review/reports/1", "/review", answer="keep", note="It is right"),
    )
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    told = next(answer for answer in answers if answer.status_code == 409).text
    assert "Already answered" in told and "Nothing changed" in told
    refused = await site.admin.db.fetch_all("SELECT * FROM event WHERE kind = 'report.move_refused'")
    assert len(refused) == 1


async def test_what_was_corrected_since_the_board_was_shown_is_not_overwritten(site: Site) -> None:
    await say_wrong(site)
    it = await site.signed_in(people.IT)
    await post(
        it,
        "/corrections",
        "/corrections?site=cardroom.example",
        site="cardroom.example",
        category="press",
        why="News",
    )
    answer = await post(it, "/review/reports/1", "/review", answer="correct", category="education")
    assert answer.status_code == 409 and "Already corrected" in answer.text
    assert "To review (1)" in (await it.get("/review")).text


async def test_nobody_of_it_answers_what_they_said_themselves_while_another_is_there(site: Site) -> None:
    await say_wrong(site, people.IT)
    it = await site.signed_in(people.IT)
    answers = ({"answer": "correct", "category": "education"}, {"answer": "keep", "note": "It is right"})
    two_of_it = DOCUMENT.replace("it_security: [it]", "it_security: [it, administrator]")
    site.state.policy_document.write_text(two_of_it)
    await site.admin._publisher.reload_document()
    board = (await it.get("/review")).text
    assert "You said so yourself. Another of IT answers it." in board and "/review/reports/1" not in board
    for fields in answers:
        refused = await post(it, "/review/reports/1", "/review", **fields)
        assert refused.status_code == 403 and "It goes to another of IT. Nothing changed." in refused.text
    program = await program_of(site, people.IT)
    told = await program.post("/review/reports/1", 403, answer="kept", note="It is right")
    assert (told["type"], told["detail"]) == (
        "/api#own-request",
        "It goes to another of IT. Nothing changed.",
    )
    events = await site.admin.db.fetch_all("SELECT kind, actor FROM event WHERE subject = 'REP-1'")
    assert [tuple(row) for row in events] == [
        ("report.sent", people.IT),
        *[("report.move_refused", people.IT)] * 3,
    ]
    assert await corrections.all_in_force(site.admin.db) == []
    # Who is alone in IT answers it: nobody else could.
    site.state.policy_document.write_text(DOCUMENT)
    await site.admin._publisher.reload_document()
    assert (await post(it, "/review/reports/1", "/review", **answers[0])).status_code == 303


async def test_what_another_of_it_said_as_well_is_answered_by_who_did_not(site: Site) -> None:
    two_of_it = DOCUMENT.replace("it_security: [it]", "it_security: [it, administrator]")
    site.state.policy_document.write_text(two_of_it)
    await site.admin._publisher.reload_document()
    await say_wrong(site)
    await say_wrong(site, people.IT, code="H7M-4QP")
    it, other = await site.signed_in(people.IT), await site.signed_in(people.ADMINISTRATOR)
    keep = {"answer": "keep", "note": "It is right"}
    assert (await post(it, "/review/reports/1", "/review", **keep)).status_code == 403
    assert (await post(other, "/review/reports/1", "/review", **keep)).status_code == 303


async def test_accident_is_marked_on_its_visit_and_blocked_from_the_board(site: Site) -> None:
    clerk = await reporting(site, "accident")
    assert "Tell my department head and IT" in (await clerk.get(f"/accident/{CODE}")).text
    answer = await post(clerk, f"/accident/{CODE}")
    page = (await clerk.get(answer.headers["location"])).text
    assert "Thank you. The visit is marked Reported." in page
    await site.log(visit(code=CODE), visit(code="H7M-4QP"))
    it = await site.signed_in(people.IT)
    assert (await it.get("/visits")).text.count(">Reported<") == 1
    board = (await it.get("/review")).text
    assert "Came by accident" in board and "Finance" in board
    assert "It is blocked for everyone already." in board and "Block the site" not in board
    assert "No problem" in board
    corrected = await corrections.correct(
        site.admin.db,
        "cardroom.example",
        ["education"],
        why="Now a school",
        actor=people.IT,
        at=site.clock.at,
        seen=None,
    )
    board = (await it.get("/review")).text
    assert "blocked for everyone already" not in board and "Block the site" in board
    assert 'value="press"' not in board, "only what the policy blocks is offered"
    await post(it, "/review/reports/1", "/review", answer="block", category="adult", seen=str(corrected.id))
    snapshot = PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes())
    assert [(c.site, c.categories) for c in snapshot.corrections] == [("cardroom.example", ("adult",))]
    assert "Reported, and blocked for everyone" in (await clerk.get("/reports/1")).text


async def test_accident_that_is_no_problem_changes_nothing(site: Site) -> None:
    clerk = await reporting(site, "accident")
    await post(clerk, f"/accident/{CODE}")
    it = await site.signed_in(people.IT)
    await post(it, "/review/reports/1", "/review", answer="no_problem")
    assert PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes()).corrections == ()
    assert "Reported, no problem" in (await clerk.get("/reports/1")).text


@pytest.mark.parametrize("person", [people.HEAD, people.HELP_DESK, people.CLERK])
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/review", None),
        ("/corrections", None),
        ("/review/reports/1", {"answer": "keep", "note": "So"}),
        ("/corrections", {"site": "cardroom.example", "category": "press", "why": "So"}),
        ("/corrections/undo", {"site": "cardroom.example", "undo_why": "So"}),
    ],
)
async def test_the_board_is_its(site: Site, person: str, path: str, fields: dict[str, str] | None) -> None:
    await say_wrong(site)
    client = await site.signed_in(person)
    answer = await client.get(path) if fields is None else await post(client, path, "/requests", **fields)
    assert answer.status_code == 403
    refused = await site.admin.db.fetch_all("SELECT actor FROM event WHERE kind LIKE '%_refused'")
    assert [row["actor"] for row in refused] == ([] if fields is None else [person])


async def test_a_report_is_for_whoever_sent_it_and_for_it(site: Site) -> None:
    clerk = await say_wrong(site)
    assert (await clerk.get("/reports/1")).status_code == 200
    assert (await (await site.signed_in(people.IT)).get("/reports/1")).status_code == 200
    assert (await (await site.signed_in(people.HEAD)).get("/reports/1")).status_code == 404
    elsewhere = await site.asking(people.CLERK, code="J7M-4QP")
    assert (await elsewhere.get("/reports/1")).status_code == 404


async def test_what_was_stopped_and_what_was_asked_for_can_be_said_to_be_wrong(site: Site) -> None:
    await site.log(visit(code=CODE))
    clerk = await site.signed_in(people.CLERK)
    answer = await post(clerk, await site.of_visit(1, "stopped", "wrong-category"), "/stopped")
    assert answer.headers["location"] == f"/wrong-category/{CODE}"
    answer = await post(clerk, await site.of_visit(1, "stopped", "accident"), "/stopped")
    assert answer.headers["location"] == f"/accident/{CODE}"
    number = await site.sent_request(code="H7M-4QP", host="other.example")
    answer = await post(clerk, f"/requests/{number}/wrong-category", f"/requests/{number}")
    assert answer.headers["location"] == "/wrong-category/H7M-4QP"
    assert "What should other.example be" in (await clerk.get(answer.headers["location"])).text


async def test_form_of_a_link_that_was_not_followed_here_is_not_there(site: Site) -> None:
    client = await reporting(site, "wrong-category")
    assert (await client.get("/wrong-category/ELS-WHR")).status_code == 404
    assert (await client.get("/accident/ELS-WHR")).status_code == 404
    assert (await site.client().get("/wrong-category", params={"token": "abc"})).status_code == 400
