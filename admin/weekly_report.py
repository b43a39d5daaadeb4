"""The weekly report: a department's or the town's use of the web in one week, in numbers.

The mail and the page are both made of it, by the visit log as it is then. Names are in a department's alone,
where the policy says so, and never its head's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from admin import request_counts, roles
from admin.asking import NotAllowedError, State
from admin.clock import Clock
from admin.database import Database
from admin.sessions import Session
from admin.visit_log import spans
from admin.visit_log.spans import SOFTWARE_UPDATES, HeavyUse, Span, Use
from admin.week import Week, next_due_at
from policy.town_policy import Policy
from policy.town_time import zone_of

_MOST = 10
_MOST_PEOPLE = 5


@dataclass(frozen=True, slots=True)
class Figures:
    """The numbers of a week: all visits, heavy ones but software updates, and requests that were sent."""

    used: Use
    heavy: HeavyUse
    requests: Mapping[State, int]
    """As request_counts.count_sent_between has it."""


@dataclass(frozen=True, slots=True)
class Named:
    """People of a department: how many visits of theirs were blocked, how many bytes heavy ones took."""

    blocked: tuple[tuple[str, int], ...]
    heavy: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class WeeklyReport:
    """The report on one week; `department` is None for the town's.

    `before` is the week before, to compare. Lists have most first, ten at most: categories by visits (""
    where a site is in no list), those of which something was blocked, departments, and hosts of heavy visits
    by bytes. `named` is None where nobody is.
    """

    department: str | None
    week: Week
    now: Figures
    before: Figures
    categories: tuple[tuple[str, Use], ...]
    blocked: tuple[tuple[str, int], ...]
    departments: tuple[tuple[str, Use], ...]
    updates_bytes: int
    heavy_hosts: tuple[tuple[str, int], ...]
    named: Named | None


@dataclass(frozen=True, slots=True)
class Shown:
    """A report for a session: all that the person has (None: the town's), and the weeks around it.

    `earlier` is None where the log has nothing of before, `later` for the week that goes on. `due_at` is when
    the next one is sent, None where the policy says nothing of it.
    """

    report: WeeklyReport
    scopes: tuple[str | None, ...]
    earlier: Week | None
    later: Week | None
    due_at: datetime | None

    @property
    def goes_on(self) -> bool:
        """Whether the week is not over."""
        return self.later is None


async def weekly_report(
    db: Database, policy: Policy, department: str | None, week: Week, at: datetime
) -> WeeklyReport:
    """Count a week of a department, or of the town (None), as of `at`."""
    span = _span(policy, department, week)
    by_category = await spans.used(db.visits, span, "category")
    now = await _figures(db, span, by_category, at)
    past = _span(policy, department, week.before)
    before = await _figures(db, past, await spans.used(db.visits, past, "category"), at)
    by_department = await spans.used(db.visits, span, "department") if department is None else {}
    blocked = {id_: use.blocked for id_, use in by_category.items() if use.blocked}
    return WeeklyReport(
        department=department,
        week=week,
        now=now,
        before=before,
        categories=_most_used(by_category),
        blocked=_most(blocked, _MOST),
        departments=_most_used(by_department),
        updates_bytes=by_category.get(SOFTWARE_UPDATES, Use()).size_bytes,
        heavy_hosts=_most(now.heavy.hosts, _MOST),
        named=await _named(db, policy, span, now.heavy),
    )


class WeeklyReports:
    """The reports for one session or another."""

    def __init__(self, db: Database, policy: Callable[[], Policy], clock: Clock) -> None:
        self._db = db
        self._policy = policy
        self._clock = clock

    async def shown(self, session: Session, of: str | None, week: Week | None) -> Shown:
        """Return the report on a department (or "", the town), and a week; of None the first, and the last.

        Raises NotAllowedError for what the person has no report of, LookupError for a week that has not
        begun.
        """
        policy, now = self._policy(), self._clock()
        person = session.person
        scopes = roles.weekly_reports_of(policy, person) if person and session.is_signed_in else ()
        department = scopes[0] if of is None and scopes else of or None
        if department not in scopes:
            raise NotAllowedError("Weekly report: only IT and who answers for the department see it.")
        zone = zone_of(policy)
        present = Week.at(now, zone)
        chosen = week if week is not None else present.before
        if chosen > present:
            raise LookupError(f"the week of {chosen} has not begun")
        terms = policy.weekly_report
        oldest = await spans.oldest(self._db.visits)
        has_earlier = oldest is not None and oldest < chosen.begins_at(zone)
        return Shown(
            report=await weekly_report(self._db, policy, department, chosen, now),
            scopes=scopes,
            earlier=chosen.before if has_earlier else None,
            later=chosen.after if chosen < present else None,
            due_at=next_due_at(terms, now, zone) if terms is not None else None,
        )


def _span(policy: Policy, department: str | None, week: Week) -> Span:
    zone = zone_of(policy)
    return Span(week.begins_at(zone), week.ends_at(zone), department)


async def _figures(db: Database, span: Span, by_category: Mapping[str, Use], at: datetime) -> Figures:
    used = Use()
    for use in by_category.values():
        used.add(use)
    requests = await request_counts.count_sent_between(db, span.begins_at, span.ends_at, span.department, at)
    return Figures(used, await spans.heavy(db.visits, span), requests)


async def _named(db: Database, policy: Policy, span: Span, heavy: HeavyUse) -> Named | None:
    terms, department = policy.weekly_report, policy.departments.get(span.department or "")
    if terms is None or not terms.names_shown or department is None:
        return None
    found = (await spans.blocked_people(db.visits, span), heavy.people)
    blocked, loaded = ({who: n for who, n in one.items() if who != department.head} for one in found)
    return Named(_most(blocked, _MOST_PEOPLE), _most(loaded, _MOST_PEOPLE))


def _most(found: Mapping[str, int], most: int) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(found.items(), key=lambda counted: (-counted[1], counted[0]))[:most])


def _most_used(found: Mapping[str, Use]) -> tuple[tuple[str, Use], ...]:
    return tuple(sorted(found.items(), key=lambda used: (-used[1].visits, used[0]))[:_MOST])
