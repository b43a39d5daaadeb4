"""`towngate notice`: who accepted what, written out and counted."""

import asyncio
import csv
import io
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from admin import audit, notices
from admin.audit import EventKind
from admin.clock import utc_now
from admin.command import cli
from admin.database import Database
from admin.notices import KnownBy
from policy.town_policy import Policy
from tests import people
from tests.published_town import PublishedTown, policy_of
from tests.towns import DOCUMENT

FORMULA = '=HYPERLINK("http://evil.example/","Click")'
NOTICE = f"""notice:
  title: '{FORMULA}'
  text: |
    -1+1

    Two, "quoted"; and three.
"""


class Town:
    """A published town with a notice, and what the command says of it."""

    def __init__(self, root: Path, document: str) -> None:
        self.published = PublishedTown(root, document=document)
        self.policy: Policy = policy_of(document)
        self.in_database(self._nothing)

    async def _nothing(self, db: Database) -> None:
        pass

    def in_database[T](self, do: Callable[[Database], Awaitable[T]]) -> T:
        async def done() -> T:
            async with Database.open(self.published.state.database) as db:
                return await do(db)

        return asyncio.run(done())

    def accept(self, person: str) -> None:
        version = self.policy.notice.version if self.policy.notice else ""
        self.in_database(
            lambda db: notices.accept(db, self.policy, person, version, KnownBy.SIGNED_IN, utc_now())
        )

    def towngate(self, *words: str) -> Result:
        result = CliRunner().invoke(cli, ["notice", *words, "--state", str(self.published.state.root)])
        assert result.exit_code == 0, result.output
        return result


@pytest.fixture
def town(tmp_path: Path) -> Town:
    document = DOCUMENT.replace("name: Clerk,", "name: '@Clerk',") + NOTICE
    return Town(tmp_path / "state", document)


def test_export_has_every_text_and_receipt_and_no_cell_is_a_formula(town: Town) -> None:
    town.accept(people.CLERK)
    town.accept(people.HEAD)

    rows = list(csv.DictReader(io.StringIO(town.towngate("export", "--csv").stdout, newline="")))

    assert [row["record"] for row in rows] == ["version", "receipt", "receipt"]
    assert rows[0]["title"] == f"'{FORMULA}"
    assert rows[0]["text"] == '\'-1+1\n\nTwo, "quoted"; and three.'
    assert [(row["person"], row["name"]) for row in rows[1:]] == [
        (people.CLERK, "'@Clerk"),
        (people.HEAD, "Head of Finance"),
    ]
    assert {row["known_by"] for row in rows[1:]} == {"signed_in"}
    assert rows[1]["version"] == rows[0]["version"]
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


def test_export_as_json_has_texts_as_they_are_and_is_put_on_record(town: Town) -> None:
    town.accept(people.CLERK)

    exported = json.loads(town.towngate("export", "--json").stdout)

    assert exported["versions"][0]["title"] == FORMULA
    assert [receipt["name"] for receipt in exported["receipts"]] == ["@Clerk"]
    (event,) = town.in_database(lambda db: audit.events_of(db, "notices"))
    assert event.kind is EventKind.NOTICE_EXPORTED
    assert event.actor.endswith("at the command line")
    assert event.details == {"versions": 1, "receipts": 1}


def test_status_counts_and_names_who_has_yet_to_answer(town: Town) -> None:
    town.accept(people.CLERK)

    said = town.towngate("status").stdout
    assert "It has to be accepted." in said
    assert "Of 6 people 1 accepted it, 0 put it off, 5 have not answered." in said
    assert "Not yet: administrator, head, helpdesk, it, parks-head." in said
    values = json.loads(town.towngate("status", "--json").stdout)
    assert values["accepted"] == ["clerk"] and len(values["missing"]) == 5


def test_status_knows_who_put_it_off_for_today(tmp_path: Path) -> None:
    day = (utc_now() + timedelta(days=30)).date()
    town = Town(tmp_path / "state", DOCUMENT + NOTICE + f"  required_from: {day}\n")
    version = town.policy.notice.version if town.policy.notice else ""
    town.in_database(lambda db: notices.put_off(db, town.policy, people.CLERK, version, utc_now()))
    town.in_database(
        lambda db: notices.put_off(db, town.policy, people.HEAD, version, utc_now() - timedelta(days=2))
    )

    said = town.towngate("status").stdout
    assert "0 accepted it, 1 put it off, 5 have not answered." in said
    assert " it has to be accepted." in said


def test_town_without_a_notice_says_so(tmp_path: Path) -> None:
    town = Town(tmp_path / "state", DOCUMENT)
    assert town.towngate("status").stdout == "No notice is in force: nobody is asked.\n"
    assert json.loads(town.towngate("export", "--json").stdout) == {"versions": [], "receipts": []}


def test_state_folder_without_a_policy_is_an_error_in_one_line(tmp_path: Path) -> None:
    for verb in ("export", "status"):
        result = CliRunner().invoke(cli, ["notice", verb, "--state", str(tmp_path)])
        assert result.exit_code == 2
        assert "no policy was published in" in result.output
