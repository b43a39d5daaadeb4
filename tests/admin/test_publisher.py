import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from admin import access_requests, accounts, audit, sessions
from admin import publisher as publisher_module
from admin.audit import EventKind
from admin.database import Database
from admin.people_import import PeopleChange, force_removal
from admin.publisher import NoPolicyError, Publisher
from admin.state_folder import StateFolder
from categories.taxonomy import taxonomy
from policy.document import load_document
from policy.snapshot import PolicySnapshot
from tests.admin.small_town import MONDAY, TOWN, listed, submitted
from tests.at_once import assert_soon
from tests.people import CLERK, HEAD, HELP_DESK
from tests.published_town import unpublished_town
from tests.towns import DOCUMENT

OTHER_TOWN = DOCUMENT.replace("Town of Exampleton", "Town of Otherton")
BAD = DOCUMENT.replace("gambling", "gambing")
FAILING_TEST = DOCUMENT.replace("expect: allow", "expect: block")
WITHOUT_CLERK = (
    DOCUMENT.partition("tests:")[0]
    .replace("  clerk:         {name: Clerk, mail: clerk@town.example, department: finance}\n", "")
    .replace("  127.0.0.1: {name: FIN-PC-15, person: clerk}\n", "")
    .replace("devices:\n", "")
)
WITHOUT_TWO = WITHOUT_CLERK.replace(
    "  helpdesk:      {name: Help desk, mail: helpdesk@town.example}\n", ""
).replace("  help_desk: [helpdesk]\n", "")
URL = "http://127.0.0.1:8000"


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return unpublished_town(tmp_path / "state")


@pytest.fixture
async def town_db(state: StateFolder) -> AsyncIterator[Database]:
    async with Database.open(state.database) as db:
        yield db


@pytest.fixture
def publisher(state: StateFolder, town_db: Database) -> Publisher:
    return new_publisher(state, town_db)


def new_publisher(state: StateFolder, db: Database) -> Publisher:
    return Publisher(state, db, URL, taxonomy(), lambda: MONDAY)


def published(state: StateFolder) -> PolicySnapshot:
    return PolicySnapshot.from_bytes(state.policy_snapshot.read_bytes())


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.02)


async def test_a_first_start_publishes_document_exemptions_and_passwords(
    state: StateFolder, town_db: Database, publisher: Publisher
) -> None:
    request = await submitted(town_db)
    approved = await access_requests.approve(town_db, TOWN, listed, request.id, actor=HEAD, at=MONDAY)
    await accounts.set_password(town_db, CLERK, "a proxy password", "proxy", actor="it", now=MONDAY)
    await accounts.set_password(town_db, HEAD, "an admin password", "admin", actor="it", now=MONDAY)
    await publisher.start()
    snapshot = published(state)
    assert snapshot.policy == publisher.policy
    assert snapshot.policy.town.name == "Town of Exampleton"
    assert (snapshot.admin_url, snapshot.published_at, snapshot.sequence) == (URL, MONDAY, 1)
    assert [(e.id, e.person, e.expires_at) for e in snapshot.exemptions] == [
        ("EX-1", CLERK, approved.expires_at)
    ]
    assert list(snapshot.proxy_passwords) == [CLERK]
    assert state.policy_snapshot.stat().st_mode & 0o777 == 0o640
    (event,) = await audit.events_of(town_db, snapshot.policy.version)
    assert event.kind is EventKind.POLICY_PUBLISHED


async def test_the_sequence_only_grows_also_when_the_database_was_restored(
    state: StateFolder, town_db: Database, publisher: Publisher
) -> None:
    await publisher.start()
    for _ in range(3):
        await publisher.publish_state()
    assert published(state).sequence == 4
    async with town_db.transaction() as t:
        await t.execute("UPDATE publication SET sequence = 1")
    await new_publisher(state, town_db).start()
    assert published(state).sequence == 5


async def test_publishing_side_by_side_ends_with_the_newest_state(
    state: StateFolder, town_db: Database, publisher: Publisher
) -> None:
    await publisher.start()

    async def grant(n: int) -> None:
        request = await submitted(town_db, host=f"site{n}.example")
        await access_requests.approve(town_db, TOWN, listed, request.id, actor=HEAD, at=MONDAY)
        assert await publisher.publish_state()
        assert f"site{n}.example" in {e.host for e in published(state).exemptions}

    await asyncio.gather(*(grant(n) for n in range(8)))
    assert len(published(state).exemptions) == 8


async def test_a_slow_write_never_replaces_a_newer_snapshot(
    state: StateFolder, town_db: Database, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publisher.start()
    write = publisher_module.write_atomically
    may_write = threading.Event()

    def write_slowly(path: Path, data: bytes) -> None:
        monkeypatch.setattr(publisher_module, "write_atomically", write)
        may_write.wait(30)
        write(path, data)

    monkeypatch.setattr(publisher_module, "write_atomically", write_slowly)
    older = asyncio.create_task(publisher.publish_state())
    await asyncio.sleep(0.1)
    request = await submitted(town_db)
    await access_requests.approve(town_db, TOWN, listed, request.id, actor=HEAD, at=MONDAY)
    newer = asyncio.create_task(publisher.publish_state())
    await asyncio.sleep(0.1)
    may_write.set()
    assert await asyncio.gather(older, newer) == [True, True]
    assert len(published(state).exemptions) == 1
    assert published(state).sequence == 3


async def test_stopped_and_expired_exemptions_are_no_longer_published(
    state: StateFolder, town_db: Database, publisher: Publisher
) -> None:
    ids = [(await submitted(town_db, host=f"site{n}.example")).id for n in range(3)]
    for id_ in ids:
        ends_at = MONDAY - timedelta(seconds=1) if id_ == ids[2] else None
        await access_requests.approve(
            town_db, TOWN, listed, id_, actor=HEAD, at=MONDAY - timedelta(hours=1), expires_at=ends_at
        )
    await access_requests.stop(town_db, TOWN, ids[1], actor=HEAD, at=MONDAY, reason="Enough")
    await publisher.start()
    assert [e.host for e in published(state).exemptions] == ["site0.example"]


async def test_a_crash_between_commit_and_publishing_heals_at_the_next_start(
    state: StateFolder, town_db: Database, publisher: Publisher
) -> None:
    await publisher.start()
    request = await submitted(town_db)
    await access_requests.approve(town_db, TOWN, listed, request.id, actor=HEAD, at=MONDAY)
    assert published(state).exemptions == ()
    await new_publisher(state, town_db).start()
    assert len(published(state).exemptions) == 1


async def watching(publisher: Publisher) -> asyncio.Task[None]:
    await publisher.start()
    return asyncio.create_task(publisher.watch())


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_what_another_process_changes_is_published_within_two_seconds(
    state: StateFolder, publisher: Publisher
) -> None:
    task = await watching(publisher)

    async def seconds_until_published() -> float:
        before = published(state).proxy_passwords
        async with Database.open(state.database) as command:
            await accounts.set_password(command, CLERK, "a proxy password", "proxy", actor="it", now=MONDAY)
        changed_at = time.monotonic()
        await until(lambda: published(state).proxy_passwords not in ({}, before))
        return time.monotonic() - changed_at

    await assert_soon(seconds_until_published, within_seconds=2.0)
    await stop(task)


async def test_nothing_is_published_while_nothing_changes(
    state: StateFolder, town_db: Database, publisher: Publisher
) -> None:
    task = await watching(publisher)
    await submitted(town_db)
    await asyncio.sleep(1.2)
    assert published(state).sequence == 1
    await stop(task)


async def test_what_is_being_published_already_is_not_published_again_by_the_watch(
    state: StateFolder, town_db: Database, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publisher.start()
    await accounts.set_password(town_db, CLERK, "a proxy password", "proxy", actor="it", now=MONDAY)
    monkeypatch.setattr(publisher_module, "_WATCH_SECONDS", 0.02)
    write, read = publisher_module.write_atomically, publisher._is_to_be_read
    is_writing, may_write = threading.Event(), threading.Event()
    looks: list[bool] = []

    def write_slowly(path: Path, data: bytes) -> None:
        is_writing.set()
        assert may_write.wait(30)
        write(path, data)

    def look() -> bool:
        looks.append(read())
        return looks[-1]

    monkeypatch.setattr(publisher_module, "write_atomically", write_slowly)
    monkeypatch.setattr(publisher, "_is_to_be_read", look)
    publishing = asyncio.create_task(publisher.publish_state())
    await until(is_writing.is_set)
    watch = asyncio.create_task(publisher.watch())
    await until(lambda: bool(looks))
    # Time enough for it to publish, too, if it did not wait.
    await asyncio.sleep(0.1)
    may_write.set()
    assert await publishing
    await until(lambda: len(looks) >= 4)
    assert published(state).sequence == 2
    await stop(watch)


async def test_a_new_document_is_in_force_within_two_seconds(
    state: StateFolder, town_db: Database, publisher: Publisher
) -> None:
    task = await watching(publisher)
    documents = (OTHER_TOWN.replace("Otherton", f"Otherton {number}") for number in count(1))

    async def seconds_until_published() -> float:
        before = published(state).policy
        state.policy_document.write_text(next(documents))
        changed_at = time.monotonic()
        await until(lambda: published(state).policy != before)
        return time.monotonic() - changed_at

    await assert_soon(seconds_until_published, within_seconds=2.0)
    assert publisher.policy == published(state).policy
    assert len(await audit.events_of(town_db, publisher.policy.version)) == 1
    await stop(task)


async def test_a_document_that_leaves_out_over_a_fifth_of_the_people_is_refused_unless_forced(
    publisher: Publisher, state: StateFolder, town_db: Database
) -> None:
    await publisher.start()
    state.policy_document.write_text(WITHOUT_TWO)
    assert not await publisher.reload_document()
    assert publisher.problems == (
        "policy.yaml, people.csv: 2 of 6 people would be removed, over a fifth. The running policy stays."
        f" If it is meant: towngate policy publish {state.policy_document} --force policy.yaml",
    )
    again = new_publisher(state, town_db)
    await again.start()
    assert {CLERK, HELP_DESK} <= again.policy.people.keys()
    change = PeopleChange(again.policy.people, {})
    version = load_document(WITHOUT_TWO, taxonomy()).policy.version
    async with town_db.transaction() as t:
        await force_removal(t, version, change, actor="it", at=MONDAY)
        # It may be read as soon as it is written.
        reloading = asyncio.create_task(again.reload_document())
        await asyncio.sleep(0.3)
    assert await reloading
    assert again.policy.people.keys() == {"head", "parks-head", "it", "administrator"}
    assert again.problems == ()


async def test_who_is_left_out_of_the_document_loses_all_they_had_for_good(
    publisher: Publisher, state: StateFolder, town_db: Database
) -> None:
    await publisher.start()
    request = await submitted(town_db)
    await access_requests.approve(town_db, TOWN, listed, request.id, actor=HEAD, at=MONDAY)
    waiting = await submitted(town_db, host="bets.example", category=None)
    await accounts.set_password(town_db, CLERK, "correct horse battery", "proxy", actor="it", now=MONDAY)
    async with town_db.transaction() as t:
        await sessions.open_signed_in(t, CLERK, MONDAY, None)
    state.policy_document.write_text(WITHOUT_CLERK)
    assert await publisher.reload_document()
    assert CLERK not in publisher.policy.people
    (event,) = await audit.events_of(town_db, publisher.policy.version)
    assert (event.kind, event.details) == (EventKind.POLICY_PUBLISHED, {"removed": [CLERK]})
    state.policy_document.write_text(DOCUMENT)
    assert await publisher.reload_document()
    assert CLERK in publisher.policy.people
    assert (published(state).exemptions, published(state).proxy_passwords) == ((), {})
    assert await town_db.fetch_all("SELECT * FROM session") == []
    row = await town_db.fetch_one("SELECT state FROM access_request WHERE id = ?", waiting.id)
    assert row is not None and row["state"] == "withdrawn"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (BAD, "'gambing' is not a category"),
        (FAILING_TEST, "the test fails for library.example"),
        ("town: [", "policy.yaml: line 2: YAML"),
        ("", "policy.yaml: line 1"),
    ],
    ids=["misspelt", "its own test fails", "no YAML", "empty"],
)
async def test_a_document_with_problems_changes_nothing_and_says_them(
    state: StateFolder, publisher: Publisher, text: str, problem: str
) -> None:
    await publisher.start()
    before = published(state)
    state.policy_document.write_text(text)
    assert not await publisher.reload_document()
    assert problem in publisher.problems[0]
    assert publisher.policy == before.policy
    assert published(state) == before
    state.policy_document.write_text(DOCUMENT)
    await publisher.reload_document()
    assert publisher.problems == ()


@pytest.mark.parametrize("kind", ["missing", "no text", "a folder"])
async def test_a_document_that_cannot_be_read_is_a_problem(
    state: StateFolder, publisher: Publisher, kind: str
) -> None:
    await publisher.start()
    path = state.policy_document
    path.unlink()
    if kind == "no text":
        path.write_bytes(b"\xff\xfe\x00")
    elif kind == "a folder":
        path.mkdir()
    assert not await publisher.reload_document()
    assert "the running policy stays" in publisher.problems[0]


async def test_tests_that_cannot_be_run_keep_the_running_policy_until_there_are_lists(
    state: StateFolder, town_db: Database, publisher: Publisher
) -> None:
    lists, away = state.categories / "current.json", state.categories / "away"
    task = await watching(publisher)
    before = published(state)
    lists.rename(away)
    state.policy_document.write_text(OTHER_TOWN)
    await until(lambda: bool(publisher.problems))
    assert "policy.yaml: its tests cannot be run without lists" in publisher.problems[0]
    assert "'towngate categories update' fetches them" in publisher.problems[0]
    assert published(state) == before
    away.rename(lists)
    await until(lambda: published(state).policy.town.name == "Town of Otherton")
    assert publisher.problems == ()
    await stop(task)


async def test_a_first_start_with_tests_that_cannot_be_run_says_what_to_do(
    state: StateFolder, publisher: Publisher
) -> None:
    (state.categories / "current.json").unlink()
    with pytest.raises(NoPolicyError, match="'towngate categories update' fetches them"):
        await publisher.start()
    assert not state.policy_snapshot.exists()


async def test_after_a_restart_a_bad_document_leaves_the_published_policy_in_force(
    state: StateFolder, town_db: Database, publisher: Publisher
) -> None:
    await publisher.start()
    state.policy_document.write_text(BAD)
    again = new_publisher(state, town_db)
    await again.start()
    assert again.policy == publisher.policy
    assert len(again.problems) == 1
    assert published(state).sequence == 2


@pytest.mark.parametrize("before", [None, b"towngate-policy-3 cut"])
async def test_without_any_good_policy_there_is_no_start(
    state: StateFolder, publisher: Publisher, before: bytes | None
) -> None:
    state.policy_document.write_text(BAD)
    if before is not None:
        state.policy_snapshot.write_bytes(before)
    with pytest.raises(NoPolicyError, match="'gambing' is not a category"):
        await publisher.start()


async def test_a_disk_that_takes_no_more_keeps_the_old_snapshot_and_is_tried_again(
    state: StateFolder, town_db: Database, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await watching(publisher)
    before = state.policy_snapshot.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        request = await submitted(town_db)
        await access_requests.approve(town_db, TOWN, listed, request.id, actor=HEAD, at=MONDAY)
        assert not await publisher.publish_state()
        assert "No space left" in (publisher.failure or "")
        assert state.policy_snapshot.read_bytes() == before
        assert [p.name for p in state.published.iterdir() if p.name.startswith(".policy")] == []
    await until(lambda: len(published(state).exemptions) == 1)
    await until(lambda: publisher.failure is None)
    await stop(task)


async def test_a_locked_database_is_a_failure_that_is_tried_again(
    state: StateFolder, town_db: Database, publisher: Publisher
) -> None:
    task = await watching(publisher)
    await town_db._file._writer.execute_fetchall("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(state.database, autocommit=True)
    other.execute("BEGIN IMMEDIATE")
    state.policy_document.write_text(OTHER_TOWN)
    await until(lambda: "locked" in (publisher.failure or ""))
    assert published(state).policy.town.name == "Town of Exampleton"
    other.execute("ROLLBACK")
    other.close()
    await until(lambda: published(state).policy.town.name == "Town of Otherton")
    await until(lambda: publisher.failure is None)
    assert len(await audit.events_of(town_db, publisher.policy.version)) == 1
    await stop(task)
