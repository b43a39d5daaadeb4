"""What was in force stays: each publication, before a proxy can read it, in little room."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from admin import access_requests, accounts, kept_policies
from admin import publisher as publisher_module
from admin.database import Database
from admin.kept_policies import KeptPolicies
from admin.publisher import Publisher
from admin.state_folder import StateFolder
from categories.taxonomy import taxonomy
from policy.snapshot import PolicySnapshot, SnapshotError
from policy.state import Exemption
from tests.admin.small_town import MONDAY, TOWN, listed, submitted
from tests.people import CLERK, HEAD
from tests.published_town import unpublished_town


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return unpublished_town(tmp_path / "state")


@pytest.fixture
async def town_db(state: StateFolder) -> AsyncIterator[Database]:
    async with Database.open(state.database) as db:
        yield db


@pytest.fixture
async def publisher(state: StateFolder, town_db: Database) -> Publisher:
    publisher = Publisher(state, town_db, "http://127.0.0.1:8000", taxonomy(), lambda: MONDAY)
    await publisher.start()
    return publisher


async def kept(db: Database, sequence: int) -> PolicySnapshot:
    found = await kept_policies.of_sequence(db, sequence)
    assert found is not None
    return found


async def test_each_publication_is_found_by_its_sequence(town_db: Database, publisher: Publisher) -> None:
    first = publisher.published
    request = await submitted(town_db)
    await access_requests.approve(town_db, TOWN, listed, request.id, actor=HEAD, at=MONDAY)
    await publisher.publish_state()
    assert (await kept(town_db, 1), await kept(town_db, 2)) == (first, publisher.published)
    assert not (await kept(town_db, 1)).exemptions and (await kept(town_db, 2)).exemptions
    assert await kept_policies.of_sequence(town_db, 3) is None


async def test_what_a_proxy_may_have_read_is_kept_also_where_the_file_could_not_be_written(
    town_db: Database, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, snapshot: PolicySnapshot) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publisher_module, "_write", refuse)
    assert not await publisher.publish_state()
    assert (await kept(town_db, 2)).sequence == 2


async def test_no_password_is_kept(state: StateFolder, town_db: Database, publisher: Publisher) -> None:
    await accounts.set_password(town_db, CLERK, "a proxy password", "proxy", actor="it", now=MONDAY)
    await publisher.publish_state()
    assert PolicySnapshot.from_bytes(state.policy_snapshot.read_bytes()).proxy_passwords
    assert not (await kept(town_db, 2)).proxy_passwords


async def test_publishing_the_same_again_takes_no_room(town_db: Database, publisher: Publisher) -> None:
    before = await kept_policies.size_of(town_db)
    for _ in range(3):
        await publisher.publish_state()
    after = await kept_policies.size_of(town_db)
    assert (after.publications, after.size_bytes) == (before.publications + 3, before.size_bytes)
    assert (await kept(town_db, 4)).policy == publisher.policy


async def test_what_was_published_last_is_not_read_again(
    town_db: Database, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(kept_policies, "_texts")
    request = await submitted(town_db)
    await access_requests.approve(town_db, TOWN, listed, request.id, actor=HEAD, at=MONDAY)
    for _ in range(2):
        assert await publisher.publish_state()
    monkeypatch.undo()
    for sequence in (2, 3):
        found = await kept(town_db, sequence)
        assert (found.policy, len(found.exemptions)) == (publisher.policy, 1)


async def test_others_write_while_what_is_published_is_packed(
    town_db: Database, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = await submitted(town_db)
    await access_requests.approve(town_db, TOWN, listed, request.id, actor=HEAD, at=MONDAY)
    pack, is_packing, has_written = kept_policies._packed, threading.Event(), threading.Event()

    def packed(ids: list[int]) -> bytes:
        is_packing.set()
        assert has_written.wait(60)
        return pack(ids)

    monkeypatch.setattr(kept_policies, "_packed", packed)
    publishing = asyncio.create_task(publisher.publish_state())
    assert await asyncio.to_thread(is_packing.wait, 20)
    await access_requests.stop(town_db, TOWN, request.id, actor=HEAD, at=MONDAY, reason="Not needed")
    has_written.set()
    assert await publishing
    # What was written meanwhile is in the next one.
    assert await publisher.publish_state()
    assert [len((await kept(town_db, sequence)).exemptions) for sequence in (2, 3)] == [1, 0]


async def test_a_change_among_a_thousand_exemptions_takes_less_than_a_kilobyte(
    town_db: Database, publisher: Publisher
) -> None:
    assert publisher.published is not None
    live = [
        Exemption(f"EX-{n}", f"site{n}.example", MONDAY, MONDAY + timedelta(days=9), person=CLERK)
        for n in range(1020)
    ]
    sizes, keeping = [], KeptPolicies(town_db)
    for n in range(20):
        some = tuple(live[n : n + 1000])
        await keeping.keep(replace(publisher.published, sequence=n + 2, exemptions=some))
        sizes.append((await kept_policies.size_of(town_db)).size_bytes)
    assert (sizes[-1] - sizes[0]) / 19 < 1000
    assert (await kept(town_db, 12)).exemptions == tuple(live[10:1010])


async def test_what_was_in_force_cannot_be_changed(town_db: Database, publisher: Publisher) -> None:
    for statement in ("UPDATE kept_line SET text = ''", "UPDATE kept_policy SET published_at = 0"):
        with pytest.raises(sqlite3.IntegrityError, match="never changed"):
            async with town_db.transaction() as t:
                await t.execute(statement)


@pytest.mark.parametrize(
    "damage", ["DELETE FROM kept_line WHERE id = 1", "INSERT INTO kept_policy VALUES (1, 0, x'00')"]
)
async def test_what_is_damaged_is_told(town_db: Database, publisher: Publisher, damage: str) -> None:
    async with town_db.transaction() as t:
        if damage.startswith("INSERT"):
            await t.execute("DELETE FROM kept_policy")
        await t.execute(damage)
    with pytest.raises(SnapshotError, match="the policy kept as 1 is damaged"):
        await kept_policies.of_sequence(town_db, 1)
    assert await publisher.publish_state()
    assert (await kept(town_db, 2)).policy == publisher.policy
