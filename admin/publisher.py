"""Publishing: what the proxy needs to decide, from the policy document and the database to a file.

The file is replaced whole (write, fsync, rename). What it contains is counted in the database by
triggers (`publication.change`), whoever changes it: what one call did not publish, because it was
killed or the disk was full, or because another process made the change, the watch publishes.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from admin import (
    accounts,
    audit,
    closed_people,
    corrections,
    ended_visits,
    exemptions,
    internet_accounts,
    limit_lifts,
    measures,
    never_inspected,
    notices,
    own_devices,
    sessions,
)
from admin.atomic_file import write_atomically
from admin.audit import Detail, Event, EventKind
from admin.clock import Clock
from admin.database import Database, Transaction
from admin.delegations import with_stand_ins
from admin.kept_policies import KeptPolicies
from admin.people_file import read_people
from admin.people_import import PeopleChange, is_removal_forced
from admin.roles import duties_of
from admin.state_folder import StateFolder
from categories.publishing import CurrentSnapshot
from categories.snapshot import CategorySnapshotError
from categories.taxonomy import Taxonomy
from policy.document import PolicyDocument, load_document
from policy.document_tests import run_tests
from policy.leaving import without
from policy.own_devices import first_end, with_own_devices, without_own_devices
from policy.people_list import PeopleList
from policy.problem import PolicyError
from policy.snapshot import PolicySnapshot, SnapshotError
from policy.town_policy import Policy

logger = logging.getLogger(__name__)

_WATCH_SECONDS = 0.5
# Who is said to have done what a document does.
_ACTOR = "policy.yaml"

type _Stamp = tuple[int, int, int] | None


class NoPolicyError(Exception):
    """There is no policy to run: the document has problems and none was published before."""


class Publisher:
    """Owns the running policy and the published snapshot of it.

    `policy` is the document's, without people whom IT closed, and with people's own devices; it is replaced
    whole when a new document is good. `problems` says what is wrong with the
    document as it is now, empty when it is the running policy. `failure` says why the newest state
    could not be published, None when it was. `published` is what the proxy can read, None before
    anything was published.
    """

    policy: Policy
    _document_policy: Policy

    def __init__(
        self, state: StateFolder, db: Database, admin_url: str, taxonomy: Taxonomy, clock: Clock
    ) -> None:
        self._state = state
        self._db = db
        self._admin_url = admin_url
        self._taxonomy = taxonomy
        self._clock = clock
        self._kept = KeptPolicies(db)
        self._publishing = asyncio.Lock()
        self._published_change = -1
        self._device_ends_at: datetime | None = None
        self._recorded_version: str | None = None
        self._sequence = 0
        self._document_stamps: tuple[_Stamp, ...] = ()
        self._lists_stamp: _Stamp = None
        self._waits_for_lists = False
        self.problems: tuple[str, ...] = ()
        self.failure: str | None = None
        self.published: PolicySnapshot | None = None

    @property
    def document_policy(self) -> Policy:
        """The policy as its document says, with people whom IT closed."""
        return self._document_policy

    async def resume(self) -> None:
        """Take up the policy that was published last, if one was."""
        before = await asyncio.to_thread(_published, self._state.policy_snapshot)
        if before is not None:
            self.policy = before.policy
            self._document_policy = without_own_devices(before.policy)
            self.published = before
            self._sequence = before.sequence
            self._recorded_version = before.policy.version

    async def start(self) -> None:
        """Take up the policy and publish what the database says, so that a crash heals.

        A document with problems leaves the policy that was published last in force. Raises
        NoPolicyError when there is none.
        """
        await self.resume()
        read = await self._read_document()
        if read is not None:
            self.policy = self._document_policy = read
        elif self.published is None:
            raise NoPolicyError("\n".join((*self.problems, "mend it, then start again")))
        await self.publish_state()

    async def publish_state(self) -> bool:
        """Publish the running policy and what the database says beside it, as they are now.

        When it returns True the file is on disk. False leaves the file before, says why in
        `failure`, and `watch` tries again.
        """
        async with self._publishing:
            return await self._try_to_publish()

    async def reload_document(self) -> bool:
        """Read policy.yaml and put it in force; a bad one changes nothing but `problems`.

        False: what it says was in force already, or is by now, by whoever read it at the same time.
        """
        policy = await self._read_document()
        if policy is None or policy == self._document_policy:
            async with self._publishing:
                return False
        self._document_policy = policy
        logger.info("policy in force: version=%s", policy.version)
        return await self.publish_state()

    async def watch(self) -> None:
        """Follow policy.yaml, people.csv and the database twice a second, for ever."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            if await asyncio.to_thread(self._is_to_be_read):
                await self.reload_document()
            # Whoever made a change may be publishing it: that is waited for, and not done again.
            async with self._publishing:
                if await self._is_behind():
                    await self._try_to_publish()

    async def _is_behind(self) -> bool:
        row = await self._db.fetch_one("SELECT change FROM publication")
        is_changed = row is not None and row["change"] != self._published_change
        is_over = self._device_ends_at is not None and self._clock() >= self._device_ends_at
        return self.failure is not None or is_changed or is_over

    async def _try_to_publish(self) -> bool:
        try:
            await self._publish()
        except (OSError, sqlite3.Error) as error:
            self.failure = f"{self._state.policy_snapshot}: not published: {error}"
            logger.error("policy snapshot not published: error=%s", error)
            return False
        self.failure = None
        return True

    async def _publish(self) -> None:
        now = self._clock()
        async with self._db.transaction() as t:
            closed = await closed_people.closed(t)
            policy = with_own_devices(without(self._document_policy, closed), await own_devices.live(t, now))
            # The file may be ahead of a database that was restored: the sequence only grows.
            row = await t.fetch_one(
                "UPDATE publication SET sequence = max(sequence, ?) + 1 RETURNING sequence, change",
                self._sequence,
            )
            if row is None:
                raise sqlite3.DatabaseError("the table 'publication' has lost its row")
            if policy.version != self._recorded_version:
                removed = await self._end_removed(t, policy, closed, now)
                details: dict[str, Detail] = {"removed": removed} if removed else {}
                event = Event(EventKind.POLICY_PUBLISHED, _ACTOR, policy.version, now, details)
                await audit.record(t, event)
                await _end_sessions(t, policy, now)
            live = await exemptions.live(t, now) + await limit_lifts.live(t, now)
            passwords = await accounts.proxy_passwords(t)
            corrected = await corrections.live(t)
            emergency = await measures.live(t, now)
            if policy.notice is not None:
                await notices.keep(t, policy.notice, now)
            receipts = await notices.live(t, policy)
            unopened = await never_inspected.live(t)
            ended = await ended_visits.live(t, now)
            with_account = await internet_accounts.live(t, now)
            snapshot = PolicySnapshot(
                sequence=row["sequence"],
                published_at=now,
                policy=policy,
                admin_url=self._admin_url,
                exemptions=live,
                proxy_passwords=passwords,
                corrections=corrected,
                lockdowns=emergency.lockdowns,
                devices_off=emergency.devices_off,
                filter_off=emergency.filter_off,
                receipts=receipts,
                never_inspect=unopened,
                ended_visits=ended,
                accounts=with_account,
            )
        self.policy = policy
        self._recorded_version = policy.version
        # Kept before it can decide: there is no visit that it could not be found for.
        await self._kept.keep(snapshot)
        await asyncio.to_thread(_write, self._state.policy_snapshot, snapshot)
        self._sequence = snapshot.sequence
        self.published = snapshot
        self._published_change = row["change"]
        self._device_ends_at = first_end(policy, now)

    async def _end_removed(
        self, t: Transaction, policy: Policy, closed: Collection[str], now: datetime
    ) -> list[str]:
        """End all that people have whom the policy before named, and this one does not; return them."""
        before = self.published.policy if self.published is not None else policy
        removed = sorted(before.people.keys() - policy.people.keys() - set(closed))
        await closed_people.end_all_of_each(t, before, removed, actor=_ACTOR, at=now)
        return removed

    async def _read_document(self) -> Policy | None:
        """Return the document's policy; None when it has problems, which are kept and logged."""
        path = self._state.policy_document
        self._waits_for_lists = False
        # Stamped before they are read: a change while they are read is seen as one.
        self._lists_stamp = await asyncio.to_thread(_stamp, self._state.categories)
        self._document_stamps = await asyncio.to_thread(self._stamps_now)
        try:
            policy = await asyncio.to_thread(self._load)
        except PolicyError as error:
            self.problems = tuple(problem.in_file(path.name) for problem in error.problems)
        except OSError as error:
            self.problems = (f"{error.filename or path}: {error.strerror}; the running policy stays",)
        except UnicodeDecodeError as error:
            self.problems = (f"{path}: is not UTF-8 text ({error}); the running policy stays",)
        except CategorySnapshotError as error:
            self._waits_for_lists = True
            self.problems = (
                f"{path.name}: its tests cannot be run without lists ({error});"
                " 'towngate categories update' fetches them",
            )
        else:
            self.problems = await self._loses_too_many(policy)
            if not self.problems:
                return policy
        logger.warning("policy document refused: problems=%d first=%s", len(self.problems), self.problems[0])
        return None

    async def _loses_too_many(self, policy: Policy) -> tuple[str, ...]:
        """Say that a document leaves out over a fifth of the people; nothing where that was forced."""
        if self.published is None:
            return ()
        change = PeopleChange(self.published.policy.people, policy.people)
        if not change.removes_too_many:
            return ()
        # As a writer: whoever forces it writes the file in a transaction that is waited for.
        async with self._db.transaction() as t:
            if await is_removal_forced(t, policy.version):
                return ()
        path = self._state.policy_document
        return (
            f"{path.name}, {self._state.people_list.name}: {change.too_many} The running policy stays."
            f" If it is meant: towngate policy publish {path} --force {path.name}",
        )

    def _is_to_be_read(self) -> bool:
        """Whether the document changed, or the lists did that its tests could not be run with."""
        if self._stamps_now() != self._document_stamps:
            return True
        return self._waits_for_lists and _stamp(self._state.categories) != self._lists_stamp

    def _stamps_now(self) -> tuple[_Stamp, ...]:
        return _stamp(self._state.policy_document), _stamp(self._state.people_list)

    def load_beside(self, listed: PeopleList | None) -> PolicyDocument:
        """Read policy.yaml with a list of people beside it, and run its tests; nothing is put in force.

        Raises PolicyError with every problem, CategorySnapshotError, OSError, UnicodeDecodeError.
        """
        text = self._state.policy_document.read_text(encoding="utf-8")
        document = load_document(text, self._taxonomy, listed)
        if document.tests:
            lists = CurrentSnapshot(self._state.categories).snapshot
            failed = tuple(result.problem for result in run_tests(document, lists) if result.problem)
            if failed:
                raise PolicyError(failed)
        return document

    def _load(self) -> Policy:
        return self.load_beside(read_people(self._state.people_list)).policy


async def _end_sessions(t: Transaction, policy: Policy, now: datetime) -> None:
    """End the sessions of those to whom this policy leaves less: what they lose comes back with none."""
    acting = await with_stand_ins(t, policy, now)

    def duties(person: str) -> frozenset[str] | None:
        return duties_of(acting, person) if person in acting.people else None

    await sessions.end_beyond(t, duties)


def _published(path: Path) -> PolicySnapshot | None:
    try:
        return PolicySnapshot.from_bytes(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, SnapshotError) as error:
        logger.warning("policy published before cannot be read: error=%s", error)
        return None


def _write(path: Path, snapshot: PolicySnapshot) -> None:
    write_atomically(path, snapshot.to_bytes())


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
