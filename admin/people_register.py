"""The town's people, for IT security: who they are, and closing who left; the proxy is told at once."""

from dataclasses import dataclass

from admin import closed_people, roles
from admin.acting_roles import Who, who_is
from admin.clock import Clock
from admin.closed_people import ClosedPerson, Ended, UnknownPersonError
from admin.database import Database
from admin.publisher import Publisher
from admin.sessions import Session
from policy.town_policy import Person


@dataclass(frozen=True, slots=True)
class Listed:
    """A person of the policy document. `who` is what it makes them; `closed` is None unless they were."""

    id: str
    person: Person
    who: Who
    closed: ClosedPerson | None


class PeopleRegister:
    """Only IT security sees it and closes people."""

    def __init__(self, db: Database, publisher: Publisher, clock: Clock) -> None:
        self._db = db
        self._publisher = publisher
        self._clock = clock

    @property
    def failure(self) -> str | None:
        """Why the proxy has not been told of the newest state; None when it has."""
        return self._publisher.failure

    async def find(self, session: Session, words: str) -> list[Listed]:
        """Return the people whose id, name, mail or department has every one of the words, by name.

        Raises NotAllowedError but for IT security.
        """
        self._check(session)
        closed = await closed_people.closed(self._db)
        wanted = words.casefold().split()
        departments = self._publisher.document_policy.departments
        found = []
        for id_, person in self._publisher.document_policy.people.items():
            department = departments.get(person.department or "")
            text = f"{id_} {person.name} {person.mail} {department.name if department else ''}".casefold()
            if all(word in text for word in wanted):
                found.append(self._listed(id_, person, closed.get(id_)))
        return sorted(found, key=lambda listed: (listed.person.name.casefold(), listed.id))

    async def get(self, session: Session, id_: str) -> Listed:
        """Return one person. Raises UnknownPersonError, and as `find` does."""
        self._check(session)
        person = self._publisher.document_policy.people.get(id_)
        if person is None:
            raise UnknownPersonError(f"there is no person {id_!r}")
        return self._listed(id_, person, (await closed_people.closed(self._db)).get(id_))

    async def close(self, session: Session, id_: str, why: str) -> Ended:
        """As closed_people.close; published when it returns. Raises NotAllowedError, too."""
        actor = self._check(session)
        ended = await closed_people.close(
            self._db, self._publisher.policy, id_, why=why, actor=actor, at=self._clock()
        )
        await self._publisher.publish_state()
        return ended

    async def reopen(self, session: Session, id_: str, why: str) -> None:
        """As closed_people.reopen; published when it returns. Raises NotAllowedError, too."""
        await closed_people.reopen(self._db, id_, why=why, actor=self._check(session), at=self._clock())
        await self._publisher.publish_state()

    def _listed(self, id_: str, person: Person, closed: ClosedPerson | None) -> Listed:
        return Listed(id_, person, who_is(self._publisher.document_policy, id_), closed)

    def _check(self, session: Session) -> str:
        otherwise = "People: only IT security sees and closes them."
        return roles.person_with(roles.closes_people, self._publisher.policy, session, otherwise)
