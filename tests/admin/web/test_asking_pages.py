"""Asking through the pages: the link, the form, and what becomes of a request."""

import re
from datetime import timedelta

import pytest

from admin.unanswered import Unanswered
from policy.ask_token import LIFETIME
from policy.decision import Lane
from policy.snapshot import PolicySnapshot
from tests import people, towns
from tests.admin.web.conftest import Site, post, visit

FILLED_IN = {"reason": "For the grant file.", "duration": "week", "for_whom": "person"}


async def test_ask_link_fills_the_form_in_and_leaves_the_address(site: Site) -> None:
    client = site.client()
    answer = await client.get("/ask", params={"token": site.token()})
    assert answer.headers["location"] == "/ask/K7M-4QP"
    form = (await client.get("/ask/K7M-4QP")).text
    for said in ("Ask for access to cardroom.example", "Gambling", "Prohibited Uses 5 and 18", "Asking as"):
        assert said in form


async def test_ask_link_sends_nothing_by_itself(site: Site) -> None:
    await site.asking()
    head = await site.signed_in(people.HEAD)
    assert "Nothing to decide" in (await head.get("/decide")).text


async def test_form_may_be_sent_long_after_its_link_grew_old(site: Site) -> None:
    client = await site.asking()
    site.clock.at += LIFETIME * 4
    answer = await post(client, "/ask/K7M-4QP", **FILLED_IN)
    assert answer.status_code == 303
    sent = await client.get(answer.headers["location"])
    assert "Request sent" in sent.text and "REQ-1" in sent.text


@pytest.mark.parametrize(
    ("age", "status", "said"),
    [
        (LIFETIME - timedelta(seconds=1), 303, ""),
        (LIFETIME, 410, "This link is over 15 minutes old"),
    ],
)
async def test_old_link_says_to_open_the_site_again(
    age: timedelta, status: int, said: str, site: Site
) -> None:
    token = site.token(issued_at=site.clock.at - age)
    answer = await site.client().get("/ask", params={"token": token})
    assert answer.status_code == status
    assert said in answer.text


@pytest.mark.parametrize(
    "damage",
    [
        lambda t: t[:-9],
        lambda t: "e" + t,
        # What base64 would pass over: another spelling would be a link that nobody has followed.
        lambda t: t + "!!!!",
        lambda _t: "",
        lambda _t: "a.b.c" * 2000,
    ],
)
async def test_damaged_link_is_refused(damage: object, site: Site) -> None:
    assert callable(damage)
    answer = await site.client().get("/ask", params={"token": damage(site.token())})
    assert answer.status_code == 400
    assert "This link is not whole" in answer.text


async def test_link_followed_in_one_browser_opens_no_form_in_another(site: Site) -> None:
    await site.asking()
    other = await site.asking(code="H7M-4QP")
    assert (await other.get("/ask/K7M-4QP")).status_code == 404


async def test_copied_link_opens_nothing_in_a_second_browser(site: Site) -> None:
    token = site.token()
    first, second = site.client(), site.client()
    assert (await first.get("/ask", params={"token": token})).status_code == 303
    answer = await second.get("/ask", params={"token": token})
    assert answer.status_code == 410
    assert "This link was opened elsewhere" in answer.text and "Open the site again" in answer.text
    assert "towngate_session" not in second.cookies
    again = await first.get("/ask", params={"token": token}, follow_redirects=True)
    assert "Ask for access to cardroom.example" in again.text


async def test_what_was_stopped_here_is_hidden_when_someone_else_may_sit_here(site: Site) -> None:
    await site.log(visit(host="private.example"))
    client = await site.asking()
    assert "private.example" in (await client.get("/stopped")).text
    site.clock.at += timedelta(minutes=15)
    await site.log(visit(site.clock.at, host="private.example"))
    answer = await client.get("/stopped")
    assert answer.status_code == 403
    assert "private.example" not in answer.text
    assert "follow its Ask link" in answer.text and "/sign-in?next=/stopped" in answer.text


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"reason": "  "}, "Enter what you need it for"),
        ({"reason": "x" * 501}, "500"),
        ({"duration": "forever"}, "Choose for how long you need it"),
        ({"for_whom": ""}, "Choose for whom you ask"),
    ],
)
async def test_form_comes_back_filled_in_when_a_field_is_wrong(
    changed: dict[str, str], said: str, site: Site
) -> None:
    answer = await post(await site.asking(), "/ask/K7M-4QP", **(FILLED_IN | changed))
    assert answer.status_code == 422
    assert answer.text.count(said) >= 2, "said on top, and again at the field"
    (field,) = changed
    assert f'href="#{field}"' in answer.text and f'id="{field}"' in answer.text
    if field != "reason":
        assert "For the grant file." in answer.text


async def test_form_says_all_that_is_wrong_in_the_order_of_its_fields(site: Site) -> None:
    answer = await post(await site.asking(), "/ask/K7M-4QP", reason="  ", for_whom="department")
    assert answer.status_code == 422
    summary = re.search(r'role="alert".*?</ul>', answer.text, re.DOTALL)
    assert summary and re.findall(r'<a href="#(\w+)">(.+?)</a>', summary[0]) == [
        ("reason", "Enter what you need it for"),
        ("duration", "Choose for how long you need it"),
    ]
    assert 'id="reason-error"' in answer.text and 'id="duration-error"' in answer.text
    assert re.search(r'value="department"[^>]* checked', answer.text)


async def test_asking_twice_leads_to_the_request_that_is_open(site: Site) -> None:
    client = await site.asking()
    await post(client, "/ask/K7M-4QP", **FILLED_IN)
    answer = await post(client, "/ask/K7M-4QP", "/requests/1", **FILLED_IN)
    assert answer.headers["location"] == "/requests/1"


async def test_form_of_a_site_that_was_asked_for_says_how_that_stands_instead(site: Site) -> None:
    client = await site.asking()
    await post(client, "/ask/K7M-4QP", **FILLED_IN)
    page = (await client.get("/ask/K7M-4QP")).text
    assert "You have asked already" in page and 'href="/requests/1"' in page
    assert "REQ-1" in page and "Waiting for your department head" in page
    assert "Send request" not in page and "/sign-in?next=/requests/1" not in page
    await post(client, "/requests/1/withdraw", "/requests/1")
    assert "Send request" in (await client.get("/ask/K7M-4QP")).text


async def test_asking_again_the_next_day_says_where_the_request_is(site: Site) -> None:
    await site.sent_request()
    site.clock.at += timedelta(days=1)
    client = await site.asking()
    shown = await client.get("/ask/K7M-4QP")
    answer = await post(client, "/ask/K7M-4QP", "/wrong-category/K7M-4QP", **FILLED_IN)
    assert (shown.status_code, answer.status_code) == (200, 409)
    for said in (shown.text, answer.text):
        assert "You have asked already" in said and "/sign-in?next=/requests/1" in said
        assert "Waiting for your department head" in said


async def test_colleague_is_told_that_someone_has_asked(site: Site) -> None:
    await site.sent_request()
    colleague = await site.asking(people.HEAD, code="H7M-4QP")
    assert "Someone in Finance has asked." in (await colleague.get("/ask/H7M-4QP")).text


async def test_heads_own_request_goes_to_the_town_administrator(site: Site) -> None:
    form = (await (await site.asking(people.HEAD)).get("/ask/K7M-4QP")).text
    assert "The town administrator" in form
    assert "Your department head" not in form


async def test_at_a_shared_computer_one_signs_in_to_ask(site: Site) -> None:
    client = await site.asking(person=None)
    asked = await client.get("/ask/K7M-4QP")
    assert asked.headers["location"] == "/sign-in?next=/ask/K7M-4QP"
    await site.give_password(people.CLERK)
    await post(client, "/sign-in", name=people.CLERK, password="correct horse battery", next="/ask/K7M-4QP")
    assert "Asking as <b>Clerk</b>" in (await client.get("/ask/K7M-4QP")).text


async def test_site_that_nobody_can_allow_has_a_phone_and_no_form(site: Site) -> None:
    form = (await (await site.asking(rule=None, approval=())).get("/ask/K7M-4QP")).text
    assert "Nobody can be asked to open this site" in form and "K7M-4QP" in form
    assert "Send request" not in form


async def test_asker_takes_a_request_back(site: Site) -> None:
    client = await site.asking()
    await post(client, "/ask/K7M-4QP", **FILLED_IN)
    answer = await post(client, "/requests/1/withdraw", "/requests/1")
    assert answer.status_code == 303
    assert "<h1" in (shown := (await client.get("/requests/1")).text) and "Withdrawn" in shown
    assert "Withdraw the request" not in shown


async def test_request_is_seen_by_those_concerned_and_by_no_one_else(site: Site) -> None:
    number = await site.sent_request()
    for person, status in (
        (people.CLERK, 200),
        (people.HEAD, 200),
        (people.IT, 200),
        (people.HELP_DESK, 200),
        (people.PARKS_HEAD, 404),
    ):
        client = await site.signed_in(person)
        assert (await client.get(f"/requests/{number}")).status_code == status, person
    assert (await site.client().get(f"/requests/{number}")).status_code == 303


async def test_what_was_stopped_here_can_be_asked_for(site: Site) -> None:
    await site.log(visit(code="S7M-4QP", host="www.cardroom.example"))
    client = await site.signed_in(people.CLERK)
    page = await client.get("/stopped")
    assert "www.cardroom.example" in page.text and "Listed as Gambling" in page.text
    answer = await post(client, await site.of_visit(1, "stopped", "ask"), "/stopped")
    assert answer.headers["location"] == "/ask/S7M-4QP"
    assert (await post(client, "/ask/S7M-4QP", **FILLED_IN)).status_code == 303


async def test_what_was_stopped_again_and_again_since_before_is_there_until_15_minutes_after(
    site: Site,
) -> None:
    # Connections that no page can be shown in are one visit of the log.
    for minutes in (20, 16, 12):
        at = site.clock.at - timedelta(minutes=minutes)
        await site.log(visit(at, lane=Lane.REFUSE, is_shown=False))
    client = await site.signed_in(people.CLERK)
    assert "cardroom.example" in (await client.get("/stopped")).text
    site.clock.at += timedelta(minutes=4)
    assert "Nothing of yours was stopped" in (await client.get("/stopped")).text


async def test_what_was_stopped_elsewhere_is_neither_shown_nor_asked_for(site: Site) -> None:
    await site.log(visit(person=people.PARKS_HEAD, device="PRK-PC-2", department="parks"))
    await site.log(visit(site.clock.at - timedelta(minutes=16)))
    client = await site.signed_in(people.CLERK)
    assert "Nothing of yours was stopped" in (await client.get("/stopped")).text
    assert (await post(client, await site.of_visit(1, "stopped", "ask"), "/stopped")).status_code == 404


async def test_who_signed_in_at_another_persons_computer_is_told_that_they_have_to_look(site: Site) -> None:
    await site.log(visit())
    head = await site.signed_in(people.HEAD)
    page = (await head.get("/stopped")).text
    assert (
        "Nothing of yours was stopped" in page and "At somebody else's computer, they have to look." in page
    )
    assert "cardroom.example" not in page
    await site.log(visit(site.clock.at - timedelta(minutes=16)))
    at_the_device = await site.asking(host="files.example")
    assert "At somebody else's computer" not in (await at_the_device.get("/stopped")).text


async def test_markup_in_host_and_reason_is_shown_as_text(site: Site) -> None:
    markup = "<script>alert(1)</script>"
    client = await site.asking(entry=markup, source=markup, category=markup)
    form = (await client.get("/ask/K7M-4QP")).text
    assert markup not in form and "&lt;script&gt;" in form
    await post(client, "/ask/K7M-4QP", **(FILLED_IN | {"reason": markup}))
    head = await site.signed_in(people.HEAD)
    for browser, path in (
        (client, "/requests/1"),
        (head, "/decide"),
        (head, "/decide/1"),
    ):
        page = (await browser.get(path)).text
        assert markup not in page, path
        assert "&lt;script&gt;" in page, path


async def test_what_is_never_allowed_has_no_form_and_no_way_past_it(site: Site) -> None:
    site.state.policy_document.write_text(towns.DOCUMENT + "asking: {never: [gambling], usual: today}\n")
    client = await site.asking(code="AAA-111", host="library.example", category=None)
    await site.admin._publisher.reload_document()
    form = (await client.get("/ask/AAA-111")).text
    assert 'value="today" required checked' in form and 'value="year"' not in form
    other = await site.asking()
    shown = (await other.get("/ask/K7M-4QP")).text
    assert "which the town never opens" in shown and "555-0100" in shown and "<form" not in shown
    token = form.partition('name="csrf_token" value="')[2].partition('"')[0]
    await client.get("/ask", params={"token": site.token(code="BBB-222")})
    posted = await client.post("/ask/BBB-222", data={"csrf_token": token, **FILLED_IN})
    assert posted.status_code == 422
    assert "is never allowed; the help desk, 555-0100" in posted.text
    assert (await site.admin.db.fetch_one("SELECT count(*) AS n FROM access_request"))["n"] == 0  # type: ignore[index]


async def test_asker_sees_by_when_somebody_answers_and_who_gets_it_then(site: Site) -> None:
    id_ = await site.sent_request()
    clerk = await site.signed_in(people.CLERK)
    head = await site.signed_in(people.HEAD)
    shown = (await clerk.get(f"/requests/{id_}")).text.replace("\u00a0", " ")
    assert "Your department head answers, or we remind them" in shown
    assert "Fri, March 6, 2:14 PM" in shown and "or the town administrator gets it" in shown
    assert "Mon, March 9, 9:44 AM" in shown
    unanswered = Unanswered(site.admin.db, lambda: site.admin.policy, site.clock)
    site.clock.at += timedelta(days=4)
    await unanswered.look()
    clerk, head = await site.signed_in(people.CLERK), await site.signed_in(people.HEAD)
    administrator = await site.signed_in(people.ADMINISTRATOR)
    shown = (await clerk.get(f"/requests/{id_}")).text
    assert "<h1" in shown and "No answer yet, passed on to the town administrator" in shown
    assert "We passed it on, as nobody had answered" in shown
    assert "Waiting for you" in (await head.get(f"/requests/{id_}")).text
    assert "cardroom.example" in (await administrator.get("/decide")).text


async def test_what_the_asker_withdraws_goes_on_for_the_colleague_who_joined(site: Site) -> None:
    person = "people:\n  colleague: {name: Colleague, department: finance}\n"
    site.state.policy_document.write_text(towns.DOCUMENT.replace("people:\n", person, 1))
    await site.admin._publisher.reload_document()
    id_ = await site.sent_request()
    colleague = await site.asking("colleague", code="C7M-4QP", device=None)
    await post(colleague, "/ask/C7M-4QP/join", page="/ask/C7M-4QP")
    clerk = await site.signed_in(people.CLERK)
    withdrawn = await post(clerk, f"/requests/{id_}/withdraw", f"/requests/{id_}")
    assert withdrawn.headers["location"] == "/requests"
    assert "cardroom.example" not in (await clerk.get("/requests")).text
    shown = (await colleague.get(f"/requests/{id_}")).text
    assert "Waiting for your department head" in shown and "handed it on to who had joined" in shown
    assert "for Colleague" in (await (await site.signed_in(people.HEAD)).get(f"/decide/{id_}")).text


async def test_name_that_is_no_site_is_said_to_be_none_in_place_of_a_form(site: Site) -> None:
    client = await site.asking(host="intranet", category=None, entry=None, source=None)
    page = await client.get("/ask/K7M-4QP")
    assert page.status_code == 200 and "<form" not in page.text.partition("<main")[2].partition("</main")[0]
    assert "intranet cannot be asked for here" in page.text and "give the code K7M-4QP" in page.text


async def test_who_asks_for_a_site_joins_no_request_for_a_download_from_it(site: Site) -> None:
    person = "people:\n  colleague: {name: Colleague, department: finance}\n"
    limit = (
        "limits:\n  - {id: huge, larger_than: 1GB, action: ask, approval: [department_head]}\n"
        "  - {id: a-day, quota: 1GB/day, action: ask, approval: [department_head]}\n"
    )
    site.state.policy_document.write_text(towns.DOCUMENT.replace("people:\n", person, 1) + limit)
    await site.admin._publisher.reload_document()
    await site.sent_request(rule="huge", duration="today")
    colleague = await site.asking("colleague", code="C7M-4QP", device=None)
    assert "Join this request" not in (await colleague.get("/ask/C7M-4QP")).text
    assert (await post(colleague, "/ask/C7M-4QP/join", page="/ask/C7M-4QP")).status_code == 404
    download = await site.asking("colleague", code="D7M-4QP", device=None, rule="huge")
    assert "Join this request" in (await download.get("/ask/D7M-4QP")).text
    of_one = {"rule": "huge", "host": "files.example"}
    await site.sent_request(duration="once", code="E7M-4QP", **of_one)
    for_all = await site.asking("colleague", code="F7M-4QP", device=None, **of_one)
    form = (await for_all.get("/ask/F7M-4QP")).text
    assert "Join this request" in form and "all downloads from there, for you or everyone in Finance" in form
    assert "has asked for one download from" in form
    quota = await site.asking("colleague", code="G7M-4QP", device=None, rule="a-day", host="files.example")
    assert "Join this request" not in (await quota.get("/ask/G7M-4QP")).text, "it lifts no quota"
    sent = await post(for_all, "/ask/F7M-4QP", reason="Many.", duration="today", for_whom="person")
    assert sent.status_code == 303


async def test_colleague_joins_the_open_request_and_one_answer_opens_it_for_both(site: Site) -> None:
    person = "people:\n  colleague: {name: Colleague, department: finance}\n"
    site.state.policy_document.write_text(towns.DOCUMENT.replace("people:\n", person, 1))
    await site.admin._publisher.reload_document()
    id_ = await site.sent_request()
    head = await site.signed_in(people.HEAD)
    before = (await head.get(f"/decide/{id_}")).text
    colleague = await site.asking("colleague", code="C7M-4QP", device=None)
    form = (await colleague.get("/ask/C7M-4QP")).text
    assert "Someone in Finance has asked." in form and "Join this request" in form
    assert "charity report" not in form and "Clerk" not in form
    assert "Or ask for everyone in Finance" in form and "Just me" not in form
    own = await post(colleague, "/ask/C7M-4QP", reason="I do, too.", duration="week", for_whom="person")
    assert own.status_code == 422 and "Join that request" in own.text and 'id="join"' in own.text
    joined = await post(colleague, "/ask/C7M-4QP/join", page="/ask/C7M-4QP")
    assert joined.headers["location"] == f"/requests/{id_}/sent"
    assert "cardroom.example" in (await colleague.get("/requests")).text
    # By the page of before the head allows nothing for who joined since.
    token = before.partition('name="csrf_token" value="')[2].partition('"')[0]
    late = await head.post(
        f"/decide/{id_}",
        data={
            "csrf_token": token,
            "answer": "allow",
            "step": "0",
            "joined": "",
            "expires_at": (site.clock.at + timedelta(days=1)).isoformat(),
        },
    )
    assert late.status_code == 422 and "Others joined meanwhile" in late.text
    assert "Allow for these 2 until" in late.text and "Clerk and Colleague" in late.text
    ends_at = (site.clock.at + timedelta(days=1)).isoformat()
    await post(
        head, f"/decide/{id_}", answer="allow", step="0", joined="colleague", hosts="", expires_at=ends_at
    )
    snapshot = PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes())
    assert [(e.host, e.person) for e in snapshot.exemptions] == [
        ("cardroom.example", "clerk"),
        ("cardroom.example", "colleague"),
    ]


async def test_an_answer_of_lately_is_shown_before_the_form(site: Site) -> None:
    id_ = await site.sent_request()
    head = await site.signed_in(people.HEAD)
    await post(
        head, f"/decide/{id_}", answer="deny", step="0", reason="", other_reason="The library has a copy."
    )
    client = await site.asking(code="D7M-4QP")
    form = (await client.get("/ask/D7M-4QP")).text
    assert "The answer lately" in form and "The library has a copy." in form
    assert form.index("The library has a copy.") < form.index("<textarea")
    # The link is for whom the page of the request opens: who sent it, signed in or in that browser.
    link = f'href="/requests/{id_}"'
    assert link not in form and (await client.get(f"/requests/{id_}")).status_code == 404
    clerk = await site.signed_in(people.CLERK)
    await clerk.get("/ask", params={"token": site.token(code="F7M-4QP")})
    assert link in (await clerk.get("/ask/F7M-4QP")).text
    site.clock.at += timedelta(days=91)
    client = await site.asking(code="E7M-4QP")
    assert "The answer lately" not in (await client.get("/ask/E7M-4QP")).text
