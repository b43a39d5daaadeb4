"""Emergencies, for the pages: who may act, what is in force, and the proxy told before it returns."""

from admin import measures, roles
from admin.asking import NotAllowedError
from admin.clock import Clock
from admin.database import Database
from admin.measures import Measure, MeasureKind, NewMeasure
from admin.publisher import Publisher
from admin.sessions import Session
from policy.state import FilterOff, Lockdown
from policy.town_policy import Policy

_SHOWN = 30


class Emergency:
    """What IT does in an emergency, from the admin site. Only IT security acts, and sees what was done.

    That the web is limited, or the filter off, everyone is told.
    """

    def __init__(self, db: Database, publisher: Publisher, clock: Clock) -> None:
        self._db = db
        self._publisher = publisher
        self._clock = clock

    @property
    def lockdowns(self) -> tuple[Lockdown, ...]:
        """The lockdowns that the proxy was told of; everyone's first."""
        told = self._publisher.published
        found = told.lockdowns if told else ()
        return tuple(sorted(found, key=lambda lockdown: lockdown.department or ""))

    @property
    def filter_off(self) -> FilterOff | None:
        """The filter being off, as the proxy was told; None while it is on."""
        told = self._publisher.published
        off = told.filter_off if told else None
        return off if off is not None and off.holds_at(self._clock()) else None

    @property
    def failure(self) -> str | None:
        """Why the proxy has not been told of the newest state; None when it has."""
        return self._publisher.failure

    @property
    def policy(self) -> Policy:
        """The running policy, by whose departments and devices measures are checked."""
        return self._publisher.policy

    async def latest(self, session: Session) -> list[Measure]:
        """Return the newest measures, in force or over. Raises NotAllowedError but for IT security."""
        self.check(session)
        return await measures.latest(self._db, _SHOWN)

    async def get(self, session: Session, id_: int) -> Measure:
        """Return one measure. Raises LookupError, and as `latest` does."""
        self.check(session)
        return await measures.get(self._db, id_)

    async def begin(self, session: Session, new: NewMeasure) -> Measure:
        """Put a measure in force; when it returns, the proxy can read it, or `failure` says why not.

        Raises NotAllowedError (recorded) but for IT security, AlreadySoError.
        """
        actor = await self._actor(session, new.kind, new.subject)
        begun = await measures.begin(self._db, new, actor=actor, at=self._clock())
        await self._publisher.publish_state()
        return begun

    async def end(self, session: Session, id_: int) -> Measure:
        """End the measure; published as by `begin`. Raises LookupError, and as `begin` does."""
        seen = await measures.get(self._db, id_)
        actor = await self._actor(session, seen.kind, seen.subject)
        ended = await measures.end(self._db, seen.kind, seen.subject, actor=actor, at=self._clock(), seen=id_)
        await self._publisher.publish_state()
        return ended

    async def give_news(self, session: Session, id_: int, because: str, next_news: str) -> Measure:
        """Say anew why a lockdown is in force and when people hear more; published as by `begin`.

        Raises LookupError for what is no lockdown, InvalidRequestError, and as `begin` does.
        """
        seen = await measures.get(self._db, id_)
        if seen.kind is not MeasureKind.LOCKDOWN:
            raise LookupError(f"{id_} is no lockdown")
        actor = await self._actor(session, seen.kind, seen.subject)
        now = self._clock()
        news = measures.lockdown_news(self.policy, seen.subject, because, next_news, now)
        told = await measures.give_news(self._db, news, actor=actor, at=now, seen=id_)
        await self._publisher.publish_state()
        return told

    def check(self, session: Session) -> str:
        """Return who may act. Raises NotAllowedError but for IT security."""
        otherwise = "Emergencies: only IT security acts, and sees what was done."
        return roles.person_with(roles.acts_in_emergencies, self.policy, session, otherwise)

    async def _actor(self, session: Session, kind: MeasureKind, subject: str) -> str:
        """Return who acts; one who may not is recorded."""
        try:
            return self.check(session)
        except NotAllowedError as error:
            who = session.actor
            await measures.refuse(self._db, kind, subject, actor=who, at=self._clock(), why=str(error))
            raise
