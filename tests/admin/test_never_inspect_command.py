"""`towngate never-inspect` while no admin runs: what it says, does and publishes."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from admin.clock import utc_now
from admin.command import cli
from admin.database import Database
from admin.ingest import Ingest
from admin.state_folder import StateFolder
from policy.snapshot import PolicySnapshot
from tests.admin.test_emergency_command import BY, an_admin_that_publishes_nothing
from tests.admin.test_never_inspected import HOST, INSPECTING, URLS, failed
from tests.published_town import PublishedTown

BECAUSE = ("--because", "Its client pins.")


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    town = PublishedTown(tmp_path / "state", document=INSPECTING)
    town.publish_categories({"gambling": ["cardroom.example"]}, URLS)
    now = utc_now()
    records = (failed(started_at=now, ended_at=now) for _ in range(3))
    (town.state.spool / "1.visits").write_bytes(b"".join(record.to_line() for record in records))

    async def take_in() -> None:
        async with Database.open(town.state.database) as db:
            await Ingest(db, town.state.spool, utc_now).take_in()

    asyncio.run(take_in())
    return town.state


@pytest.fixture
def never_inspect(state: StateFolder) -> Callable[..., Result]:
    def call(*words: str) -> Result:
        return CliRunner().invoke(cli, ["never-inspect", *words, "--state", str(state.root)])

    return call


def told_to_the_proxy(state: StateFolder) -> tuple[str, ...]:
    return PolicySnapshot.from_bytes(state.policy_snapshot.read_bytes()).never_inspect


def test_host_is_added_and_removed_without_admin(
    state: StateFolder, never_inspect: Callable[..., Result]
) -> None:
    added = never_inspect("add", HOST.upper(), *BECAUSE)
    assert added.exit_code == 0
    assert added.output.splitlines() == [
        f"{HOST} is not opened from now on.",
        "Admin does not run, so it was published without it. In force in every running proxy within a"
        " second.",
    ]
    assert told_to_the_proxy(state) == (HOST,)
    listed = never_inspect("list").output.replace("\u00a0", " ").splitlines()
    assert len(listed) == 1
    assert listed[0].startswith(f"{HOST} is not opened since ") and listed[0].endswith(
        f"by {BY}: Its client pins."
    )
    again = never_inspect("add", HOST, *BECAUSE)
    assert (again.exit_code, again.output) == (
        1,
        f"{HOST} is not opened any more, by {BY}; nothing changed\n",
    )
    removed = never_inspect("remove", HOST, "--because", "It trusts us now.", "--json")
    answer = json.loads(removed.output)
    assert answer == {"changed": True, "published": True, "problem": None, "never_inspected": []}
    assert told_to_the_proxy(state) == ()
    assert never_inspect("remove", HOST, *BECAUSE).exit_code == 1


def test_list_says_what_was_learnt_and_adds_nothing(
    state: StateFolder, never_inspect: Callable[..., Result]
) -> None:
    nothing, learnt = never_inspect("list").output.replace("\u00a0", " ").splitlines()
    assert nothing == "Nothing is on the list."
    assert learnt.startswith(
        f"Programs on 1 or 2 devices in Finance refused the certificate at {HOST} 3 times, last on "
    )
    assert learnt.endswith("; opened by inner-pages")
    answer = json.loads(never_inspect("list", "--json").output)
    (one,) = answer["learnt"]
    assert (one["host"], one["visits"], one["devices"], one["rules"]) == (HOST, 3, "under 3", ["inner-pages"])
    assert answer["never_inspected"] == []
    assert told_to_the_proxy(state) == ()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("add", "cardroom.example", *BECAUSE),
            "cardroom.example is listed as Gambling, which the policy blocks",
        ),
        (("add", HOST), "--because: Enter why"),
        (("add", "a..example", *BECAUSE), "is not a host name"),
        (("add", "com", *BECAUSE), "com is not one site"),
    ],
)
def test_what_cannot_be_added_says_why(
    state: StateFolder, never_inspect: Callable[..., Result], words: tuple[str, ...], message: str
) -> None:
    result = never_inspect(*words)
    assert result.exit_code == 2
    assert message in result.output
    assert told_to_the_proxy(state) == ()


def test_what_a_running_admin_does_not_publish_is_said_to_be_not_in_force(
    state: StateFolder, never_inspect: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("admin.commands.telling_proxy._PATIENCE_SECONDS", 0.2)
    with an_admin_that_publishes_nothing(state):
        result = never_inspect("add", HOST, *BECAUSE)
    assert "Recorded, but not in force: admin runs, and has not published it" in result.output
    assert told_to_the_proxy(state) == ()
    # Said once more with admin down, what was recorded is published.
    assert never_inspect("add", HOST, *BECAUSE).exit_code == 1
    assert told_to_the_proxy(state) == (HOST,)


def test_without_a_policy_it_says_what_to_do(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["never-inspect", "list", "--state", str(tmp_path)])
    assert result.exit_code == 2
    assert "no policy was published" in result.output
