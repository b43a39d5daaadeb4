"""Your own visits: all that is kept under a person's name, for that person alone."""

import re
from datetime import timedelta

from admin import audit
from policy.decision import Cause, Verdict
from tests import people
from tests.admin.web.conftest import FRIDAY_MORNING, Site, visit
from tests.admin.web.test_api import program_of

MINUTE = timedelta(minutes=1)


async def test_people_see_their_own_record_and_nobody_elses(site: Site) -> None:
    allowed = {"verdict": Verdict.ALLOW, "cause": Cause.DEFAULT, "rule": None, "category": None}
    await site.log(
        visit(FRIDAY_MORNING - 3 * MINUTE, bytes_down=4_200_000),
        # At another computer, where the clerk had signed in.
        visit(FRIDAY_MORNING - 2 * MINUTE, host="library.example", device="LIB-PC-1", **allowed),
        visit(host="parks.example", person=people.PARKS_HEAD, department="parks", device=None),
        visit(host="shared.example", person=None, device="LIB-PC-1"),
    )
    clerk, head = await site.signed_in(people.CLERK), await site.signed_in(people.HEAD)
    page = (await clerk.get("/visits/own")).text.replace("\u00a0", " ")
    for shown in ("cardroom.example", "Gambling", "Blocked", "4.2 MB", "FIN-PC-15", "library.example"):
        assert shown in page, shown
    assert page.index("library.example") < page.index("cardroom.example"), "the newest first"
    assert "parks.example" not in page and "shared.example" not in page
    page = (await head.get("/visits/own")).text
    assert "Nothing is kept under your name." in page and "cardroom.example" not in page
    assert await audit.events_of(site.admin.db, "visits") == [], "nobody needs a reason for what is their own"


async def test_older_ones_follow_without_gap_or_repetition(site: Site) -> None:
    hosts = [f"n{number}.example" for number in range(120)]
    await site.log(
        *(visit(FRIDAY_MORNING - n * MINUTE, host=host, code=f"C{n:02}") for n, host in enumerate(hosts))
    )
    clerk = await site.signed_in(people.CLERK)
    seen, path = [], "/visits/own"
    for _ in range(3):
        page = (await clerk.get(path)).text
        seen += re.findall(r'scope="row" class="site">([\w.]+)<', page)
        path = page.partition('href="/visits/own?before=')[2].partition('"')[0]
        path = f"/visits/own?before={path}"
    assert seen == hosts
    assert "There is nothing older." in (await clerk.get("/visits/own?before=1000.1")).text
    assert (await clerk.get("/visits/own?before=x")).status_code == 200


async def test_people_see_the_full_addresses_that_are_kept_of_them(site: Site) -> None:
    await site.log(visit(addresses=("http://cardroom.example/table",)))
    page = (await (await site.signed_in(people.CLERK)).get("/visits/own")).text
    assert "<li>http://cardroom.example/table</li>" in page
    (own,) = (await (await program_of(site, people.CLERK)).get("/visits/own"))["items"]
    assert own["addresses"] == ["http://cardroom.example/table"]


async def test_programs_get_the_same_by_a_scope_of_its_own(site: Site) -> None:
    await site.log(*(visit(FRIDAY_MORNING - n * MINUTE, host=f"n{n}.example") for n in range(3)))
    await site.log(visit(host="parks.example", person=people.PARKS_HEAD, department="parks"))
    clerk = await program_of(site, people.CLERK)
    first = await clerk.get("/visits/own", limit=2)
    assert [one["host"] for one in first["items"]] == ["n0.example", "n1.example"]
    assert first["items"][0]["who"]["person"] == people.CLERK
    rest = await clerk.get(first["next"])
    assert [one["host"] for one in rest["items"]] == ["n2.example"] and rest["next"] is None
    await clerk.get("/visits/own", 422, before="9999999999999999.1")


async def test_they_are_for_who_signed_in_alone_and_what_is_recorded_leads_there(site: Site) -> None:
    at_the_device = await site.asking()
    answer = await at_the_device.get("/visits/own")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/visits/own")
    assert 'href="/visits/own"' in (await site.client().get("/recorded")).text
