"""The visit log: filters, and why."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Self
from urllib.parse import urlencode

from msgspec import structs
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from admin import why_words
from admin.api.operation import Call, Listed, Nothing, Query
from admin.asking import InvalidRequestError
from admin.replaying import explain
from admin.visit_log.searching import MOST_LEFT_OUT, Cursor, LeftOut, VisitFilter
from admin.visits import FIRST_YEAR, LAST_YEAR, VisitRow
from admin.web.words import plain, visit_status
from categories.host_name import HostNameError, canonical_host
from policy.decision import Cause, Lane, Verdict
from policy.town_policy import Policy
from policy.visit_record import read_code


class Who(BaseModel):
    """Who visited: a department and a code of the day. The rest is null while names are hidden."""

    model_config = ConfigDict(from_attributes=True)

    department: str | None
    code: str | None
    person: str | None
    device: str | None
    address: str | None


class Visit(BaseModel):
    """A visit, and what came of it."""

    id: int
    code: str
    who: Who
    started_at: datetime
    ended_at: datetime
    scheme: str
    host: str
    port: int
    status: str = Field(description="What came of it in words, as the pages have it.")
    verdict: Verdict
    lane: Lane
    cause: Cause
    rule: str | None
    exemption: str | None
    category: str | None
    entry: str | None
    source: str | None
    refusal: str | None
    connections: int
    requests: int = Field(description="Those that could be seen: none in a tunnel.")
    pages: int = Field(
        description="Those of the requests that were gone to, and no page pulled in by itself."
    )
    bytes_up: int
    bytes_down: int
    policy_version: str
    category_version: str
    is_reported: bool = Field(description="Whoever made it said that they came there by accident.")
    addresses: list[str] | None = Field(
        description="Those of the pages gone to, where the policy has them kept; null while names are hidden."
    )

    @classmethod
    def of(cls, row: VisitRow, policy: Policy) -> Self:
        """Return a row of the log, with as much of who it was as the row has."""
        known = {name: value for name, value in structs.asdict(row).items() if name in cls.model_fields}
        return cls(**known, status=plain(visit_status(row, policy).words))


class Hour(BaseModel):
    """Visits that began within an hour, and how many of them were blocked."""

    model_config = ConfigDict(from_attributes=True)

    starts_at: datetime
    visits: int
    blocked: int


class VisitConditions(Query):
    """Each condition that is given holds."""

    department: str | None = None
    host: str | None = Field(None, description="A host, with its subdomains.")
    category: str | None = None
    verdict: Verdict | None = None
    lane: Lane | None = None
    rule: str | None = None
    code: str | None = Field(None, description="The code of a block page.")
    person: str | None = Field(None, description="Needs names to be shown: POST /visits/names.")
    not_host: str | None = Field(
        None, description="Hosts to leave out, with their subdomains: a.example,b.example"
    )
    not_department: str | None = Field(None, description="Departments to leave out, separated by commas.")
    not_category: str | None = Field(None, description="Categories to leave out, separated by commas.")
    not_rule: str | None = Field(None, description="Rules to leave out, separated by commas.")
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


class WhichVisits(VisitConditions):
    """Each condition that is given holds."""

    before: str | None = Field(
        None, description="From the `next` of the page before.", pattern=r"^[0-9]+\.[0-9]+$"
    )
    limit: int = Field(50, ge=1, le=200)


class WhichOwn(Query):
    """From the newest on, or from where the page before ended."""

    before: str | None = Field(
        None, description="From the `next` of the page before.", pattern=r"^[0-9]+\.[0-9]+$"
    )
    limit: int = Field(50, ge=1, le=200)


class Step(BaseModel):
    """One step of deciding: what was looked at, whether it decided, and why (not)."""

    what: str
    is_hit: bool
    why: str


class Stopped(BaseModel):
    """Downloads of these types are stopped by the rule."""

    rule: str
    types: list[str]


class HeldLimit(BaseModel):
    """A limit of the policy that holds for the visit, or stopped it; what is left is of the visit's day."""

    id: str
    says: str = Field(description="Like: a download of more than 500 MB gets a warning first.")
    stops: bool = Field(
        description="The visit itself is stopped, or gets a warning, and not only what is over it."
    )
    left: str | None = Field(description="Of a quota; null where it is none, or nothing is known of the day.")
    is_used_up: bool | None


class DecidedBy(BaseModel):
    """The versions that the visit was decided again by."""

    model_config = ConfigDict(from_attributes=True)

    policy: str
    lists: str | None = Field(
        description="Null where those lists are gone, and the entry of the record stood in for them."
    )
    is_of_that_day: bool = Field(
        description="They were in force when it happened; else that was not kept, and they are those of now."
    )


class Today(BaseModel):
    """What would be decided about the visit by what is in force now."""

    verdict: Verdict
    rule: str | None
    exemption: str | None
    agrees: bool = Field(description="Whether the same was decided when it happened.")


class Explanation(BaseModel):
    """How the visit is decided again, step by step, and by what; what changed since it happened."""

    visit: Visit
    verdict: Verdict | None = Field(
        description="Null where the proxy itself refused, and nothing was decided."
    )
    rule: str | None
    exemption: str | None
    because: str | None
    steps: list[Step]
    decrypted_for: list[str]
    stops_downloads: list[Stopped]
    limits: list[HeldLimit]
    no_limits: str | None = Field(description="Why no limit is part of this, in words.")
    agrees: bool = Field(description="Whether the same was decided when it happened.")
    decided_by: DecidedBy | None = Field(description="Null where the proxy itself refused.")
    said: str | None = Field(description="The same in words: As of Mon, March 2: policy abc, lists def.")
    changed: list[str] = Field(description="What is another today than when it happened.")
    today: Today | None = Field(
        description="What would be decided today; null where nothing is decided again."
    )


async def list_visits(call: Call[WhichVisits, Nothing]) -> Listed[Visit]:
    """List visits, newest first, persons hidden unless names are shown to this token."""
    query = call.query
    views = call.admin.visit_views
    try:
        where, before = _filter(query), _cursor(query)
    except InvalidRequestError:
        await views.query(call.session, VisitFilter(), None, 1)
        raise
    found = await views.query(call.session, where, before, query.limit + 1)
    return _listed(call.admin.policy, query, found, "/api/v1/visits")


async def count_visits(call: Call[VisitConditions, Nothing]) -> Listed[Hour]:
    """Count visits by the hours of the town's clock, 31 days at most; without a time those of today."""
    views = call.admin.visit_views
    try:
        where = _filter(call.query)
    except InvalidRequestError:
        await views.query(call.session, VisitFilter(), None, 1)
        raise
    hours = await views.hours(call.session, where)
    return Listed[Hour](items=[Hour.model_validate(hour) for hour in hours])


async def list_own_visits(call: Call[WhichOwn, Nothing]) -> Listed[Visit]:
    """List what is recorded of you by name, newest first."""
    query = call.query
    found = await call.admin.visit_views.own(call.session, _cursor(query), query.limit + 1)
    return _listed(call.admin.policy, query, found, "/api/v1/visits/own")


def _cursor(query: WhichVisits | WhichOwn) -> Cursor | None:
    try:
        return Cursor.parse(query.before) if query.before else None
    except ValueError as error:
        raise InvalidRequestError("before", "Take it from the `next` of the page before") from error


def _listed(
    policy: Policy, query: WhichVisits | WhichOwn, found: Sequence[VisitRow], address: str
) -> Listed[Visit]:
    """Return as many as were asked for of those found, which are one more where others follow."""
    rows, more = found[: query.limit], found[query.limit :]
    following = None
    if more:
        given = query.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        given["before"] = str(Cursor(rows[-1].started_at, rows[-1].id))
        following = f"{address}?{urlencode(given)}"
    return Listed[Visit](items=[Visit.of(row, policy) for row in rows], next=following)


async def explain_visit(call: Call[Nothing, Nothing]) -> Explanation:
    """Say why a visit was decided as it was, by deciding it once more."""
    admin = call.admin
    try:
        row = await admin.visit_views.get(call.session, call.id)
        why = await explain(admin.db, admin.state, row)
    except LookupError as error:
        raise HTTPException(404) from error
    decision = why.decision
    return Explanation(
        visit=Visit.of(row, admin.policy),
        verdict=decision.verdict if decision else None,
        rule=decision.rule if decision else None,
        exemption=decision.exemption if decision else None,
        because=decision.because if decision else None,
        steps=[Step(**asdict(step)) for step in why.steps],
        decrypted_for=list(why.opened_for),
        stops_downloads=[Stopped(rule=one.rule, types=sorted(one.types)) for one in why.stopped],
        limits=[
            HeldLimit(
                id=held.limit.id,
                says=plain(held.words),
                stops=held.stops,
                left=plain(held.left.words) if held.left else None,
                is_used_up=held.left.is_used_up if held.left else None,
            )
            for held in why.limits
        ],
        no_limits=why.no_limits or None,
        agrees=why.agrees_with(row),
        decided_by=DecidedBy.model_validate(why.decided_by) if why.decided_by else None,
        said=plain(why_words.decided_by(why, row, admin.zone, admin.now())) or None,
        changed=list(why.changed),
        today=Today(
            verdict=why.today.verdict,
            rule=why.today.rule,
            exemption=why.today.exemption,
            agrees=why.today_agrees_with(row),
        )
        if why.today
        else None,
    )


def _filter(query: VisitConditions) -> VisitFilter:
    """Raises InvalidRequestError for what is no host or code, and for a time that nobody can mean."""
    try:
        host = canonical_host(query.host) if query.host else None
    except HostNameError as error:
        raise InvalidRequestError("host", "Enter a site's name, like library.example") from error
    return VisitFilter(
        person=query.person,
        department=query.department,
        host=host,
        category=query.category,
        verdict=query.verdict,
        lane=query.lane,
        rule=query.rule,
        code=_code(query.code) if query.code else None,
        since=_time("since", query.since),
        until=_time("until", query.until),
        left_out=_left_out(query),
    )


def _code(text: str) -> str:
    try:
        return read_code(text)
    except ValueError as error:
        raise InvalidRequestError("code", "Enter a page code, like K7M-4QP") from error


def _time(field: str, at: datetime | None) -> datetime | None:
    if at is not None and not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise InvalidRequestError(field, f"Choose a time of the years {FIRST_YEAR} to {LAST_YEAR}")
    return at


def _left_out(query: VisitConditions) -> LeftOut:
    """Raises InvalidRequestError for what is no host, and for too many."""
    given = {
        field: tuple(one.strip() for one in (getattr(query, field) or "").split(",") if one.strip())
        for field in ("not_host", "not_department", "not_category", "not_rule")
    }
    for field, values in given.items():
        if len(values) > MOST_LEFT_OUT:
            raise InvalidRequestError(field, f"Leave out {MOST_LEFT_OUT} at most")
    try:
        hosts = tuple(canonical_host(one) for one in given["not_host"])
    except HostNameError as error:
        raise InvalidRequestError("not_host", "Enter sites' names, like library.example") from error
    return LeftOut(hosts, given["not_department"], given["not_category"], given["not_rule"])
