"""Sites that no list knows, by use, on the admin site: seen by IT, corrected with one form."""

import html
import re
from datetime import timedelta

from policy.snapshot import PolicySnapshot
from tests import people
from tests.admin.web.conftest import FRIDAY_MORNING, Site, post, visit

PAGE = "/categories/unlisted"


def text_of(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.partition("<main")[2])).split())


async def with_visits(site: Site) -> None:
    day = FRIDAY_MORNING - timedelta(days=5)
    await site.log(
        visit(host="www.paypa1.example"),
        *(visit(host="tools.example", person=f"clerk-{n}") for n in range(3)),
        visit(host="cdn.tools.example", started_at=day, ended_at=day),
        visit(host="cardroom.example"),
        visit(host="old.example", started_at=FRIDAY_MORNING - timedelta(days=31)),
    )


async def test_sites_in_no_list_are_shown_by_use_with_other_names_and_look_alikes(site: Site) -> None:
    await with_visits(site)
    it = await site.signed_in(people.IT)
    assert f'href="{PAGE}"' in (await it.get("/categories")).text
    shown = (await it.get(PAGE)).text
    page = text_of(shown)
    assert re.findall(r'<h2 class="site">(.*?)</h2>', shown) == ["tools.example", "paypa1.example"]
    assert "4 visits, 3 people, first seen Sun, March 1" in page
    assert "As tools.example , cdn.tools.example" in page
    assert "Looks like paypal.com" in page.partition("paypa1.example")[2]
    assert "1 visit, under 3 people" in page
    assert "cardroom.example" not in page and "old.example" not in page and "clerk" not in page


async def test_one_form_corrects_a_site_at_once_and_takes_it_off_the_page(site: Site) -> None:
    await with_visits(site)
    it = await site.signed_in(people.IT)
    answer = await post(
        it,
        "/corrections",
        PAGE,
        site="tools.example",
        category="business_tools",
        why="Ours",
        **{"from": "unlisted"},
    )
    assert answer.headers["location"] == f"{PAGE}?corrected=tools.example"
    snapshot = PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes())
    assert [(made.site, made.categories) for made in snapshot.corrections] == [
        ("tools.example", ("business_tools",))
    ]
    event = await site.admin.db.fetch_one("SELECT kind, actor, subject FROM event ORDER BY id DESC LIMIT 1")
    assert event is not None and tuple(event) == ("site.corrected", people.IT, "tools.example")
    shown = (await it.get(answer.headers["location"])).text
    assert re.findall(r'<h2 class="site">(.*?)</h2>', shown) == ["paypa1.example"]
    assert "tools.example is now listed as Business tools, for everyone." in text_of(shown)
    assert "is now listed" not in (await it.get(f"{PAGE}?corrected=other.example")).text


async def test_page_is_parted_and_holds_the_hundred_most_used(site: Site) -> None:
    await site.log(*(visit(host=f"site-{n:03}.example") for n in range(101)))
    it = await site.signed_in(people.IT)
    found: list[str] = []
    for number in range(1, 6):
        shown = (await it.get(f"{PAGE}?page={number}")).text
        found += re.findall(r'<h2 class="site">(.*?)</h2>', shown)
        assert "the 100 most used" in shown
        assert (f"page={number + 1}" in shown) is (number < 5)
    assert found == [f"site-{n:03}.example" for n in range(100)]
    assert "site-000.example" in (await it.get(f"{PAGE}?page=99")).text


async def test_page_is_for_it_alone(site: Site) -> None:
    for person in (people.HELP_DESK, people.CLERK):
        client = await site.signed_in(person)
        assert (await client.get(PAGE)).status_code == 403
        assert PAGE not in (await client.get("/categories")).text


async def test_town_that_visits_only_what_is_listed_is_told_so(site: Site) -> None:
    await site.log(visit())
    page = text_of((await (await site.signed_in(people.IT)).get(PAGE)).text)
    assert "Nothing: every site that was visited in the last 30 days is in a list or corrected." in page


async def test_look_alikes_of_a_file_of_well_known_sites_are_marked_too(site: Site) -> None:
    await site.log(visit(host="townbenk.example"))
    it = await site.signed_in(people.IT)
    assert "Looks like" not in (await it.get(PAGE)).text
    site.state.settings_document.write_text("lists: {well_known: top.csv}\n")
    await site.until(lambda: site.admin.settings.settings.lists.well_known is not None)
    # A file that is not there leaves those that ship.
    assert "Looks like" not in (await it.get(PAGE)).text
    (site.state.root / "top.csv").write_text("1,www.townbank.example\n")
    assert "Looks like townbank.example" in (await it.get(PAGE)).text
