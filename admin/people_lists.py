"""Another people.csv from a program: looked at first, then put in force as it was seen. For IT security.

At the command line: `towngate people import`.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from admin import roles
from admin.asking import InvalidRequestError, NotAllowedError
from admin.clock import Clock
from admin.closed_people import Ended
from admin.database import Database
from admin.people_file import people_in_text
from admin.people_import import PeopleChange, apply, change_to, preview, refuse, write_list
from admin.publisher import Publisher
from admin.sessions import Session
from admin.state_folder import StateFolder
from policy.document import PolicyDocument
from policy.people_list import PeopleList, as_csv, read_people_csv


class ListChangedError(Exception):
    """The people in force are not those that the list was looked at beside, or the list is another."""


class PeopleFileError(Exception):
    """people.csv cannot be written, or policy.yaml beside it not be read; nothing changed."""


@dataclass(frozen=True, slots=True)
class SeenList:
    """What a list would change, what would end for each who is removed, and what is strange about it."""

    change: PeopleChange
    ended: Mapping[str, Ended]
    notes: tuple[str, ...]

    @property
    def digest(self) -> str:
        """What says that the same list would change the same."""
        both = f"{as_csv(self.change.before)}\0{as_csv(self.change.after)}"
        return hashlib.sha256(both.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class AppliedList:
    """What a list changed, and why the proxy has not been told of it; nothing where it was."""

    seen: SeenList
    not_told: tuple[str, ...]


class PeopleLists:
    """Looks at lists and puts them in force, one at a time."""

    def __init__(self, state: StateFolder, db: Database, publisher: Publisher, clock: Clock) -> None:
        self._state = state
        self._db = db
        self._publisher = publisher
        self._clock = clock
        self._importing = asyncio.Lock()

    async def look_at(self, session: Session, text: str, name: str) -> SeenList:
        """Say what a file of this name would change (`people_file.people_in_text`); nothing is changed.

        Raises NotAllowedError, PolicyError with every problem of the list or of the policy beside it,
        PeopleFileError.
        """
        self._check(session)
        listed = await asyncio.to_thread(people_in_text, text, name)
        document = await self._document_beside(listed)
        change = await asyncio.to_thread(change_to, listed, self._state, document.policy)
        ended: Mapping[str, Ended] = {}
        if change.removed:
            ended = await preview(self._db, self._publisher.policy, change, self._clock())
        return SeenList(change, ended, tuple(str(note) for note in document.warnings if note.file))

    async def put_in_force(
        self, session: Session, text: str, name: str, seen: str, *, even_over_a_fifth: bool
    ) -> AppliedList:
        """Write a list as people.csv; all that removed people had has ended when it returns.

        It is in force then, unless that could not be published: `AppliedList.not_told` says why, and it is
        tried again. `seen` is the digest of what `look_at` said. Raises as that does, ListChangedError, and
        InvalidRequestError where over a fifth would be removed and that is not meant; these two, and
        NotAllowedError, are recorded.
        """
        actor = await self._actor(session)
        async with self._importing:
            found = await self.look_at(session, text, name)
            change = found.change
            if found.digest != seen:
                changed = ListChangedError("what this list changes is not what was seen")
                await refuse(self._db, str(changed), actor=actor, at=self._clock())
                raise changed
            if change.removes_too_many and not even_over_a_fifth:
                await refuse(self._db, change.too_many, actor=actor, at=self._clock())
                raise InvalidRequestError("even_over_a_fifth", f"{change.too_many} Say so if it is meant")
            # What is written may say it otherwise than the list did.
            document = await self._document_beside(read_people_csv(as_csv(change.after)))
            try:
                await apply(
                    self._db,
                    self._publisher.policy,
                    change,
                    document.policy.version,
                    actor=actor,
                    at=self._clock(),
                    write=lambda: write_list(self._state, change.after),
                )
            except OSError as error:
                name = self._state.people_list.name
                raise PeopleFileError(
                    f"{name}: {error.strerror}. Where it is root's, root runs towngate people import"
                ) from error
            await self._publisher.reload_document()
            failure = self._publisher.failure
            not_told = (*self._publisher.problems, *((failure,) if failure is not None else ()))
        return AppliedList(found, not_told)

    async def _document_beside(self, listed: PeopleList) -> PolicyDocument:
        try:
            return await asyncio.to_thread(self._publisher.load_beside, listed)
        except (OSError, UnicodeDecodeError) as error:
            raise PeopleFileError(f"{self._state.policy_document.name} cannot be read") from error

    async def _actor(self, session: Session) -> str:
        """Return who acts; one who may not is recorded."""
        try:
            return self._check(session)
        except NotAllowedError as error:
            actor = session.actor
            await refuse(self._db, str(error), actor=actor, at=self._clock())
            raise

    def _check(self, session: Session) -> str:
        otherwise = "People: only IT security takes another list of them."
        return roles.person_with(roles.closes_people, self._publisher.policy, session, otherwise)
