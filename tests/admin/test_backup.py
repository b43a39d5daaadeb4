"""`towngate backup` and `restore`: all of a town, whole or not at all."""

import asyncio
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from admin import api_tokens, audit, exemptions, never_inspected
from admin.access_requests import approve
from admin.api_tokens import Scope
from admin.audit import Event, EventKind
from admin.backup_manifest import read_manifest
from admin.command import cli
from admin.database import Database
from admin.first_start import demo_policy, first_start
from admin.ingest import Ingest
from admin.state_folder import StateFolder
from categories.publishing import CurrentSnapshot
from categories.sources import KeptSources, Source
from categories.updating import update
from proxy_addons import certificate_authority
from tests.admin.small_town import MONDAY, TOWN, listed, submitted, visit_record
from tests.admin.visit_log.old_database import old_database
from tests.missing_parts import require_root
from tests.people import HEAD

TOWNGATE = str(Path(sys.executable).with_name("towngate"))


def towngate(*words: str | Path, state: StateFolder) -> Result:
    """Run a command on a state folder."""
    return CliRunner().invoke(cli, [*map(str, words), "--state", str(state.root)])


@pytest.fixture
def town(tmp_path: Path) -> StateFolder:
    """Return the state folder of a town with all that one remembers; nothing runs."""
    state = StateFolder(tmp_path / "town")
    asyncio.run(_live(state))
    certificate_authority.ensure(state.ca, "Town of Exampleton")
    listed = tmp_path / "games.txt"
    listed.write_text("play.example\n")
    update([Source("games", str(listed))], state.category_sources, state.categories, MONDAY)
    (state.root / "mail-password").write_text("correct horse\n")
    state.settings_document.write_text(
        "mail: {server: 'smtp://mail.town.example', from: 'towngate@town.example', user: towngate,"
        " password_file: mail-password}\n"
    )
    (state.spool / "one.visits").write_bytes(visit_record().to_line())
    return state


async def _live(state: StateFolder) -> None:
    await first_start(state, demo_policy(), {"it": "correct horse battery"})
    async with Database.open(state.database) as db:
        request = await submitted(db)
        await approve(db, TOWN, listed, request.id, actor=HEAD, at=MONDAY)
        await never_inspected.add(
            db, "api.vendor.example", why="It pins", actor="it", at=MONDAY, policy=TOWN, matches=()
        )
        scopes, last_day = [Scope.DECIDE], MONDAY.date()
        await api_tokens.create(db, TOWN, HEAD, name="x", scopes=scopes, last_day=last_day, at=MONDAY)


def contents(state: StateFolder) -> dict[str, bytes]:
    """Return every file below a state folder, with what it holds; but the database's and locks."""
    return {
        path.relative_to(state.root).as_posix(): path.read_bytes()
        for path in state.root.rglob("*")
        if path.is_file() and not path.name.startswith("towngate.db") and not path.name.endswith("lock")
    }


async def _remembered(state: StateFolder) -> tuple[list[str], int, tuple[str, ...]]:
    """Return the last events' kinds, how many exemptions hold on that Monday, what is never inspected."""
    async with Database.open(state.database, must_exist=True) as db:
        rows = await db.fetch_all("SELECT kind FROM event ORDER BY id DESC LIMIT 3")
        kinds, unopened = [row["kind"] for row in rows], await never_inspected.live(db)
        return kinds, len(await exemptions.live(db, MONDAY)), unopened


async def _tokens_work(state: StateFolder) -> list[bool]:
    async with Database.open(state.database, must_exist=True) as db:
        return [row["session"] is not None for row in await db.fetch_all("SELECT session FROM api_token")]


def test_backup_restored_elsewhere_is_the_same_town(town: StateFolder, tmp_path: Path) -> None:
    made = towngate("backup", tmp_path / "backup", state=town)
    assert made.exit_code == 0, made.output
    other = StateFolder(tmp_path / "other")
    restored = towngate("restore", tmp_path / "backup", state=other)
    assert restored.exit_code == 0, restored.output
    in_force = CurrentSnapshot(town.categories).snapshot.version
    expected = {
        name: data
        for name, data in contents(town).items()
        # The lists before those in force are left out.
        if "/categories/" not in name or in_force in name or name.endswith("current.json")
    }
    after = contents(other)
    assert {name: after.get(name) for name in expected} == expected
    kinds, open_exemptions, unopened = asyncio.run(_remembered(other))
    assert kinds[:2] == [EventKind.BACKUP_RESTORED, EventKind.BACKUP_STARTED]
    assert open_exemptions == 1
    # It may have been revoked since.
    assert (asyncio.run(_tokens_work(town)), asyncio.run(_tokens_work(other))) == ([True], [False])
    assert unopened == ("api.vendor.example",)
    assert CurrentSnapshot(other.categories).snapshot.lookup("play.example")
    assert KeptSources(other.category_sources).check("games") is not None
    assert towngate("audit", "verify", state=other).exit_code == 0


def test_restored_files_have_their_rights(town: StateFolder, tmp_path: Path) -> None:
    towngate("backup", tmp_path / "backup", state=town)
    other = StateFolder(tmp_path / "other")
    towngate("restore", tmp_path / "backup", state=other)
    for path in (town.ca / "mitmproxy-ca.pem", town.ask_token_key, town.policy_document, town.database):
        there = other.root / path.relative_to(town.root)
        assert there.stat().st_mode == path.stat().st_mode, path
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o700


def test_backup_says_that_the_key_of_the_ca_is_in_it(town: StateFolder, tmp_path: Path) -> None:
    output = towngate("backup", tmp_path / "backup", state=town).output
    assert "The key of the town's CA is among them: whoever has it can pass for any site." in output


def test_backup_of_someone_who_cannot_read_the_ca_says_so(town: StateFolder, tmp_path: Path) -> None:
    shutil.move(town.ca, tmp_path / "elsewhere")  # root can read what others cannot
    result = towngate("backup", tmp_path / "backup", state=town)
    assert result.exit_code == 0
    assert "Without the key of the town's CA" in result.output
    other = StateFolder(tmp_path / "other")
    restored = towngate("restore", tmp_path / "backup", state=other)
    assert "the next start makes a new one, to be rolled out" in restored.output


def test_restore_without_a_ca_leaves_the_one_that_is_there(town: StateFolder, tmp_path: Path) -> None:
    key = (town.ca / "mitmproxy-ca.pem").read_bytes()
    shutil.copytree(town.ca, tmp_path / "elsewhere")
    shutil.rmtree(town.ca)
    towngate("backup", tmp_path / "backup", state=town)
    shutil.copytree(tmp_path / "elsewhere", town.ca)
    result = towngate("restore", tmp_path / "backup", "--replace", state=town)
    assert result.exit_code == 0, result.output
    assert (town.ca / "mitmproxy-ca.pem").read_bytes() == key
    assert "new one" not in result.output


def test_secret_that_lies_elsewhere_is_named(town: StateFolder, tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere-password"
    secret.write_text("correct horse\n")
    document = town.settings_document
    document.write_text(document.read_text().replace("mail-password", str(secret)))
    output = towngate("backup", tmp_path / "backup", state=town).output
    assert f"Not in it, since it lies elsewhere: {secret}" in output


def test_visits_alone_are_held_of_the_spool_and_no_link_is_followed(
    town: StateFolder, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("of another\n")
    (town.spool / "x.visits").symlink_to(tmp_path / "secret")
    os.mkfifo(town.spool / "y.visits")
    (town.spool / "worker-1.facts").write_bytes(b"of this minute alone")
    assert towngate("backup", tmp_path / "backup", state=town).exit_code == 0
    held = read_manifest(tmp_path / "backup").files
    assert "proxy/spool/one.visits" in held
    assert {name for name in held if "spool" in name} == {"proxy/spool/one.visits"}


def test_backup_gets_a_folder_of_its_own(town: StateFolder, tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    assert towngate("backup", tmp_path / "backup", state=town).exit_code == 0
    again = towngate("backup", tmp_path / "backup", state=town)
    assert again.exit_code == 2
    assert "is there already; a backup gets a folder of its own" in again.output


def test_nothing_to_back_up_is_said(tmp_path: Path) -> None:
    result = towngate("backup", tmp_path / "backup", state=StateFolder(tmp_path / "nowhere"))
    assert result.exit_code == 2
    assert "there is no database yet" in result.output
    assert not (tmp_path / "backup").exists()


@pytest.mark.needs("unshare", "mount")
def test_full_disk_leaves_nothing_that_looks_like_a_backup(town: StateFolder, tmp_path: Path) -> None:
    require_root("mounts a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    steps = f"""
        mount -t tmpfs -o size=200k tmpfs {disk}
        {TOWNGATE} backup {disk}/backup --state {town.root} 2>&1
        echo "exit $?"
        ls -A {disk}
    """
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", steps], capture_output=True, text=True, check=False
    )
    said, exit_code, *left = done.stdout.splitlines()
    assert "No space left on device" in said or "disk is full" in said
    assert said.endswith("no backup was made")
    assert (exit_code, left) == ("exit 2", [])


def test_restore_over_a_town_needs_replace_and_keeps_what_was_there(
    town: StateFolder, tmp_path: Path
) -> None:
    towngate("backup", tmp_path / "backup", state=town)
    town.policy_document.write_text("changed: since\n")
    (town.admin / "later.key").write_bytes(b"k" * 32)
    before = contents(town)
    refused = towngate("restore", tmp_path / "backup", state=town)
    assert refused.exit_code == 2
    assert "holds a town already; --replace moves it aside" in refused.output
    assert contents(town) == before
    done = towngate("restore", tmp_path / "backup", "--replace", state=town)
    assert done.exit_code == 0, done.output
    assert town.policy_document.read_text() == demo_policy()
    assert not (town.admin / "later.key").exists()
    (aside,) = town.root.glob("replaced-*")
    assert (aside / "policy.yaml").read_text() == "changed: since\n"
    assert (aside / "admin" / "later.key").exists()
    assert (aside / "admin" / "towngate.db").exists()
    assert str(aside) in done.output
    assert not list(town.root.glob(".restoring-*"))


type Damage = Callable[[Path], object]


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _rewritten(change: Callable[[dict[str, object]], object]) -> Damage:
    def damage(backup: Path) -> None:
        values = json.loads((backup / "manifest.json").read_text())
        change(values)
        (backup / "manifest.json").write_text(json.dumps(values))

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda backup: _flip(backup / "policy.yaml"), "policy.yaml: is not as it was backed up"),
        (lambda backup: _flip(backup / "admin/towngate.db"), "towngate.db: is not as it was backed up"),
        (lambda backup: (backup / "policy.yaml").unlink(), "policy.yaml: No such file or directory"),
        (lambda backup: (backup / "manifest.json").unlink(), "a backup that is whole has one"),
        (lambda backup: (backup / "manifest.json").write_text("{"), "does not say what the backup holds"),
        (_rewritten(lambda values: values.update(format=9)), "of another version of Towngate"),
        (
            _rewritten(lambda v: v["files"].update({"../x": v["files"]["policy.yaml"]})),  # type: ignore[index,attr-defined]
            "'../x' is no file of a state folder",
        ),
        (
            _rewritten(lambda v: v["files"].update({"/etc/x": v["files"]["policy.yaml"]})),  # type: ignore[index,attr-defined]
            "'/etc/x' is no file of a state folder",
        ),
        (
            _rewritten(lambda v: v["files"]["policy.yaml"].update(mode=0o4755)),  # type: ignore[index]
            "does not say what the backup holds",
        ),
        (
            _rewritten(lambda v: v["files"]["policy.yaml"].update(mode="640")),  # type: ignore[index]
            "does not say what the backup holds",
        ),
    ],
)
def test_backup_that_is_not_as_it_was_changes_nothing(
    town: StateFolder, tmp_path: Path, damage: Damage, message: str
) -> None:
    towngate("backup", tmp_path / "backup", state=town)
    damage(tmp_path / "backup")
    before = contents(town)
    result = towngate("restore", tmp_path / "backup", "--replace", state=town)
    assert result.exit_code == 2
    assert message in result.output
    assert contents(town) == before


def test_backup_with_a_broken_audit_log_is_refused(town: StateFolder, tmp_path: Path) -> None:
    with closing(sqlite3.connect(town.database)) as db:
        db.execute("DROP TRIGGER event_is_never_changed")
        db.execute("UPDATE event SET actor = 'nobody' WHERE id = 2")
        db.commit()
    towngate("backup", tmp_path / "backup", state=town)
    other = StateFolder(tmp_path / "other")
    result = towngate("restore", tmp_path / "backup", state=other)
    assert result.exit_code == 2
    assert "event 2 of the audit log was changed or removed; nothing was restored" in result.output
    assert not other.policy_document.exists()


def test_visits_of_every_month_are_restored_and_those_of_before_moved_aside(
    town: StateFolder, tmp_path: Path
) -> None:
    taken_in(town, MONDAY)
    taken_in(town, MONDAY + timedelta(days=40))
    towngate("backup", tmp_path / "backup", state=town)
    taken_in(town, MONDAY + timedelta(days=80))
    result = towngate("restore", tmp_path / "backup", "--replace", state=town)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in town.visits.glob("*.db")) == ["2026-03.db", "2026-04.db"]
    (aside,) = town.root.glob("replaced-*")
    assert len([*(aside / "admin" / "visits").glob("*.db")]) == 3
    assert len(towngate("visits", state=town).output.splitlines()) == 3


def test_backup_of_before_visits_had_files_of_their_own_is_restored_with_them(
    town: StateFolder, tmp_path: Path
) -> None:
    towngate("backup", tmp_path / "backup", state=town)
    database = tmp_path / "backup" / "admin" / "towngate.db"
    database.unlink()
    old_database(database).close()
    manifest = tmp_path / "backup" / "manifest.json"
    content = json.loads(manifest.read_text())
    data = database.read_bytes()
    content["files"]["admin/towngate.db"] |= {
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    manifest.write_text(json.dumps(content))
    other = StateFolder(tmp_path / "other")
    result = towngate("restore", tmp_path / "backup", state=other)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in other.visits.glob("*.db")) == ["2026-01.db", "2026-02.db"]
    assert len(towngate("visits", state=other).output.splitlines()) == 12


def taken_in(town: StateFolder, at: datetime) -> None:
    """Have a visit of an instant taken in, then."""

    async def take_in() -> None:
        (town.spool / f"{at:%m%d}.visits").write_bytes(visit_record(started_at=at, ended_at=at).to_line())
        async with Database.open(town.database) as db:
            await Ingest(db, town.spool, lambda: at).take_in()

    asyncio.run(take_in())


def test_database_that_is_written_to_is_copied_as_it_was_at_one_instant(
    town: StateFolder, tmp_path: Path
) -> None:
    async def back_up_while_writing() -> Result:
        async with Database.open(town.database) as db:
            writing = asyncio.create_task(_write_on(db))
            result = await asyncio.to_thread(towngate, "backup", tmp_path / "backup", state=town)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            return result

    made = asyncio.run(back_up_while_writing())
    assert made.exit_code == 0, made.output
    other = StateFolder(tmp_path / "other")
    assert towngate("restore", tmp_path / "backup", state=other).exit_code == 0
    assert towngate("audit", "verify", state=other).exit_code == 0


async def _write_on(db: Database) -> None:
    while True:
        async with db.transaction() as t:
            await audit.record(t, Event(EventKind.SIGNED_IN, "it", "it", MONDAY))
        # SQLite gives a lock to whoever asks first: without a gap, it might never be the backup.
        await asyncio.sleep(0.002)
