"""From a decision to the page that says it: one of at most 8 kB."""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from operator import itemgetter
from typing import assert_never
from zoneinfo import ZoneInfo

from msgspec import structs

from categories.match import CategoryMatch
from categories.taxonomy import Taxonomy
from policy import amounts
from policy.deciding import decide
from policy.decision import Cause, Decision, Verdict
from policy.limiting import hours_end_at, is_for_business_hours
from policy.rule_matching import rule_matches
from policy.schedule import Schedule
from policy.state import State
from policy.town_policy import Approver, Limit, Per, Policy, Rule, UnknownAction
from policy.town_time import zone_of
from policy.usage import next_midnight
from policy.visit import Visit
from proxy_addons.block_page import BlockPage, Emergency, Opening, OverLimit, Variant
from proxy_addons.origin_certificate import OriginRefusal
from proxy_addons.page_html import render

_LARGEST_PAGE = 8192
_LOOK_AHEAD = timedelta(days=7)
_SHOWN_SITES = 8
_SAID_FIRST = {Verdict.WARN: Variant.WARN, Verdict.VIEW_ONLY: Variant.VIEW_ONLY}


def page_for(
    decision: Decision,
    visit: Visit,
    policy: Policy,
    state: State,
    taxonomy: Taxonomy,
    *,
    admin_url: str | None,
    token: str | None,
    code: str,
    at: datetime,
    remind_token: str | None = None,
    continue_url: str | None = None,
    origin_refusal: OriginRefusal | None = None,
) -> tuple[int, bytes]:
    """Return the status and the page for a visit that was not allowed.

    `admin_url` or `token` None: asking is not available, and the page says so. `remind_token` is that of a
    download, which says its address, too.
    """
    limit = next((limit for limit in policy.limits if limit.id == decision.limit), None)
    match = _said_match(decision, limit, policy)
    category = taxonomy.categories.get(match.category) if match else None
    said_first = _SAID_FIRST.get(decision.verdict) if limit is None else _limit_variant(limit)
    variant = said_first or _variant(decision, policy)
    opening = _opening(decision, visit, policy) if variant is Variant.POLICY else None
    if limit is not None and limit.quota is not None:
        opening = Opening(next_midnight(visit.at, zone_of(policy)))
    approval = _approval(decision, visit, policy)
    over_limit = _over_limit(limit, decision, visit, policy) if limit is not None else None
    variant = variant if opening is None else Variant.LATER
    page = BlockPage(
        variant=variant,
        town=policy.town.name,
        host=visit.host,
        code=code,
        at=at,
        zone=zone_of(policy),
        phone=policy.town.help_desk_phone,
        mail=policy.town.help_desk_email,
        category=match.category if match else "",
        label=category.label if category else "",
        sites=category.sites if category else "",
        because=_because(variant, decision, policy),
        approval=approval,
        head=_head(visit, policy),
        ask_url=_ask_url(variant, approval, admin_url, token),
        **_reporting_urls(variant, match, admin_url, token),
        remind_url=_remind_url(variant, over_limit, admin_url, remind_token),
        continue_url=continue_url,
        is_risk=match is not None and match.category in policy.security_categories,
        opening=opening,
        emergency=_emergency(variant, visit, policy, state),
        admin_url=admin_url,
        fault=origin_refusal.fault if origin_refusal else None,
        fault_at=origin_refusal.at if origin_refusal else None,
        port=visit.port,
        ports=tuple(sorted(policy.ports)),
        file_types=decision.file_types,
        over_limit=over_limit,
        rule=decision.rule or decision.limit or "",
        kind=_kind(visit, policy),
        listed=f"{match.source}: {match.entry}, {match.category}" if match else "",
        seen_as=_seen_as(visit, policy),
    )
    html = render(page)
    if len(html) > _LARGEST_PAGE:
        # A host of hundreds of letters is in each link. "Did something not open?" has the first two, too.
        html = render(replace(page, wrong_category_url=None, accident_url=None, remind_url=None))
    return page.variant.status, html


def _reporting_urls(
    variant: Variant, match: CategoryMatch | None, admin_url: str | None, token: str | None
) -> dict[str, str]:
    """Return the links by which a person says that the list is wrong, or that it was an accident."""
    if match is None or admin_url is None or token is None:
        return {}
    wrong_category = {"wrong_category_url": f"{admin_url}/wrong-category?token={token}"}
    match variant:
        case Variant.POLICY:
            return wrong_category | {"accident_url": f"{admin_url}/accident?token={token}"}
        case Variant.SECURITY | Variant.LATER | Variant.WARN | Variant.VIEW_ONLY:
            return wrong_category
        case _:
            return {}


def _remind_url(
    variant: Variant, over_limit: OverLimit | None, admin_url: str | None, token: str | None
) -> str | None:
    """Return where a person asks for a mail when a download is no longer over a limit: one of some hours."""
    is_waited_for = variant is Variant.LARGE and over_limit is not None and over_limit.slows_until is not None
    if not is_waited_for or admin_url is None or token is None:
        return None
    # Its own token: where the download is, is told to nobody but who asks for this.
    return f"{admin_url}/remind?token={token}"


def _ask_url(
    variant: Variant, approval: tuple[str, ...], admin_url: str | None, token: str | None
) -> str | None:
    """Return where the page's button leads; None where nothing can be asked, or not now."""
    if admin_url is None or token is None:
        return None
    if variant is Variant.NOTICE:
        return f"{admin_url}/notice?token={token}"
    return f"{admin_url}/ask?token={token}" if approval else None


def _because(variant: Variant, decision: Decision, policy: Policy) -> str:
    if variant is Variant.NOTICE and policy.notice is not None:
        return policy.notice.title
    return decision.because or ""


def _said_match(decision: Decision, limit: Limit | None, policy: Policy) -> CategoryMatch | None:
    """Return the list entry that the page gives as the reason.

    None for a rule that is about people or hours and not about what the site is, or such a limit.
    """
    by = limit or _rule_of(decision, policy)
    return None if by is not None and not by.categories else decision.match


def _limit_variant(limit: Limit) -> Variant:
    if limit.quota is not None:
        return Variant.LATER
    return Variant.DOWNLOAD if limit.file_types else Variant.LARGE


def _over_limit(limit: Limit, decision: Decision, visit: Visit, policy: Policy) -> OverLimit:
    if limit.quota is None:
        return OverLimit(
            amounts.size(decision.size_bytes or 0),
            amounts.size(limit.larger_than or 0),
            hours_end_at(limit, policy, visit.at),
            is_for_business_hours(limit, policy, visit.at),
        )
    duration = limit.quota.duration
    return OverLimit(
        minutes=int(duration.total_seconds()) // 60 if duration is not None else 0,
        amount=amounts.size(limit.quota.size_bytes or 0),
        is_departments=limit.quota.per is Per.DEPARTMENT,
    )


def _rule_of(decision: Decision, policy: Policy) -> Rule | None:
    return next((rule for rule in policy.rules if rule.id == decision.rule), None)


def _variant(decision: Decision, policy: Policy) -> Variant:  # noqa: PLR0911, PLR0912 - one answer a cause
    cause = decision.cause
    match cause:
        case Cause.SECURITY_RISK:
            return Variant.SECURITY
        case Cause.RULE:
            match = decision.match
            if match is not None and match.category in policy.security_categories:
                return Variant.SECURITY
            rule = _rule_of(decision, policy)
            if rule is not None and rule.file_types:
                return Variant.DOWNLOAD
            # Of a site that may be read, only what acts is ever stopped.
            is_readable = rule is not None and rule.action is Verdict.VIEW_ONLY
            return Variant.ACTING if is_readable else Variant.POLICY
        case Cause.EXEMPTION:
            # Of a site that somebody may read, only what acts is ever stopped.
            return Variant.ACTING
        case (
            Cause.DEFAULT | Cause.LIMIT | Cause.ENDED | Cause.ADMIN_SITE | Cause.ESSENTIAL | Cause.FILTER_OFF
        ):
            return Variant.POLICY
        case Cause.NOTICE:
            return Variant.NOTICE
        case Cause.NO_ACCOUNT:
            return Variant.NO_ACCOUNT
        case Cause.LOCKDOWN:
            return Variant.LOCKDOWN
        case Cause.DEVICE_OFF:
            return Variant.DEVICE_OFF
        case Cause.UNKNOWN_CLIENT:
            asks = policy.unknown is UnknownAction.SIGN_IN
            return Variant.SIGN_IN if asks else Variant.UNKNOWN_CLIENT
        case Cause.PRIVATE_ADDRESS:
            return Variant.PRIVATE_ADDRESS
        case Cause.PORT:
            return Variant.PORT
        case Cause.MISMATCH:
            return Variant.MISMATCH
        case Cause.MALFORMED | Cause.NOT_TLS:
            return Variant.UNREADABLE
        case Cause.UNREACHABLE:
            return Variant.UNREACHABLE
        case Cause.CERTIFICATE:
            return Variant.CERTIFICATE
        case Cause.FAULT:
            return Variant.TROUBLE
        case _:
            assert_never(cause)


def _approval(decision: Decision, visit: Visit, policy: Policy) -> tuple[str, ...]:
    """Return the roles asked in turn: nobody is asked about a request of their own."""
    department = policy.departments.get(visit.client.department or "")
    is_own = department is None or department.head in (visit.client.person, "")
    roles = (
        Approver.TOWN_ADMINISTRATOR.value if role == Approver.DEPARTMENT_HEAD and is_own else role
        for role in decision.approval
    )
    return tuple(dict.fromkeys(roles))


def _emergency(variant: Variant, visit: Visit, policy: Policy, state: State) -> Emergency | None:
    """Return what IT did that keeps this client from the web, None for other pages."""
    if variant is Variant.DEVICE_OFF:
        off = state.device_off_at(visit.client.address)
        return Emergency(off.since, off.because) if off else None
    lockdown = state.lockdown_for(visit.client.department) if variant is Variant.LOCKDOWN else None
    if lockdown is None:
        return None
    works = sorted(policy.essentials | policy.works_in_lockdown)
    news_at = lockdown.next_news_at
    return Emergency(
        lockdown.since,
        lockdown.because,
        still_works=tuple(works[:_SHOWN_SITES]),
        more_works=len(works[_SHOWN_SITES:]),
        next_news_at=news_at if news_at is not None and news_at > visit.at else None,
    )


def _kind(visit: Visit, policy: Policy) -> str:
    person = policy.people.get(visit.client.person or "")
    return person.kind.value if person else ""


def _head(visit: Visit, policy: Policy) -> str:
    department = policy.departments.get(visit.client.department or "")
    head = policy.people.get(department.head) if department else None
    return head.name if head else ""


def _seen_as(visit: Visit, policy: Policy) -> str:
    client = visit.client
    person = policy.people.get(client.person or "")
    department = policy.departments.get(client.department or "")
    names = (person.name if person else client.device, department.name if department else None)
    return ", ".join(name for name in names if name)


def _opening(decision: Decision, visit: Visit, policy: Policy) -> Opening | None:
    """Return when the clock alone will open the site for this client, within a week."""
    categories = {match.category for match in rule_matches(visit, policy)}
    timed = {
        rule.id: policy.schedules[rule.when]
        for rule in policy.rules
        if rule.when is not None and (not rule.categories or rule.categories & categories)
    }
    zone, until = zone_of(policy), visit.at + _LOOK_AHEAD
    edges = {hours: tuple(hours.edges_between(visit.at, until, zone)) for hours in timed.values()}
    holding = frozenset(hours for hours in edges if hours.holds_at(visit.at, zone))
    tried = {holding}

    @functools.cache
    def decided(at: datetime) -> Decision:
        return decide(structs.replace(visit, at=at), policy, State())

    in_order = sorted(((at, hours) for hours, at_each in edges.items() for at in at_each), key=itemgetter(0))
    for at, edge in itertools.groupby(in_order, key=itemgetter(0)):
        holding ^= {hours for _, hours in edge}
        # A week comes back to the same hours again and again: what was shut in them is so the next time.
        if holding in tried:
            continue
        tried.add(holding)
        if decided(at).is_allowed:
            # The site opens because an allowing rule begins, or because the blocking one ends.
            first = timed.pop(decided(at).rule or "", None)
            return Opening(at, () if first is None else (first, *_further(timed, edges, decided, zone)))
    return None


def _further(
    timed: Mapping[str, Schedule],
    edges: Mapping[Schedule, Sequence[datetime]],
    decided: Callable[[datetime], Decision],
    zone: ZoneInfo,
) -> Iterator[Schedule]:
    """Yield the schedules of those rules that will open the site when their hours begin next."""
    for rule, hours in timed.items():
        begins_at = next((at for at in edges[hours] if hours.holds_at(at, zone)), None)
        if begins_at is not None and decided(begins_at).is_allowed and decided(begins_at).rule == rule:
            yield hours
