"""What the policy says of an access request: for how long, answered by when, and what nobody allows. Pure."""

from collections.abc import Iterable
from datetime import datetime

from admin.asked import Kind
from admin.asking import AccessRequest
from policy.access_duration import Duration
from policy.town_policy import Policy
from policy.town_time import zone_of


def asked_end(policy: Policy, request: AccessRequest, at: datetime) -> datetime:
    """Return when access ends that is allowed at an instant as it was asked for, or as long as may be."""
    if request.asked_until is not None:
        return request.asked_until
    return min(request.duration.end(at, zone_of(policy)), latest_end(policy, request, at))


def latest_end(policy: Policy, request: AccessRequest, at: datetime) -> datetime:
    """Return when access ends at the latest that is allowed at an instant."""
    if request.asked_until is not None:
        return request.asked_until
    zone = zone_of(policy)
    if request.is_once:
        return min(request.duration.end(at, zone), policy.asking.longest.end(at, zone))
    return durations_of(policy, request.kind, request.rule)[-1].end(at, zone)


def durations_of(policy: Policy, kind: Kind, rule: str | None) -> tuple[Duration, ...]:
    """Return for how long one may ask for what a rule or limit stopped, the shortest first.

    A site for up to the policy's longest; that limits are lifted, for today at most. Where a limit is about
    downloads, and no quota, that is for one download or for all of them.
    """
    offered = policy.asking.longest.up_to()
    if kind is not Kind.DOWNLOAD:
        return offered
    today = tuple(each for each in offered if each in Duration.TODAY.up_to())
    is_of_quota = any(limit.id == rule and limit.quota is not None for limit in policy.limits)
    return today if is_of_quota else (Duration.ONCE, today[-1])


def stops_downloads(policy: Policy, rule: str | None) -> bool:
    """Whether it is a rule of file types: only access that was asked about it lifts it.

    Of limits, access to downloads that was asked about any lifts all. One download is about what stopped it.
    """
    return any(each.id == rule and each.file_types for each in policy.rules)


def answer_times(policy: Policy, at: datetime) -> tuple[datetime, datetime]:
    """Return when those who are asked at an instant are reminded, and when their time is over."""
    terms, zone = policy.asking, zone_of(policy)
    return terms.time.after(at, terms.remind_after, zone), terms.time.after(at, terms.pass_on_after, zone)


def never_allowed(policy: Policy, categories: Iterable[str]) -> frozenset[str]:
    """Return those of a site's categories that nobody can ask for or allow."""
    return policy.asking.never.intersection(categories)


def risks_of(policy: Policy, request: AccessRequest) -> frozenset[str]:
    """Return the security risks that whoever allows the request accepts, or cannot accept."""
    return frozenset({*request.risks, request.category or ""}) & policy.security_categories
