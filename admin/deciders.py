"""Who may decide a request, at each of its steps, and who may end or renew what came of it. Pure."""

from collections.abc import Iterable

from admin import proposing
from admin.asked import AccountUse, DeviceUse, EmergencyUse, Kind, SocialMediaUse, StandingUse, Window
from admin.asking import AccessRequest, ForWhom, State
from admin.asking_terms import risks_of
from policy.town_policy import Approver, Policy


def deciders(policy: Policy, request: AccessRequest) -> frozenset[str]:
    """Return the people who may answer the present step; empty when none is awaited."""
    return _asked_at(policy, request, request.step) if request.waits_for is not None else frozenset()


def involved(policy: Policy, request: AccessRequest) -> frozenset[str]:
    """Return the people who may answer any of the steps."""
    asked = (_asked_at(policy, request, step) for step in range(len(request.chain)))
    return frozenset().union(*asked, _proposer(request))


def next_above(policy: Policy, request: AccessRequest) -> frozenset[str]:
    """Return whom the present step would be passed on to; empty where nobody is above.

    A security risk stays with IT security once it waits for them, who alone can accept it.
    """
    is_to_accept = request.waits_for is Approver.IT_SECURITY and bool(risks_of(policy, request))
    if request.waits_for is None or is_to_accept:
        return frozenset()
    return _asked_at(policy, request, request.step, more=1) - deciders(policy, request)


def passed_on_to(policy: Policy, request: AccessRequest) -> frozenset[str]:
    """Return whom the present step was passed on to last; empty where it was not."""
    if request.waits_for is None or not request.passed_on_at(request.step):
        return frozenset()
    return deciders(policy, request) - _asked_at(policy, request, request.step, more=-1)


def _asked_at(policy: Policy, request: AccessRequest, step: int, more: int = 0) -> frozenset[str]:
    role, times = request.chain[step], request.passed_on_at(step) + more
    return deciders_of(
        policy,
        role,
        request.person,
        request.department,
        passed_on=times,
        joined=request.askers[1:],
        asked_for_by=request.asked_for_by,
        answered_by=request.answered_by[:step],
    )


def _proposer(request: AccessRequest) -> frozenset[str]:
    return frozenset({*request.told}) - {*request.askers}


def deciders_of(
    policy: Policy,
    role: Approver,
    asker: str,
    department: str | None,
    passed_on: int = 0,
    joined: Iterable[str] = (),
    asked_for_by: str | None = None,
    answered_by: Iterable[str] = (),
) -> frozenset[str]:
    """Return the people who may answer for a role when this person of this department asks.

    1. department_head: the head and the delegates; for a head's own request nobody here; where the
       head left, whom they named to stand in, while that lasts
    2. it_security, town_administrator: as the policy's roles say
    3. never the asker, nor who joined, nor who proposed them or sent it for them
    4. of a role that somebody else has, too, nobody who answered an earlier step
    5. nobody left: it goes up, to the first of the policy's `pass_on_to` that somebody else has
    6. passed on unanswered, the next of these may answer as well, as often as it was passed on
    """
    own = frozenset({asker, *joined})
    none_of = own | {asked_for_by or ""}
    match role:
        case Approver.DEPARTMENT_HEAD:
            found = policy.departments.get(department) if department is not None else None
            if found is None or found.head in own:
                people = frozenset[str]()
            else:
                people = frozenset({found.head, *found.delegates}) - {*none_of, ""}
        case Approver.IT_SECURITY | Approver.TOWN_ADMINISTRATOR:
            people = _with_role(policy, role) - none_of
    above = (_with_role(policy, higher) - none_of for higher in policy.asking.pass_on_to)
    earlier = frozenset(answered_by)
    asked: list[frozenset[str]] = []
    for group in (each - earlier or each for each in (people, *above)):
        if not group.issubset(frozenset().union(*asked)):
            asked.append(group)
    return frozenset().union(*asked[: passed_on + 1])


def _with_role(policy: Policy, role: Approver) -> frozenset[str]:
    return frozenset(policy.roles.get(role.value, ()))


def took_part(policy: Policy, request: AccessRequest) -> frozenset[str]:
    """Return the people whose step is over, whoever of them answered it, and who proposed."""
    is_open = request.state is State.SUBMITTED
    steps = range(request.step if is_open else len(request.chain))
    asked = [_asked_at(policy, request, step) for step in steps]
    if asked and agrees_by_proposing(policy, request):
        asked[0] = deciders_of(policy, request.chain[0], request.person, request.department)
    return frozenset().union(*asked, _proposer(request))


def agrees_by_proposing(policy: Policy, request: AccessRequest) -> bool:
    """Whether who proposed a person would be the first to be asked, and others are asked after them."""
    first = deciders_of(policy, request.chain[0], request.person, request.department)
    return request.proposed_by in first and len(request.chain) > 1


def may_renew(policy: Policy, request: AccessRequest, person: str) -> bool:
    """Whether the person may ask for the same again: the asker, or who may send the form that it came of.

    Of a site that is who may stop it, too. A window of personal use and emergency access are not renewed.
    """
    match request.asked:
        case None:
            return person in request.askers or may_stop(policy, request, person)
        case DeviceUse():
            return person == request.person
        case StandingUse():
            return request.department in proposing.decides_for(policy, person)
        case AccountUse():
            return request.department in proposing.proposes_for_accounts(policy, person)
        case SocialMediaUse():
            return request.department in proposing.proposes_for_social_media(policy, person)
        case Window() | EmergencyUse():
            return False


def may_end(policy: Policy, request: AccessRequest, person: str) -> bool:
    """Whether the person may end access as their own, without a say over it (that is `may_stop`).

    Own is what nobody else has by the request, and a department's to its head and delegates.
    """
    if request.for_whom is ForWhom.DEPARTMENT:
        return request.department in proposing.decides_for(policy, person)
    return request.askers == (person,)


def may_stop(policy: Policy, request: AccessRequest, person: str) -> bool:
    """Whether the person may end access that was approved: IT security, or an approver of the chain.

    Of emergency access, those who would have been asked in the department.
    """
    in_department = hear_of_emergency(policy, request)
    return person in {*policy.roles.get("it_security", ()), *took_part(policy, request), *in_department}


def hear_of_emergency(policy: Policy, request: AccessRequest) -> frozenset[str]:
    """Return who hears of emergency access for the person's department, though not asked; none of others."""
    if request.kind is not Kind.EMERGENCY:
        return frozenset()
    return deciders_of(policy, Approver.DEPARTMENT_HEAD, request.person, request.department)
