"""The visit log's pages: filters, names behind a reason, why, and the day's numbers."""

import re
from datetime import timedelta

import pytest

from policy.decision import Cause, Lane, Verdict
from policy.file_types import refusal_of
from policy.snapshot import PolicySnapshot
from policy.visit_record import VisitRecord
from tests import people
from tests.admin.web.conftest import Site, post, visit
from tests.towns import DOCUMENT


def allowed(host: str = "library.example", **changed: object) -> VisitRecord:
    values: dict[str, object] = {
        "verdict": Verdict.ALLOW,
        "lane": Lane.TUNNEL,
        "cause": Cause.DEFAULT,
        "rule": None,
        "category": None,
        "entry": None,
        "source": None,
    }
    return visit(host=host, **(values | changed))


def hosts(page: str) -> list[str]:
    return re.findall(r'<th role="rowheader" scope="row" class="site">([^<]+)</th>', page)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", ["cardroom.example", "library.example", "shop.example"]),
        ("verdict=block", ["cardroom.example", "shop.example"]),
        ("verdict=allow", ["library.example"]),
        ("department=parks", ["shop.example"]),
        ("category=gambling", ["cardroom.example"]),
        ("host=EXAMPLE.", []),
        ("host=Library.Example.", ["library.example"]),
        ("code=k7m+4qp", ["cardroom.example"]),
        ("rule=not-town-business&department=finance", ["cardroom.example"]),
        ("span=hour", ["cardroom.example", "library.example"]),
        ("span=today", ["cardroom.example", "library.example", "shop.example"]),
    ],
)
async def test_address_holds_the_filters(query: str, shown: list[str], site: Site) -> None:
    at = site.clock.at
    await site.log(
        visit(at - timedelta(minutes=1), code="K7M-4QP"),
        allowed(at=at - timedelta(minutes=2)),
        visit(
            at - timedelta(hours=3), host="shop.example", category="shopping", department="parks", person=None
        ),
    )
    page = await (await site.signed_in(people.IT)).get(f"/visits?{query}")
    assert page.status_code == 200
    if query == "host=EXAMPLE.":
        # A filter by host covers its subdomains.
        shown = ["cardroom.example", "library.example", "shop.example"]
    assert hosts(page.text) == shown


async def test_menu_of_a_row_leaves_out_what_it_has_beside_what_is_left_out(site: Site) -> None:
    at = site.clock.at
    shop = {"host": "shop.example", "category": "shopping", "department": "parks", "person": None}
    await site.log(
        visit(at - timedelta(minutes=1)),
        allowed(at=at - timedelta(minutes=2)),
        *(visit(at - timedelta(minutes=3, seconds=n), **shop) for n in range(52)),
    )
    it = await site.signed_in(people.IT)
    page = (await it.get("/visits?span=today")).text
    menus = {
        words: href.replace("&amp;", "&")
        for href, words in re.findall(r'<a href="([^"]+)">(Not [^<]+)</a>', page)
    }
    assert set(menus) == {
        *("Not this site", "Not Finance", "Not Parks", "Not Gambling", "Not Shopping"),
        "Not rule not-town-business",
    }
    page = (await it.get(menus["Not Gambling"])).text
    assert set(hosts(page)) == {"library.example", "shop.example"}
    assert 'hx-get="/visits?span=today&amp;not_category=gambling"' in page, "it stays so while it is live"
    older = re.search(r'href="([^"]+)">Older', page)
    assert older is not None and "not_category=gambling" in older[1]
    assert hosts((await it.get(older[1].replace("&amp;", "&"))).text) == ["shop.example"] * 3
    (also,) = set(re.findall(r'<a href="([^"]+)">Not Shopping</a>', page))
    page = (await it.get(also.replace("&amp;", "&"))).text
    assert hosts(page) == ["library.example"]
    chips = dict(re.findall(r'<a class="chip" href="([^"]+)">([^<]+) <span', page))
    assert chips == {
        "/visits?not_category=gambling%2Cshopping": "Today",
        "/visits?span=today&amp;not_category=shopping": "Not Gambling",
        "/visits?span=today&amp;not_category=gambling": "Not Shopping",
    }
    assert '<input type="hidden" name="not_category" value="gambling,shopping">' in page


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("not_host=a%20b", "What is left out is not a site"),
        ("not_rule=" + ",".join(f"r{n}" for n in range(51)), "Leave out 50 at most"),
    ],
)
async def test_what_cannot_be_left_out_is_said(query: str, said: str, site: Site) -> None:
    page = await (await site.signed_in(people.IT)).get(f"/visits?{query}")
    assert page.status_code == 422 and said in page.text


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("span=nonsense", "“nonsense” is no time to choose. Visits of any time are shown."),
        ("since=nonsense", "From: “nonsense” is no time. A time is written like 2026-03-02 10:00"),
        ("until=nonsense", "Until: “nonsense” is no time."),
        ("host=a%20b", "“a b” is not a site"),
        ("verdict=maybe", "“maybe” is no decision. Choose one; all are shown."),
        ("code=nonsense", "“nonsense” is no page code. Enter it like K7M-4QP"),
    ],
)
async def test_filter_that_means_nothing_is_named_and_does_not_hold(
    query: str, said: str, site: Site
) -> None:
    await site.log(
        visit(site.clock.at - timedelta(minutes=1)), allowed(at=site.clock.at - timedelta(minutes=2))
    )
    page = await (await site.signed_in(people.IT)).get(f"/visits?{query}&department=finance")
    assert page.status_code == 422 and said in page.text and "usa-alert--error" in page.text
    assert hosts(page.text) == ["cardroom.example", "library.example"]
    chips = re.findall(r'<a class="chip" href="([^"]+)">([^<]+) <span', page.text)
    assert chips == [("/visits", "Finance")], "the other holds, and goes alone"


async def test_no_match_says_what_to_do(site: Site) -> None:
    page = await (await site.signed_in(people.IT)).get("/visits?category=adult")
    assert "No visits match. Remove a filter or widen the time." in page.text
    page = await (await site.signed_in(people.IT)).get("/visits?department=nonsense&rule=none-such")
    assert (
        "No visits match. “nonsense” is no department of the policy. “none-such” is no rule of the policy."
        " Remove a filter"
    ) in page.text


async def test_older_rows_follow_without_gap_or_repetition(site: Site) -> None:
    at = site.clock.at
    await site.log(*(visit(at - timedelta(seconds=n), host=f"h{n}.example") for n in range(120)))
    it = await site.signed_in(people.IT)
    seen: list[str] = []
    path = "/visits?category=gambling"
    while path:
        page = (await it.get(path)).text
        seen += hosts(page)
        found = re.search(r'href="([^"]+)">Older', page)
        path = found[1].replace("&amp;", "&") if found else ""
    assert seen == [f"h{n}.example" for n in range(120)]


async def test_names_are_hidden_until_a_reason_is_given_which_is_logged(site: Site) -> None:
    await site.log(visit())
    it = await site.signed_in(people.IT)
    page = (await it.get("/visits")).text
    assert "Names are hidden" in page and "Clerk" not in page and "127.0.0.1" not in page
    assert "Finance, person" in page
    for nothing in (" ", "\u202e\x00"):
        refused = await post(it, "/visits/names", reason=nothing, next="/visits?host=cardroom.example")
        assert refused.status_code == 422 and "Enter why you need the names" in refused.text
    answer = await post(
        it, "/visits/names", reason="Ticket 7", case="T-7", next="/visits?host=cardroom.example"
    )
    assert answer.headers["location"] == "/visits?host=cardroom.example"
    page = (await it.get("/visits")).text
    assert "Finance, Clerk" in page and "FIN-PC-15" in page
    event = await site.admin.db.fetch_one("SELECT actor, details FROM event WHERE kind = 'names.shown'")
    assert event is not None and event["actor"] == people.IT and "Ticket 7" in event["details"]
    site.clock.at += timedelta(minutes=30)
    assert "Clerk" not in (await it.get("/visits")).text


async def test_full_addresses_are_shown_while_names_are_and_are_no_links(site: Site) -> None:
    addresses = ("http://cardroom.example/players/clerk", "http://cardroom.example/<b>")
    await site.log(visit(scheme="http", port=80, addresses=addresses))
    it = await site.signed_in(people.IT)
    why = await site.why_of_first_visit()
    for path in ("/visits", why):
        assert "/players/clerk" not in (await it.get(path)).text
    await post(it, "/visits/names", reason="Ticket 7")
    page = (await it.get("/visits")).text
    assert f"<li>{addresses[0]}</li><li>http://cardroom.example/&lt;b&gt;</li>" in page
    site.clock.at += timedelta(minutes=30)
    assert "/players/clerk" not in (await it.get("/visits")).text


async def test_search_by_person_asks_for_the_reason_first(site: Site) -> None:
    it = await site.signed_in(people.IT)
    answer = await it.get(f"/visits?person={people.CLERK}")
    assert answer.headers["location"].startswith("/visits/names?next=")


async def test_live_search_by_person_leads_to_the_reason_once_names_are_hidden_again(site: Site) -> None:
    it = await site.signed_in(people.IT)
    answer = await it.get(f"/visits?person={people.CLERK}", headers={"HX-Request": "true"})
    assert answer.status_code == 204, "a part of another page would take the rows' place"
    assert answer.headers["hx-redirect"] == "/visits/names?next=%2Fvisits%3Fperson%3Dclerk"


async def test_help_desk_sees_visits_and_no_names(site: Site) -> None:
    await site.log(visit())
    helper = await site.signed_in(people.HELP_DESK)
    assert (await helper.get("/visits")).status_code == 200
    assert (await post(helper, "/visits/names", reason="Ticket 7")).status_code == 403


async def test_why_shows_every_step_and_the_one_that_decided(site: Site) -> None:
    await site.log(visit(policy_version=site.admin.policy.version))
    page = (await (await site.signed_in(people.IT)).get(await site.why_of_first_visit())).text.replace(
        "\u00a0", " "
    )
    assert "Why cardroom.example was blocked" in page
    assert "Finance on Fri, March 6, 10:13 AM" in re.sub(r"<[^>]+>", "", page)
    assert page.count('class="steps__hit"') == 1
    hit = page.partition('class="steps__hit"')[2].partition("</li>")[0]
    assert "Rule not-town-business" in hit and "this one" in hit
    assert "Clerk" not in page
    assert "Today the answer is different" not in page


async def test_why_says_when_the_answer_would_be_another_today(site: Site) -> None:
    await site.log(allowed("cardroom.example"))
    page = (await (await site.signed_in(people.IT)).get(await site.why_of_first_visit())).text
    assert "Today the answer is different" in page and "Now it would be blocked" in page


async def test_why_says_which_files_a_rule_stops_and_that_this_was_one(site: Site) -> None:
    await with_rule_of_files(site)
    await site.log(stopped_download(site))
    page = (await (await site.signed_in(people.IT)).get(await site.why_of_first_visit())).text
    assert "Today the answer is different" not in page
    words = " ".join(re.sub("<[^>]+>", " ", page).split())
    assert "Stops downloads of installers, programs, by rule no-programs" in words
    assert "Rule no-programs, of downloads : this one, the file is of the type executable: block" in words
    assert "Only a download was stopped: an executable file." in words


@pytest.mark.parametrize(
    ("types", "said"),
    [
        ({"executable"}, "An executable file"),
        ({"archive", "installer"}, "An archive and an installer"),
        (set(), "A file of a kind that cannot be told"),
    ],
)
async def test_download_that_was_stopped_is_said_with_what_it_is(
    types: set[str], said: str, site: Site
) -> None:
    await site.log(stopped_download(site, frozenset(types)), visit())
    page = (await (await site.signed_in(people.IT)).get("/visits")).text
    assert page.count(f'<span class="quiet">{said}</span>') == 1


def stopped_download(site: Site, types: frozenset[str] = frozenset({"executable"})) -> VisitRecord:
    return visit(rule="no-programs", refusal=refusal_of(types), policy_version=site.admin.policy.version)


async def with_rule_of_files(site: Site) -> None:
    version = site.admin.policy.version
    files = "{id: no-programs, categories: [gambling], file_types: [executable, installer], action: block}"
    document = DOCUMENT.replace("games, ", "").replace("gambling, ", "").replace("cardroom", "shop")
    site.state.policy_document.write_text(document.replace("rules:\n", f"rules:\n  - {files}\n"))
    await site.until(lambda: site.admin.policy.version != version)


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (Cause.MISMATCH, "asked for this site and then for another"),
        (Cause.NOT_TLS, "sent something that is no request for a website"),
        (Cause.MALFORMED, "can be read as two different sites"),
        (Cause.UNREACHABLE, "not blocked, but it could not be reached"),
        (Cause.CERTIFICATE, "not blocked, but it could not prove who it is"),
        (Cause.FAULT, "could not check this site"),
    ],
)
async def test_why_says_what_the_proxy_itself_refused_and_compares_nothing(
    site: Site, cause: Cause, said: str
) -> None:
    await site.log(visit(host="library.example", cause=cause, rule=None, category=None, entry=None))
    page = (await (await site.signed_in(people.IT)).get(await site.why_of_first_visit())).text
    assert said in page
    assert "Today the answer is different" not in page and "Each step in order" not in page


@pytest.mark.parametrize(
    ("cause", "verdict", "said"),
    [
        (Cause.LOCKDOWN, Verdict.BLOCK, "IT had limited the web."),
        (Cause.DEVICE_OFF, Verdict.BLOCK, "IT took the device off the web."),
        (Cause.FILTER_OFF, Verdict.ALLOW, "IT had switched the filter off."),
    ],
)
async def test_why_of_an_emergency_says_it_and_that_it_is_over(
    site: Site, cause: Cause, verdict: Verdict, said: str
) -> None:
    host = "library.example" if verdict is Verdict.BLOCK else "cardroom.example"
    await site.log(visit(host=host, cause=cause, verdict=verdict, rule=None, category=None, entry=None))
    page = (await (await site.signed_in(people.IT)).get(await site.why_of_first_visit())).text
    assert said in page
    assert "Today the answer is different" in page and "emergency measures changed since then" in page


async def test_warned_visit_is_found_and_said(site: Site) -> None:
    await site.log(visit(verdict=Verdict.WARN), allowed("library.example"))
    client = await site.signed_in(people.IT)
    page = (await client.get("/visits?verdict=warn")).text
    assert "library.example" not in page
    assert "Warned" in page.partition("<tbody")[2]
    assert (
        "Why cardroom.example was held up by a warning"
        in (await client.get(await site.why_of_first_visit())).text
    )


async def test_why_says_by_which_day_it_was_decided_and_that_today_is_different(site: Site) -> None:
    then = PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes())
    lists = (await site.admin.site_lists.snapshot()).version
    document = site.state.policy_document.read_text().partition("tests:\n")[0]
    site.state.policy_document.write_text(document.replace("adult, gambling", "adult"))
    await site.until(lambda: site.admin.policy.version != then.policy.version)
    await site.log(
        visit(policy_sequence=then.sequence, policy_version=then.policy.version, category_version=lists)
    )
    page = (await (await site.signed_in(people.IT)).get(await site.why_of_first_visit())).text
    said = page.replace("\u00a0", " ")
    assert f"As of Fri, March 6: policy {then.policy.version}, lists {lists}." in said
    assert "Today the answer is different" in said
    assert "The policy changed since then. Now it would be allowed." in said
    assert "<b>Rule not-town-business</b>: this one" in said


async def test_today_says_what_the_policies_of_all_days_take(site: Site) -> None:
    page = (await (await site.signed_in(people.IT)).get("/today")).text.replace("\u00a0", " ")
    assert re.search(r"\d+ versions? of the policy and of what people decided beside it (is|are) kept", page)


async def test_why_of_a_visit_that_is_not_there_is_not_found(site: Site) -> None:
    assert (await (await site.signed_in(people.IT)).get("/visits/7/why")).status_code == 404


async def test_numbers_of_today_begin_at_the_towns_midnight(site: Site) -> None:
    at = site.clock.at
    await site.log(
        visit(at - timedelta(minutes=1)),
        allowed(at=at - timedelta(hours=10)),
        visit(at - timedelta(hours=11)),  # yesterday in the town, today in UTC
    )
    await site.sent_request()
    page = (await (await site.signed_in(people.IT)).get("/today")).text
    assert re.findall(r"<b>([\d,]+)</b>", page.partition('class="numbers"')[2]) == ["2", "1", "1", "0"]
    assert "All is well" in page


async def test_today_says_what_the_log_takes_and_how_much_more_each_day(site: Site) -> None:
    it = await site.signed_in(people.IT)
    assert "The visit log takes" not in (await it.get("/today")).text, "there is none yet"
    await site.log(visit(site.clock.at - timedelta(days=2)))
    page = (await it.get("/today")).text.replace("\u00a0", " ")
    said = re.search(r"The visit log takes \S+ [kM]?B, \S+ [kM]?B more each day; \S+ [GT]?B are free", page)
    assert said is not None and "Nothing of it is deleted." in page


async def test_problem_of_the_policy_is_shown_to_it_alone(site: Site) -> None:
    document = site.state.policy_document
    document.write_text(document.read_text().replace("gambling", "gambing"))
    await site.until(lambda: bool(site.admin.policy_problems))
    it, head = await site.signed_in(people.IT), await site.signed_in(people.HEAD)
    assert "The running policy stays" in (await it.get("/today")).text
    page = (await it.get("/policy")).text
    assert "gambing" in page and "nearest: &#39;gambling&#39;" in page
    assert "gambing" not in (await head.get("/policy")).text
    assert "Not open" in (await head.get("/policy")).text


async def test_what_is_opened_is_shown_looked_for_and_counted_apart(site: Site) -> None:
    allowed = {"verdict": Verdict.ALLOW, "cause": Cause.DEFAULT, "rule": None, "category": None}
    await site.log(
        visit(host="tunnelled.example", lane=Lane.TUNNEL, **allowed),
        visit(host="opened.example", lane=Lane.INSPECT, **allowed),
        visit(host="social.example", lane=Lane.INSPECT, verdict=Verdict.VIEW_ONLY),
    )
    it = await site.signed_in(people.IT)
    inside = (await it.get("/visits?verdict=inspect")).text
    assert "opened.example" in inside and "tunnelled.example" not in inside and "social.example" not in inside
    assert "Allowed and checked inside</" in inside and "https, port 443, decrypted" in inside
    assert "https, port 443, not decrypted" in (await it.get("/visits?host=tunnelled.example")).text
    reading = (await it.get("/visits?verdict=view_only")).text
    assert "social.example" in reading and "opened.example" not in reading
    assert "Read only <span" in reading  # the filter, in words
    today = " ".join((await it.get("/today")).text.split())
    assert 'verdict=inspect"><b>1</b> <span>checked inside</span></a>' in today


async def test_damaged_file_of_the_log_breaks_no_page_that_needs_none_of_it(site: Site) -> None:
    await site.log(visit())
    client = await site.signed_in(people.IT)
    damaged = site.state.visits / "2026-04.db"
    damaged.write_bytes(b"This is a letter, and no database.\n" * 200)
    today = await client.get("/today")
    assert today.status_code == 200
    assert "The visit log cannot be read" in today.text and "All is well" not in today.text
    asked = await client.get("/visits")
    assert asked.status_code == 503 and "Not there right now. Try again." in asked.text
    for path in ("/emergency", "/records", "/settings"):
        assert (await client.get(path)).status_code == 200
    site.clock.at += timedelta(minutes=2)  # that ingest looks at what killed workers left
    await site.until(lambda: any("2026-04.db" in trouble for trouble in site.admin.troubles()))
    damaged.unlink()
    assert "cardroom.example" in (await client.get("/visits")).text
