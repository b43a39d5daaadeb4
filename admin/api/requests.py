"""Asking for access, seeing what becomes of it, taking it back."""

from datetime import date, time
from typing import Literal, assert_never

from pydantic import Field

from admin import personal_use
from admin.api.operation import Call, Input, Listed, Nothing, Query, example
from admin.api.problems import NothingToAskError
from admin.api.request_model import AccessRequest, AccessRequestDetail, SentRequest
from admin.asking import Extent, ForWhom
from admin.web.words import Times, plain
from policy.access_duration import Duration


class WhichRequests(Query):
    """`mine` are those you sent or joined, 200 at most."""

    show: Literal["mine", "to_decide", "to_open", "to_review", "still_needed"] = Field(
        "mine",
        description="Those you sent or joined, newest first; what waits for your answer; for IT to open; of"
        " emergency access, for your review; or access that you are asked about: is it still needed?",
    )


class Ask(Input):
    """What is needed, what for, how long, for whom."""

    model_config = example(
        site="library.example",
        reason="Their catalogue, for the grant file.",
        duration="week",
        for_whom="person",
    )

    site: str = Field(description="A site or an address of it, like library.example.")
    reason: str = Field(description="1 to 500 characters. Requests are town records.")
    duration: Duration
    for_whom: ForWhom
    extent: Extent = Field(
        Extent.SITE,
        description="`page`: the page of `site` and what is below it, where it is what is stopped.",
    )


class Join(Input):
    """What a colleague has asked for already."""

    model_config = example(site="library.example")

    site: str


class AskPersonalUse(Input):
    """Categories that the policy offers, on a day, from a time to another by the town's clock."""

    model_config = example(
        categories=["shopping"], day="2026-03-06", begins="12:00", ends="13:00", reason="A birthday present."
    )

    categories: list[str]
    day: date
    begins: time
    ends: time
    reason: str


class AddHost(Input):
    """One of the request's `needed_hosts`."""

    model_config = example(host="cdn.example")

    host: str


async def list_requests(call: Call[WhichRequests, Nothing]) -> Listed[AccessRequest]:
    """List requests: yours, or what waits for you."""
    views, session = call.admin.request_views, call.session
    match call.query.show:
        case "mine":
            found = await views.mine(session)
        case "to_decide":
            found = await views.to_decide(session)
        case "to_open":
            found = await views.to_open(session)
        case "to_review":
            found = await call.admin.emergency_access.to_review(session)
        case "still_needed":
            found = await views.still_needed(session)
        case _:
            assert_never(call.query.show)
    return Listed[AccessRequest](items=[AccessRequest.of(call, request) for request in found])


async def read_request(call: Call[Nothing, Nothing]) -> AccessRequestDetail:
    """Show a request, what happened to it, and what its site's pages need beside it."""
    return await AccessRequestDetail.read(call, await call.admin.request_views.get(call.session, call.id))


async def ask_for_site(call: Call[Nothing, Ask]) -> SentRequest:
    """Ask for a site before a visit to it was stopped; it goes to the first approver.

    A site that is open already is answered 409: there is nothing to ask for. So is one that a colleague has
    asked for, as long as their request can be joined and gives what is asked for.
    """
    code = await _code_for(call, call.body.site)
    sent = await call.admin.requests.submit(
        call.session, code, call.body.reason, call.body.duration, call.body.for_whom, call.body.extent
    )
    return await SentRequest.sent(call, sent)


async def join_request(call: Call[Nothing, Join]) -> AccessRequest:
    """Join the open request of a colleague for a site."""
    code = await _code_for(call, call.body.site)
    return AccessRequest.of(call, await call.admin.requests.join(call.session, code))


async def ask_for_personal_use(call: Call[Nothing, AskPersonalUse]) -> SentRequest:
    """Ask for categories of sites in a window of time."""
    body = call.body
    sent = await personal_use.ask(
        call.admin.db,
        call.admin.policy,
        call.admin.site_lists.categories,
        call.session,
        call.admin.now,
        categories=body.categories,
        day=body.day,
        begins=body.begins,
        ends=body.ends,
        reason=body.reason,
    )
    return await SentRequest.sent(call, sent)


async def withdraw_request(call: Call[Nothing, Nothing]) -> AccessRequest:
    """Take your own request back before it is decided."""
    return AccessRequest.of(call, await call.admin.requests.withdraw(call.session, call.id))


async def add_host(call: Call[Nothing, AddHost]) -> AccessRequest:
    """Add a host that the site's pages need."""
    request = await call.admin.request_views.get(call.session, call.id)
    return AccessRequest.of(call, await call.admin.needed_hosts.add(call.session, request, call.body.host))


async def _code_for(call: Call[Nothing, Ask] | Call[Nothing, Join], site: str) -> str:
    """Return the code by which a site is asked for. Raises as AskingAhead.ask_for does, NothingToAskError."""
    answered = await call.admin.asking_ahead.ask_for(call.session, site)
    if answered.code is None:
        until = ""
        if answered.until is not None:
            times = Times(call.admin.zone, call.admin.now())
            until = f" until {plain(times.until(answered.until))}"
        raise NothingToAskError(f"{answered.host} is open{until}")
    return answered.code
