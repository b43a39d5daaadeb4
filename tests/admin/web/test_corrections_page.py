"""Corrections on the admin site: looked up, made, undone, and never over what was not seen."""

import re

import pytest

from tests import people
from tests.admin.web.conftest import Site, post, visit
from tests.admin.web.test_visit_pages import allowed

PAGE = "/corrections?site=cardroom.example"


async def test_site_is_corrected_for_everyone_and_what_was_before_is_kept(site: Site) -> None:
    it = await site.signed_in(people.IT)
    lookup = (await it.get("/categories?site=play.cardroom.example")).text
    assert 'href="/corrections?site=play.cardroom.example"' in lookup
    answer = await post(
        it, "/corrections", PAGE, site="www.cardroom.example", category="reference", why="A museum"
    )
    assert answer.headers["location"] == PAGE
    page = (await it.get(PAGE)).text
    assert "as the town corrected it" in page and "A museum" in page
    seen = page.partition('name="seen" value="')[2].partition('"')[0]
    await post(it, "/corrections", PAGE, site="cardroom.example", category="nothing", why="Empty", seen=seen)
    assert "The town lists it as nothing." in (await it.get(PAGE)).text
    undone = await post(
        it, "/corrections/undo", PAGE, site="cardroom.example", undo_why="They closed", seen="2"
    )
    assert undone.status_code == 303
    page = (await it.get(PAGE)).text
    assert "in starter" in page and "A museum" in page and "The town corrects no list" in page


async def test_site_of_a_visit_is_blocked_by_a_category_that_the_policy_blocks(site: Site) -> None:
    await site.log(allowed("library.example"), visit(host="dice.example"))
    it = await site.signed_in(people.IT)
    log = (await it.get("/visits")).text
    (link,) = re.findall(r'href="([^"]+)">Block</a>', log)
    link = link.replace("&amp;", "&")
    assert link == "/corrections?site=library.example&to=blocked", "what is blocked already has no such link"
    page = (await it.get(link)).text
    offered = re.findall(r'<option value="(\w+)"', page)
    assert {"gambling", "malware"} <= {*offered} and not {"press", "nothing", "reference"} & {*offered}
    wrong = {"site": "library.example", "category": "press", "why": "So", "to": "blocked"}
    answer = await post(it, "/corrections", link, **wrong)
    assert answer.status_code == 422 and "Choose a category that the policy blocks" in answer.text
    assert "Block it now" in answer.text
    await post(it, "/corrections", link, **{**wrong, "category": "gambling", "why": "Only bets there"})
    page = (await it.get("/categories?site=library.example")).text
    assert "Gambling" in page
    assert 'href="/corrections' not in (await (await site.signed_in(people.HELP_DESK)).get("/visits")).text


async def test_correction_that_was_not_seen_is_not_overwritten(site: Site) -> None:
    it = await site.signed_in(people.IT)
    await post(it, "/corrections", PAGE, site="cardroom.example", category="reference", why="A museum")
    answer = await post(it, "/corrections", PAGE, site="cardroom.example", category="press", why="News")
    assert answer.status_code == 409
    assert "IT corrected this" in answer.text and "Reference" in answer.text and "A museum" in answer.text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"category": "", "why": "So"}, "Choose what it is"),
        ({"category": "gambing", "why": "So"}, "is not a category"),
        ({"category": "press", "why": " "}, "Enter why"),
        ({"site": "a b", "category": "press", "why": "So"}, "Enter a site, like example.com"),
        ({"site": "com", "category": "press", "why": "So"}, "com is not one site"),
    ],
)
async def test_what_makes_no_sense_corrects_nothing(site: Site, fields: dict[str, str], said: str) -> None:
    it = await site.signed_in(people.IT)
    answer = await post(it, "/corrections", PAGE, **({"site": "cardroom.example"} | fields))
    assert answer.status_code == 422 and said in answer.text
    undone = await post(it, "/corrections/undo", PAGE, site="cardroom.example", undo_why="So")
    assert undone.status_code == 422 and "cardroom.example is not corrected" in undone.text
    assert "The town corrects no list" in (await it.get("/corrections")).text
