import asyncio
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from admin import (
    access_in_force,
    access_requests,
    audit,
    decided_requests,
    exemptions,
    outbox,
    own_requests,
    request_time_line,
    stored_requests,
    submitting,
    waiting_requests,
)
from admin.asked import AccountUse, Asked, Kind, Level, SocialMediaUse, Window
from admin.asking import (
    AccessRequest,
    AlreadyOpenError,
    ForWhom,
    InvalidRequestError,
    NeverGrantedError,
    NotAllowedError,
    State,
    TransitionError,
    UnknownRequestError,
)
from admin.audit import EventKind
from admin.database import Database
from admin.deciders import deciders
from admin.outbox import HELP_DESK, Channel
from admin.web.people import People
from categories.snapshot import CategorySnapshotError
from policy.access_duration import Duration
from policy.state import Exemption
from policy.town_policy import AfterApproval, Approver, Asking, PersonKind, Policy
from tests.admin.small_town import (
    AUDITOR,
    COLLEAGUE,
    DELEGATE,
    MONDAY,
    PARKS_CLERK,
    SECOND_IT,
    TOWN,
    ask,
    listed,
    submitted,
)
from tests.people import ADMINISTRATOR, CLERK, HEAD, IT, PARKS_HEAD

LATER = MONDAY + timedelta(minutes=14)
WEEK_LATER = MONDAY + timedelta(days=7, hours=-1, minutes=14)
"""A week after LATER by the town's clock, which goes forward in between."""

TWO_STEPS = (Approver.DEPARTMENT_HEAD, Approver.IT_SECURITY)
PERSONAL_USE = {
    "host": "",
    "kind": Kind.PERSONAL_USE,
    "asked": Window(("shopping",), MONDAY + timedelta(hours=1), MONDAY + timedelta(hours=2)),
}


async def events(db: Database, number: str) -> list[tuple[EventKind, str]]:
    return [(event.kind, event.actor) for event in await audit.events_of(db, number)]


# --- sending ---


async def test_a_request_waits_for_its_first_approver(db: Database) -> None:
    request = await submitted(db, host="www.cardroom.example")
    assert request.number == "REQ-1"
    assert (request.state, request.host) == (State.SUBMITTED, "cardroom.example")
    assert request.waits_for is Approver.DEPARTMENT_HEAD
    assert request.remind_at == MONDAY + timedelta(hours=4)
    assert request.due_at == MONDAY + timedelta(hours=23, minutes=30)
    for person in TOWN.people:
        waiting = await waiting_requests.to_decide(db, TOWN, person, MONDAY)
        assert [r.id for r in waiting] == ([request.id] if person in (HEAD, DELEGATE) else [])
    assert await events(db, "REQ-1") == [(EventKind.REQUEST_SUBMITTED, CLERK)]


@pytest.mark.parametrize(
    ("changed", "field", "message"),
    [
        ({"reason": " \r\n \x00"}, "reason", "Enter what you need it for"),
        ({"reason": "x" * 501}, "reason", "500 characters at most; this has 501"),
        ({"chain": ()}, "host", "Nobody can allow cardroom.example"),
        ({"host": "com"}, "host", "not one site"),
        ({"person": IT, "department": None, "for_whom": ForWhom.DEPARTMENT}, "for_whom", "no department"),
    ],
)
async def test_a_form_that_cannot_be_accepted_sends_nothing(
    db: Database, changed: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(InvalidRequestError, match=message) as refused:
        await submitted(db, **changed)
    assert refused.value.field == field
    assert await own_requests.mine(db, CLERK, "a browser") == []


async def test_a_reason_counts_characters_as_the_form_does_and_keeps_its_lines(db: Database) -> None:
    request = await submitted(db, reason="x" * 498 + "\r\ny")
    assert request.reason == "x" * 498 + "\ny"


async def test_a_town_without_anybody_else_says_so_before_it_is_sent(db: Database) -> None:
    alone = replace(TOWN, roles={"it_security": (IT,)}, departments={})
    new = ask(IT, department=None, chain=(Approver.IT_SECURITY,))
    with pytest.raises(InvalidRequestError, match="nobody who could decide"):
        await submitting.submit(db, alone, listed, new, MONDAY)


async def test_what_the_policy_never_allows_is_refused_with_who_to_call(db: Database) -> None:
    town = replace(TOWN.town, help_desk_phone="555-0100")
    never = replace(TOWN, town=town, asking=Asking(never=frozenset({"gambling", "malware"})))
    for changed in ({}, {"category": "press", "risks": ("malware",)}):
        with pytest.raises(InvalidRequestError, match="is never allowed; the help desk, 555-0100,"):
            await submitting.submit(db, never, listed, ask(**changed), MONDAY)
    sent = await submitted(db)
    with pytest.raises(NeverGrantedError, match="never opens"):
        await access_requests.approve(db, never, listed, sent.id, actor=HEAD, at=LATER)
    assert await events(db, "REQ-1") == [
        (EventKind.REQUEST_SUBMITTED, CLERK),
        (EventKind.REQUEST_MOVE_REFUSED, HEAD),
    ]
    assert await exemptions.live(db, LATER) == ()


@pytest.mark.parametrize(
    ("case", "asking", "changed", "why"),
    [
        ("never", Asking(never=frozenset({"gambling"})), {}, "is never allowed"),
        ("too long", Asking(), {"duration": Duration.YEAR}, "longer than the town allows"),
        ("a day's cap", Asking(per_day=1), {"host": "dice.example"}, "You have sent 1 requests today"),
        ("of personal use", Asking(per_day=1), PERSONAL_USE, "You have sent 1 requests today"),
    ],
)
async def test_what_the_policy_refuses_to_take_is_recorded(
    db: Database, case: str, asking: Asking, changed: dict[str, Any], why: str
) -> None:
    if asking.per_day == 1:
        await submitted(db)
    with pytest.raises(InvalidRequestError, match=why):
        await submitting.submit(db, replace(TOWN, asking=asking), listed, ask(**changed), LATER)
    about = changed.get("host", "cardroom.example") or "personal use"
    ((actor, move, said),) = await refusals(db, about)
    assert (actor, move) == (CLERK, "ask"), case
    assert why in str(said)


NEVER = replace(TOWN, asking=Asking(never=frozenset({"adult"})))
ADULT_BY_NOW = "cdn.example"


async def listed_by_now(host: str) -> frozenset[str]:
    return frozenset({"adult"}) if host == ADULT_BY_NOW else frozenset({"gambling"})


async def refusals(db: Database, number: str) -> list[tuple[str, object, object]]:
    found = [e for e in await audit.events_of(db, number) if e.kind is EventKind.REQUEST_MOVE_REFUSED]
    return [(event.actor, event.details["move"], event.details["why"]) for event in found]


@pytest.mark.parametrize("changed", [{"host": ADULT_BY_NOW}, {"hosts": (ADULT_BY_NOW,)}])
async def test_no_site_of_a_request_may_be_what_the_policy_never_allows(
    db: Database, changed: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequestError, match=r"cdn\.example is never allowed"):
        await submitting.submit(db, NEVER, listed_by_now, ask(**changed), MONDAY)
    assert await own_requests.mine(db, CLERK, None) == []
    await submitting.submit(db, NEVER, listed, ask(**changed), MONDAY)


async def test_nobody_agrees_to_a_further_site_that_is_never_allowed_by_now(db: Database) -> None:
    both = (Approver.DEPARTMENT_HEAD, Approver.IT_SECURITY)
    request = await submitted(db, hosts=(ADULT_BY_NOW,), chain=both)
    with pytest.raises(NeverGrantedError, match="never opens cdn"):
        await access_requests.approve(db, NEVER, listed_by_now, request.id, actor=HEAD, at=LATER)
    await access_requests.approve(db, NEVER, listed, request.id, actor=HEAD, at=LATER)
    with pytest.raises(NeverGrantedError, match="never opens"):
        await access_requests.approve(db, NEVER, listed_by_now, request.id, actor=IT, at=LATER)
    why = "The town never opens cdn.example. Nobody can allow REQ-1"
    assert await refusals(db, "REQ-1") == [(HEAD, "approve", why), (IT, "approve", why)]
    assert await exemptions.live(db, LATER) == ()


async def test_it_opens_nothing_that_is_never_allowed_since_it_was_approved(db: Database) -> None:
    request = await submitted(db, hosts=(ADULT_BY_NOW,))
    await access_requests.approve(db, WAITING_TOWN, listed, request.id, actor=HEAD, at=LATER)
    waiting = replace(NEVER, after_approval=AfterApproval.WAIT_FOR_IT)
    with pytest.raises(NeverGrantedError, match="never opens"):
        await access_requests.open_access(db, waiting, listed_by_now, request.id, actor=IT, at=LATER)
    assert [(who, move) for who, move, _ in await refusals(db, "REQ-1")] == [(IT, "open")]
    assert await exemptions.live(db, LATER) == ()


async def test_without_lists_nothing_is_agreed_to_where_something_is_never_allowed(db: Database) -> None:
    async def unreadable(_host: str) -> frozenset[str]:
        raise CategorySnapshotError("no lists")

    request = await submitted(db)
    with pytest.raises(InvalidRequestError, match="try again in a minute"):
        await access_requests.approve(db, NEVER, unreadable, request.id, actor=HEAD, at=LATER)
    await access_requests.approve(db, TOWN, unreadable, request.id, actor=HEAD, at=LATER)


async def test_a_person_sends_as_many_requests_a_day_of_the_towns_as_the_policy_says(db: Database) -> None:
    two_a_day = replace(TOWN, asking=Asking(per_day=2))
    midnight = MONDAY.replace(hour=5) + timedelta(days=1)

    async def send(host: str, person: str, at: datetime) -> None:
        await submitting.submit(db, two_a_day, listed, ask(person, host=host), at)

    await send("a.example", CLERK, MONDAY)
    await send("b.example", CLERK, MONDAY)
    with pytest.raises(InvalidRequestError, match="You have sent 2 requests today"):
        await send("c.example", CLERK, midnight - timedelta(milliseconds=1))
    await send("c.example", PARKS_CLERK, MONDAY)
    await send("c.example", CLERK, midnight)


async def test_proposals_count_for_who_proposes_and_internet_accounts_for_nobody(db: Database) -> None:
    two_a_day = replace(TOWN, asking=Asking(per_day=2))
    until = MONDAY + timedelta(days=90)

    async def propose(person: str, kind: Kind, asked: Asked, host: str = "") -> None:
        new = ask(person, host=host, kind=kind, asked=asked, sent_by=HEAD)
        await submitting.submit(db, two_a_day, listed, new, MONDAY)

    use = SocialMediaUse(Level.VIEW, (), until, HEAD)
    account = AccountUse(PersonKind.EMPLOYEE, "", "", until, HEAD)
    await propose(CLERK, Kind.SOCIAL_MEDIA, use, "a.example")
    await propose(CLERK, Kind.SOCIAL_MEDIA, use, "b.example")
    with pytest.raises(InvalidRequestError, match="You have sent 2 requests today"):
        await propose(COLLEAGUE, Kind.SOCIAL_MEDIA, use, "a.example")
    for person in (CLERK, COLLEAGUE, DELEGATE):
        await propose(person, Kind.INTERNET_ACCOUNT, account)
    await submitting.submit(db, two_a_day, listed, ask(CLERK, host="c.example"), MONDAY)


async def test_nothing_is_open_for_longer_than_the_policys_longest(db: Database) -> None:
    with pytest.raises(InvalidRequestError, match="longer than the town allows"):
        await submitted(db, duration=Duration.YEAR)
    a_year = replace(TOWN, asking=Asking(longest=Duration.YEAR))
    long = await submitting.submit(db, a_year, listed, ask(duration=Duration.YEAR), MONDAY)
    approved = await access_requests.approve(db, a_year, listed, long.id, actor=HEAD, at=LATER)
    assert approved.expires_at == LATER + timedelta(days=365)
    # The policy was changed while it waited.
    short = await submitted(db, PARKS_CLERK)
    a_day = replace(TOWN, asking=Asking(longest=Duration.TODAY))
    approved = await access_requests.approve(db, a_day, listed, short.id, actor=PARKS_HEAD, at=LATER)
    assert approved.expires_at == LATER.replace(hour=5, minute=0) + timedelta(days=1)


async def test_where_a_role_has_nobody_else_those_answer_whom_the_policy_names(db: Database) -> None:
    to_it = replace(TOWN, asking=Asking(pass_on_to=(Approver.IT_SECURITY,)))
    request = await submitting.submit(db, to_it, listed, ask(HEAD), MONDAY)
    with pytest.raises(NotAllowedError):
        await access_requests.approve(db, to_it, listed, request.id, actor=ADMINISTRATOR, at=LATER)
    assert (
        await access_requests.approve(db, to_it, listed, request.id, actor=IT, at=LATER)
    ).state is State.APPROVED


async def test_asking_twice_leads_to_the_request_that_is_open(db: Database) -> None:
    first = await submitted(db)
    with pytest.raises(AlreadyOpenError, match=r"REQ-1 for cardroom\.example is still open") as refused:
        await submitted(db, host="www.cardroom.example")
    assert refused.value.request == first
    await access_requests.withdraw(db, TOWN, first.id, actor=CLERK, at=LATER)
    assert (await submitted(db)).number == "REQ-2"


async def test_sending_side_by_side_makes_one_request(db: Database) -> None:
    answers = await asyncio.gather(*(submitted(db) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(answer, AlreadyOpenError) for answer in answers) == 7


# --- approving ---


async def test_the_last_approval_opens_access_for_the_person(db: Database) -> None:
    request = await submitted(db)
    approved = await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=LATER)
    assert (approved.state, approved.decided_by, approved.decided_at) == (State.APPROVED, HEAD, LATER)
    assert approved.expires_at == WEEK_LATER
    assert approved.waits_for is None
    assert await exemptions.live(db, LATER) == (
        Exemption("EX-1", "cardroom.example", LATER, WEEK_LATER, person=CLERK),
    )
    assert approved.exemption == "EX-1"
    assert await exemptions.live(db, WEEK_LATER) == ()
    assert await events(db, "REQ-1") == [
        (EventKind.REQUEST_SUBMITTED, CLERK),
        (EventKind.REQUEST_APPROVED, HEAD),
    ]


async def test_access_for_the_department_names_no_person(db: Database) -> None:
    request = await submitted(db, for_whom=ForWhom.DEPARTMENT)
    await access_requests.approve(db, TOWN, listed, request.id, actor=DELEGATE, at=LATER)
    (exemption,) = await exemptions.live(db, LATER)
    assert (exemption.person, exemption.department) == (None, "finance")


async def test_a_chain_is_answered_in_turn(db: Database) -> None:
    request = await submitted(db, chain=TWO_STEPS)
    with pytest.raises(NotAllowedError, match="does not wait for it"):
        await access_requests.approve(db, TOWN, listed, request.id, actor=IT, at=LATER)
    endorsed = await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=LATER)
    assert (endorsed.state, endorsed.step, endorsed.waits_for) == (
        State.SUBMITTED,
        1,
        Approver.IT_SECURITY,
    )
    assert endorsed.due_at == LATER + timedelta(hours=23, minutes=30)
    assert await exemptions.live(db, LATER) == ()
    assert await waiting_requests.to_decide(db, TOWN, HEAD, MONDAY) == []
    approved = await access_requests.approve(db, TOWN, listed, request.id, actor=IT, at=LATER)
    assert approved.state is State.APPROVED
    moves = await request_time_line.time_line(db, approved)
    assert [(move.actor, move.after, move.role) for move in moves] == [
        (CLERK, State.SUBMITTED, None),
        (HEAD, State.SUBMITTED, Approver.DEPARTMENT_HEAD),
        (IT, State.APPROVED, Approver.IT_SECURITY),
    ]


@pytest.mark.parametrize(
    ("case", "chain", "category", "accepts"),
    [
        ("IT security was asked about the risk", TWO_STEPS, "malware", {"malware"}),
        ("IT security was asked first", TWO_STEPS[::-1], "malware", {"malware"}),
        ("IT security was asked, it was no risk", TWO_STEPS, "gambling", set()),
        ("the head alone accepts no risk", (Approver.DEPARTMENT_HEAD,), "malware", set()),
    ],
)
async def test_only_it_security_accepts_a_security_risk(
    db: Database, case: str, chain: tuple[Approver, ...], category: str, accepts: set[str]
) -> None:
    request = await submitted(db, chain=chain, category=category)
    people = {Approver.DEPARTMENT_HEAD: HEAD, Approver.IT_SECURITY: IT}
    for actor in (people[role] for role in chain):
        await access_requests.approve(db, TOWN, listed, request.id, actor=actor, at=LATER)
    (exemption,) = await exemptions.live(db, LATER)
    assert exemption.accepted_risks == accepts, case


async def test_it_security_accepts_every_risk_that_the_site_is_listed_as(db: Database) -> None:
    both = ("malware", "phishing")
    request = await submitted(db, chain=(Approver.IT_SECURITY,), category="phishing", risks=both)
    await access_requests.approve(db, TOWN, listed, request.id, actor=IT, at=LATER)
    (exemption,) = await exemptions.live(db, LATER)
    assert exemption.accepted_risks == {"malware", "phishing"}


async def test_who_stands_in_for_it_security_accepts_no_risk(db: Database) -> None:
    without_it = replace(TOWN, roles={"town_administrator": (ADMINISTRATOR,)})
    request = await submitted(db, chain=(Approver.IT_SECURITY,), category="malware")
    await access_requests.approve(db, without_it, listed, request.id, actor=ADMINISTRATOR, at=LATER)
    (exemption,) = await exemptions.live(db, LATER)
    assert exemption.accepted_risks == set()


async def test_an_approver_may_shorten_the_time_but_not_go_beyond_thirty_days(db: Database) -> None:
    request = await submitted(db)
    first = datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))
    last = datetime.max.replace(tzinfo=timezone(-timedelta(hours=12)))
    for wrong in (LATER, LATER - timedelta(days=1), LATER + timedelta(days=31), first, last):
        with pytest.raises(InvalidRequestError, match="That time is over, or too far away") as refused:
            await access_requests.approve(
                db, TOWN, listed, request.id, actor=HEAD, at=LATER, expires_at=wrong
            )
        assert refused.value.field == "expires_at"
    ends_at = LATER + timedelta(seconds=3)
    approved = await access_requests.approve(
        db, TOWN, listed, request.id, actor=HEAD, at=LATER, expires_at=ends_at
    )
    assert approved.expires_at == ends_at
    assert approved.state_at(ends_at - timedelta(milliseconds=1)) is State.APPROVED
    assert approved.state_at(ends_at) is State.ENDED


async def test_who_agreed_answers_no_later_step_while_somebody_else_can(db: Database) -> None:
    roles = {"it_security": (HEAD, IT), "town_administrator": (HEAD, ADMINISTRATOR)}
    both = replace(TOWN, roles={**TOWN.roles, **roles})
    request = await submitted(db, chain=(*TWO_STEPS, Approver.TOWN_ADMINISTRATOR))
    for step, (actor, asked, said) in enumerate(
        [
            (HEAD, {HEAD, DELEGATE}, "you"),
            (IT, {IT}, "IT security"),
            (ADMINISTRATOR, {ADMINISTRATOR}, "the town administrator"),
        ]
    ):
        assert deciders(both, request) == asked
        assert People(both).awaited(request, HEAD) == said
        if step:
            with pytest.raises(TransitionError, match="went on to its next approver"):
                await access_requests.approve(
                    db, both, listed, request.id, actor=HEAD, at=LATER, seen_step=step
                )
        request = await access_requests.approve(
            db, both, listed, request.id, actor=actor, at=LATER, seen_step=step
        )
    assert request.state is State.APPROVED


async def test_an_answer_sent_twice_never_answers_two_steps(db: Database) -> None:
    # Nobody else is of IT: who agreed as head is asked again.
    both = replace(TOWN, roles={**TOWN.roles, "it_security": (HEAD,)})
    request = await submitted(db, chain=TWO_STEPS)
    await access_requests.approve(db, both, listed, request.id, actor=HEAD, at=LATER, seen_step=0)
    with pytest.raises(TransitionError, match="went on to its next approver"):
        await access_requests.approve(db, both, listed, request.id, actor=HEAD, at=LATER, seen_step=0)
    assert await exemptions.live(db, LATER) == ()
    await access_requests.approve(db, both, listed, request.id, actor=HEAD, at=LATER, seen_step=1)
    assert len(await exemptions.live(db, LATER)) == 1


# --- who may not ---


@pytest.mark.parametrize("actor", [CLERK, PARKS_HEAD, PARKS_CLERK, IT, ADMINISTRATOR, AUDITOR, "a stranger"])
@pytest.mark.parametrize("decide", ["approve", "deny"])
async def test_who_has_no_say_changes_nothing_and_is_recorded(db: Database, actor: str, decide: str) -> None:
    request = await submitted(db)
    with pytest.raises(NotAllowedError):
        if decide == "approve":
            await access_requests.approve(db, TOWN, listed, request.id, actor=actor, at=LATER)
        else:
            await access_requests.deny(db, TOWN, request.id, actor=actor, at=LATER, reason="No")
    assert await stored_requests.get(db, request.id) == request
    recorded = (await audit.events_of(db, "REQ-1"))[-1]
    assert (recorded.kind, recorded.actor) == (EventKind.REQUEST_MOVE_REFUSED, actor)
    assert recorded.details["move"] == decide
    assert [move.actor for move in await request_time_line.time_line(db, request)] == [CLERK]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"seen_hosts": ["cdn.example"]}, "Hosts were added meanwhile"),
        ({"seen_joined": [COLLEAGUE]}, "Others joined meanwhile"),
        ({"expires_at": MONDAY + timedelta(days=400)}, "That time is over, or too far away"),
    ],
)
async def test_an_approval_of_what_is_not_so_is_recorded(
    db: Database, changed: dict[str, Any], why: str
) -> None:
    request = await submitted(db)
    with pytest.raises(ValueError, match=why):
        await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=LATER, **changed)
    assert await stored_requests.get(db, request.id) == request
    ((actor, move, said),) = await refusals(db, request.number)
    assert (actor, move) == (HEAD, "approve")
    assert why in str(said)


@pytest.mark.parametrize("actor", [HEAD, PARKS_HEAD])
@pytest.mark.parametrize("end", ["deny", "stop"])
async def test_who_may_not_learns_that_before_that_a_reason_is_missing(
    db: Database, end: str, actor: str
) -> None:
    request = await submitted(db)
    if end == "stop":
        await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=MONDAY)
    expected = InvalidRequestError if actor == HEAD else NotAllowedError
    with pytest.raises(expected):
        if end == "deny":
            await access_requests.deny(db, TOWN, request.id, actor=actor, at=LATER, reason=" ")
        else:
            await access_requests.stop(db, TOWN, request.id, actor=actor, at=LATER, reason=" ")
    assert [refused[:2] for refused in await refusals(db, request.number)] == [(actor, end)]


async def test_a_heads_own_request_is_decided_by_the_town_administrator_alone(db: Database) -> None:
    request = await submitted(db, HEAD)
    for actor, why in ((HEAD, "your own request"), (DELEGATE, "does not wait for")):
        with pytest.raises(NotAllowedError, match=why):
            await access_requests.approve(db, TOWN, listed, request.id, actor=actor, at=LATER)
    approved = await access_requests.approve(db, TOWN, listed, request.id, actor=ADMINISTRATOR, at=LATER)
    assert approved.state is State.APPROVED


async def test_a_request_nobody_sent_is_unknown(db: Database) -> None:
    with pytest.raises(UnknownRequestError, match="REQ-7"):
        await access_requests.approve(db, TOWN, listed, 7, actor=HEAD, at=LATER)


# --- too late ---


@pytest.mark.parametrize("first", ["approve", "deny", "withdraw"])
@pytest.mark.parametrize("second", ["approve", "deny", "withdraw"])
async def test_what_is_decided_stays_decided(db: Database, first: str, second: str) -> None:
    request = await submitted(db)

    async def make(move: str) -> None:
        match move:
            case "approve":
                await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=LATER)
            case "deny":
                await access_requests.deny(db, TOWN, request.id, actor=DELEGATE, at=LATER, reason="No")
            case "withdraw":
                await access_requests.withdraw(db, TOWN, request.id, actor=CLERK, at=LATER)

    await make(first)
    after_first = await stored_requests.get(db, request.id)
    with pytest.raises(TransitionError) as refused:
        await make(second)
    assert refused.value.request == after_first
    assert await stored_requests.get(db, request.id) == after_first
    assert (await audit.events_of(db, "REQ-1"))[-1].kind is EventKind.REQUEST_MOVE_REFUSED


async def test_of_two_who_decide_at_once_one_wins_and_the_other_is_told(db: Database) -> None:
    for n in range(10):
        request = await submitted(db, host=f"site{n}.example")
        answers = await asyncio.gather(
            access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=LATER),
            access_requests.deny(db, TOWN, request.id, actor=DELEGATE, at=LATER, reason="No"),
            return_exceptions=True,
        )
        lost = [answer for answer in answers if isinstance(answer, BaseException)]
        assert len(lost) == 1
        assert isinstance(lost[0], TransitionError)
        now = await stored_requests.get(db, request.id)
        assert lost[0].request == now
        is_open = any(e.host == request.host for e in await exemptions.live(db, LATER))
        assert is_open == (now.state is State.APPROVED)
    assert (await audit.verify(db)).is_whole


async def test_of_two_processes_that_decide_at_once_one_wins(db: Database) -> None:
    request = await submitted(db)
    async with Database.open(db.path) as other:
        answers = await asyncio.gather(
            access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=LATER),
            access_requests.approve(other, TOWN, listed, request.id, actor=DELEGATE, at=LATER),
            return_exceptions=True,
        )
    assert sorted(type(answer).__name__ for answer in answers) == ["AccessRequest", "TransitionError"]
    assert len(await exemptions.live(db, LATER)) == 1
    assert (await audit.verify(db)).is_whole


# --- other moves ---


async def test_a_denial_carries_its_reason_to_the_asker(db: Database) -> None:
    request = await submitted(db)
    with pytest.raises(InvalidRequestError, match="Enter why"):
        await access_requests.deny(db, TOWN, request.id, actor=HEAD, at=LATER, reason=" ")
    denied = await access_requests.deny(db, TOWN, request.id, actor=HEAD, at=LATER, reason="Use another site")
    assert (denied.state, denied.note) == (State.DENIED, "Use another site")
    assert (await request_time_line.time_line(db, denied))[-1].note == "Use another site"
    assert await exemptions.live(db, LATER) == ()


@pytest.mark.parametrize("actor", [HEAD, DELEGATE, IT])
async def test_an_approver_of_the_chain_or_it_may_stop_access(db: Database, actor: str) -> None:
    request = await submitted(db)
    await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=LATER)
    stopped = await access_requests.stop(
        db, TOWN, request.id, actor=actor, at=LATER, reason="Not safe any more"
    )
    assert (stopped.state, stopped.note) == (State.STOPPED, "Not safe any more")
    assert await exemptions.live(db, LATER) == ()
    assert await access_in_force.granted(db, LATER) == []


@pytest.mark.parametrize("actor", [PARKS_HEAD, ADMINISTRATOR, AUDITOR])
async def test_others_do_not_stop_access(db: Database, actor: str) -> None:
    request = await submitted(db)
    await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=LATER)
    with pytest.raises(NotAllowedError, match="no say"):
        await access_requests.stop(db, TOWN, request.id, actor=actor, at=LATER, reason="No")
    assert len(await exemptions.live(db, LATER)) == 1


async def test_access_that_ended_by_time_is_not_stopped_again(db: Database) -> None:
    request = await submitted(db)
    await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=LATER)
    with pytest.raises(TransitionError):
        await access_requests.stop(db, TOWN, request.id, actor=IT, at=WEEK_LATER, reason="Late")


@pytest.mark.parametrize("actor", [HEAD, PARKS_HEAD, IT])
async def test_only_the_asker_withdraws(db: Database, actor: str) -> None:
    request = await submitted(db)
    with pytest.raises(NotAllowedError, match="another person's"):
        await access_requests.withdraw(db, TOWN, request.id, actor=actor, at=LATER)
    withdrawn = await access_requests.withdraw(db, TOWN, request.id, actor=CLERK, at=LATER)
    assert withdrawn.state is State.WITHDRAWN


# --- lists ---


async def test_the_inbox_begins_with_the_nearest_deadline(db: Database) -> None:
    late = await submitted(db, host="a.example", at=MONDAY + timedelta(hours=2))
    early = await submitted(db, host="b.example", at=MONDAY)
    middle = await submitted(db, host="c.example", at=MONDAY + timedelta(hours=1))
    inbox = await waiting_requests.to_decide(db, TOWN, HEAD, MONDAY)
    assert [r.id for r in inbox] == [early.id, middle.id, late.id]


async def test_my_requests_are_mine_and_those_of_this_browser_newest_first(db: Database) -> None:
    mine = await submitted(db, host="a.example", browser="another browser")
    here = await submitted(db, PARKS_CLERK, host="b.example", browser="this browser")
    await submitted(db, PARKS_CLERK, host="c.example", browser="another browser")
    found = await own_requests.mine(db, CLERK, "this browser")
    assert [r.id for r in found] == [here.id, mine.id]
    assert [r.id for r in await own_requests.mine(db, None, "this browser")] == [here.id]


async def test_an_open_request_is_found_by_its_department_only(db: Database) -> None:
    request = await submitted(db)
    found = waiting_requests.open_request_for
    assert await found(db, "www.cardroom.example", Kind.SITE, "finance") == request
    assert await found(db, "cardroom.example", Kind.SITE, "parks") is None
    assert await found(db, "cardroom.example", Kind.DOWNLOAD, "finance") is None
    await access_requests.withdraw(db, TOWN, request.id, actor=CLERK, at=LATER)
    assert await found(db, "cardroom.example", Kind.SITE, "finance") is None


async def test_earlier_decisions_are_the_departments_newest_first(db: Database) -> None:
    first = await submitted(db)
    await access_requests.deny(db, TOWN, first.id, actor=HEAD, at=LATER, reason="Not needed for work")
    second = await submitted(db)
    await access_requests.approve(db, TOWN, listed, second.id, actor=HEAD, at=LATER)
    await submitted(db, PARKS_CLERK)
    waiting = await submitted(db)
    found = await decided_requests.earlier_decisions(db, waiting)
    assert [(r.id, r.state) for r in found] == [(second.id, State.APPROVED), (first.id, State.DENIED)]


async def test_what_was_approved_and_is_to_be_signed_is_the_answer_of_lately(db: Database) -> None:
    denied = await submitted(db, host="x.example")
    await access_requests.deny(db, TOWN, denied.id, actor=HEAD, at=MONDAY, reason="Not needed for work")
    use = SocialMediaUse(Level.VIEW, (), MONDAY + timedelta(days=90), HEAD)
    both = (Approver.DEPARTMENT_HEAD, Approver.TOWN_ADMINISTRATOR)
    approved = await submitted(
        db, host="x.example", kind=Kind.SOCIAL_MEDIA, asked=use, chain=both, sent_by=HEAD
    )

    async def last() -> AccessRequest | None:
        return await decided_requests.answered_before(
            db, "x.example", Kind.SITE, CLERK, "finance", MONDAY - timedelta(days=90)
        )

    found = await last()
    assert found is not None and found.id == denied.id
    await access_requests.approve(db, TOWN, listed, approved.id, actor=ADMINISTRATOR, at=LATER)
    assert (await stored_requests.get(db, approved.id)).state is State.AWAITS_SIGNATURE
    assert await last() is None


async def test_open_access_is_listed_by_its_end_until_that_instant(db: Database) -> None:
    week = await submitted(db, host="a.example")
    hour = await submitted(db, host="b.example")
    await access_requests.approve(db, TOWN, listed, week.id, actor=HEAD, at=LATER)
    ends_at = LATER + timedelta(hours=1)
    await access_requests.approve(db, TOWN, listed, hour.id, actor=HEAD, at=LATER, expires_at=ends_at)
    assert [r.id for r in await access_in_force.granted(db, LATER)] == [hour.id, week.id]
    assert [r.id for r in await access_in_force.granted(db, ends_at)] == [week.id]


# --- opening, where the policy waits for IT ---

WAITING_TOWN = replace(
    TOWN,
    after_approval=AfterApproval.WAIT_FOR_IT,
    roles={**TOWN.roles, "help_desk": ("helpdesk",)},
)


async def approved_in_a_waiting_town(db: Database, **changed: Any) -> AccessRequest:
    request = await submitted(db, **changed)
    for step, role in enumerate(request.chain):
        actor = IT if role is Approver.IT_SECURITY else HEAD
        request = await access_requests.approve(
            db, WAITING_TOWN, listed, request.id, actor=actor, at=LATER, seen_step=step
        )
    return request


async def test_where_the_policy_waits_the_last_approval_opens_nothing(db: Database) -> None:
    request = await approved_in_a_waiting_town(db)
    assert (request.state, request.approved_until) == (State.AWAITS_OPENING, WEEK_LATER)
    assert request.waits_for is None
    assert await exemptions.live(db, LATER) == ()
    assert await events(db, "REQ-1") == [
        (EventKind.REQUEST_SUBMITTED, CLERK),
        (EventKind.REQUEST_APPROVED, HEAD),
    ]


async def test_access_is_open_from_when_it_opens_it_until_when_the_approver_said(db: Database) -> None:
    request = await approved_in_a_waiting_town(db)
    at = LATER + timedelta(days=2)
    opened = await access_requests.open_access(db, WAITING_TOWN, listed, request.id, actor="helpdesk", at=at)
    assert (opened.state, opened.expires_at) == (State.APPROVED, WEEK_LATER)
    (exemption,) = await exemptions.live(db, at)
    assert (exemption.granted_at, exemption.expires_at) == (at, WEEK_LATER)
    row = await db.fetch_one("SELECT approved_by FROM exemption")
    assert row is not None
    assert row["approved_by"] == HEAD
    assert (await events(db, "REQ-1"))[-1] == (EventKind.REQUEST_OPENED, "helpdesk")


async def test_access_opened_after_its_time_is_open_for_an_hour(db: Database) -> None:
    request = await approved_in_a_waiting_town(db)
    at = WEEK_LATER + timedelta(days=1)
    opened = await access_requests.open_access(db, WAITING_TOWN, listed, request.id, actor=IT, at=at)
    assert opened.expires_at == at + timedelta(hours=1)


async def test_the_help_desk_opens_no_security_risk_and_it_security_does(db: Database) -> None:
    request = await approved_in_a_waiting_town(
        db, category="malware", chain=(Approver.DEPARTMENT_HEAD, Approver.IT_SECURITY)
    )
    with pytest.raises(NotAllowedError, match="for IT to open"):
        await access_requests.open_access(db, WAITING_TOWN, listed, request.id, actor="helpdesk", at=LATER)
    assert (await events(db, "REQ-1"))[-1] == (EventKind.REQUEST_MOVE_REFUSED, "helpdesk")
    await access_requests.open_access(db, WAITING_TOWN, listed, request.id, actor=IT, at=LATER)
    (exemption,) = await exemptions.live(db, LATER)
    assert exemption.accepted_risks == {"malware"}


@pytest.mark.parametrize("actor", [CLERK, HEAD, DELEGATE, PARKS_HEAD, AUDITOR, ADMINISTRATOR])
async def test_nobody_but_it_opens_what_was_approved(db: Database, actor: str) -> None:
    request = await approved_in_a_waiting_town(db)
    with pytest.raises(NotAllowedError):
        await access_requests.open_access(db, WAITING_TOWN, listed, request.id, actor=actor, at=LATER)
    assert (await stored_requests.get(db, request.id)).state is State.AWAITS_OPENING
    assert await waiting_requests.to_open(db, WAITING_TOWN, actor, MONDAY) == []


async def test_nobody_opens_their_own_while_somebody_else_can(db: Database) -> None:
    request = await approved_in_a_waiting_town(db, person=IT, department="finance")
    with pytest.raises(NotAllowedError, match="for IT to open"):
        await access_requests.open_access(db, WAITING_TOWN, listed, request.id, actor=IT, at=LATER)
    assert await waiting_requests.to_open(db, WAITING_TOWN, IT, MONDAY) == []
    alone = replace(WAITING_TOWN, roles={**WAITING_TOWN.roles, "it_security": (IT,), "help_desk": ()})
    opened = await access_requests.open_access(db, alone, listed, request.id, actor=IT, at=LATER)
    assert opened.state is State.APPROVED, "others approved it"


async def test_what_was_approved_is_opened_once(db: Database) -> None:
    request = await approved_in_a_waiting_town(db)

    async def open_it(actor: str) -> str:
        try:
            await access_requests.open_access(db, WAITING_TOWN, listed, request.id, actor=actor, at=LATER)
        except TransitionError:
            return "too late"
        return "opened"

    assert sorted(await asyncio.gather(open_it("helpdesk"), open_it(IT))) == ["opened", "too late"]
    assert len(await exemptions.live(db, LATER)) == 1


async def test_what_waits_for_it_can_be_stopped_and_is_never_opened_then(db: Database) -> None:
    request = await approved_in_a_waiting_town(db)
    stopped = await access_requests.stop(
        db, WAITING_TOWN, request.id, actor=IT, at=LATER, reason="Known for malware."
    )
    assert stopped.state is State.STOPPED
    with pytest.raises(TransitionError, match="it is stopped"):
        await access_requests.open_access(db, WAITING_TOWN, listed, request.id, actor=IT, at=LATER)
    assert await exemptions.live(db, LATER) == ()


async def test_who_waits_for_it_cannot_ask_for_the_same_again(db: Database) -> None:
    request = await approved_in_a_waiting_town(db)
    with pytest.raises(AlreadyOpenError) as already:
        await submitted(db)
    assert already.value.request.id == request.id


# --- letters ---


async def letters(db: Database) -> list[tuple[str, str]]:
    return [
        (put.letter.kind.value, put.letter.to)
        for put in await outbox.due(db, Channel.MAIL, LATER + timedelta(days=30))
    ]


async def test_each_who_may_answer_gets_a_letter_for_each_step(db: Database) -> None:
    request = await submitted(db, chain=TWO_STEPS)
    assert await letters(db) == [("request_to_decide", DELEGATE), ("request_to_decide", HEAD)]
    await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=LATER)
    assert (await letters(db))[2:] == [("request_to_decide", IT), ("request_to_decide", SECOND_IT)]


async def test_the_last_approval_tells_the_asker_and_logs_a_ticket(db: Database) -> None:
    request = await submitted(db)
    await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=LATER)
    assert (await letters(db))[2:] == [("request_allowed", CLERK), ("ticket", HELP_DESK)]
    (hook,) = await outbox.due(db, Channel.WEBHOOK, LATER)
    assert hook.letter.about == "REQ-1"


async def test_a_denial_tells_the_asker_alone(db: Database) -> None:
    request = await submitted(db)
    await access_requests.deny(db, TOWN, request.id, actor=HEAD, at=LATER, reason="Use another site")
    assert (await letters(db))[2:] == [("request_denied", CLERK)]


async def test_a_stop_tells_asker_approvers_and_help_desk_but_not_who_did_it(db: Database) -> None:
    request = await submitted(db)
    await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=LATER)
    await access_requests.stop(db, TOWN, request.id, actor=IT, at=LATER, reason="Known for malware.")
    assert (await letters(db))[4:] == [
        ("request_stopped", CLERK),
        ("request_stopped", DELEGATE),
        ("request_stopped", HEAD),
        ("ticket_stopped", HELP_DESK),
    ]


async def test_where_the_policy_waits_the_asker_hears_of_approval_and_of_opening(db: Database) -> None:
    request = await approved_in_a_waiting_town(db)
    assert (await letters(db))[2:] == [("request_approved", CLERK), ("ticket", HELP_DESK)]
    await access_requests.open_access(db, WAITING_TOWN, listed, request.id, actor=IT, at=LATER)
    assert (await letters(db))[4:] == [("request_allowed", CLERK), ("ticket_opened", HELP_DESK)]


async def test_a_refused_move_puts_no_letter(db: Database) -> None:
    request = await submitted(db)
    before = await letters(db)
    with pytest.raises(NotAllowedError):
        await access_requests.approve(db, TOWN, listed, request.id, actor=PARKS_HEAD, at=LATER)
    assert await letters(db) == before


@pytest.mark.parametrize(
    ("policy", "chain", "said"),
    [
        (TOWN, (), "Nobody can allow what you chose;"),
        (
            replace(TOWN, asking=Asking(never=frozenset({"sports"}))),
            (Approver.DEPARTMENT_HEAD,),
            "What you chose is never allowed;",
        ),
    ],
)
async def test_what_nobody_may_allow_of_personal_use_is_told_in_words(
    db: Database, policy: Policy, chain: tuple[Approver, ...], said: str
) -> None:
    window = Window(("sports",), MONDAY, MONDAY + timedelta(hours=1))
    new = ask(host="", kind=Kind.PERSONAL_USE, asked=window, chain=chain)
    with pytest.raises(InvalidRequestError, match=said):
        await submitting.submit(db, policy, listed, new, MONDAY)
