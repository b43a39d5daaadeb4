import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from admin import audit
from admin.audit import Event, EventKind
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


def verify(state: StateFolder, *args: str) -> Result:
    return CliRunner().invoke(cli, ["audit", "verify", "--state", str(state.root), *args])


def test_a_whole_log_is_said_to_be_whole(state: StateFolder) -> None:
    result = verify(state)
    assert (result.exit_code, result.output) == (
        0,
        "3 events, each with the digest that it was recorded with.\n",
    )
    assert json.loads(verify(state, "--json").output) == {"events": 3, "whole": True, "broken_at": None}


def test_an_edited_event_is_named_and_the_exit_code_is_1(state: StateFolder) -> None:
    with closing(sqlite3.connect(state.database)) as connection, connection:
        connection.execute("DROP TRIGGER event_is_never_changed")
        connection.execute("UPDATE event SET actor = 'x' WHERE id = 2")
    connection.close()
    result = verify(state)
    assert result.exit_code == 1
    assert "event 2 does not fit the one before it" in result.output
    result = verify(state, "--json")
    assert (result.exit_code, json.loads(result.output)) == (1, {"events": 2, "whole": False, "broken_at": 2})


def test_without_a_database_nothing_can_be_verified(tmp_path: Path) -> None:
    result = verify(StateFolder(tmp_path / "nothing"))
    assert result.exit_code == 2
    assert "there is no database yet" in result.output
    assert not (tmp_path / "nothing").exists()
