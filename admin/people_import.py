"""Another people.csv: what it would change, and putting it in force with all that ends for who is removed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from admin import audit, closed_people
from admin.atomic_file import write_atomically
from admin.audit import Event, EventKind
from admin.closed_people import Ended
from admin.database import Database, Reader, Transaction
from admin.people_file import read_people
from admin.state_folder import StateFolder
from policy.document_sections import read_people as people_of
from policy.people_list import PeopleList, as_csv
from policy.problem import PolicyError
from policy.town_policy import Person, Policy

_MOST_REMOVED = 1 / 5
# What events are about.
_SUBJECT = "people.csv"
# With a mark, so that a spreadsheet reads it as UTF-8 too.
_ENCODING = "utf-8-sig"


@dataclass(frozen=True, slots=True)
class PeopleChange:
    """From the people listed `before` to those listed `after`, by their ids."""

    before: Mapping[str, Person]
    after: Mapping[str, Person]

    @property
    def added(self) -> list[str]:
        """Who is new in the list."""
        return sorted(self.after.keys() - self.before.keys())

    @property
    def removed(self) -> list[str]:
        """Who is in the list no more."""
        return sorted(self.before.keys() - self.after.keys())

    @property
    def changed(self) -> list[str]:
        """Who stays, with another name, mail, department or kind."""
        both = self.before.keys() & self.after.keys()
        return sorted(id_ for id_ in both if self.before[id_] != self.after[id_])

    @property
    def too_many(self) -> str:
        """What is said of a change that removes too many, as the beginning of a sentence."""
        return f"{len(self.removed):,} of {len(self.before):,} people would be removed, over a fifth."

    @property
    def removes_too_many(self) -> bool:
        """Whether over a fifth would be removed: rather half a file than a town that lost so many."""
        return len(self.removed) > len(self.before) * _MOST_REMOVED


def change_to(listed: PeopleList, folder: StateFolder, policy: Policy) -> PeopleChange:
    """Return what a list changes in people.csv as it is; `policy` is the one with that list beside it."""
    after = {id_: policy.people[id_] for id_ in (key.new_id() for key, _ in listed.root.entries())}
    return PeopleChange(_listed_now(folder, policy), after)


def write_list(folder: StateFolder, people: Mapping[str, Person]) -> None:
    """Write people.csv, for admin's user to read as the policy beside it is. Raises OSError."""
    write_atomically(folder.people_list, as_csv(people).encode(_ENCODING), like=folder.policy_document)


def _listed_now(folder: StateFolder, policy: Policy) -> dict[str, Person]:
    try:
        listed = read_people(folder.people_list)
    except (OSError, PolicyError):
        listed = None  # nobody is there who could be removed
    if listed is None:
        return {}
    return people_of({key.new_id(): value for key, value in listed.root.entries()}, policy.departments)


async def refuse(db: Database, why: str, *, actor: str, at: datetime) -> None:
    """Record that a list was to be put in force, and was not."""
    async with db.transaction() as t:
        await audit.record(t, Event(EventKind.PEOPLE_IMPORT_REFUSED, actor, _SUBJECT, at, {"why": why}))


async def force_removal(
    t: Transaction, version: str, change: PeopleChange, *, actor: str, at: datetime
) -> None:
    """Let a version of the policy be taken up though it leaves out over a fifth of the people; recorded.

    Within the transaction that has it written: what could not be written stays unforced.
    """
    details: dict[str, audit.Detail] = {"removed": change.removed}
    await audit.record(t, Event(EventKind.PEOPLE_REMOVAL_FORCED, actor, version, at, details))


async def is_removal_forced(db: Reader, version: str) -> bool:
    """Whether somebody said of a version that it may leave out so many."""
    return any(event.kind is EventKind.PEOPLE_REMOVAL_FORCED for event in await audit.events_of(db, version))


class _OnlyLookedError(Exception):
    """Rolls back what was only tried."""


async def preview(db: Database, policy: Policy, change: PeopleChange, at: datetime) -> dict[str, Ended]:
    """Return what would end for each who is removed from a town with this policy; nothing is changed."""
    found: dict[str, Ended] = {}
    try:
        async with db.transaction() as t:
            found = await closed_people.end_all_of_each(t, policy, change.removed, actor="preview", at=at)
            raise _OnlyLookedError
    except _OnlyLookedError:
        return found


async def apply(
    db: Database,
    policy: Policy,
    change: PeopleChange,
    version: str,
    *,
    actor: str,
    at: datetime,
    write: Callable[[], None],
) -> None:
    """End what those have who are removed, and have the new list written; where `write` raises, neither.

    `version` is the policy's with that list: taken up though the list leaves out over a fifth of the people.
    The event tells how many, and who was removed.
    """
    async with db.transaction() as t:
        if change.removes_too_many:
            await force_removal(t, version, change, actor=actor, at=at)
        await closed_people.end_all_of_each(t, policy, change.removed, actor=actor, at=at)
        details: dict[str, audit.Detail] = {
            "people": len(change.after),
            "added": len(change.added),
            "changed": len(change.changed),
            "removed": change.removed,
        }
        await audit.record(t, Event(EventKind.PEOPLE_IMPORTED, actor, _SUBJECT, at, details))
        write()
