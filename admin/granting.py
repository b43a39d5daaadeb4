"""Granting what was approved: which exemptions come of a request, and which risks they accept."""

from dataclasses import replace
from datetime import datetime

from admin import exemptions, internet_accounts, own_devices, request_time_line
from admin.asked import Level, categories_of
from admin.asking import AccessRequest, ForWhom
from admin.asking_terms import risks_of
from admin.database import Transaction
from policy.state import Exemption
from policy.town_policy import Approver, Policy

type Answers = list[tuple[Approver | None, str]]


async def answers_so_far(t: Transaction, request: AccessRequest) -> Answers:
    """Return who answered so far, and for which role."""
    return [(move.role, move.actor) for move in await request_time_line.time_line(t, request)]


def accepted_risks_of(policy: Policy, request: AccessRequest, answers: Answers) -> frozenset[str]:
    """Return the risks that IT security was asked about, if one of IT security gave that answer.

    Who stands in for IT security accepts no risk, and what becomes one later was never accepted.
    """
    asked_about = risks_of(policy, request)
    if not asked_about:
        return frozenset()
    it_security = policy.roles.get(Approver.IT_SECURITY.value, ())
    is_accepted = any(role is Approver.IT_SECURITY and who in it_security for role, who in answers)
    return asked_about if is_accepted else frozenset()


async def grant(
    t: Transaction,
    request: AccessRequest,
    accepted_risks: frozenset[str],
    *,
    at: datetime,
    ends_at: datetime,
    approved_by: str,
) -> None:
    """Open what was approved, and what its pages need, for each who asked."""
    if request.device is not None:
        if request.renews is not None:
            await own_devices.end_renewed(t, request.renews, at)
        await own_devices.grant(t, request.id, request.person, request.device, at, ends_at, by=approved_by)
    if request.account is not None:
        await internet_accounts.grant(t, request.id, request.person, at, ends_at, approved_by=approved_by)
        return
    exemption = _exemption(request, accepted_risks, at, ends_at)
    await exemptions.grant(t, request.id, exemption, approved_by=approved_by)
    if request.renews is not None:
        await exemptions.end_renewed(t, request.renews, exemption, request.hosts)
    if exemption.person is not None:
        for joined in request.joined:
            own = replace(exemption, person=joined.person)
            await exemptions.grant(t, request.id, own, approved_by=approved_by)
    for host in request.hosts:
        await exemptions.widen(t, request.id, host, approved_by=approved_by, at=exemption.granted_at)


def _exemption(
    request: AccessRequest, accepted_risks: frozenset[str], at: datetime, ends_at: datetime
) -> Exemption:
    return Exemption(
        id="",
        host=request.host,
        path=request.path,
        granted_at=max(at, request.window.begins_at) if request.window is not None else at,
        expires_at=ends_at,
        categories=frozenset(categories_of(request.asked)),
        person=request.person if request.for_whom is ForWhom.PERSON else None,
        department=request.department if request.for_whom is ForWhom.DEPARTMENT else None,
        accepted_risks=accepted_risks,
        is_for_reading=request.social_media is not None and request.social_media.level is Level.VIEW,
    )
