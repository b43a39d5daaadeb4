"""A request as the API shows it, to whoever may see it."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, Field

from admin import asked as asked_for
from admin import asking
from admin.api.operation import Call
from admin.asked import Authorisation, Kind, Level
from admin.asking import ForWhom, State
from admin.deciders import deciders
from admin.decision_facts import DecisionFacts
from admin.emergency_reviews import EmergencyReview
from admin.exemption_use import Use
from admin.request_time_line import Turn
from admin.web.people import People
from admin.web.request_words import said_earlier, standing
from admin.web.words import Times, plain
from policy.access_duration import Duration
from policy.town_policy import Approver, PersonKind

# Fewer are not told apart: they could be known by it.
_FEW_PEOPLE = 3


class Person(BaseModel):
    """Somebody of the town, by their id in the policy."""

    id: str
    name: str


class Window(BaseModel):
    """What personal use is asked for: these categories, from a time to another."""

    categories: list[str]
    begins_at: datetime
    ends_at: datetime


class SocialMediaUse(BaseModel):
    """What a department proposes a person for, until a time."""

    level: Level
    authorisations: list[Authorisation] = Field(description="By the register alone: nothing enforces them.")
    until: datetime
    proposed_by: Person


class StandingUse(BaseModel):
    """What a department holds access to for a case, until a time."""

    case_number: str
    categories: list[str]
    until: datetime


class DeviceUse(BaseModel):
    """A device of the person's own, known as theirs until a time."""

    name: str
    address: str
    until: datetime


class AccountUse(BaseModel):
    """Access to the web at all that a department asks for, until a time."""

    person_kind: PersonKind
    employer: str | None = Field(description="Of a contractor.")
    sponsor: Person | None = Field(description="Who answers for a contractor.")
    until: datetime
    proposed_by: Person


class EmergencyUse(BaseModel):
    """A site that the person opened for themselves at once, until a time."""

    until: datetime


class AccessRequest(BaseModel):
    """A request as it stands."""

    id: int
    number: str = Field(description='The number people use, like "REQ-123".')
    kind: Kind
    state: State
    status: str = Field(description="The state in words, as the pages have it.")
    site: str | None = Field(description="The site, with its subdomains; null for personal use.")
    path: str | None = Field(
        description="The page of the site that it is for, with what is below it; null: all of the site."
    )
    hosts: list[str] = Field(description="Further hosts that its pages need.")
    window: Window | None = Field(description="Of personal use.")
    social_media: SocialMediaUse | None
    standing: StandingUse | None
    device: DeviceUse | None
    account: AccountUse | None
    emergency: EmergencyUse | None
    person: Person
    joined: list[Person]
    department: str | None
    for_whom: ForWhom
    reason: str
    duration: Duration
    rule: str | None
    category: str | None
    risks: list[str] = Field(description="The security risks that it was listed as when it was asked for.")
    chain: list[Approver]
    step: int = Field(description="How many of the chain agreed.")
    waits_for: str | None = Field(description="Whose answer it waits for, as within a sentence.")
    submitted_at: datetime
    due_at: datetime
    decided_at: datetime | None
    decided_by: str | None = Field(description="Who answered last, as within a sentence.")
    note: str | None
    exemption: str | None
    expires_at: datetime | None
    paused_for: list[str] = Field(
        description="The categories of the site for which access does not count now."
    )
    renews: int | None
    review_since: datetime | None
    used_at: datetime | None = Field(
        description="When access to one download was used up: by what it let through, which may be taken up"
        " again until it ends."
    )

    @classmethod
    def of(cls, call: Call[Any, Any], request: asking.AccessRequest) -> Self:
        """Return it as the caller sees it."""
        return cls(**_seen(call, request))


class Move(BaseModel):
    """One line of a request's time line."""

    at: datetime
    who: str = Field(description="As within a sentence: you, IT, your department head.")
    what: State | Turn
    note: str | None
    host: str | None


class Review(BaseModel):
    """That another looks at emergency access, and what they said."""

    due_at: datetime = Field(description="From then on it can be answered.")
    reviewed_at: datetime | None
    reviewed_by: str | None = Field(description="As within a sentence.")
    was_right: bool | None
    note: str | None

    @classmethod
    def of(cls, call: Call[Any, Any], request: asking.AccessRequest, review: EmergencyReview) -> Self:
        """Return it as the caller sees it."""
        by, people, viewer = review.reviewed_by, People(call.admin.policy), call.session.person
        return cls(
            due_at=review.due_at,
            reviewed_at=review.reviewed_at,
            reviewed_by=people.part_of(by, request, viewer, review.reviewed_as) if by else None,
            was_right=review.was_right,
            note=review.note,
        )


class Usage(BaseModel):
    """What access was used for in the last 30 days."""

    visits: int
    people: int | None = Field(description="Null where they are under 3.")
    size_bytes: int
    last_used_at: datetime | None
    is_unused: bool = Field(description="Nobody used it for 60 days.")

    @classmethod
    def of(cls, use: Use, now: datetime) -> Self:
        """Return it as the pages show it."""
        return cls(
            visits=use.visits,
            people=_unless_few(use.people),
            size_bytes=use.size_bytes,
            last_used_at=use.last_used_at,
            is_unused=use.is_unused_at(now),
        )


class Earlier(BaseModel):
    """What became of an earlier request of the department for the site."""

    state: State
    said: str = Field(description="In words, as the page has it.")
    decided_at: datetime | None
    expires_at: datetime | None
    note: str | None

    @classmethod
    def of(cls, call: Call[Any, Any], request: asking.AccessRequest) -> Self:
        """Return it as the caller reads it."""
        now = call.admin.now()
        times = Times(call.admin.zone, now)
        return cls(
            state=request.state_at(now),
            said=plain(said_earlier(request, call.admin.policy, call.session.person, times)),
            decided_at=request.decided_at,
            expires_at=request.expires_at,
            note=request.note,
        )


class SentRequest(AccessRequest):
    """A request that was just sent, and what was answered lately to the same."""

    answered_before: Earlier | None = Field(
        description="The last answer within 90 days, to you or your department, where it was not to allow it."
    )

    @classmethod
    async def sent(cls, call: Call[Any, Any], request: asking.AccessRequest) -> Self:
        """Return it as the caller sees it."""
        before = await call.admin.request_views.answered_before(
            call.session, request.kind, request.host, request.path
        )
        return cls(
            **_seen(call, request), answered_before=Earlier.of(call, before) if before is not None else None
        )


class Reach(BaseModel):
    """How often the department went to the site in the last 30 days."""

    tries: int
    people: int | None = Field(description="Null where they are under 3.")


class ToDecide(BaseModel):
    """What the page to decide tells of the request."""

    entry: str | None = Field(description="The entry of a list that named the site.")
    source: str | None = Field(description="The list.")
    reach: Reach | None = Field(description="Null where there is no one site.")
    use: Usage | None = Field(description="Of the access that it renews.")
    earlier: list[Earlier] = Field(description="Newest first, 20 at most.")
    ends_at: datetime = Field(description="When access ends that is allowed now as it was asked for.")

    @classmethod
    def of(cls, call: Call[Any, Any], facts: DecisionFacts) -> Self:
        """Return it for who decides."""
        now, reach = call.admin.now(), facts.reach
        return cls(
            entry=facts.request.entry,
            source=facts.request.source,
            reach=Reach(tries=reach.tries, people=_unless_few(reach.people)) if reach else None,
            use=Usage.of(facts.use, now) if facts.use else None,
            earlier=[Earlier.of(call, one) for one in facts.earlier],
            ends_at=facts.ends_at,
        )


class AccessRequestDetail(AccessRequest):
    """A request, what happened to it, and what its site's pages need beside it."""

    moves: list[Move]
    needed_hosts: list[str]
    review: Review | None = Field(description="Of emergency access.")
    to_decide: ToDecide | None = Field(description="For whoever it waits for: null for others.")

    @classmethod
    async def read(cls, call: Call[Any, Any], request: asking.AccessRequest) -> Self:
        """Return it with what the database knows of it."""
        admin, people = call.admin, People(call.admin.policy)
        moves = [
            Move(
                at=move.at,
                who=people.part_of(move.actor, request, call.session.person, move.acted),
                what=move.after,
                note=move.note,
                host=move.host,
            )
            for move in await admin.request_views.time_line(request)
        ]
        needed = await admin.needed_hosts.suggested(call.session, request)
        review = await admin.emergency_access.review_of(request.id)
        is_decider = call.session.person in deciders(admin.policy, request)
        facts = await admin.request_views.decision_facts(request) if is_decider else None
        return cls(
            **_seen(call, request),
            moves=moves,
            needed_hosts=needed,
            review=Review.of(call, request, review) if review else None,
            to_decide=ToDecide.of(call, facts) if facts else None,
        )


class Exemption(AccessRequest):
    """Access that is open, and what it is used for."""

    use: Usage

    @classmethod
    def with_use(cls, call: Call[Any, Any], request: asking.AccessRequest, use: Use) -> Self:
        """Return a request whose access is in force."""
        return cls(**_seen(call, request), use=Usage.of(use, call.admin.now()))


def _seen(call: Call[Any, Any], request: asking.AccessRequest) -> dict[str, Any]:
    admin, viewer = call.admin, call.session.person
    policy, now, asked = admin.policy, admin.now(), request.asked
    people = People(policy)
    return {
        "id": request.id,
        "number": request.number,
        "kind": request.kind,
        "state": request.state_at(now),
        "status": plain(standing(request, policy, call.session, Times(admin.zone, now)).words),
        "site": request.host or None,
        "path": request.path or None,
        "hosts": list(request.hosts),
        "window": _window(request),
        "social_media": _social_media(request, people),
        "standing": StandingUse(**asdict(request.standing)) if request.standing else None,
        "device": DeviceUse(**asdict(request.device)) if request.device else None,
        "account": _account(request, people),
        "emergency": EmergencyUse(until=asked.until) if isinstance(asked, asked_for.EmergencyUse) else None,
        "person": Person(id=request.person, name=people.name(request.person)),
        "joined": [Person(id=one.person, name=people.name(one.person)) for one in request.joined],
        "department": request.department,
        "for_whom": request.for_whom,
        "reason": request.reason,
        "duration": request.duration,
        "rule": request.rule,
        "category": request.category,
        "risks": list(request.risks),
        "chain": list(request.chain),
        "step": request.step,
        "waits_for": people.awaited(request, viewer) or None,
        "submitted_at": request.submitted_at,
        "due_at": request.due_at,
        "decided_at": request.decided_at,
        "decided_by": people.decider(request, viewer) if request.decided_by else None,
        "note": request.note,
        "exemption": request.exemption,
        "expires_at": request.expires_at,
        "paused_for": list(request.paused_for),
        "renews": request.renews,
        "review_since": request.review_since,
        "used_at": request.used_at,
    }


def _unless_few(people: int) -> int | None:
    return people if people >= _FEW_PEOPLE else None


def _window(request: asking.AccessRequest) -> Window | None:
    window = request.window
    if window is None:
        return None
    return Window(categories=list(window.categories), begins_at=window.begins_at, ends_at=window.ends_at)


def _social_media(request: asking.AccessRequest, people: People) -> SocialMediaUse | None:
    use = request.social_media
    if use is None:
        return None
    return SocialMediaUse(
        level=use.level,
        authorisations=list(use.authorisations),
        until=use.until,
        proposed_by=Person(id=use.proposed_by, name=people.name(use.proposed_by)),
    )


def _account(request: asking.AccessRequest, people: People) -> AccountUse | None:
    use = request.account
    if use is None:
        return None
    return AccountUse(
        person_kind=use.person_kind,
        employer=use.employer or None,
        sponsor=Person(id=use.sponsor, name=people.name(use.sponsor)) if use.sponsor else None,
        until=use.until,
        proposed_by=Person(id=use.proposed_by, name=people.name(use.proposed_by)),
    )
