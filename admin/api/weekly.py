"""The weekly report: a department's week in numbers, or the town's."""

from collections.abc import Iterable
from datetime import date
from typing import Self

from pydantic import BaseModel, Field

from admin.api.operation import Call, Nothing, Query
from admin.asking import InvalidRequestError, State
from admin.visit_log.spans import Use
from admin.web.people import People
from admin.week import Week
from admin.weekly_report import Figures, Named


class WhichWeek(Query):
    """Of whom, and when."""

    of: str | None = Field(
        None, description="A department's id; empty: the town. Left out: the first of `reports_of`."
    )
    week: date | None = Field(None, description="A Monday. Left out: the last week that is over.")


class Used(BaseModel):
    """What was visited of something, and what it took both ways."""

    id: str = Field(description="Empty for what no list has, or a department that is not known.")
    visits: int
    blocked: int
    size_bytes: int

    @classmethod
    def of(cls, found: Iterable[tuple[str, Use]]) -> list[Self]:
        """Return the uses of several, in their order."""
        return [
            cls(id=id_, visits=use.visits, blocked=use.blocked, size_bytes=use.size_bytes)
            for id_, use in found
        ]


class Blocked(BaseModel):
    """How many visits to sites of a category were blocked."""

    id: str
    visits: int


class HeavySite(BaseModel):
    """What heavy visits took of a site."""

    host: str
    size_bytes: int


class WeekFigures(BaseModel):
    """A week's numbers. Heavy is what carried 100 MB or more both ways, but software updates."""

    visits: int
    blocked: int
    size_bytes: int
    heavy_visits: int
    heavy_bytes: int
    requests: dict[State, int] = Field(
        description="Those that were sent, by where they stand now. What was approved is `approved` also"
        " after its access has ended; `ended` is what was over before it opened."
    )

    @classmethod
    def of(cls, figures: Figures) -> Self:
        """Return the numbers of a week."""
        used, heavy = figures.used, figures.heavy
        return cls(
            visits=used.visits,
            blocked=used.blocked,
            size_bytes=used.size_bytes,
            heavy_visits=heavy.visits,
            heavy_bytes=heavy.size_bytes,
            requests=dict(figures.requests),
        )


class PersonsBlocked(BaseModel):
    """A person, and how many of their visits were blocked."""

    person: str
    name: str
    visits: int


class PersonsHeavy(BaseModel):
    """A person, and what their heavy visits took."""

    person: str
    name: str
    size_bytes: int


class NamedPeople(BaseModel):
    """Five of each at most, the most first; never the department's head."""

    blocked: list[PersonsBlocked]
    heavy: list[PersonsHeavy]

    @classmethod
    def of(cls, named: Named, people: People) -> Self:
        """Return the people whom the policy has named."""
        return cls(
            blocked=[PersonsBlocked(person=who, name=people.name(who), visits=n) for who, n in named.blocked],
            heavy=[PersonsHeavy(person=who, name=people.name(who), size_bytes=n) for who, n in named.heavy],
        )


class WeeklyReport(BaseModel):
    """A week, Monday to Sunday by the town's clock. Lists have ten at most, the most first."""

    department: str | None = Field(description="Null for the town's.")
    monday: date
    goes_on: bool = Field(description="The week is not over.")
    reports_of: list[str] = Field(description="What you have reports of, for `of`; the town is empty.")
    has_earlier: bool = Field(description="The log has something of the time before.")
    now: WeekFigures
    before: WeekFigures = Field(description="Of the week before.")
    categories: list[Used]
    blocked: list[Blocked]
    departments: list[Used] = Field(description="In the town's alone.")
    updates_bytes: int = Field(description="Of software updates.")
    heavy_sites: list[HeavySite]
    named: NamedPeople | None = Field(description="Null where the policy names nobody, and in the town's.")


async def read_weekly_report(call: Call[WhichWeek, Nothing]) -> WeeklyReport:
    """Show a week of your department in numbers; of the town for IT."""
    admin, query = call.admin, call.query
    try:
        week = Week.parse(query.week.isoformat()) if query.week is not None else None
        shown = await admin.weekly_reports.shown(call.session, query.of, week)
    except (ValueError, LookupError) as error:
        raise InvalidRequestError("week", "Give a Monday, of this week or one before") from error
    report = shown.report
    return WeeklyReport(
        department=report.department,
        monday=report.week.monday,
        goes_on=shown.goes_on,
        reports_of=[of or "" for of in shown.scopes],
        has_earlier=shown.earlier is not None,
        now=WeekFigures.of(report.now),
        before=WeekFigures.of(report.before),
        categories=Used.of(report.categories),
        blocked=[Blocked(id=id_, visits=count) for id_, count in report.blocked],
        departments=Used.of(report.departments),
        updates_bytes=report.updates_bytes,
        heavy_sites=[HeavySite(host=host, size_bytes=size) for host, size in report.heavy_hosts],
        named=NamedPeople.of(report.named, People(admin.policy)) if report.named is not None else None,
    )
