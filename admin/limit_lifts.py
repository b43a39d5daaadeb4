"""Who goes on past a limit that warns, where no page could: a tunnel was closed for it.

"Did something not open?" is the page. What is decided there is as the Continue of a warning: the person's
own, for that limit, one site and eight hours.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from admin import audit, proposing
from admin.asking import UnknownRequestError
from admin.audit import Event, EventKind
from admin.clock import Clock, from_ms, to_ms
from admin.database import Database, Reader, Transaction
from admin.sessions import Session
from admin.visit_views import VisitViews
from admin.visits import VisitRow
from policy.decision import Cause
from policy.state import Exemption
from policy.town_policy import LimitAction, Policy

if TYPE_CHECKING:
    from admin.publisher import Publisher

LIFTED_FOR = timedelta(hours=8)
_ABOUT, _MOVE = "limits", "go on past a limit"


class LimitLifts:
    """Takes what a session decides. `policy` returns the running one."""

    def __init__(
        self,
        db: Database,
        publisher: "Publisher",
        policy: Callable[[], Policy],
        views: VisitViews,
        clock: Clock,
    ) -> None:
        self._db = db
        self._publisher = publisher
        self._policy = policy
        self._views = views
        self._clock = clock

    async def of(self, session: Session) -> tuple[Exemption, ...]:
        """Return what is lifted for a session's person now."""
        return tuple(lift for lift in await live(self._db, self._clock()) if lift.person == session.person)

    async def go_on(self, session: Session, visit_id: int) -> None:
        """Lift the limit that has ended a visit, at its site, for eight hours.

        Published when it returns; said twice, it is done once. Raises UnknownRequestError when it was not
        stopped here lately by a limit that warns, NotAllowedError where nobody knows who it is; both are
        recorded.
        """
        at = self._clock()
        row = next((row for row in await self._views.stopped_here(session) if row.id == visit_id), None)
        if row is None or not may_go_on(row, self._policy()):
            why = "no limit that warns has stopped this visit in the last 15 minutes"
            async with self._db.transaction() as t:
                await proposing.record_refusal(t, session, _ABOUT, at, why, _MOVE)
            raise UnknownRequestError(why)
        if session.person is None:
            why = "Sign in to go on: this computer is used by several people."
            await proposing.refuse(self._db, session, _ABOUT, at, why, _MOVE)
        async with self._db.transaction() as t:
            is_first = await t.execute(
                "INSERT INTO limit_lift (person, host, policy_limit, lifted_at, ends_at)"
                " SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS (SELECT 1 FROM limit_lift"
                " WHERE person = ?1 AND host = ?2 AND policy_limit = ?3 AND ends_at > ?4)",
                *(session.person, row.host, row.rule, to_ms(at), to_ms(at + LIFTED_FOR)),
            )
            if is_first:
                details: dict[str, audit.Detail] = {"rule": row.rule, "host": row.host, "code": row.code}
                await audit.record(t, Event(EventKind.LIMIT_PASSED, session.person, row.host, at, details))
        await self._publisher.publish_state()


def may_go_on(row: VisitRow, policy: Policy) -> bool:
    """Whether a limit that warns ended this visit: then it is the person's own to decide."""
    return row.cause is Cause.LIMIT and any(
        limit.id == row.rule and limit.action is LimitAction.WARN for limit in policy.limits
    )


async def end_of(t: Transaction, person: str, at: datetime) -> None:
    """Let the limits hold again that are lifted for a person."""
    await t.execute(
        "UPDATE limit_lift SET ends_at = max(?1, lifted_at + 1) WHERE person = ?2 AND ends_at > ?1",
        to_ms(at),
        person,
    )


async def live(db: Reader, at: datetime) -> tuple[Exemption, ...]:
    """Return what is lifted at `at`, as the proxy is told."""
    rows = await db.fetch_all("SELECT * FROM limit_lift WHERE ends_at > ? ORDER BY id", to_ms(at))
    return tuple(
        Exemption(
            id=f"told-{row['id']}",
            host=row["host"],
            granted_at=from_ms(row["lifted_at"]),
            expires_at=from_ms(row["ends_at"]),
            person=row["person"],
            lifts_limits=True,
            passed_limit=row["policy_limit"],
        )
        for row in rows
    )
