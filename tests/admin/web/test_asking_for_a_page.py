"""Asking for one page of a site: what the form offers, and where the page's path is shown."""

import pytest

from tests import people, towns
from tests.admin.web.conftest import Site, post, visit
from tests.admin.web.test_api import program_of
from tests.admin.web.test_limit_pages import published
from tests.published_town import CATEGORIES, publish_lists

PATH = "/r/cards"
ENTRY = "cardroom.example/r"
FILLED_IN = {"reason": "For the grant file.", "duration": "week", "for_whom": "person"}


async def test_form_offers_the_page_first_where_the_block_page_was_of_one(site: Site) -> None:
    of_page = (await (await site.asking(path=PATH)).get("/ask/K7M-4QP")).text
    only = 'Only <b class="site">cardroom.example</b><span class="site">/r/cards</span> and what is below it'
    assert "What do you need?" in of_page and only in of_page
    assert 'id="extent-page" value="page" required checked' in of_page
    assert 'All of <b class="site">cardroom.example</b>' in of_page
    of_site = (await (await site.asking(code="P2M-4QP")).get("/ask/P2M-4QP")).text
    assert "What do you need?" not in of_site


@pytest.mark.parametrize(("extent", "path"), [("page", PATH), ("site", "")])
async def test_what_is_chosen_is_asked_for_decided_and_opened(extent: str, path: str, site: Site) -> None:
    clerk = await site.asking(path=PATH, entry=ENTRY)
    sent = await post(clerk, "/ask/K7M-4QP", **FILLED_IN, extent=extent)
    assert sent.headers["location"] == "/requests/1/sent"
    head = await site.signed_in(people.HEAD)
    page = (await head.get("/decide/1")).text
    assert f"Allow cardroom.example{path} for Clerk?" in page
    assert ("what is below it, not its other pages" in page) is bool(path)
    assert ("and its subdomains" in page) is not bool(path)
    end = "2026-03-07T15:00:00Z"
    allowed = await post(head, "/decide/1", answer="allow", step="0", expires_at=end)
    assert allowed.status_code == 303
    (exemption,) = published(site).exemptions
    assert (exemption.host, exemption.path, exemption.person) == ("cardroom.example", path, people.CLERK)


@pytest.mark.parametrize("extent", ["", "all"])
async def test_who_chose_neither_is_asked_again(extent: str, site: Site) -> None:
    clerk = await site.asking(path=PATH)
    answer = await post(clerk, "/ask/K7M-4QP", **FILLED_IN, extent=extent)
    assert answer.status_code == 422
    assert "Choose what you need" in answer.text and "For the grant file." in answer.text


async def test_a_page_that_the_link_did_not_name_is_not_asked_for(site: Site) -> None:
    clerk = await site.asking()
    assert (await post(clerk, "/ask/K7M-4QP", **FILLED_IN, extent="page")).status_code == 303
    head = await site.signed_in(people.HEAD)
    assert "Allow cardroom.example for Clerk?" in (await head.get("/decide/1")).text


async def test_the_page_is_shown_wherever_its_request_and_access_are(site: Site) -> None:
    clerk = await site.asking(path=PATH, entry=ENTRY)
    sent = await post(clerk, "/ask/K7M-4QP", **FILLED_IN, extent="page")
    shown = "cardroom.example/r/cards"
    for where in (sent.headers["location"], "/requests", "/requests/1"):
        assert shown in (await clerk.get(where)).text, where
    again = await site.asking(path=PATH, code="P2M-4QP", issued_at=site.clock.at)
    assert f'REQ-1, <b class="site">{shown}</b>' in (await again.get("/ask/P2M-4QP")).text
    head = await site.signed_in(people.HEAD)
    assert shown in (await head.get("/decide")).text
    await post(head, "/decide/1", answer="allow", step="0", expires_at="2026-03-07T15:00:00Z")
    administrator = await site.signed_in(people.IT)
    for where in ("/exemptions", "/review"):
        assert shown in (await administrator.get(where)).text, where
    records = (await administrator.get("/records")).text
    assert "/r/cards" in records and "Page" in records
    seen = await (await program_of(site, people.HEAD)).get("/requests/1")
    assert (seen["site"], seen["path"]) == ("cardroom.example", PATH)


async def test_a_colleague_joins_for_the_page_and_is_told_which(site: Site) -> None:
    await post(await site.asking(path=PATH), "/ask/K7M-4QP", **FILLED_IN, extent="page")
    person = "people:\n  colleague: {name: Colleague, department: finance}\n"
    site.state.policy_document.write_text(towns.DOCUMENT.replace("people:\n", person, 1))
    await site.admin._publisher.reload_document()
    colleague = await site.asking("colleague", path=PATH, code="P2M-4QP", device=None)
    form = (await colleague.get("/ask/P2M-4QP")).text
    assert 'has asked for <b class="site">cardroom.example/r/cards</b>.' in form
    assert "Join this request" in form
    await post(colleague, "/ask/P2M-4QP/join", page="/ask/P2M-4QP")
    assert "cardroom.example/r/cards" in (await colleague.get("/requests")).text
    other = await site.asking("colleague", path="/r/poker", code="Q2M-4QP", device=None)
    assert "Join this request" not in (await other.get("/ask/Q2M-4QP")).text


async def test_requests_for_two_pages_of_a_site_are_two_cards(site: Site) -> None:
    for code, path in (("K7M-4QP", PATH), ("P2M-4QP", "/r/poker"), ("Q2M-4QP", PATH)):
        person = people.PARKS_HEAD if code == "Q2M-4QP" else people.CLERK
        roles = ("town_administrator",)
        asking = await site.asking(person, path=path, code=code, approval=roles, rule="gone")
        sent = await post(asking, f"/ask/{code}", **FILLED_IN, extent="page")
        assert sent.status_code == 303, sent.text
    administrator = await site.signed_in(people.ADMINISTRATOR)
    page = (await administrator.get("/decide")).text
    assert page.count(PATH) == page.count("/r/poker") >= 1


@pytest.mark.parametrize(("code", "is_about_it"), [("K7M-4QP", True), ("N7Q-9DD", False)])
async def test_of_what_was_stopped_here_only_that_page_shows_its_request(
    code: str, *, is_about_it: bool, site: Site
) -> None:
    clerk = await site.asking(path=PATH, entry=ENTRY)
    await post(clerk, "/ask/K7M-4QP", **FILLED_IN, extent="page")
    await site.log(visit(code=code, entry=ENTRY))
    shown = (await clerk.get("/stopped")).text
    assert code in shown and ("REQ-1:" in shown) is is_about_it


async def test_renewing_asks_for_the_same_page(site: Site) -> None:
    clerk = await site.asking(path=PATH)
    await post(clerk, "/ask/K7M-4QP", **FILLED_IN, extent="page")
    head = await site.signed_in(people.HEAD)
    await post(head, "/decide/1", answer="allow", step="0", expires_at="2026-03-07T15:00:00Z")
    renewed = await post(await site.signed_in(people.CLERK), "/requests/1/renew")
    assert renewed.status_code == 303
    assert "Allow cardroom.example/r/cards for Clerk?" in (await head.get("/decide/2")).text


async def lists_pages(site: Site) -> None:
    """Have a rule look for URLs inside HTTPS, and a list name some of library.example as adult."""
    rule = "  - {id: pages, categories: [adult], action: block, inspect: urls, approval: [department_head]}\n"
    site.state.policy_document.write_text(towns.DOCUMENT.replace("rules:\n", f"rules:\n{rule}", 1))
    await site.admin._publisher.reload_document()
    publish_lists(site.state, CATEGORIES, {"adult": [("library.example", "/r")]})


async def test_a_page_is_asked_for_before_it_was_visited(site: Site) -> None:
    await lists_pages(site)
    clerk = await site.signed_in(people.CLERK)
    found = await post(clerk, "/requests/new", site="https://library.example/r/Cards?page=2")
    form = (await clerk.get(found.headers["location"])).text
    assert "/r/cards</span> and what is below it" in form and "Adult" in form
    for is_open in ("library.example", "https://library.example/books"):
        assert "This site is open" in (await post(clerk, "/requests/new", site=is_open)).text
    # Nothing could be opened for its pages alone.
    whole = await post(clerk, "/requests/new", site="https://cardroom.example/r/cards")
    assert "What do you need?" not in (await clerk.get(whole.headers["location"])).text


async def test_a_program_asks_for_a_page(site: Site) -> None:
    await lists_pages(site)
    clerk = await program_of(site, people.CLERK)
    asked = {"reason": "For the grant file.", "duration": "week", "for_whom": "person", "extent": "page"}
    sent = await clerk.post("/requests", 201, site="https://library.example/r/cards", **asked)
    assert (sent["site"], sent["path"]) == ("library.example", PATH)
    refused = await clerk.post("/requests", 422, site="https://cardroom.example/r/cards", **asked)
    assert "That page alone cannot be asked for" in str(refused)
