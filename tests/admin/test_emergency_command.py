"""`towngate lockdown`, `device` and `filter` while no admin runs: what they say, do and publish."""

import asyncio
import fcntl
import getpass
import json
import os
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from admin import audit
from admin.atomic_file import write_atomically
from admin.audit import EventKind
from admin.clock import utc_now
from admin.command import cli
from admin.database import Database
from admin.state_folder import StateFolder
from policy.snapshot import PolicySnapshot
from tests.published_town import PublishedTown

WORM = "A worm goes round."
BY = f"{getpass.getuser()} at the command line"


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    """Return a state folder as admin left it: a published policy and a database; nothing runs."""
    state = PublishedTown(tmp_path / "state").state

    async def make_database() -> None:
        async with Database.open(state.database):
            pass

    asyncio.run(make_database())
    return state


@pytest.fixture
def towngate(state: StateFolder) -> Callable[..., Result]:
    def call(*words: str) -> Result:
        return CliRunner().invoke(cli, [*words, "--state", str(state.root)])

    return call


def published(state: StateFolder) -> PolicySnapshot:
    return PolicySnapshot.from_bytes(state.policy_snapshot.read_bytes())


def said(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return result.output.replace("\u00a0", " ").splitlines()


def said_nothing_changed(result: Result) -> str:
    assert result.exit_code == 1, result.output
    (told,) = result.output.replace("\u00a0", " ").splitlines()
    return told


@contextmanager
def an_admin_that_publishes_nothing(state: StateFolder) -> Iterator[None]:
    descriptor = os.open(state.admin / "admin.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def test_lockdown_is_published_without_admin_and_says_so(
    state: StateFolder, towngate: Callable[..., Result]
) -> None:
    before = published(state)
    on, told = said(towngate("lockdown", "on", "--because", WORM))
    assert on.startswith("The web is limited for everyone, since ")
    assert on.endswith(f", by {BY}: {WORM}")
    assert told == (
        "Admin does not run, so it was published without it. In force in every running proxy within a second."
    )
    (lockdown,) = published(state).lockdowns
    assert (lockdown.because, lockdown.department) == (WORM, None)
    assert published(state).policy == before.policy
    assert published(state).admin_url == before.admin_url
    assert published(state).sequence > before.sequence
    off, _ = said(towngate("lockdown", "off"))
    assert off.startswith("There is no lockdown. Since ") and off.endswith(f", by {BY}.")
    assert published(state).lockdowns == ()


def test_lockdown_of_a_department_names_it_and_the_next_news(
    state: StateFolder, towngate: Callable[..., Result]
) -> None:
    words = ("lockdown", "on", "--department", "parks", "--because", WORM, "--next-news", "11:00")
    on = said(towngate(*words))[0]
    assert on.startswith("The web is limited for Parks, since ") and "Next news by " in on
    assert "11 AM." in on
    (lockdown,) = published(state).lockdowns
    assert lockdown.department == "parks" and lockdown.next_news_at is not None
    assert said(towngate("lockdown")) == [on]


def test_news_replace_the_reason_while_the_lockdown_goes_on(
    state: StateFolder, towngate: Callable[..., Result]
) -> None:
    said(towngate("lockdown", "on", "--because", WORM))
    since = published(state).lockdowns[0].since
    news = said(towngate("lockdown", "news", "--because", "Half is clean.", "--next-news", "14:00"))[0]
    assert news.startswith("The web is limited for everyone, since ") and "Half is clean. Next news" in news
    (lockdown,) = published(state).lockdowns
    assert (lockdown.because, lockdown.since) == ("Half is clean.", since)
    told = said_nothing_changed(towngate("lockdown", "news", "--department", "parks", "--because", "Clean."))
    assert told == "Nothing changed. There is no lockdown for Parks alone."


def test_device_is_taken_off_by_its_name_and_let_back_by_its_address(
    state: StateFolder, towngate: Callable[..., Result]
) -> None:
    off = said(towngate("device", "off", "fin-pc-15", "--because", "It sends mail by itself."))[0]
    assert off.startswith("FIN-PC-15 (127.0.0.1) is off the web, since ")
    assert [device.address for device in published(state).devices_off] == ["127.0.0.1"]
    assert said(towngate("device", "status")) == [off]
    back = said(towngate("device", "on", "127.0.0.1", "--because", "It is clean."))[0]
    assert back.startswith("FIN-PC-15 (127.0.0.1) is not off the web. Since ")
    assert published(state).devices_off == ()


def test_filter_is_off_for_as_long_as_said(state: StateFolder, towngate: Callable[..., Result]) -> None:
    off = said(towngate("filter", "off", "--for", "10m", "--because", "The lists are bad."))[0]
    assert off.startswith("The filter is off until ")
    found = published(state).filter_off
    assert found is not None and found.until - found.since == timedelta(minutes=10)
    assert said(towngate("filter", "on"))[0].startswith("The filter is on. Since ")
    assert published(state).filter_off is None


@pytest.mark.parametrize(
    ("words", "stands"),
    [
        (["lockdown"], "There is no lockdown."),
        (["lockdown", "status"], "There is no lockdown."),
        (["device"], "No device is off the web."),
        (["filter"], "The filter is on."),
    ],
)
def test_without_a_verb_it_says_how_it_stands_and_changes_nothing(
    state: StateFolder, towngate: Callable[..., Result], words: list[str], stands: str
) -> None:
    before = state.policy_snapshot.read_bytes()
    assert said(towngate(*words)) == [stands]
    assert state.policy_snapshot.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["lockdown", "news", "--because", WORM], "There is no lockdown."),
        (["lockdown", "off"], "There is no lockdown."),
        (["lockdown", "off", "--department", "parks"], "The web is not limited for Parks."),
        (["device", "on", "10.9.9.9"], "10.9.9.9 is not off the web."),
        (["filter", "on"], "The filter is on."),
    ],
)
def test_what_changes_nothing_is_told_by_words_and_exit_code(
    state: StateFolder, towngate: Callable[..., Result], words: list[str], told: str
) -> None:
    before = state.policy_snapshot.read_bytes()
    assert said_nothing_changed(towngate(*words)) == f"Nothing changed. {told}"
    assert state.policy_snapshot.read_bytes() == before


def test_end_for_everyone_names_the_departments_that_are_still_limited(
    towngate: Callable[..., Result],
) -> None:
    said(towngate("lockdown", "on", "--department", "parks", "--because", WORM))
    told = said_nothing_changed(towngate("lockdown", "off"))
    assert told == "Nothing changed. There is no lockdown for everyone, only for Parks."


def test_lockdown_of_a_department_that_left_the_policy_can_be_ended(
    state: StateFolder, towngate: Callable[..., Result]
) -> None:
    said(towngate("lockdown", "on", "--department", "parks", "--because", WORM))
    snapshot = published(state)
    others = {id_: d for id_, d in snapshot.policy.departments.items() if id_ != "parks"}
    smaller = replace(snapshot, policy=replace(snapshot.policy, departments=others))
    write_atomically(state.policy_snapshot, smaller.to_bytes())
    assert said(towngate("lockdown", "off", "--department", "parks"))[0].startswith(
        "The web is not limited for parks. Since "
    )
    assert published(state).lockdowns == ()


@pytest.mark.parametrize("department", [[], ["--department", "parks"]], ids=["everyone", "a department"])
def test_beginning_twice_keeps_the_first_and_names_the_way_to_other_words(
    state: StateFolder, towngate: Callable[..., Result], department: list[str]
) -> None:
    first = said(towngate("lockdown", "on", *department, "--because", WORM))[0]
    told = said_nothing_changed(towngate("lockdown", "on", *department, "--because", "Another reason."))
    news = " ".join(["towngate lockdown news", *department, '--because "..."'])
    assert told == f"Nothing changed. {first} To say anew why: {news}"
    assert [lockdown.because for lockdown in published(state).lockdowns] == [WORM]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lockdown", "on"], "--because: Enter why; people read it; nothing changed"),
        (["lockdown", "on", "--because", " "], "--because: Enter why"),
        (["lockdown", "news"], "--because: Enter why"),
        (["device", "news", "--because", WORM], "'news' is not one of 'off', 'on', 'status'"),
        (
            ["lockdown", "on", "--department", "prks", "--because", WORM],
            "--department: 'prks' is not a department of the policy (nearest: 'parks'); nothing changed",
        ),
        (["lockdown", "on", "--because", WORM, "--next-news", "noon"], "--next-news: 'noon' is not a time"),
        (["device", "off", "--because", WORM], "ADDRESS: Enter the device's name, or its IP address;"),
        (["device", "off", "10.0.0.300", "--because", WORM], "ADDRESS: '10.0.0.300' is neither"),
        (["filter", "off", "--because", WORM], "--for: Enter for how long, like 10m or 2h; 4h at most;"),
        (["filter", "off", "--for", "5h", "--because", WORM], "--for: The filter is off for 1m to 4h"),
        (["filter", "of"], "'of' is not one of 'off', 'on', 'status'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_changes_nothing(
    state: StateFolder, towngate: Callable[..., Result], words: list[str], message: str
) -> None:
    before = state.policy_snapshot.read_bytes()
    result = towngate(*words)
    assert result.exit_code == 2
    assert message in result.output
    assert state.policy_snapshot.read_bytes() == before


def test_scripts_get_json(towngate: Callable[..., Result]) -> None:
    on = json.loads(towngate("lockdown", "on", "--because", WORM, "--json").output)
    assert (on["changed"], on["published"], on["problem"]) == (True, True, None)
    (measure,) = on["in_force"]
    assert (measure["kind"], measure["subject"], measure["because"]) == ("lockdown", "", WORM)
    assert utc_now() - datetime.fromisoformat(measure["began_at"]) < timedelta(minutes=1)
    assert json.loads(towngate("lockdown", "on", "--because", WORM, "--json").output)["changed"] is False
    assert json.loads(towngate("lockdown", "--json").output) == {"in_force": [measure]}
    assert json.loads(towngate("device", "--json").output) == {"in_force": []}


def test_what_was_done_is_on_record_with_who_and_why(
    state: StateFolder, towngate: Callable[..., Result]
) -> None:
    towngate("lockdown", "on", "--because", WORM)
    towngate("lockdown", "off", "--because", "It is over.")

    async def events() -> list[tuple[EventKind, str, object]]:
        async with Database.open(state.database) as db:
            return [(e.kind, e.actor, e.details["because"]) for e in await audit.events_of(db, "lockdown")]

    assert asyncio.run(events()) == [
        (EventKind.LOCKDOWN_BEGUN, BY, WORM),
        (EventKind.LOCKDOWN_ENDED, BY, "It is over."),
    ]


def test_admin_that_runs_and_does_not_publish_is_told_of(
    state: StateFolder, towngate: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("admin.commands.telling_proxy._PATIENCE_SECONDS", 0.2)
    with an_admin_that_publishes_nothing(state):
        told = said(towngate("lockdown", "on", "--because", WORM))[1]
    assert told.startswith("Recorded, but not in force: admin runs, and has not published it")
    assert published(state).lockdowns == ()
    # The next command finds no admin, and heals it.
    assert said(towngate("lockdown", "on", "--because", WORM))[0].startswith("Nothing changed. The web is")
    assert len(published(state).lockdowns) == 1


def test_what_cannot_be_published_is_recorded_and_says_why(
    state: StateFolder, towngate: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("admin.publisher.write_atomically", full)
    result = towngate("lockdown", "on", "--because", WORM, "--json")
    assert json.loads(result.output)["published"] is False
    told = said(towngate("lockdown", "on", "--because", WORM))[1]
    assert "Recorded, but not in force" in told and "No space left on device" in told


@pytest.mark.skipif(os.getuid() != 0, reason="only root can act for another user")
def test_root_leaves_every_file_to_the_users_it_belongs_to(
    state: StateFolder, towngate: Callable[..., Result]
) -> None:
    for path in (state.root, *state.root.rglob("*")):
        os.chown(path, 65534, 65534)
    said(towngate("lockdown", "on", "--because", WORM))
    assert [path for path in state.root.rglob("*") if path.stat().st_uid != 65534] == []


def test_state_folder_without_a_town_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["lockdown", "on", "--because", WORM, "--state", str(tmp_path)])
    assert result.exit_code == 2
    assert f"no policy was published in {tmp_path}; start 'towngate run', or give --state" in result.output


def test_a_town_whose_admin_never_ran_is_said(tmp_path: Path) -> None:
    state = PublishedTown(tmp_path / "state").state
    result = CliRunner().invoke(cli, ["filter", "--state", str(state.root)])
    assert result.exit_code == 2
    assert "there is no database yet" in result.output


def test_commands_of_the_readme_work_as_they_stand(towngate: Callable[..., Result]) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    commands = re.findall(
        r"^    towngate ((?:lockdown|device|filter) [^#\n]*?) *(?:#.*)?$", readme, re.MULTILINE
    )
    assert len(commands) == 3
    for command in commands:
        assert "Nothing changed" not in said(towngate(*shlex.split(command)))[0]
