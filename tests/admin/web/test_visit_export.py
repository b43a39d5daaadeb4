"""Visits of the page's filters as a file: lines of the command, as the session sees them, on record."""

import asyncio
import csv
import errno
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from admin.audit import EventKind
from admin.command import cli
from policy.decision import Verdict
from tests import people
from tests.admin.web.conftest import Site, post, visit
from tests.admin.web.test_records_page import text
from tests.admin.web.test_visit_pages import allowed, hosts

EXPORT = "/visits/export"


def rows_of(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table, newline="")))


async def recorded(site: Site) -> list[dict[str, Any]]:
    """Return what is on record of exports, each with its actor."""
    rows = await site.admin.db.fetch_all(
        "SELECT actor, details FROM event WHERE kind = ? ORDER BY id", EventKind.VISITS_EXPORTED
    )
    return [{"actor": row["actor"], **json.loads(row["details"])} for row in rows]


async def by_command(site: Site, *args: str) -> str:
    command = ["visits", "--state", str(site.state.root), "--all", "--csv", *args]
    done = await asyncio.to_thread(CliRunner().invoke, cli, command)
    assert done.exit_code == 0, done.output
    return done.stdout


async def with_names(site: Site) -> Any:
    """Return IT's browser in which names are shown."""
    it = await site.signed_in(people.IT)
    await post(it, "/visits/names", reason="Ticket 7")
    return it


async def test_export_has_the_lines_of_the_command_for_the_filters_of_the_page(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("admin.visit_export._ROWS_AT_ONCE", 5)
    at = site.clock.at
    # Some of them began together: the pages of rows end between them.
    await site.log(
        *(visit(at - timedelta(minutes=n // 4), host=f"h{n}.example") for n in range(25)),
        visit(at, host="left-out.example"),
        visit(at, host="parks.example", department="parks", person=None),
        allowed(at=at),
    )
    it = await site.signed_in(people.IT)
    filters = "span=today&department=finance&verdict=block&not_host=left-out.example"
    page = (await it.get(f"/visits?{filters}")).text
    assert f'<a href="{EXPORT}?{filters.replace("&", "&amp;")}">Export</a>' in page
    answer = await it.get(f"{EXPORT}?{filters}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="visits-2026-03-06.csv"'
    assert answer.headers["cache-control"] == "no-store"
    assert int(answer.headers["content-length"]) == len(answer.content)
    told = await by_command(
        site, *("--department", "finance", "--verdict", "block", "--not-host", "left-out.example")
    )
    heading, *lines = answer.text.splitlines()
    assert [heading, *sorted(lines)] == [told.splitlines()[0], *sorted(told.splitlines()[1:])]
    exported = [row["host"] for row in rows_of(answer.text)]
    assert exported == hosts(page) and len(set(exported)) == 25


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("", "visits-2026-03-04-to-2026-03-06.csv"),
        ("since=2026-03-01T00:00&until=2026-03-05T00:00", "visits-2026-03-01-to-2026-03-04.csv"),
        ("since=2026-03-05T08:00&until=2026-03-05T09:00", "visits-2026-03-05.csv"),
        ("span=week", "visits-2026-02-27-to-2026-03-06.csv"),
    ],
)
async def test_file_is_named_after_the_dates_that_were_asked_for(query: str, name: str, site: Site) -> None:
    # By the town's clock it was the day before.
    await site.log(visit(site.clock.at.replace(day=5, hour=3)))
    answer = await (await site.signed_in(people.IT)).get(f"{EXPORT}?{query}")
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'


async def test_export_has_nothing_that_a_spreadsheet_computes_or_takes_for_another_row(site: Site) -> None:
    odd = ("=cmd()", "a\r\nb,c", '<script>"x"</script>')
    await site.log(*(allowed(f"h{n}.example", refusal=text) for n, text in enumerate(odd)))
    table = (await (await site.signed_in(people.IT)).get(EXPORT)).text
    cells = {row["host"]: row["refusal"] for row in rows_of(table)}
    assert cells == {"h0.example": "'=cmd()", "h1.example": "a\ufffd\ufffdb,c", "h2.example": odd[2]}


async def test_export_names_whom_the_page_names_and_no_more(site: Site) -> None:
    address = "http://cardroom.example/players/clerk"
    await site.log(visit(scheme="http", port=80, address="10.10.20.15", addresses=(address,)))
    helper = await site.signed_in(people.HELP_DESK)
    hidden = (await helper.get(EXPORT)).text
    (row,) = rows_of(hidden)
    assert row["department"] == "finance" and len(row["who"]) == 3
    for secret in (people.CLERK, "FIN-PC-15", "10.10.20.15"):
        assert secret not in hidden
    it = await with_names(site)
    shown = (await it.get(EXPORT)).text
    (row,) = rows_of(shown)
    assert (row["person"], row["device"], row["address"]) == (people.CLERK, "FIN-PC-15", "10.10.20.15")
    assert "/players/" not in shown, "a full address is in the row's menu alone"
    site.clock.at += timedelta(minutes=30)
    assert people.CLERK not in (await it.get(EXPORT)).text


async def test_search_by_person_is_exported_once_a_reason_was_given_and_a_second_person_agreed(
    site: Site,
) -> None:
    await site.log(visit())
    it, path = await site.signed_in(people.IT), f"{EXPORT}?person={people.CLERK}"
    for _ in ("names are hidden", "they are shown, but nobody agreed to the search"):
        answer = await it.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"] == "/visits/names?next=%2Fvisits%3Fperson%3Dclerk"
        await post(it, "/visits/names", reason="Ticket 7")
    assert await recorded(site) == []
    document = site.state.policy_document
    document.write_text(document.read_text() + "names: {second_person: never}\n")
    await site.until(lambda: site.admin.policy.second_person.value == "never")
    assert len(rows_of((await it.get(path)).text)) == 1
    (event,) = await recorded(site)
    assert (event["person"], event["names"], event["filters"]) == (people.CLERK, "shown", [])
    assert "Exported visits" in text(await it.get("/records?kinds=people"))
    assert "Person Employee, Finance" in text(await it.get("/records?kinds=people"))


async def test_who_exported_which_visits_and_how_many_is_on_record(site: Site) -> None:
    await site.log(*(visit(host=f"h{n}.example") for n in range(3)))
    helper = await site.signed_in(people.HELP_DESK)
    await helper.get(f"{EXPORT}?span=today&department=finance&verdict=block&not_rule=a,b")
    await helper.get(f"{EXPORT}?since=2026-03-07T00:00")
    assert await recorded(site) == [
        {
            "actor": people.HELP_DESK,
            "acting_role": "help_desk",
            "visits": 3,
            "names": "hidden",
            "person": None,
            "begins_at": "2026-03-06T05:00:00+00:00",
            "until": None,
            "filters": ["department=finance", "verdict=block", "not_rule=a,b"],
        },
        {
            "actor": people.HELP_DESK,
            "acting_role": "help_desk",
            "visits": 0,
            "names": "hidden",
            "person": None,
            "begins_at": "2026-03-07T05:00:00+00:00",
            "until": None,
            "filters": [],
        },
    ]
    shown = text(await (await site.signed_in(people.IT)).get("/records?kinds=people"))
    assert (
        "From Fri, March 6, 12 AM Filters Finance, Blocked, Not a, Not b Visits 3 Names hidden"
        " visits Help desk"
    ) in shown
    assert "From Sat, March 7, 12 AM Visits 0" in shown


async def test_too_many_visits_are_not_exported_in_part(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("admin.visit_export.MOST_VISITS", 3)
    monkeypatch.setattr("admin.visit_export._ROWS_AT_ONCE", 2)
    await site.log(*(visit(host=f"h{n}.example") for n in range(4)), visit(verdict=Verdict.WARN))
    it = await site.signed_in(people.IT)
    answer = await it.get(f"{EXPORT}?verdict=block&not_host=h0.example")
    assert answer.status_code == 200 and len(rows_of(answer.text)) == 3
    answer = await it.get(f"{EXPORT}?verdict=block")
    assert answer.status_code == 422 and "content-disposition" not in answer.headers
    said = text(answer)
    assert "A file has 3 visits at most, and there are more. Nothing was exported." in said
    assert "Choose a shorter time" in said and "towngate visits --all --csv" in said
    assert 'href="/visits?verdict=block"' in answer.text
    assert [event["visits"] for event in await recorded(site)] == [3]


async def test_filter_that_means_nothing_exports_nothing_and_its_page_says_so(site: Site) -> None:
    it = await site.signed_in(people.IT)
    answer = await it.get(f"{EXPORT}?span=nonsense&department=finance")
    assert answer.headers["location"] == "/visits?span=nonsense&department=finance"
    page = (await it.get(answer.headers["location"])).text
    assert "is no time to choose" in page
    assert f'<a href="{EXPORT}?department=finance">Export</a>' in page, "what is shown there"
    assert await recorded(site) == []


async def test_disk_without_room_for_the_file_is_said_and_nothing_is_on_record(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_where: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    it = await site.signed_in(people.IT)
    monkeypatch.setattr("admin.web.exporting.TemporaryFile", full)
    answer = await it.get(EXPORT)
    assert answer.status_code == 503 and "Not there right now. Try again." in answer.text
    assert await recorded(site) == []


async def test_nothing_of_an_export_stays_on_the_disk(site: Site) -> None:
    await site.log(visit())
    it = await site.signed_in(people.IT)
    before = {path.name for path in site.state.admin.iterdir()}
    assert (await it.get(EXPORT)).status_code == 200
    assert {path.name for path in site.state.admin.iterdir()} == before
