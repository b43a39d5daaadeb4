"""What admin/README.md says of states, moves and tables is what the code does."""

import re
from dataclasses import replace
from pathlib import Path

from admin import api_tokens, measures, request_moves
from admin.api_tokens import Scope
from admin.audit import EventKind
from admin.database import Database
from admin.ingest import Ingest
from admin.measures import MeasureKind
from policy.town_policy import Approver, EmergencyAccess
from tests.admin.small_town import MONDAY, TOWN, visit_record
from tests.admin.visit_files import in_visit_files
from tests.people import CLERK, HEAD

README = Path(request_moves.__file__).with_name("README.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without its head."""
    section = README.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_move_is_described_with_its_event() -> None:
    described = {(before, after): event for before, after, _, event in rows("A request's states and moves")}
    assert described.pop(("", "submitted")) == EventKind.REQUEST_SUBMITTED
    (own,) = request_moves.OWN_MOVES.values()
    assert described.pop(("submitted (emergency access)", "approved")) == own
    assert described == {
        (before.value, after.value): event.value for (before, after), event in request_moves.MOVES.items()
    }


def test_every_emergency_measure_is_described_with_its_events() -> None:
    described = {kind.strip("`"): events for kind, _, _, events in rows("Emergencies")}
    assert described == {
        kind.value: f"{measures._BEGUN[kind].value}, {measures._ENDED[kind].value}" for kind in MeasureKind
    }


def test_every_scope_of_a_token_is_described_with_whom_it_can_be_had_by() -> None:
    people = {
        "heads and delegates": HEAD,
        "help desk": "help_desk",
        "IT security": "it_security",
        "town administrator": "town_administrator",
        "auditor": "auditor",
        "who is named for emergency access": CLERK,
    }
    policy = replace(
        TOWN,
        roles={role: (role,) for role in people.values() if role not in (HEAD, CLERK)},
        asking=replace(TOWN.asking, emergency_access=EmergencyAccess((CLERK,), Approver.IT_SECURITY)),
    )
    described = {
        scope: set(people if whom == "everyone" else whom.split(", "))
        for names, _, whom in rows("The API")
        for scope in re.findall(r"`([\w:]+)`", names)
    }
    assert described == {
        scope.value: {said for said, person in people.items() if scope in api_tokens.offered(policy, person)}
        for scope in Scope
    }


async def test_every_table_is_described(db: Database) -> None:
    found = await db.fetch_all("SELECT name FROM sqlite_master WHERE type = 'table'")
    tables = {row["name"] for row in found if not row["name"].startswith("sqlite_")}
    assert {re.sub("`", "", name) for name, _ in rows("Tables")} == tables


async def test_every_table_of_the_visit_log_is_described(db: Database, tmp_path: Path) -> None:
    (tmp_path / "1.visits").write_bytes(visit_record().to_line())
    await Ingest(db, tmp_path, lambda: MONDAY).take_in()
    found = await in_visit_files(db, "SELECT name FROM sqlite_master WHERE type = 'table'")
    described = {name for names, _ in rows("The visit log") for name in re.findall(r"`(\w+)`", names)}
    # What was moved in of before matters to nobody who reads it.
    assert described == {row["name"] for row in found} - {"moved_in"}


def test_every_module_is_named() -> None:
    folder = Path(request_moves.__file__).parent
    named = set(re.findall(r"\b(?!test_)[a-z_]+\.py", README))
    assert named <= {path.name for path in folder.glob("*.py")}
