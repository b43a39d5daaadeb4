import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from admin import audit
from admin.audit import Event, EventKind
from admin.audit_heads import AuditHeads
from admin.audit_settings import AuditSettings
from admin.command import cli
from admin.database import Database
from admin.state_folder import StateFolder
from tests.admin.small_town import MONDAY


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    """Return a state folder whose audit log has three events; nothing runs."""
    state = StateFolder(tmp_path / "state")
    state.create()

    async def record() -> None:
        async with Database.open(state.database) as db, db.transaction() as t:
            for person in ("clerk", "head", "it"):
                await audit.record(t, Event(EventKind.SIGNED_IN, person, person, MONDAY))

    asyncio.run(record())
    return state


def export(state: StateFolder, to: Path) -> None:
    """Keep the log's head in a file, as admin does."""

    async def keep() -> None:
        async with Database.open(state.database) as db:
            settings = AuditSettings(heads_file=to)
            await AuditHeads(db, lambda: settings, state.audit_heads, lambda: MONDAY).export()

    asyncio.run(keep())


def verify(state: StateFolder, *args: str) -> Result:
    return CliRunner().invoke(cli, ["audit", "verify", "--state", str(state.root), *args])


def test_a_whole_log_is_said_to_be_whole(state: StateFolder) -> None:
    result = verify(state)
    assert (result.exit_code, result.output) == (
        0,
        "3 events, each with the digest that it was recorded with.\n"
        "Compared with no heads: that its tail was cut off would not show. Name some by --heads.\n",
    )
    assert json.loads(verify(state, "--json").output) == {
        "events": 3,
        "whole": True,
        "broken_at": None,
        "damage": None,
        "heads": 0,
        "guards_missing": [],
    }


def test_an_edited_event_is_named_and_the_exit_code_is_1(state: StateFolder) -> None:
    with closing(sqlite3.connect(state.database)) as connection, connection:
        connection.execute("DROP TRIGGER event_is_never_changed")
        connection.execute("UPDATE event SET actor = 'x' WHERE id = 2")
    connection.close()
    result = verify(state)
    assert result.exit_code == 1
    assert "event 2 does not fit the one before it" in result.output
    assert "not there, or other than they were: event_is_never_changed." in result.output
    result = verify(state, "--json")
    found = json.loads(result.output)
    assert (result.exit_code, found["events"], found["broken_at"], found["damage"]) == (1, 2, 2, "broken")
    assert found["guards_missing"] == ["event_is_never_changed"]


def test_a_tail_that_was_cut_off_shows_against_the_heads_that_were_exported(
    state: StateFolder, tmp_path: Path
) -> None:
    export(state, tmp_path / "witness")
    whole = verify(state, "--heads", str(tmp_path / "witness"))
    assert whole.exit_code == 0
    assert "They fit 1 head; the newest, of 2026-03-02 15:00 UTC, knows 3 events." in whole.output
    cut_off(state)
    assert verify(state).exit_code == 0
    cut = verify(state, "--heads", str(tmp_path / "witness"))
    assert cut.exit_code == 1
    assert "event 3 was exported and is not there: the log's tail was cut off" in cut.output


def cut_off(state: StateFolder) -> None:
    """Remove the newest event, and leave no trace of how."""
    with closing(sqlite3.connect(state.database)) as connection, connection:
        (trigger,) = connection.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'event_is_never_deleted'"
        ).fetchone()
        connection.execute("DROP TRIGGER event_is_never_deleted")
        connection.execute("DELETE FROM event WHERE id = 3")
        connection.execute(trigger)


def test_a_cut_off_tail_shows_against_the_file_that_the_settings_export_to(
    state: StateFolder, tmp_path: Path
) -> None:
    state.settings_document.write_text(f"audit: {{heads_file: {tmp_path / 'witness'}}}\n")
    missing = verify(state)
    assert missing.exit_code == 2
    assert f"{tmp_path / 'witness'}: No such file or directory" in missing.output
    export(state, tmp_path / "witness")
    assert "They fit 1 head;" in verify(state).output
    cut_off(state)
    cut = verify(state)
    assert cut.exit_code == 1
    assert "event 3 was exported and is not there: the log's tail was cut off" in cut.output


def test_settings_that_cannot_be_read_are_not_taken_for_none(state: StateFolder) -> None:
    state.settings_document.write_text("audit: {head_file: witness}\n")
    result = verify(state)
    assert result.exit_code == 2
    assert "settings.yaml: " in result.output and "name the file of heads by --heads" in result.output


def test_a_trigger_that_was_made_anew_and_refuses_nothing_is_not_there(state: StateFolder) -> None:
    with closing(sqlite3.connect(state.database)) as connection, connection:
        connection.execute("DROP TRIGGER event_is_never_changed")
        connection.execute(
            "CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event WHEN 0"
            " BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        )
    result = verify(state)
    assert result.exit_code == 1
    assert "event_is_never_changed" in result.output


def test_a_file_without_heads_compares_with_nothing(state: StateFolder, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("Mar  2 10:00:00 gate cron[3]: nothing of ours\n")
    for name, said in (("empty", "has no head of the audit log"), ("nowhere", "No such file or directory")):
        result = verify(state, "--heads", str(tmp_path / name))
        assert (result.exit_code, said in result.output) == (2, True), result.output


def test_without_a_database_nothing_can_be_verified(tmp_path: Path) -> None:
    result = verify(StateFolder(tmp_path / "nothing"))
    assert result.exit_code == 2
    assert "there is no database yet" in result.output
    assert not (tmp_path / "nothing").exists()
