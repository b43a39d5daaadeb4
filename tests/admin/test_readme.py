"""What admin/README.md says of states, moves and tables is what the code does."""

import re
from pathlib import Path

from admin import access_requests, measures
from admin.audit import EventKind
from admin.database import Database
from admin.measures import MeasureKind

README = Path(access_requests.__file__).with_name("README.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without its head."""
    section = README.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_move_is_described_with_its_event() -> None:
    described = {(before, after): event for before, after, _, event in rows("A request's states and moves")}
    assert described.pop(("", "submitted")) == EventKind.REQUEST_SUBMITTED
    assert described == {
        (before.value, after.value): event.value for (before, after), event in access_requests._MOVES.items()
    }


def test_every_emergency_measure_is_described_with_its_events() -> None:
    described = {kind.strip("`"): events for kind, _, _, events in rows("Emergencies")}
    assert described == {
        kind.value: f"{measures._BEGUN[kind].value}, {measures._ENDED[kind].value}" for kind in MeasureKind
    }


async def test_every_table_is_described(db: Database) -> None:
    found = await db.fetch_all("SELECT name FROM sqlite_master WHERE type = 'table'")
    tables = {row["name"] for row in found if not row["name"].startswith("sqlite_")}
    assert {re.sub("`", "", name) for name, _ in rows("Tables")} == tables


def test_every_module_is_named() -> None:
    folder = Path(access_requests.__file__).parent
    named = set(re.findall(r"\b[a-z_]+\.py", README))
    assert named <= {path.name for path in folder.glob("*.py")}
