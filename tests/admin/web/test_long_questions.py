"""Questions to the visit log that take long: given up in time, and when nobody waits for them."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import httpx
import pytest

from admin.visit_log.visit_log import MonthFile
from admin.web import long_questions
from tests import people
from tests.admin.web.conftest import Site, visit
from tests.admin.web.test_api import program_of

ENDLESS = "/visits?department=finance&span=month"
ENDLESS_EXPORT = "/visits/export?department=finance&span=month"


@asynccontextmanager
async def endless(site: Site) -> AsyncIterator[MonthFile]:
    """Open the month that has visits; it is never found out there who is of a department."""
    (newest,) = await site.admin.db.visits.months()
    async with site.admin.db.visits.reading(newest) as file:
        with closing(sqlite3.connect(file.file.path)) as other, other:
            other.execute("PRAGMA legacy_alter_table = ON")
            other.execute("ALTER TABLE client RENAME TO client_as_it_was")
            other.execute(
                "CREATE VIEW client AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n)"
                " SELECT id, 'finance' AS department, 'clerk' AS person, '' AS device, '' AS address FROM n"
                " WHERE id < 0"
            )
        yield file


@pytest.fixture
async def month(site: Site) -> AsyncIterator[MonthFile]:
    """Return a month that is so, with a visit."""
    await site.log(visit())
    async with endless(site) as file:
        yield file


async def is_free(file: MonthFile) -> bool:
    """Whether every reader answers at once."""
    try:
        async with asyncio.timeout(10):
            answers = await asyncio.gather(*(file.fetch_all("SELECT 1 AS one") for _ in range(3)))
    except TimeoutError:
        return False
    return all(rows[0]["one"] == 1 for rows in answers)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (ENDLESS, "Choose a shorter time, or enter a site or a page code."),
        ("/heavy?span=week", "Choose a shorter time."),
        (ENDLESS_EXPORT, "Nothing was exported."),
    ],
)
async def test_question_that_takes_long_is_given_up_and_says_what_to_narrow(
    path: str, says: str, site: Site, month: MonthFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_questions, "MOST_SECONDS", 0.5)
    client = await site.signed_in(people.IT)
    answer = await client.get(path)
    assert answer.status_code == 503 and says in answer.text
    assert "No visits match" not in answer.text and 'hx-trigger="every 2s"' not in answer.text
    if path == ENDLESS:
        assert '<option value="month" selected>' in answer.text, "what was asked for is kept"
    assert await is_free(month)


async def test_programs_question_is_given_up_too_and_says_so(
    site: Site, month: MonthFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_questions, "MOST_SECONDS", 0.5)
    program = await program_of(site, people.IT)
    assert (await program.get("/visits", 503, department="finance"))["type"] == "/api#too-long"
    assert await is_free(month)


@pytest.mark.parametrize("path", [ENDLESS, ENDLESS_EXPORT])
async def test_question_ends_with_the_browser_that_asked(path: str, site: Site, month: MonthFile) -> None:
    client = await site.signed_in(people.IT)
    for _ in range(4):
        with pytest.raises(httpx.ReadTimeout):
            await client.get(path, timeout=httpx.Timeout(30, read=0.5))
    until = time.monotonic() + 30
    while not await is_free(month):
        assert time.monotonic() < until
    assert (await client.get("/today")).status_code == 200


async def test_while_long_questions_are_asked_short_ones_are_answered(
    site: Site, month: MonthFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, other = await site.signed_in(people.IT), await site.signed_in(people.HELP_DESK)
    monkeypatch.setattr(long_questions, "MOST_SECONDS", 300)
    asked = [asyncio.create_task(client.get(ENDLESS, timeout=300)) for _ in range(5)]
    await asyncio.sleep(0.5)
    async with asyncio.timeout(30):
        assert (await other.get("/today")).status_code == 200
        assert await month.fetch_all("SELECT 1")
    for one in asked:
        one.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
