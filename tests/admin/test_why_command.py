"""`towngate why`: a recorded visit, decided once more by what was in force then."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from admin.command import cli
from admin.database import Database
from admin.ingest import Ingest
from admin.kept_policies import KeptPolicies
from admin.state_folder import StateFolder
from policy.snapshot import PolicySnapshot
from tests.admin.small_town import MONDAY, visit_record
from tests.published_town import PublishedTown
from tests.towns import DOCUMENT


@pytest.fixture
def town(tmp_path: Path) -> PublishedTown:
    """Return a town whose policy was another when the clerk was kept from a site."""
    town = PublishedTown(tmp_path / "state")
    snapshot = PolicySnapshot.from_bytes(town.state.policy_snapshot.read_bytes())
    lists = town.publish_categories({"gambling": ["cardroom.example"]})
    record = visit_record(
        policy_sequence=1, policy_version=snapshot.policy.version, category_version=lists, started_at=MONDAY
    )
    (town.state.spool / "1.visits").write_bytes(record.to_line())

    async def keep() -> None:
        async with Database.open(town.state.database) as db:
            await KeptPolicies(db).keep(replace(snapshot, sequence=1, published_at=MONDAY))
            await Ingest(db, town.state.spool, lambda: datetime.now(UTC)).take_in()

    asyncio.run(keep())
    town.publish_policy(DOCUMENT.replace("adult, gambling", "adult"))
    return town


def why(state: StateFolder, *args: str) -> Result:
    return CliRunner().invoke(cli, ["why", "--state", str(state.root), *args])


def test_it_says_what_decided_then_and_what_would_today(town: PublishedTown) -> None:
    result = why(town.state, "k7m4qp")
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert lines[0].startswith("cardroom.example was blocked for someone in finance on Mon, March 2")
    assert lines[0].endswith("by not-town-business")
    (hit,) = (line for line in lines if line.startswith("->"))
    assert "rule not-town-business" in hit
    assert lines[-2].startswith("As of Mon, March 2")
    assert lines[-1] == "The policy changed since then. Now it would be allowed."
    assert "clerk" not in result.output


def test_programs_read_the_same(town: PublishedTown) -> None:
    told = json.loads(why(town.state, "K7M-4QP", "--json").output)
    assert (told["verdict"], told["rule"], told["agrees"]) == ("block", "not-town-business", True)
    assert told["decided_by"]["is_of_that_day"] is True
    assert told["today"] == {"verdict": "allow", "rule": None}
    assert told["visit"]["person"] is None and len(told["said"]) == 2


def test_code_of_no_visit_is_told_with_where_codes_are(town: PublishedTown) -> None:
    result = why(town.state, "AAA-AAA")
    assert result.exit_code == 2
    assert "no visit has the code 'AAA-AAA'; `towngate visits --json` has the codes" in result.output
    none = why(town.state, "AAA")
    assert none.exit_code == 2
    assert "“AAA” is no page code; one is like K7M-4QP; `towngate visits --json` has the codes" in none.output
