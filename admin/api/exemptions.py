"""Access that is open: what it is used for, renewing it, keeping it, leaving it open."""

from admin import exemption_use
from admin.api.operation import Call, Listed, Nothing
from admin.api.request_model import AccessRequest, Exemption


async def list_exemptions(call: Call[Nothing, Nothing]) -> Listed[Exemption]:
    """List all access in force but internet accounts, ending soonest first, with what it is used for."""
    admin = call.admin
    granted = await admin.request_views.granted(call.session)
    uses = await exemption_use.of_all(admin.db, admin.db.visits, admin.now())
    items = [Exemption.with_use(call, request, uses[request.id]) for request in granted if request.id in uses]
    return Listed[Exemption](items=items)


async def list_accounts(call: Call[Nothing, Nothing]) -> Listed[AccessRequest]:
    """List the internet accounts in force, ending soonest first."""
    found = await call.admin.request_views.granted_accounts(call.session)
    return Listed[AccessRequest](items=[AccessRequest.of(call, request) for request in found])


async def list_opened_lately(call: Call[Nothing, Nothing]) -> Listed[AccessRequest]:
    """List the access that IT has not looked at yet, what ends first at the start."""
    found = await call.admin.review.opened_lately(call.session)
    return Listed[AccessRequest](items=[AccessRequest.of(call, request) for request in found])


async def renew_access(call: Call[Nothing, Nothing]) -> AccessRequest:
    """Ask for the same again, through its chain as it is now."""
    return AccessRequest.of(call, await call.admin.renewals.renew(call.session, call.id))


async def end_access(call: Call[Nothing, Nothing]) -> AccessRequest:
    """End access of your own, now, which is not needed any more."""
    return AccessRequest.of(call, await call.admin.requests.end(call.session, call.id))


async def keep_access(call: Call[Nothing, Nothing]) -> AccessRequest:
    """Note that access which is up for review is still needed."""
    await call.admin.requests.keep(call.session, call.id)
    return AccessRequest.of(call, await call.admin.request_views.get(call.session, call.id))


async def leave_open(call: Call[Nothing, Nothing]) -> AccessRequest:
    """Note that IT looked at access, and leaves it open."""
    return AccessRequest.of(call, await call.admin.review.leave_open(call.session, call.id))
