"""Limits on the admin site: said in the policy, asked about, and gone past where one only warns."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from admin import audit, closed_people, outbox
from admin.audit import EventKind
from admin.letters.parts import Town
from admin.letters.wording import words_of
from admin.limit_letters import LimitLetters
from admin.outbox import Channel, LetterKind
from admin.used_downloads import UsedDownloads
from policy import state_names
from policy.decision import Cause, Lane, Verdict
from policy.snapshot import PolicySnapshot
from policy.visit import Client
from policy.visit_record import VisitRecord
from tests import people, towns
from tests.admin.counted_use import write_use
from tests.admin.web.conftest import FRIDAY_MORNING, Site, post, visit

LIMITS = """\
limits:
  - {id: big, larger_than: 500MB, action: warn, because: Use 7}
  - {id: asked, hosts: [iso.example], larger_than: 1GB, action: ask, approval: [department_head]}
  - {id: a-day, quota: 2GB/day, per: department, action: block}
  - {id: of-parks, departments: [parks], quota: 1GB/day, action: block}
  - {id: shopping-time, categories: [shopping], quota: 30m/day, action: block}
line: {capacity: 100Mbit}
"""
DOCUMENT = towns.DOCUMENT.replace("default: {action", f"{LIMITS}default: {{action")
NOT_LISTED = {"category": None, "entry": None, "source": None}


def stopped(limit: str, host: str, refusal: str | None, **changed: Any) -> VisitRecord:
    values = {"lane": Lane.REFUSE, "cause": Cause.LIMIT, "refusal": refusal, **NOT_LISTED, **changed}
    return visit(host=host, rule=limit, **values)


async def with_limits(site: Site) -> None:
    site.state.policy_document.write_text(DOCUMENT)
    await site.until(lambda: bool(site.admin.policy.limits))


def published(site: Site) -> PolicySnapshot:
    return PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes())


async def test_policy_page_says_the_limits_in_plain_words(site: Site) -> None:
    await with_limits(site)
    page = (await site.client().get("/policy")).text.replace("\u00a0", " ")
    assert "A download of more than 500 MB gets a warning first." in page
    assert "A download of more than 1 GB is stopped, and may be asked for, at iso.example." in page
    assert "More than 30 minutes a day for each person is stopped, at sites listed as Shopping." in page


async def test_tunnel_that_a_limit_ended_says_so_and_one_that_warns_is_gone_past_there(site: Site) -> None:
    await with_limits(site)
    await site.log(stopped("big", "files.example", "over 500 MB came on one connection"))
    client = await site.signed_in(people.CLERK)
    page = (await client.get("/stopped")).text
    assert "Over a limit of the town: over 500 MB came on one connection." in page
    assert "The site itself is open." in page and "Download now" in page
    action = await site.of_visit(1, "stopped", "download")
    assert (await post(client, action)).headers["location"] == "/stopped"
    page = (await client.get("/stopped")).text
    assert "that limit does not hold for what you load from" in page and "Download now" not in page
    (lift,) = published(site).exemptions
    assert (lift.host, lift.person, lift.passed_limit) == ("files.example", people.CLERK, "big")
    records = (await (await site.signed_in(people.ADMINISTRATOR)).get("/records")).text
    assert "Went on past a limit" in records


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (Verdict.BLOCK, "No page could be shown, so it stopped this visit."),
        (Verdict.WARN, "This visit gets a warning first."),
    ],
)
async def test_why_says_whether_a_limit_that_warns_could_show_its_page(
    site: Site, verdict: Verdict, said: str
) -> None:
    await with_limits(site)
    await site.log(stopped("big", "files.example", "over 500 MB came on one connection", verdict=verdict))
    it = await site.signed_in(people.IT)
    assert f"gets a warning first. {said}" in (await it.get(await site.of_visit(1, "visits", "why"))).text


async def test_nobody_goes_past_a_limit_that_does_not_warn_nor_for_someone_else(site: Site) -> None:
    await with_limits(site)
    await site.log(
        stopped("asked", "iso.example", "over 1 GB came on one connection"),
        stopped("big", "files.example", "over 500 MB came on one connection"),
    )
    head, clerk = await site.signed_in(people.HEAD), await site.signed_in(people.CLERK)
    for client, number in ((clerk, 1), (head, 2)):
        assert (await post(client, await site.of_visit(number, "stopped", "download"))).status_code == 404
    assert published(site).exemptions == ()
    refused = await audit.events_of(site.admin.db, "limits")
    assert [(event.kind, event.actor) for event in refused] == [
        (EventKind.REQUEST_MOVE_REFUSED, people.CLERK),
        (EventKind.REQUEST_MOVE_REFUSED, people.HEAD),
    ]


async def test_who_goes_on_twice_at_once_goes_on_once(site: Site) -> None:
    await with_limits(site)
    await site.log(stopped("big", "files.example", "over 500 MB came on one connection"))
    client = await site.signed_in(people.CLERK)
    action = await site.of_visit(1, "stopped", "download")
    answers = await asyncio.gather(*(post(client, action, "/stopped") for _ in range(3)))
    assert {answer.headers["location"] for answer in answers} == {"/stopped"}
    assert len(published(site).exemptions) == 1
    passed = await audit.events_of(site.admin.db, "files.example")
    assert [event.kind for event in passed] == [EventKind.LIMIT_PASSED]


async def test_limits_hold_again_for_who_is_closed(site: Site) -> None:
    await with_limits(site)
    await site.log(stopped("big", "files.example", "over 500 MB came on one connection"))
    await post(await site.signed_in(people.CLERK), await site.of_visit(1, "stopped", "download"), "/stopped")
    assert [lift.person for lift in published(site).exemptions] == [people.CLERK]
    site.clock.at += timedelta(minutes=1)
    db, policy = site.admin.db, site.admin.policy
    await closed_people.close(db, policy, people.CLERK, why="Left.", actor=people.IT, at=site.clock.at)
    await site.admin._publisher.publish_state()
    assert published(site).exemptions == ()


async def test_used_up_quota_says_that_it_opens_tomorrow(site: Site) -> None:
    await with_limits(site)
    await site.log(stopped("shopping-time", "shop.example", "30 minutes a day are used"))
    page = (await (await site.signed_in(people.CLERK)).get("/stopped")).text
    page = page.replace("\u00a0", " ")
    assert "30 minutes a day are used" in page and "It opens again tomorrow." in page


async def test_what_a_limit_stopped_offers_what_fits_it(site: Site) -> None:
    document = DOCUMENT.replace(
        "schedules:\n", 'schedules:\n  offices: {days: mon-fri, from: "08:00", to: "16:30"}\n'
    )
    document = document.replace(
        "quota: 30m/day, action: block", "quota: 30m/day, action: ask, approval: [it_security]"
    )
    site.state.policy_document.write_text(
        document.replace("larger_than: 1GB,", "larger_than: 1GB, when: offices,")
    )
    await site.until(lambda: bool(site.admin.policy.limits))
    gambling = {"category": "gambling"}
    await site.log(
        stopped("shopping-time", "shop.example", "30 minutes a day are used", category="shopping"),
        stopped("asked", "iso.example", "a download of 2 GB, over 1 GB", **gambling),
        stopped("a-day", "day.example", "2 GB a day are used", **gambling),
    )
    page = (await (await site.signed_in(people.CLERK)).get("/stopped")).text
    of = {
        host: page.partition(f">{host}</h2>")[2].partition("</li>")[0]
        for host in ("shop.example", "iso.example", "day.example")
    }
    assert "Ask to use it now" in of["shop.example"] and "This is the wrong category" in of["shop.example"]
    assert "Ask for this download" in of["iso.example"] and "The limit ends at" in of["iso.example"]
    assert "Ask" not in of["day.example"] and "It opens again tomorrow." in of["day.example"]
    assert page.count("This is the wrong category") == 1, "only where the limit is for what it is listed as"
    assert "I came here by accident" not in of["iso.example"] + of["day.example"]


async def test_stop_of_a_quota_at_a_site_is_one_with_the_time_of_the_last(site: Site) -> None:
    await with_limits(site)
    minute, now = timedelta(minutes=1), site.clock.at
    of_quota, why = {"category": "shopping"}, "30 minutes a day are used"
    await site.log(
        stopped("shopping-time", "shop.example", why, at=now - 9 * minute, code="AAA-AAA", **of_quota),
        # A page said it, at first one that some part of a page asked for.
        stopped("shopping-time", "shop.example", None, at=now - 6 * minute, lane=Lane.BLOCK, code="BBB-BBB"),
        stopped("shopping-time", "shop.example", None, at=now - 2 * minute, code="CCC-CCC", **of_quota),
        stopped("shopping-time", "store.example", None, at=now - minute, code="DDD-DDD", **of_quota),
        stopped("big", "shop.example", "over 500 MB came on one connection", code="EEE-EEE"),
    )
    page = (await (await site.signed_in(people.CLERK)).get("/stopped")).text.replace("\u00a0", " ")
    assert [code in page for code in ("AAA-AAA", "BBB-BBB", "CCC-CCC", "DDD-DDD", "EEE-EEE")] == [
        *(False, False),
        *(True, True, True),
    ]
    of_shop = page.partition("CCC-CCC")[0].rpartition("<li")[2]
    assert "last at" in of_shop and "10:12 AM" in of_shop
    assert page.count("last at") == 1


async def test_access_that_is_open_answers_for_nothing_that_a_limit_stopped_nor_the_other_way_round(
    site: Site,
) -> None:
    await with_limits(site)
    number = await site.sent_request(host="iso.example")
    head = await site.signed_in(people.HEAD)
    await post(head, f"/decide/{number}", answer="allow", step="0", expires_at="2026-03-07T15:00:00Z")
    clerk = await site.signed_in(people.CLERK)
    await site.log(visit(host="iso.example"))
    assert f"REQ-{number}:" in (await clerk.get("/stopped")).text
    await site.log(stopped("asked", "iso.example", "over 1 GB came on one connection", code="N7Q-9DD"))
    of_limit = (await clerk.get("/stopped")).text.partition("N7Q-9DD")[2].partition("</li>")[0]
    assert "REQ-" not in of_limit and ">Ask for this download<" in of_limit


async def test_asking_for_a_download_lifts_limits_and_opens_nothing(site: Site) -> None:
    await with_limits(site)
    number = await site.sent_request(
        duration="today", host="iso.example", rule="asked", category=None, entry=None, source=None
    )
    head = await site.signed_in(people.HEAD)
    page = (await head.get(f"/decide/{number}")).text
    assert "Allow downloads from iso.example for Clerk?" in page
    assert "nothing: it lifts the limits of the policy there" in page
    assert 'value="2026-03-07T05:00:00+00:00"' in page and 'value="2026-03-13' not in page
    for ends_at, status in (("2026-03-07T05:00:01Z", 422), ("2026-03-07T05:00:00Z", 303)):
        answer = await post(head, f"/decide/{number}", answer="allow", step="0", expires_at=ends_at)
        assert answer.status_code == status, "a download is for today at most"
    (exemption,) = published(site).exemptions
    assert (exemption.host, exemption.person, exemption.lifts_limits) == ("iso.example", people.CLERK, True)
    page = (await (await site.signed_in(people.CLERK)).get(f"/requests/{number}")).text
    assert "Load it again: no limit holds for" in page


async def test_one_download_is_asked_for_allowed_for_a_day_and_used(site: Site) -> None:
    await with_limits(site)
    clerk = await site.asking(people.CLERK, host="iso.example", rule="asked", category=None)
    fields = {"reason": "A manual.", "duration": "once"}
    for_all = await post(clerk, "/ask/K7M-4QP", **fields, for_whom="department")
    assert for_all.status_code == 422 and "One download is for one person" in for_all.text
    sent = await post(clerk, "/ask/K7M-4QP", **fields, for_whom="person")
    assert "It then goes through" in (await clerk.get(sent.headers["location"])).text
    number = sent.headers["location"].split("/")[2]
    head = await site.signed_in(people.HEAD)
    page = (await head.get(f"/decide/{number}")).text
    assert "Allow one download from iso.example for Clerk?" in page and "Change time" not in page
    assert "the first download that a limit would stop there goes through" in page
    assert "a download of more than 1\u00a0GB" in page.partition(">Stopped there<")[2][:200]
    ends_at = site.clock.at + timedelta(days=1)
    assert f'value="{ends_at.isoformat()}"' in page
    for end, status in ((ends_at + timedelta(seconds=1), 422), (ends_at, 303)):
        answer = await post(head, f"/decide/{number}", answer="allow", step="0", expires_at=end.isoformat())
        assert answer.status_code == status
    (access,) = published(site).exemptions
    assert (access.host, access.lifts_limits, access.is_once) == ("iso.example", True, True)
    page = (await clerk.get(f"/requests/{number}")).text
    assert "that would be stopped goes through" in page and "Allowed until" in page
    # In a tunnel, as at most such sites, no address is seen by which it would be known again.
    assert "but not at most sites with https" in page
    await site.log(stopped("asked", "iso.example", "over 1 GB came on one connection"))
    assert f"REQ-{number}, one download:" in (await clerk.get("/stopped")).text

    (site.state.spool / state_names.claim(access.id, access.granted_at)).write_bytes(b"f" * 64)
    await UsedDownloads(site.admin.db, site.state.spool, site.clock).look()
    for place in ("/requests", f"/requests/{number}"):
        page = (await clerk.get(place)).text.replace("\u00a0", " ")
        assert "Used <time" in page and "Allowed until" not in page
    assert "loaded it. The access is used" in page and "Another file needs a new request" in page
    assert "but not at most sites with https" in page
    assert "Used <time" in (await (await site.signed_in(people.IT)).get("/exemptions")).text
    of_limit = (await clerk.get("/stopped")).text
    assert "REQ-" not in of_limit and ">Ask for this download<" in of_limit, "another can be asked for"


async def test_who_has_asked_for_one_download_can_ask_for_all_and_for_what_it_does_not_answer(
    site: Site,
) -> None:
    await with_limits(site)
    site.state.policy_document.write_text(
        DOCUMENT.replace(
            "quota: 2GB/day, per: department, action: block",
            "quota: 2GB/day, action: ask, approval: [department_head]",
        )
    )
    await site.until(lambda: "a-day" in {one.id for one in site.admin.policy.limits if one.approval})
    once = await site.sent_request(duration="once", host="iso.example", rule="asked")
    await site.log(
        stopped("asked", "iso.example", "over 1 GB came on one connection"),
        stopped("big", "iso.example", "over 500 MB came on one connection"),
        stopped("a-day", "iso.example", "2 GB a day are used"),
    )
    clerk = await site.signed_in(people.CLERK)
    cards = (await clerk.get("/stopped")).text.replace("\u00a0", " ").split('<li class="card">')[1:]
    of_asked, of_big, of_quota = (
        next(card for card in cards if why in card) for why in ("over 1 GB", "over 500 MB", "2 GB a day")
    )
    assert f"REQ-{once}, one download:" in of_asked and "Ask for all downloads" in of_asked
    # One download neither goes past what warns nor uses more than a quota.
    assert "REQ-" not in of_big and "Download now" in of_big
    assert "REQ-" not in of_quota and "Ask to use it now" in of_quota

    await clerk.get("/ask", params={"token": site.token(host="iso.example", rule="asked", code="K8M-4QP")})
    form = (await clerk.get("/ask/K8M-4QP")).text
    assert "You have asked for one download already" in form and f'href="/requests/{once}"' in form
    assert 'value="today"' in form and 'value="once"' not in form
    sent = await post(clerk, "/ask/K8M-4QP", reason="A set.", duration="today", for_whom="person")
    assert sent.headers["location"] == f"/requests/{once + 1}/sent"
    again = (await clerk.get("/ask/K8M-4QP")).text
    assert "You have asked already" in again and f"REQ-{once + 1}" in again and "<textarea" not in again


async def test_whoever_decides_reads_what_is_stopped_and_which_earlier_answers_were_about_downloads(
    site: Site,
) -> None:
    await with_limits(site)
    of_iso = {"host": "iso.example", "rule": "asked"}
    once = await site.sent_request(duration="once", **of_iso)
    put = await outbox.due(site.admin.db, Channel.MAIL, site.clock.at)
    (letter,) = [one for one in put if one.letter.kind is LetterKind.REQUEST_TO_DECIDE]
    facts = (await words_of(letter, site.admin.db, Town(site.admin.policy, site.clock.at))).facts
    assert ("Stopped there", "a download of more than 1\u00a0GB") in facts
    head = await site.signed_in(people.HEAD)
    ends_at = (site.clock.at + timedelta(days=1)).isoformat()
    await post(head, f"/decide/{once}", answer="allow", step="0", expires_at=ends_at)
    for_all = await site.sent_request(duration="today", code="K8M-4QP", **of_iso)
    await post(head, f"/decide/{for_all}", answer="deny", step="0", reason="Not needed for work")
    of_site = await site.sent_request(host="iso.example", code="K9M-4QP")
    page = (await head.get(f"/decide/{of_site}")).text.replace("\u00a0", " ")
    assert "downloads: not allowed" in page and "one download: allowed" in page
    form = (await (await site.asking(code="L7M-4QP", **of_iso)).get("/ask/L7M-4QP")).text
    lately = form.partition("The answer lately")[2][:400]
    assert "downloads from" in lately and "Not approved" in lately


async def test_a_download_is_asked_for_today_at_most(site: Site) -> None:
    await with_limits(site)
    clerk = await site.asking(people.CLERK, host="iso.example", rule="asked", category=None)
    page = (await clerk.get("/ask/K7M-4QP")).text
    durations = ("once", "hour", "today", "week", "month")
    assert [each for each in durations if f'value="{each}"' in page] == ["once", "today"]
    assert "This one download" in page and page.count(", the longest") == 1
    for duration, said in (
        ("week", "That is longer than the town allows"),
        ("hour", "cannot be asked for so"),
    ):
        sent = await post(clerk, "/ask/K7M-4QP", reason="A manual.", duration=duration, for_whom="person")
        assert sent.status_code == 422 and said in sent.text
    of_site = await site.asking(people.CLERK, code="K8M-4QP")
    once = await post(of_site, "/ask/K8M-4QP", reason="A card.", duration="once", for_whom="person")
    assert once.status_code == 422 and "cannot be asked for so" in once.text


async def test_download_that_a_rule_stops_is_asked_for_as_one_that_a_limit_stops(site: Site) -> None:
    stops = "categories: [press], action: block, approval: [department_head]"
    rules = "rules:\n" + "".join(
        f"  - {{id: {id_}, file_types: [{kind}], {stops}}}\n"
        for id_, kind in (("no-programs", "executable"), ("no-archives", "archive"))
    )
    site.state.policy_document.write_text(towns.DOCUMENT.replace("rules:\n", rules))
    await site.until(lambda: any(rule.file_types for rule in site.admin.policy.rules))
    of_news = {"host": "news.example", "rule": "no-programs", "category": "press", "entry": "news.example"}
    page = (await (await site.asking(people.CLERK, **of_news)).get("/ask/K7M-4QP")).text
    assert "but a download of programs is stopped there" in page and "This one download" in page
    number = await site.sent_request(duration="today", code="K8M-4QP", **of_news)
    head = await site.signed_in(people.HEAD)
    assert (
        "it lifts the limits of the policy there, and this rule" in (await head.get(f"/decide/{number}")).text
    )
    await post(head, f"/decide/{number}", answer="allow", step="0", expires_at="2026-03-07T05:00:00Z")
    (access,) = published(site).exemptions
    assert (access.lifts_limits, access.is_once, access.lifts_rule) == (True, False, "no-programs")
    refused, of_another = (
        visit(host="news.example", rule=rule, category="press", refusal="a download")
        for rule in ("no-programs", "no-archives")
    )
    await site.log(refused, visit(host="news.example"), of_another)
    page = (await (await site.signed_in(people.CLERK)).get("/stopped")).text
    assert page.count(f"REQ-{number}:") == 1, "access to downloads answers for no site, nor another rule"
    assert page.count(">Ask for this download<") == 1


async def test_people_see_what_is_left_today_of_the_quotas_that_are_about_them(site: Site) -> None:
    await with_limits(site)
    day = FRIDAY_MORNING.date()
    finance = Client("", person=people.CLERK, department="finance")

    limits = {limit.id: limit for limit in site.admin.policy.limits}
    of_day, of_shopping = limits["a-day"], limits["shopping-time"]
    spool, yesterday = site.state.spool, day - timedelta(days=1)
    write_use(spool, day, "0", finance, (of_day, 400_000_000, ()), (of_shopping, 0, range(10)))
    write_use(spool, day, "1", finance, (of_day, 200_000_000, ()), (of_shopping, 0, (9, 99)))
    write_use(spool, yesterday, "2", finance, (of_day, 10**9, ()))
    (site.state.spool / f"{day}-bad.usage").write_bytes(b"[")
    page = (await (await site.signed_in(people.CLERK)).get("/requests")).text.replace("\u00a0", " ")
    # A minute that two workers counted is one.
    assert "Left today: 1.4 GB for your department; 19 minutes of Shopping." in page


async def test_mail_says_once_a_day_for_each_limit_that_a_tunnel_was_closed(site: Site) -> None:
    await with_limits(site)
    await site.log(
        stopped("big", "files.example", "over 500 MB came on one connection"),
        stopped("big", "other.example", "over 500 MB came on one connection"),
        stopped("asked", "iso.example", "over 1 GB came on one connection"),
        # A page said it.
        stopped("shopping-time", "shop.example", "30 minutes a day are used", lane=Lane.BLOCK),
        stopped("big", "files.example", "over 500 MB came on one connection", person="nobody-known"),
    )
    letters = LimitLetters(site.admin.db, lambda: site.admin.policy, site.clock)
    for _ in range(2):
        await letters.look()
    rows = await site.admin.db.fetch_all("SELECT recipient, details FROM letter WHERE kind = 'limit_closed'")
    told = [(row["recipient"], json.loads(row["details"])["values"]["host"]) for row in rows]
    assert sorted(told) == [(people.CLERK, "files.example"), (people.CLERK, "iso.example")]


async def test_why_says_what_is_left_of_a_quota_and_that_it_is_used_up(site: Site) -> None:
    await with_limits(site)
    limits = {limit.id: limit for limit in site.admin.policy.limits}
    shopping = limits["shopping-time"]
    clerk = Client("", person=people.CLERK, department="finance")
    await site.log(
        stopped("shopping-time", "shop.example", "30 minutes a day are used"),
        visit(
            host="library.example",
            verdict=Verdict.ALLOW,
            lane=Lane.TUNNEL,
            cause=Cause.DEFAULT,
            rule=None,
            **NOT_LISTED,
        ),
    )
    it = await site.signed_in(people.IT)
    why = await site.why_of_first_visit()
    page = (await it.get(why)).text.replace("\u00a0", " ")
    assert "Left of limit" not in page, "nothing is known of that day"
    assert "Limit shopping-time" in page
    assert "More than 30 minutes a day for each person is stopped. It stops this visit." in page
    day = FRIDAY_MORNING.date()
    write_use(site.state.spool, day, "0", clerk, (shopping, 0, range(30)), (limits["a-day"], 600_000_000, ()))
    page = (await it.get(why)).text.replace("\u00a0", " ")
    assert "Left of limit shopping-time" in page and "nothing of 30 minutes" in page
    page = (await it.get(await site.of_visit(2, "visits", "why"))).text.replace("\u00a0", " ")
    assert "Left of limit a-day" in page and "1.4 GB of 2 GB" in page
    assert "It stops this visit." not in page


async def test_why_says_that_a_limit_is_gone(site: Site) -> None:
    await with_limits(site)
    await site.log(stopped("big", "files.example", "over 500 MB came on one connection"))
    site.state.policy_document.write_text(towns.DOCUMENT)
    await site.until(lambda: not site.admin.policy.limits)
    page = await (await site.signed_in(people.IT)).get(await site.why_of_first_visit())
    assert "The policy of now has no limit big." in page.text
