"""Access that is open for long comes up for review: every 90 days, and a week before it ends.

So does, once a day, what nobody has used for 60 days; after an answer not for as long again.
Its use is the evidence. Those who approved it and the asker are written to; access goes on meanwhile and ends
by itself, whatever anybody answers. When the next review is, is stored with the exemption: what became
due while admin was down is told by the first look, and once.
"""

from collections.abc import Callable
from datetime import date, datetime

from admin import access_in_force, audit, exemption_use, outbox, stored_requests
from admin.asking import AccessRequest, NotAllowedError, TransitionError
from admin.audit import Detail, Event, EventKind
from admin.clock import Clock, to_ms
from admin.database import Database, Transaction
from admin.deciders import may_stop, took_part
from admin.exemptions import next_review
from admin.one_by_one import OneByOne
from admin.outbox import Letter, LetterKind
from admin.request_moves import record_refusal, too_late
from policy.town_policy import Policy
from policy.town_time import zone_of

_ASKED_ABOUT = frozenset({EventKind.EXEMPTION_REVIEW_DUE, EventKind.EXEMPTION_KEPT})


class ExemptionReviews:
    """Looks for what is due, and takes what people answer. `policy` returns the running one."""

    def __init__(self, db: Database, policy: Callable[[], Policy], clock: Clock) -> None:
        self._db = db
        self._policy = policy
        self._clock = clock
        self._looked_for_unused_on: date | None = None

    async def look(self) -> None:
        """Ask for the reviews that are due, and once in a day of the town's about what is unused.

        Raises RoundError where that failed for some.
        """
        at = self._clock()
        with OneByOne() as each:
            for id_ in await access_in_force.to_review(self._db, at):
                with each.about(f"REQ-{id_}"):
                    async with self._db.transaction() as t:
                        await self._ask(t, await stored_requests.get(t, id_), at, "review_at <= ?3")
            today = at.astimezone(zone_of(self._policy())).date()
            if self._looked_for_unused_on != today:
                with each.about("what is unused"):
                    await self._ask_about_unused(at)
                    self._looked_for_unused_on = today

    async def keep(self, id_: int, actor: str) -> None:
        """Note that access is still needed: the next review comes when it is due.

        Raises UnknownRequestError; NotAllowedError but for those who may stop it, TransitionError when no
        review is asked for, both recorded.
        """
        at = self._clock()
        use = await exemption_use.of(self._db, self._db.visits, id_, at)
        async with self._db.transaction() as t:
            request = await stored_requests.get(t, id_)
            refused: NotAllowedError | TransitionError | None = None
            if actor in request.own or not may_stop(self._policy(), request, actor):
                refused = NotAllowedError(f"{request.number} is not for {actor} to keep open")
            elif use is None or not await t.execute(
                f"UPDATE {_table(request)} SET review_since = NULL WHERE access_request = ?"  # noqa: S608 - own words
                " AND review_since IS NOT NULL AND stopped_at IS NULL AND expires_at > ?",
                id_,
                to_ms(at),
            ):
                refused = too_late(request, at)
            else:
                details: dict[str, Detail] = {"visits": use.visits, "people": use.people}
                kind, of = EventKind.EXEMPTION_KEPT, request.department
                await audit.record(t, Event(kind, actor, request.number, at, details, of))
                return
            await record_refusal(t, request, refused, actor=actor, at=at, what="keep")
        raise refused

    async def _ask_about_unused(self, at: datetime) -> None:
        since = at - exemption_use.UNUSED_AFTER
        ids = await access_in_force.open_unasked_since(self._db, since, at)
        uses = await exemption_use.of_all(self._db, self._db.visits, at) if ids else {}
        with OneByOne() as each:
            for id_ in ids:
                with each.about(f"REQ-{id_}"):
                    request = await stored_requests.get(self._db, id_)
                    events = await audit.events_of(self._db, request.number)
                    if any(event.kind in _ASKED_ABOUT and event.at > since for event in events):
                        continue
                    # The use of all leaves accounts out, whose visits are many.
                    use = uses.get(id_) or await exemption_use.of(self._db, self._db.visits, id_, at)
                    if use is not None and use.is_unused_at(at):
                        async with self._db.transaction() as t:
                            await self._ask(t, request, at, "review_since IS NULL")

    async def _ask(self, t: Transaction, request: AccessRequest, at: datetime, unless_asked: str) -> None:
        """Ask whether access is needed, where it is in force and the condition says that nobody did."""
        if request.expires_at is None:
            return
        following = next_review(at, request.expires_at)
        is_first = await t.execute(
            f"UPDATE {_table(request)} SET review_since = ?3, review_at = ?2 WHERE access_request = ?1"  # noqa: S608 - own words
            f" AND {unless_asked} AND stopped_at IS NULL AND expires_at > ?3",
            request.id,
            to_ms(following) if following is not None else None,
            to_ms(at),
        )
        if not is_first:
            return
        use = await exemption_use.of(t, self._db.visits, request.id, at)
        details: dict[str, Detail] = {
            "visits": use.visits if use else 0,
            "people": use.people if use else 0,
            "is_unused": use.is_unused_at(at) if use else True,
        }
        await audit.record(t, Event(EventKind.EXEMPTION_REVIEW_DUE, audit.CLOCK, request.number, at, details))
        for person in sorted({*request.told, *took_part(self._policy(), request)}):
            letter = Letter(LetterKind.EXEMPTION_REVIEW, person, request.number, again=at.isoformat())
            await outbox.put(t, letter, at)


def _table(request: AccessRequest) -> str:
    return "internet_account" if request.account is not None else "exemption"
