"""What people do with access requests: decide, open, withdraw, stop; each a move of `request_moves`.

What a request is: `asking`. Who may decide: `deciders`. Sending one: `submitting`.
"""

from collections.abc import Collection
from datetime import datetime
from typing import NoReturn

from admin import exemptions, internet_accounts, joining, own_devices
from admin.asked import Kind
from admin.asking import WAITING, AccessRequest, InvalidRequestError, NotAllowedError, State
from admin.asking_terms import asked_end, latest_end
from admin.audit import Detail
from admin.database import Database, Transaction
from admin.deciders import deciders, may_end, may_stop, took_part
from admin.granting import accepted_risks_of, answers_so_far, grant
from admin.never_granted import Listed
from admin.opening import may_open, opens_until
from admin.request_moves import Refusal, attempt, move, record_refusal, too_late
from admin.stored_requests import get
from admin.written_text import tidy_text
from policy.town_policy import AfterApproval, Policy


async def approve(
    db: Database,
    policy: Policy,
    listed: Listed,
    id_: int,
    *,
    actor: str,
    at: datetime,
    seen_step: int | None = None,
    seen_hosts: Collection[str] | None = None,
    seen_joined: Collection[str] | None = None,
    expires_at: datetime | None = None,
) -> AccessRequest:
    """Agree for the present step; the last one opens access until `expires_at`, or leaves that to IT.

    `seen_step` is the step that the person was shown: an answer sent twice never answers two steps.
    `seen_hosts` are the further hosts that they were shown, `seen_joined` who had joined:
    InvalidRequestError when there are others meanwhile. `expires_at` (default: as asked) is after `at` and
    not later than the policy's longest: InvalidRequestError for any other. Raises UnknownRequestError,
    NotAllowedError, TransitionError, NeverGrantedError for what the policy never allows by now.
    """

    async def agree(t: Transaction, request: AccessRequest) -> None:
        if seen_hosts is not None and set(seen_hosts) != set(request.hosts):
            raise InvalidRequestError("hosts", "Hosts were added meanwhile. Look at them, then decide")
        if seen_joined is not None and set(seen_joined) != set(request.askers[1:]):
            raise InvalidRequestError("joined", "Others joined meanwhile. Look who, then decide")
        await own_devices.refuse_clash(t, policy, request.asked, at, request.renews)
        if request.step + 1 < len(request.chain):
            await move(t, policy, request, State.SUBMITTED, actor=actor, at=at)
            return
        ends_at = _end(policy, request, at, expires_at)
        answers = [*await answers_so_far(t, request), (request.waits_for, actor)]
        accepted_risks = accepted_risks_of(policy, request, answers)
        details: dict[str, Detail] = {
            "expires_at": ends_at.isoformat(),
            "accepted_risks": sorted(accepted_risks),
        }
        if request.kind is Kind.SOCIAL_MEDIA:
            await move(t, policy, request, State.AWAITS_SIGNATURE, actor=actor, at=at, details=details)
            return
        if policy.after_approval is AfterApproval.WAIT_FOR_IT:
            await move(
                t,
                policy,
                request,
                State.AWAITS_OPENING,
                actor=actor,
                at=at,
                details=details,
                approved_until=ends_at,
            )
            return
        await move(t, policy, request, State.APPROVED, actor=actor, at=at, details=details)
        await grant(t, request, accepted_risks, at=at, ends_at=ends_at, approved_by=actor)

    def refusal(request: AccessRequest) -> Refusal | None:
        return may_not_decide(policy, request, actor, at, seen_step)

    return await attempt(db, policy, id_, actor, at, "approve", refusal, agree, towards_access=listed)


async def open_access(
    db: Database, policy: Policy, listed: Listed, id_: int, *, actor: str, at: datetime
) -> AccessRequest:
    """Open what was approved, as opening.opens_until says how long. Raises as approve does."""

    async def open_it(t: Transaction, request: AccessRequest) -> None:
        ends_at = opens_until(request, at)
        if ends_at is None:
            raise too_late(request, at)
        await own_devices.refuse_clash(t, policy, request.asked, at, request.renews)
        accepted_risks = accepted_risks_of(policy, request, await answers_so_far(t, request))
        details: dict[str, Detail] = {
            "expires_at": ends_at.isoformat(),
            "accepted_risks": sorted(accepted_risks),
        }
        await move(t, policy, request, State.APPROVED, actor=actor, at=at, details=details)
        by = request.decided_by or actor
        await grant(t, request, accepted_risks, at=at, ends_at=ends_at, approved_by=by)

    def refusal(request: AccessRequest) -> Refusal | None:
        if not may_open(policy, request, actor):
            return NotAllowedError(f"{request.number} is for IT to open, not for {actor}")
        return None if request.state_at(at) is State.AWAITS_OPENING else too_late(request, at)

    return await attempt(db, policy, id_, actor, at, "open", refusal, open_it, towards_access=listed)


async def deny(
    db: Database,
    policy: Policy,
    id_: int,
    *,
    actor: str,
    at: datetime,
    reason: str,
    seen_step: int | None = None,
) -> AccessRequest:
    """Do not allow; the asker reads `reason` (1 to 500 characters).

    Raises as approve does, and InvalidRequestError for the reason.
    """

    async def disagree(t: Transaction, request: AccessRequest) -> None:
        note = tidy_text("reason", reason, "Enter why, so that the asker knows")
        await move(t, policy, request, State.DENIED, actor=actor, at=at, note=note)

    def refusal(request: AccessRequest) -> Refusal | None:
        return may_not_decide(policy, request, actor, at, seen_step)

    return await attempt(db, policy, id_, actor, at, "deny", refusal, disagree)


async def withdraw(db: Database, policy: Policy, id_: int, *, actor: str, at: datetime) -> AccessRequest:
    """Take back what one asked for or proposed, before access is open. Raises as approve does.

    What others joined stays open for them: it is then the one's who joined first.
    """

    async def take_back(t: Transaction, request: AccessRequest) -> None:
        if request.joined:
            await joining.hand_on(t, request, actor=actor, at=at)
            return
        await move(t, policy, request, State.WITHDRAWN, actor=actor, at=at)

    def refusal(request: AccessRequest) -> Refusal | None:
        if actor not in (request.person, request.proposed_by):
            return NotAllowedError(f"{request.number} is another person's request")
        return None if request.state_at(at) in WAITING else too_late(request, at)

    return await attempt(db, policy, id_, actor, at, "withdraw", refusal, take_back)


async def stop(
    db: Database, policy: Policy, id_: int, *, actor: str, at: datetime, reason: str
) -> AccessRequest:
    """End access that was granted or approved, now; the asker reads `reason`. Raises as deny does."""

    async def stop_it(t: Transaction, request: AccessRequest) -> None:
        note = tidy_text("reason", reason, "Enter why, so that the asker knows")
        await _close(t, policy, request, actor=actor, at=at, note=note)

    def refusal(request: AccessRequest) -> Refusal | None:
        if not may_stop(policy, request, actor):
            return NotAllowedError(f"{actor} has no say over access by {request.number}")
        is_live = request.state_at(at) in (State.APPROVED, State.AWAITS_OPENING, State.AWAITS_SIGNATURE)
        return None if is_live else too_late(request, at)

    return await attempt(db, policy, id_, actor, at, "stop", refusal, stop_it)


async def end(db: Database, policy: Policy, id_: int, *, actor: str, at: datetime) -> AccessRequest:
    """End open access of one's own that is not needed any more. Raises as approve does.

    What is not open yet is withdrawn instead.
    """

    async def end_it(t: Transaction, request: AccessRequest) -> None:
        await _close(t, policy, request, actor=actor, at=at, note="Not needed any more")

    def refusal(request: AccessRequest) -> Refusal | None:
        if not may_end(policy, request, actor):
            return NotAllowedError(f"access by {request.number} is not {actor}'s own")
        return None if request.state_at(at) is State.APPROVED else too_late(request, at)

    return await attempt(db, policy, id_, actor, at, "end", refusal, end_it)


async def _close(
    t: Transaction, policy: Policy, request: AccessRequest, *, actor: str, at: datetime, note: str
) -> None:
    await move(t, policy, request, State.STOPPED, actor=actor, at=at, note=note)
    await exemptions.stop(t, request.id, stopped_by=actor, at=at)
    await own_devices.stop(t, request.id, stopped_by=actor, at=at)
    await internet_accounts.stop(t, request.id, stopped_by=actor, at=at)


async def refuse(db: Database, id_: int, *, actor: str, at: datetime, why: str) -> NoReturn:
    """Record an attempt by someone who can decide nothing here, and raise NotAllowedError.

    Raises UnknownRequestError when there is no such request.
    """
    request = await get(db, id_)
    async with db.transaction() as t:
        await record_refusal(t, request, NotAllowedError(why), actor=actor, at=at, what="decide")
    raise NotAllowedError(why)


def may_not_decide(
    policy: Policy, request: AccessRequest, actor: str, at: datetime, seen_step: int | None
) -> Refusal | None:
    """Return why the person may not answer the step that they were shown, None where they may.

    None as `seen_step` is the present one.
    """
    if actor in request.own:
        return NotAllowedError("This is your own request. It goes to someone else.")
    is_present = seen_step is None or seen_step == request.step
    if actor in deciders(policy, request) and is_present:
        return None if request.state_at(at) is State.SUBMITTED else too_late(request, at)
    if actor in took_part(policy, request):
        return too_late(request, at)
    if request.state is State.SUBMITTED:
        return NotAllowedError(f"{request.number} does not wait for {actor}")
    return NotAllowedError(f"{actor} has no say in {request.number}")


def _end(policy: Policy, request: AccessRequest, at: datetime, expires_at: datetime | None) -> datetime:
    """Return when access ends that is allowed at `at`; InvalidRequestError for what may not be chosen."""
    window = request.window
    latest = latest_end(policy, request, at)
    ends_at = expires_at or asked_end(policy, request, at)
    begins_at = max(at, window.begins_at) if window is not None else at
    # A proposal is for the time that was proposed.
    is_other = request.proposed_by is not None and ends_at != latest
    if is_other or not begins_at < ends_at <= latest:
        raise InvalidRequestError("expires_at", "That time is over, or too far away. Choose another")
    return ends_at
