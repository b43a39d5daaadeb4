"""Heavy now: what workers say of open visits, software updates in one row, Stop, and a draft of a limit."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from admin import audit
from admin.audit import EventKind
from categories.taxonomy import taxonomy
from policy.decision import Lane, Verdict
from policy.document import load_document
from policy.worker_facts import HeavyVisit, WorkerFacts
from tests import people
from tests.admin.web.conftest import FRIDAY_MORNING, Site, post, visit
from tests.admin.web.test_limit_pages import DOCUMENT, published, with_limits

DOWNLOAD = HeavyVisit(
    code="K7M-4QP",
    started_at=FRIDAY_MORNING - timedelta(minutes=5),
    address="10.10.20.15",
    person=people.CLERK,
    device="FIN-PC-15",
    department="finance",
    host="files.example",
    category=None,
    lane=Lane.TUNNEL,
    bytes_up=0,
    bytes_down=4_200_000_000,
    bytes_per_second=5_000_000,
)


def tell(site: Site, worker: int, *heavy: HeavyVisit, seconds_ago: int = 2, speed: int = 6_250_000) -> None:
    facts = WorkerFacts(site.clock.at - timedelta(seconds=seconds_ago), heavy=heavy, bytes_per_second=speed)
    (site.state.spool / f"worker-{worker}.facts").write_bytes(facts.to_bytes())


def updates(number: int) -> HeavyVisit:
    return replace(
        DOWNLOAD,
        code=f"U{number}M-4QP",
        device=f"FIN-PC-{number // 2}",
        host="updates.example",
        category="software_updates",
        bytes_down=1_000_000_000,
        bytes_per_second=1_000_000,
    )


def said(text: str) -> str:
    return " ".join(text.replace("\u00a0", " ").replace("&nbsp;", " ").split())


async def test_heavy_visits_of_all_workers_are_shown_with_their_share_and_nobody_is_named(site: Site) -> None:
    await with_limits(site)
    tell(site, 1, DOWNLOAD, *(updates(number) for number in range(6)))
    tell(
        site, 2, replace(DOWNLOAD, code="K8M-4QP", host="other.example", bytes_per_second=9_000_000), speed=0
    )
    tell(site, 3, replace(DOWNLOAD, code="K9M-4QP", host="over.example"), seconds_ago=60)
    it = await site.signed_in(people.IT)
    page = said((await it.get("/heavy")).text)
    assert "The line is 50 % used: 50 Mbit/s of 100 Mbit/s." in page
    assert page.index("other.example") < page.index("files.example")
    assert "over.example" not in page, "its worker said so a minute ago"
    for shown in ("4.2 GB", "40 Mbit/s", "40 %", "3 computers", "6 GB", "48 Mbit/s", "Finance, person"):
        assert shown in page, shown
    assert "Clerk" not in page and "FIN-PC-15" not in page
    assert "Line in use" in (await it.get("/today")).text
    reason = {"reason": "The line is full", "next": "/heavy"}
    assert (await post(it, "/visits/names", **reason)).headers["location"] == "/heavy"
    assert "Finance, Clerk" in said((await it.get("/heavy")).text)


async def test_nothing_heavy_says_so(site: Site) -> None:
    await with_limits(site)
    tell(site, 1, speed=1_500_000)
    page = said((await (await site.signed_in(people.HELP_DESK)).get("/heavy")).text)
    assert "Nothing heavy." in page and page.count("The line is 12 % used") == 1


async def test_it_stops_a_heavy_visit_which_is_recorded_and_the_proxy_told(site: Site) -> None:
    tell(site, 1, DOWNLOAD, replace(DOWNLOAD, code="K9M-4QP", host="other.example"))
    it = await site.signed_in(people.IT)
    assert "Ending" not in (await it.get("/heavy")).text
    assert (await post(it, "/heavy/end", "/heavy", code="Z9Z-9ZZ")).headers["location"] == "/heavy"
    assert published(site).ended_visits == ()
    assert (await post(it, "/heavy/end", "/heavy", code="K7M-4QP")).headers["location"] == "/heavy"
    assert published(site).ended_visits == ("K7M-4QP",)
    page = said((await it.get("/heavy")).text)
    assert page.count("Ending") == 1 and page.count(">Stop<") == 1, "until its worker says that it is over"
    assert 'value="K7M-4QP"' not in page
    records = (await it.get("/records")).text
    assert "Ended a heavy visit" in records
    site.clock.at += timedelta(hours=2)
    desk = await site.signed_in(people.HELP_DESK)
    assert "Stop<" not in (await desk.get("/heavy")).text
    tell(site, 1, replace(DOWNLOAD, code="K8M-4QP"))
    assert (await post(desk, "/heavy/end", "/heavy", code="K8M-4QP")).status_code == 403
    assert published(site).ended_visits == ("K7M-4QP",), "nothing new"
    it = await site.signed_in(people.IT)
    assert "only people with that duty see this" in (await it.get("/records")).text, "a try is recorded"


async def test_of_two_of_it_who_stop_a_visit_one_does_and_the_others_try_is_recorded(site: Site) -> None:
    tell(site, 1, DOWNLOAD)
    first, second = await site.signed_in(people.IT), await site.signed_in(people.IT)
    answers = await asyncio.gather(
        *(post(it, "/heavy/end", "/heavy", code="K7M-4QP") for it in (first, second, first))
    )
    assert {answer.headers["location"] for answer in answers} == {"/heavy"}
    ended = await audit.events_of(site.admin.db, DOWNLOAD.host)
    assert [event.kind for event in ended] == [EventKind.VISIT_ENDED]
    refused = await audit.events_of(site.admin.db, "heavy visits")
    assert [(event.kind, event.actor) for event in refused] == [
        (EventKind.REQUEST_MOVE_REFUSED, people.IT)
    ] * 2
    assert published(site).ended_visits == ("K7M-4QP",)


async def test_draft_is_a_limit_that_the_policy_takes(site: Site) -> None:
    await with_limits(site)
    page = (await (await site.signed_in(people.IT)).get("/heavy/draft?host=files.example")).text
    draft = page.partition('tabindex="0">limits:\n')[2].partition("</pre>")[0]
    assert "hosts: [files.example]" in draft
    text = DOCUMENT.replace("limits:\n", f"limits:\n{draft}\n")
    found = load_document(text, taxonomy()).policy.limits[0]
    assert (found.hosts, found.larger_than) == (frozenset({"files.example"}), 500_000_000)


@pytest.mark.parametrize("span", ["today", "week"])
async def test_heavy_lately_is_counted_by_people_departments_sites_and_categories(
    site: Site, span: str
) -> None:
    at = FRIDAY_MORNING - timedelta(hours=1)
    values = {"verdict": Verdict.ALLOW, "lane": Lane.TUNNEL, "started_at": at, "ended_at": at}
    await site.log(
        visit(
            code="A2A-222",
            host="files.example",
            category=None,
            entry=None,
            bytes_down=3_000_000_000,
            **values,
        ),
        visit(
            code="A2A-223",
            host="files.example",
            category=None,
            entry=None,
            bytes_down=1_000_000_000,
            **values,
        ),
        visit(code="A2A-224", host="u.example", category="software_updates", bytes_down=2_000_000, **values),
    )
    it = await site.signed_in(people.IT)
    page = said((await it.get(f"/heavy?span={span}")).text)
    for shown in ("Finance, person", "files.example", "Software updates", "4 GB", "2 MB"):
        assert shown in page, shown
    assert "Clerk" not in page


async def test_markup_in_what_workers_and_records_say_is_text_on_every_page(site: Site) -> None:
    await with_limits(site)
    hostile = "<script>alert(1)</script>"
    names = dict.fromkeys(("host", "person", "device", "department"), hostile)
    tell(site, 1, replace(DOWNLOAD, category=hostile, **names))
    await site.log(visit(rule=hostile, entry=hostile, refusal=hostile, **names))
    it = await site.signed_in(people.IT)
    await post(it, "/visits/names", reason="Ticket 7.", case="", next="/visits?")
    for path in ("/heavy", "/heavy?span=week", "/visits", await site.why_of_first_visit(), "/today"):
        answer = await it.get(path)
        assert answer.status_code == 200 and hostile not in answer.text, path
    assert "&lt;script&gt;" in (await it.get("/visits")).text
