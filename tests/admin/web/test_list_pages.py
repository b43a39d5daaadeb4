"""Categories and what Today says of the lists and of the day."""

import html
import re
from datetime import timedelta

import httpx
import pytest

from admin import corrections
from categories.publishing import end_hold, go_back, versions
from categories.source_checks import SourceCheck
from categories.sources import KeptSources, Source
from categories.updating import update
from tests import people
from tests.admin.web.conftest import Site, visit


async def _it(site: Site) -> httpx.AsyncClient:
    return await site.signed_in(people.IT)


def with_list(site: Site, *, days_old: int = 0, refused: str | None = None) -> None:
    """Put a list of games into force, last fetched so long ago and perhaps refused since."""
    state = site.state
    at = site.clock.at - timedelta(days=days_old)
    path = state.root / "games.txt"
    path.write_text("play.example\n")
    update([Source("games", str(path))], state.category_sources, state.categories, at)
    if refused is not None:
        check = SourceCheck("https://lists.example/", None, at, at)
        note = check.failed(site.clock.at, f"https://lists.example/: {refused}")
        KeptSources(state.category_sources).note("games", note)


def _text(page: httpx.Response) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("www.play.example", "Games , by play.example in games of Fri, March 6"),
        ("https://cardroom.example/table?name=clerk", "Gambling , by cardroom.example in starter"),
        ("library.example", "Not listed. Only a rule for uncategorised sites says something about it."),
        ("card room", "Enter a site, like cardroom.example"),
        ("ftp://cardroom.example/", "Enter a site, like cardroom.example"),
        ("<script>", "Enter a site, like cardroom.example"),
    ],
)
async def test_site_is_looked_up_in_the_lists_in_force(site: Site, asked: str, shown: str) -> None:
    with_list(site)
    answer = await (await _it(site)).get("/categories", params={"site": asked})
    assert answer.status_code == 200
    assert shown in _text(answer)
    assert "clerk" not in answer.text.partition("<main")[2]


async def test_correction_is_shown_in_place_of_the_lists(site: Site) -> None:
    await corrections.correct(
        site.admin.db,
        "cardroom.example",
        ["education"],
        why="It is the card catalogue.",
        actor=people.IT,
        at=site.clock.at,
        seen=None,
    )
    page = _text(await (await _it(site)).get("/categories", params={"site": "www.cardroom.example"}))
    assert ", by cardroom.example in the town's corrections" in page
    assert "Gambling ," not in page


@pytest.mark.parametrize(
    ("days_old", "refused", "on_today", "on_categories"),
    [
        (0, None, "All is well.", "games Fresh"),
        (3, None, "The list “games” is 3 days old. See lists", "games Old since Fri, March 6"),
        (
            1,
            "it looks like a web page, not a list",
            "The newest edition of the list “games” was refused. That of Thu, March 5 stays in force.",
            "It looks like a web page, not a list. The entries of Thu, March 5 stay in force.",
        ),
        (
            4,
            "it is empty",
            "The list “games” is 4 days old.",
            "It is empty. The entries of Mon, March 2 stay",
        ),
    ],
)
async def test_list_in_trouble_is_said_where_it_looks_first(
    site: Site, days_old: int, refused: str | None, on_today: str, on_categories: str
) -> None:
    with_list(site, days_old=days_old, refused=refused)
    it = await _it(site)
    today = _text(await it.get("/today"))
    assert on_today in today
    assert ("All is well" in today) is (on_today == "All is well.")
    assert on_categories in _text(await it.get("/categories"))


async def test_list_that_could_not_be_fetched_is_not_said_to_be_refused(site: Site) -> None:
    state = site.state
    update(
        [Source("games", "http://lists.invalid/games.txt")],
        state.category_sources,
        state.categories,
        site.clock.at,
    )
    it = await _it(site)
    page = _text(await it.get("/categories"))
    assert "games Not fetched" in page and "The newest edition of the list “games” was not fetched" in page
    assert "The name cannot be resolved" in page and "efused" not in page
    assert "The first edition of the list “games” could not be fetched." in _text(await it.get("/today"))


async def test_lists_that_were_gone_back_to_are_said_until_that_is_ended(site: Site) -> None:
    with_list(site)
    it = await _it(site)
    heading = "Lists of before are in force"
    assert heading not in _text(await it.get("/categories"))
    go_back(site.state.categories, versions(site.state.categories)[1])
    page = _text(await it.get("/categories"))
    assert heading in page
    assert "New lists are fetched and not used before towngate categories rollback --end ." in page
    end_hold(site.state.categories)
    assert heading not in _text(await it.get("/categories"))


async def test_a_wrong_category_leads_it_to_correcting_it(site: Site) -> None:
    link = '<a href="/corrections?site=www.cardroom.example">'
    asked = {"site": "www.cardroom.example"}
    assert link in (await (await _it(site)).get("/categories", params=asked)).text
    help_desk = await site.signed_in(people.HELP_DESK)
    assert link not in (await help_desk.get("/categories", params=asked)).text


async def test_why_a_list_was_refused_is_for_it_alone(site: Site) -> None:
    with_list(site, refused="10.1.2.3 is not a public address; not connected to")
    assert "10.1.2.3" in (await (await _it(site)).get("/categories")).text
    assert "10.1.2.3" not in (await (await site.signed_in(people.HELP_DESK)).get("/categories")).text


async def test_lists_are_not_for_everyone(site: Site) -> None:
    assert (await (await site.signed_in(people.HEAD)).get("/categories")).status_code == 403
    assert (await site.client().get("/categories")).status_code == 303


async def test_visits_by_hour_are_drawn_and_written(site: Site) -> None:
    ten = site.clock.at.replace(minute=0, second=0, microsecond=0)
    await site.log(
        visit(ten - timedelta(hours=1)), visit(ten - timedelta(minutes=1)), visit(ten - timedelta(hours=3))
    )
    page = await (await _it(site)).get("/today")
    hour = f"{(ten - timedelta(hours=1)).astimezone(site.admin.zone):%-I %p}"
    assert f"The busiest hour began at {hour} : 2 visits, 2 blocked." in _text(page)
    assert page.text.count('class="chart__all"') == 2
    assert page.text.count('class="chart__part"') == 2
    assert f"{hour} 2 2" in _text(page)


async def test_day_without_visits_has_no_bars(site: Site) -> None:
    page = await (await _it(site)).get("/today")
    assert "No visits yet today." in page.text
    assert "<svg viewBox" not in page.text.partition("Visits by hour")[2]
