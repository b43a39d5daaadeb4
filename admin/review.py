"""IT's board: access opened lately, what people said of sites, how the town lists them, what is not opened.

Every move checks that its actor reviews (`roles.reviews`), and is published when it returns. A move that
is refused is recorded, with its actor.
"""

import asyncio
import functools
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from admin import (
    access_in_force,
    answering_reports,
    audit,
    corrections,
    exemptions,
    never_inspected,
    roles,
    site_reports,
    stored_requests,
)
from admin.asking import (
    AccessRequest,
    InvalidRequestError,
    NotAllowedError,
    TransitionError,
    site_of,
)
from admin.audit import Event, EventKind
from admin.clock import Clock
from admin.corrections import CorrectedMeanwhileError, MadeCorrection
from admin.database import Database, Transaction
from admin.never_inspected import Answered
from admin.publisher import Publisher
from admin.request_moves import record_refusal
from admin.sessions import Session
from admin.site_lists import SiteLists, blocking_categories
from admin.site_reports import (
    ANSWERS,
    Answer,
    AnsweredMeanwhileError,
    OwnReportError,
    ReportKind,
    SiteReport,
)
from admin.unlisted_sites import UnlistedSite, unlisted_sites
from admin.untrusting_hosts import UntrustingHost, untrusting_hosts
from admin.written_text import tidy_text
from categories.look_alikes import WellKnownNames, ranked_names, shipped_names
from categories.match import CategoryMatch
from categories.snapshot import CategorySnapshotError

logger = logging.getLogger(__name__)

_LOOKED_BACK = timedelta(days=30)
# Such hosts come from visits of 30 days, which take a while to look through: too long for every page.
_UNTRUSTING_COUNTED_EVERY = timedelta(minutes=5)
MOST_UNLISTED = 100
"""So many sites in no list are shown."""


@functools.lru_cache(maxsize=1)
def _well_known(file: Path | None, _written_at: float | None) -> WellKnownNames:
    return WellKnownNames([*(ranked_names(file) if file else ()), *shipped_names()])


def well_known_names(file: Path | None) -> WellKnownNames:
    """Return the names that ship and those of a file; read again when it was written. Raises OSError."""
    return _well_known(file, file.stat().st_mtime if file else None)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a site is listed as now, and the correction of it that is in force, None when there is none."""

    site: str
    matches: tuple[CategoryMatch, ...]
    correction: MadeCorrection | None

    @property
    def seen(self) -> int | None:
        """What a form carries, so that it corrects nothing that its sender has not seen."""
        return self.correction.id if self.correction else None


class Review:
    """What IT answers."""

    def __init__(
        self,
        db: Database,
        publisher: Publisher,
        lists: SiteLists,
        clock: Clock,
        well_known_file: Callable[[], Path | None],
    ) -> None:
        self._well_known_file = well_known_file
        self._db = db
        self._publisher = publisher
        self._lists = lists
        self._clock = clock
        self._untrusting_counted: tuple[datetime, int] | None = None

    # --- what a site is ---

    async def listing(self, session: Session, host: str) -> Listing:
        """Return what a canonical host's site is listed as.

        Raises NotAllowedError, InvalidRequestError for what is not one site, CategorySnapshotError
        when no lists can be read.
        """
        self._check(session)
        site = site_of(host)
        return Listing(site, await self._lists.listed(site), await corrections.in_force(self._db, site))

    async def corrections(self, session: Session) -> list[MadeCorrection]:
        """Return the corrections in force, newest first. Raises NotAllowedError."""
        self._check(session)
        return await corrections.all_in_force(self._db)

    async def unlisted(self, session: Session) -> tuple[UnlistedSite, ...]:
        """Return the sites of the last 30 days that no list knows, the 100 most used, most visits first.

        Raises NotAllowedError; CategorySnapshotError when no lists can be read. A file of well-known names
        that cannot be read is logged, and those that ship are used alone.
        """
        self._check(session)
        lists = await self._lists.snapshot()
        try:
            known = await asyncio.to_thread(well_known_names, self._well_known_file())
        except OSError as error:
            logger.warning("well-known names not read: error=%s", error)
            known = await asyncio.to_thread(well_known_names, None)
        return await unlisted_sites(self._db, lists, self._clock() - _LOOKED_BACK, known, MOST_UNLISTED)

    async def history(self, session: Session, site: str) -> list[MadeCorrection]:
        """Return all corrections of exactly this site, newest first. Raises NotAllowedError."""
        self._check(session)
        return await corrections.history(self._db, site)

    async def correct(
        self, session: Session, site: str, categories: Sequence[str], why: str, seen: int | None
    ) -> MadeCorrection:
        """As corrections.correct; NotAllowedError too, recorded."""
        actor = await self._actor(session, site, EventKind.SITE_CORRECTION_REFUSED)
        at = self._clock()
        made = await corrections.correct(self._db, site, categories, why=why, actor=actor, at=at, seen=seen)
        await self._publisher.publish_state()
        return made

    async def undo(self, session: Session, site: str, why: str, seen: int | None) -> MadeCorrection:
        """As corrections.undo; NotAllowedError too, recorded."""
        actor = await self._actor(session, site, EventKind.SITE_CORRECTION_REFUSED)
        ended = await corrections.undo(self._db, site, why=why, actor=actor, at=self._clock(), seen=seen)
        await self._publisher.publish_state()
        return ended

    # --- what was opened lately ---

    async def opened_lately(self, session: Session) -> list[AccessRequest]:
        """Return access in force that IT has not looked at, what ends first at the start."""
        self._check(session)
        return await access_in_force.unreviewed(self._db, self._clock())

    async def leave_open(self, session: Session, id_: int) -> AccessRequest:
        """Note that access was looked at and stays open.

        Raises UnknownRequestError; NotAllowedError, also for one's own, TransitionError when it is over or
        was looked at, both recorded.
        """
        at = self._clock()
        request = await stored_requests.get(self._db, id_)
        actor = await self._actor(session, request.number, EventKind.REQUEST_MOVE_REFUSED)
        refused: NotAllowedError | TransitionError
        async with self._db.transaction() as t:
            request = await stored_requests.get(t, id_)
            if actor in request.own:
                refused = NotAllowedError(f"{request.number} is {actor}'s own: another of IT looks at it")
            elif await exemptions.leave_open(t, id_, actor, at):
                await audit.record(t, Event(EventKind.EXEMPTION_LEFT_OPEN, actor, request.number, at))
                return await stored_requests.get(t, id_)
            else:
                refused = TransitionError(
                    request, f"{request.number} is over, or somebody looked at it first"
                )
            await record_refusal(t, request, refused, actor=actor, at=at, what="leave open")
        raise refused

    # --- what people said ---

    async def unanswered(self, session: Session, kind: ReportKind) -> list[list[SiteReport]]:
        """Return the open reports of a kind, those about one site together. Raises NotAllowedError."""
        self._check(session)
        return await site_reports.unanswered(self._db, kind)

    def may_answer(self, person: str, reports: Iterable[SiteReport]) -> bool:
        """As answering_reports.may_answer, by the running policy."""
        return answering_reports.may_answer(self._publisher.policy, reports, person)

    async def waiting(self) -> int:
        """Return how many cards of the board wait for an answer.

        Hosts where programs do not trust the certificate are counted anew every five minutes, whenever the
        board is shown, and after an answer about one.
        """
        opened = await access_in_force.count_unreviewed(self._db, self._clock())
        said = await site_reports.count_sites(self._db)
        return opened + said + await self._count_untrusting()

    async def keep(self, session: Session, id_: int, note: str) -> list[SiteReport]:
        """Leave the site of a report, and of others like it, listed as it is; `note` says why.

        Raises UnknownRequestError, NotAllowedError (OwnReportError for what its sender answers, who is not
        alone), AnsweredMeanwhileError, InvalidRequestError.
        """
        tidy = tidy_text("note", note, "Enter why. Those who asked read it")
        return await self._answer(session, id_, Answer.KEPT, tidy)

    async def no_problem(self, session: Session, id_: int) -> list[SiteReport]:
        """Leave a site that someone came to by accident as it is. Raises as keep does."""
        return await self._answer(session, id_, Answer.NO_PROBLEM, "")

    async def correct_reported(
        self, session: Session, id_: int, category: str | None, seen: int | None
    ) -> list[SiteReport]:
        """List the site of a report as a category, None: as nothing, for everyone.

        Raises as keep does, and CorrectedMeanwhileError.
        """
        return await self._answer(session, id_, Answer.CORRECTED, "", category, seen)

    async def block_reported(
        self, session: Session, id_: int, category: str, seen: int | None
    ) -> list[SiteReport]:
        """List the site of an accident as one of `blocking_categories`. Raises as correct_reported does."""
        if category not in self.blocking_categories():
            raise InvalidRequestError("category", "Choose a category that the policy blocks")
        return await self._answer(session, id_, Answer.BLOCKED, "", category, seen)

    def blocking_categories(self) -> frozenset[str]:
        """Return the categories that the policy blocks, for everyone whom no rule exempts from it."""
        return blocking_categories(self._publisher.policy)

    # --- programs that do not trust the town's certificate ---

    async def untrusting(self, session: Session) -> tuple[UntrustingHost, ...]:
        """Return the hosts on which such programs failed, for IT to answer. Raises NotAllowedError."""
        self._check(session)
        return await self._untrusting()

    async def never_inspected(self, session: Session) -> list[Answered]:
        """Return the hosts that IT has not opened, newest first. Raises NotAllowedError."""
        self._check(session)
        return await never_inspected.all_never(self._db)

    async def inspection_answer(self, session: Session, id_: int) -> Answered:
        """Return one answer. Raises NotAllowedError, LookupError."""
        self._check(session)
        return await never_inspected.get(self._db, id_)

    async def never_inspect(self, session: Session, host: str, why: str) -> Answered:
        """As never_inspected.add, by what the host is listed as now; NotAllowedError too, recorded."""
        actor = await self._actor(session, host, EventKind.SITE_INSPECTION_REFUSED)
        try:
            matches = await self._lists.listed(host)
        except CategorySnapshotError as error:
            raise InvalidRequestError("host", "What it is listed as cannot be said right now") from error
        policy, at = self._publisher.policy, self._clock()
        answered = await never_inspected.add(
            self._db, host, why=why, actor=actor, at=at, policy=policy, matches=matches
        )
        self._untrusting_counted = None
        await self._publisher.publish_state()
        return answered

    async def inspect_again(self, session: Session, host: str, why: str) -> Answered:
        """As never_inspected.remove; NotAllowedError too, recorded."""
        actor = await self._actor(session, host, EventKind.SITE_INSPECTION_REFUSED)
        answered = await never_inspected.remove(self._db, host, why=why, actor=actor, at=self._clock())
        self._untrusting_counted = None
        await self._publisher.publish_state()
        return answered

    async def leave_inspected(self, session: Session, host: str) -> Answered:
        """As never_inspected.leave; NotAllowedError too, recorded."""
        actor = await self._actor(session, host, EventKind.SITE_INSPECTION_REFUSED)
        left = await never_inspected.leave(self._db, host, actor=actor, at=self._clock())
        self._untrusting_counted = None
        return left

    async def _untrusting(self) -> tuple[UntrustingHost, ...]:
        lists, published, now = await self._lists.in_force(), self._publisher.published, self._clock()
        if lists is None or published is None:
            return ()
        found = await untrusting_hosts(self._db, published, lists, now)
        self._untrusting_counted = now, len(found)
        return found

    async def _count_untrusting(self) -> int:
        if self._untrusting_counted is not None:
            counted_at, count = self._untrusting_counted
            if abs(self._clock() - counted_at) < _UNTRUSTING_COUNTED_EVERY:
                return count
        return len(await self._untrusting())

    # --- inside ---

    async def _answer(
        self,
        session: Session,
        id_: int,
        answer: Answer,
        note: str,
        category: str | None = None,
        seen: int | None = None,
    ) -> list[SiteReport]:
        """Answer a report and those like it, or record that it was refused and raise why."""
        report = await site_reports.get(self._db, id_)
        actor = await self._actor(session, report.number, EventKind.REPORT_MOVE_REFUSED)
        if answer not in ANSWERS[report.kind]:
            raise InvalidRequestError("category", "This is no answer to that")
        corrects = answer in (Answer.CORRECTED, Answer.BLOCKED)
        at = self._clock()
        async with self._db.transaction() as t:
            refused = await self._refusal(t, id_, actor, seen if corrects else None, corrects=corrects)
            if refused is None:
                if corrects:
                    await self._correct_for(t, report, category, actor)
                answered = await answering_reports.answer(
                    t, report, answer, category=category, note=note, actor=actor, at=at
                )
            else:
                await answering_reports.refuse(t, report, actor=actor, at=at, why=str(refused))
        if refused is not None:
            raise refused
        if corrects:
            await self._publisher.publish_state()
        return answered

    async def _refusal(
        self, t: Transaction, id_: int, actor: str, seen: int | None, *, corrects: bool
    ) -> AnsweredMeanwhileError | CorrectedMeanwhileError | OwnReportError | None:
        report = await site_reports.get(t, id_)
        if report.answer is not None:
            return AnsweredMeanwhileError(report)
        if not self.may_answer(actor, await site_reports.open_like(t, report)):
            return OwnReportError(f"{actor} said so of {report.site}: another of IT answers")
        present = await corrections.in_force(t, report.site) if corrects else None
        if (present.id if present else None) != seen:
            return CorrectedMeanwhileError(report.site, present)
        return None

    async def _correct_for(
        self, t: Transaction, report: SiteReport, category: str | None, actor: str
    ) -> None:
        is_accident = report.kind is ReportKind.ACCIDENT
        why = f"{report.number}: {'come to by accident' if is_accident else 'said to be listed wrongly'}"
        new = corrections.checked(report.site, [category] if category else [], why)
        await corrections.replace(t, new, actor=actor, at=self._clock(), why=why)

    def _check(self, session: Session) -> str:
        return roles.person_with(roles.reviews, self._publisher.policy, session, "The board is IT's.")

    async def _actor(self, session: Session, subject: str, refused: EventKind) -> str:
        """Return who acts; a move of one who may not is recorded."""
        try:
            return self._check(session)
        except NotAllowedError as error:
            actor = session.actor
            async with self._db.transaction() as t:
                await audit.record(t, Event(refused, actor, subject, self._clock(), {"why": str(error)}))
            raise
