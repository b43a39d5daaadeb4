"""Which limits hold for an allowed visit, and what comes of it when something in it is over one.

A limit is judged when more is known than a rule asks for: a size and a kind of file at the head of an
answer, bytes and time while they are counted. It never has a visit opened.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from policy.decision import Cause, Decision, Verdict
from policy.rule_matching import asking_roles, first_match, rule_matches, site_listed_in, why_not_for
from policy.state import State
from policy.town_policy import Limit, LimitAction, Per, Policy, Quota
from policy.town_time import zone_of
from policy.visit import Client, Visit

# What is open for these is open whole.
_WHOLE = frozenset({Cause.ADMIN_SITE, Cause.ESSENTIAL, Cause.FILTER_OFF})

type Passed = Callable[[Limit], bool]
"""Whether the client was warned of a limit lately and went on."""


@dataclass(frozen=True, slots=True)
class Use:
    """What was used of a quota in one day of the town's: bytes both ways, and time."""

    size_bytes: int = 0
    duration: timedelta = timedelta()


def never_passed(_limit: Limit) -> bool:
    """Nobody was warned of anything."""
    return False


def limits_of(visit: Visit, decision: Decision, policy: Policy, state: State) -> tuple[str, ...]:
    """Return the ids of the limits that hold for an allowed visit, in their order.

    1. none for what is Towngate's own, essential, or allowed to all
    2. none where access that lifts them is in force for the host, other than for one download
    3. none that warns and that the person chose to go on past
    4. those whose every condition holds, as a rule's would
    """
    if decision.cause in _WHOLE:
        return ()
    lifting = [one for one in state.lifting(visit.host, visit.client, visit.at) if not one.is_once]
    if not all(one.passed_limit for one in lifting):
        return ()
    passed = {one.passed_limit for one in lifting}
    categories = frozenset([match.category for match in rule_matches(visit, policy)])
    return tuple(
        [
            limit.id
            for limit in policy.limits
            if _holds(limit, visit, policy, categories)
            and not (limit.id in passed and limit.action is LimitAction.WARN)
        ]
    )


def held_by(decision: Decision, policy: Policy) -> tuple[Limit, ...]:
    """Return the limits that a decision names; those that the policy no longer has are left out."""
    if not decision.limits:
        return ()
    return tuple([limit for limit in policy.limits if limit.id in decision.limits])


def judge_download(
    visit: Visit,
    decision: Decision,
    policy: Policy,
    size_bytes: int | None,
    types: frozenset[str] = frozenset(),
    passed: Passed = never_passed,
    *,
    is_let_through: bool = False,
) -> Decision | None:
    """Return the decision that holds up a download of an allowed visit; None when it goes on.

    The first limit of sizes or types that it is over decides. `size_bytes` is None where it is not known
    (yet); `types` (`policy.file_types`) are empty where they are not seen. Where access to one download
    lets it through, only limits that warn hold it up.
    """
    for limit in held_by(decision, policy):
        is_larger = (
            limit.larger_than is not None and size_bytes is not None and size_bytes > limit.larger_than
        )
        if (is_larger or limit.file_types & types) and _holds_up(
            limit, passed, is_let_through=is_let_through
        ):
            return stopping(limit, visit, policy, size_bytes=size_bytes if is_larger else None, types=types)
    return None


def most_bytes(
    decision: Decision, policy: Policy, passed: Passed = never_passed, *, is_let_through: bool = False
) -> Limit | None:
    """Return the limit of sizes that a download of unknown length comes to first; None when there is none.

    `is_let_through` is as in `judge_download`.
    """
    sized = [
        limit
        for limit in held_by(decision, policy)
        if limit.larger_than is not None and _holds_up(limit, passed, is_let_through=is_let_through)
    ]
    return min(sized, key=lambda limit: limit.larger_than or 0, default=None)


def quotas_of(decision: Decision, policy: Policy) -> tuple[Limit, ...]:
    """Return those limits of a visit that are quotas."""
    return tuple([limit for limit in held_by(decision, policy) if limit.quota is not None])


def judge_use(
    visit: Visit,
    decision: Decision,
    policy: Policy,
    used: Callable[[Limit, Client], Use],
    passed: Passed = never_passed,
) -> Decision | None:
    """Return the decision that stops a visit whose quota is used up; None when it goes on."""
    for limit in quotas_of(decision, policy):
        if is_used_up(limit, used(limit, visit.client)) and _holds_up(limit, passed):
            return stopping(limit, visit, policy)
    return None


def is_used_up(limit: Limit, use: Use) -> bool:
    """Whether nothing is left of a quota."""
    left = left_of(limit.quota, use) if limit.quota is not None else None
    return left is not None and not left.size_bytes and not left.duration


def left_of(quota: Quota, use: Use) -> Use:
    """Return what is left of a quota."""
    return Use(
        max(0, quota.size_bytes - use.size_bytes) if quota.size_bytes is not None else 0,
        max(timedelta(), quota.duration - use.duration) if quota.duration is not None else timedelta(),
    )


def counted_for(limit: Limit, client: Client) -> str:
    """Return whose use is added up for a quota: "person clerk", "department finance", "address 10.1.1.7"."""
    if limit.quota is not None and limit.quota.per is Per.DEPARTMENT and client.department is not None:
        return f"department {client.department}"
    return f"person {client.person}" if client.person is not None else f"address {client.address}"


def stopping(
    limit: Limit,
    visit: Visit,
    policy: Policy,
    *,
    size_bytes: int | None = None,
    types: frozenset[str] = frozenset(),
) -> Decision:
    """Return the decision by which a limit holds up what is over it."""
    matches = rule_matches(visit, policy)
    named = (match for match in matches if match.category in limit.categories)
    return Decision(
        Verdict.WARN if limit.action is LimitAction.WARN else Verdict.BLOCK,
        Cause.LIMIT,
        # None where the policy has another limit of this id by now, for other categories.
        match=next(named, None) if limit.categories else first_match(visit.matches),
        because=limit.because,
        approval=asking_roles(Cause.LIMIT, limit.id, policy, visit.categories),
        file_types=tuple(sorted(limit.file_types & types)),
        limit=limit.id,
        size_bytes=size_bytes,
    )


def hours_end_at(limit: Limit, policy: Policy, at: datetime) -> datetime | None:
    """Return when a limit's hours end, None where it has none, is not in them at `at`, or they never end."""
    schedule = policy.schedules[limit.when] if limit.when is not None else None
    if schedule is None or not schedule.holds_at(at, zone_of(policy)):
        return None
    return schedule.next_edge_after(at, zone_of(policy))


def is_for_business_hours(limit: Limit, policy: Policy, at: datetime) -> bool:
    """Whether a limit's hours are those of the town's offices, which are open at `at`."""
    time = policy.asking.time
    has_their_hours = limit.when is not None and policy.schedules[limit.when] == time.hours
    return has_their_hours and time.counts_at(at, zone_of(policy))


def _holds(limit: Limit, visit: Visit, policy: Policy, categories: frozenset[str]) -> bool:
    if limit.categories and limit.categories.isdisjoint(categories):
        return False
    if limit.hosts and site_listed_in(limit.hosts, visit.host) is None:
        return False
    return why_not_for(limit, visit, policy) is None


def _holds_up(limit: Limit, passed: Passed, *, is_let_through: bool = False) -> bool:
    """Whether a limit stops, or warns of, what is over it."""
    return not passed(limit) if limit.action is LimitAction.WARN else not is_let_through
