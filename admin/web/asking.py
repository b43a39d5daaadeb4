"""Asking for access: the form behind a block page's link, and what becomes of a request."""

from datetime import datetime
from enum import StrEnum
from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin import exemption_use, joining
from admin.admin_process import AdminProcess
from admin.asked import Kind
from admin.asking import (
    MAX_REASON_LENGTH,
    WAITING,
    AccessRequest,
    AlreadyOpenError,
    Extent,
    ForWhom,
    InvalidRequestError,
    State,
    UnknownRequestError,
    site_of,
)
from admin.asking_terms import durations_of, never_allowed
from admin.deciders import deciders, may_end, may_renew, may_stop
from admin.opening import may_open, opens_until
from admin.submitting import tidy_reason
from admin.web.asking_form import answered_lately, may_see
from admin.web.page import admin_of, go_to, page, status_of
from admin.web.session_cookie import Cookies, field, known, person_of, session_of, signed_in
from admin.web.words import report_status
from policy import limit_words
from policy.access_duration import Duration
from policy.ask_token import AskToken
from policy.decision import Verdict
from policy.town_policy import AfterApproval, Policy

_CHOICES: dict[str, tuple[type[StrEnum], str]] = {
    "extent": (Extent, "Choose what you need"),
    "duration": (Duration, "Choose for how long you need it"),
    "for_whom": (ForWhom, "Choose for whom you ask"),
}
_FIELDS = ("reason", *_CHOICES)


async def follow(http_request: Request) -> Response:
    """Follow a block page's Ask link."""
    return await follow_to(http_request, "/ask")


async def follow_to(http_request: Request, place: str) -> Response:
    """Follow a block page's link: the token leaves the address before the form at `place` is shown."""
    admin = admin_of(http_request)
    token = http_request.query_params.get("token", "")
    opened, code = await admin.asks.follow(token, session_of(http_request))
    response = go_to(f"{place}/{quote(code)}")
    cookies: Cookies = http_request.app.state.cookies
    cookies.open(response, opened)
    return response


async def ask_page(http_request: Request) -> Response:
    """Show the form, empty."""
    ask = await _ask_of(http_request)
    return await _form(http_request, ask, _empty(admin_of(http_request).policy))


async def ask(http_request: Request, form: FormData) -> Response:
    """Send the form. A field that cannot be accepted brings it back, filled in as it was."""
    ask = await _ask_of(http_request)
    filled_in = {name: field(form, name) for name in _FIELDS}
    if not ask.path:
        filled_in["extent"] = Extent.SITE.value
    try:
        _check(filled_in)
        sent = await admin_of(http_request).requests.submit(
            known(http_request),
            ask.code,
            filled_in["reason"],
            Duration(filled_in["duration"]),
            ForWhom(filled_in["for_whom"]),
            Extent(filled_in["extent"]),
        )
    except InvalidRequestError as error:
        return await _form(http_request, ask, filled_in, error)
    except AlreadyOpenError as error:
        return await _asked_already(http_request, error.request)
    return go_to(f"/requests/{sent.id}/sent")


async def join(http_request: Request, _form: FormData) -> Response:
    """Join the open request of a colleague."""
    ask = await _ask_of(http_request)
    try:
        joined = await admin_of(http_request).requests.join(known(http_request), ask.code)
    except AlreadyOpenError as error:
        return await _asked_already(http_request, error.request)
    return go_to(f"/requests/{joined.id}/sent")


async def sent_page(http_request: Request) -> Response:
    """Say what happens next."""
    admin = admin_of(http_request)
    request = await _request_of(http_request)
    return await page(
        http_request,
        "sent.html",
        request=request,
        has_mail=admin.correspondence.reaches(request.person),
        waits_for_it=admin.policy.after_approval is AfterApproval.WAIT_FOR_IT,
    )


async def requests_page(http_request: Request) -> Response:
    """List a person's requests."""
    session = known(http_request)
    admin = admin_of(http_request)
    rows = [
        (request, status_of(http_request, request)) for request in await admin.request_views.mine(session)
    ]
    reports = [(report, report_status(report)) for report in await admin.reports.mine(session)]
    return await page(
        http_request,
        "requests.html",
        rows=rows,
        reports=reports,
        asks_standing=bool(admin.standing_permissions.departments_of(session)),
        opens_at_once=session.is_signed_in and admin.emergency_access.is_named(session.person),
        left=await admin.quota_use.left(session),
    )


async def ahead_page(http_request: Request) -> Response:
    """Ask which site somebody needs, before a visit to it was stopped."""
    signed_in(http_request)
    return await page(http_request, "ask_ahead.html", answered=None, typed="", error=None)


async def ask_ahead(http_request: Request, form: FormData) -> Response:
    """Lead to the form for a site, or say that it is open."""
    typed = field(form, "site")
    try:
        answered = await admin_of(http_request).asking_ahead.ask_for(signed_in(http_request), typed)
    except InvalidRequestError as error:
        return await page(http_request, "ask_ahead.html", 422, answered=None, typed=typed, error=error)
    if answered.code is not None and not answered.is_open:
        return go_to(f"/ask/{quote(answered.code)}")
    return await page(http_request, "ask_ahead.html", answered=answered, typed="", error=None)


async def request_page(http_request: Request) -> Response:
    """Show one request: its state, its time line, what can be done."""
    return await _shown(http_request, await _request_of(http_request))


async def add_host(http_request: Request, form: FormData) -> Response:
    """Add what the site's pages need, and go back to where it was added."""
    session, request = known(http_request), await _request_of(http_request)
    try:
        await admin_of(http_request).needed_hosts.add(session, request, field(form, "host"))
    except InvalidRequestError as error:
        return await _shown(http_request, request, error)
    is_deciding = field(form, "from") == "decide"
    return go_to(f"/decide/{request.id}" if is_deciding else f"/requests/{request.id}")


async def _shown(
    http_request: Request, request: AccessRequest, error: InvalidRequestError | None = None
) -> Response:
    admin = admin_of(http_request)
    session = known(http_request)
    state = request.state_at(admin.now())
    is_asker = session.person in request.askers
    is_own = session.is_signed_in and may_end(admin.policy, request, person_of(session))
    can_stop = (
        session.is_signed_in
        and not (is_asker and is_own)
        and may_stop(admin.policy, request, person_of(session))
    )
    can_renew = session.is_signed_in and may_renew(admin.policy, request, person_of(session))
    return await page(
        http_request,
        "request.html",
        422 if error else 200,
        request=request,
        state=state,
        status=status_of(http_request, request),
        never=bool(never_allowed(admin.policy, request.paused_for)),
        moves=await admin.request_views.time_line(request),
        needed=await admin.needed_hosts.suggested(session, request),
        error=error,
        is_asker=is_asker,
        can_decide=session.is_signed_in
        and state is State.SUBMITTED
        and session.person in deciders(admin.policy, request),
        has_mail=admin.correspondence.reaches(request.person),
        can_open=session.is_signed_in
        and opens_until(request, admin.now()) is not None
        and may_open(admin.policy, request, person_of(session)),
        can_stop=can_stop,
        can_renew=can_renew,
        can_end=is_own and not can_stop,
        use=await exemption_use.of(admin.db, admin.db.visits, request.id, admin.now())
        if can_stop or can_renew or is_asker
        else None,
        review=await admin.emergency_access.review_of(request.id),
        can_withdraw=session.person in (request.person, request.proposed_by) and state in WAITING,
    )


async def withdraw(http_request: Request, _form: FormData) -> Response:
    """Take a request back; what goes on for who joined is the asker's to see no more."""
    request_id = http_request.path_params["id"]
    request = await admin_of(http_request).requests.withdraw(known(http_request), request_id)
    return go_to(f"/requests/{request_id}" if request.state is State.WITHDRAWN else "/requests")


async def end(http_request: Request, _form: FormData) -> Response:
    """End one's own access."""
    request_id = http_request.path_params["id"]
    await admin_of(http_request).requests.end(signed_in(http_request), request_id)
    return go_to(f"/requests/{request_id}")


def offered(admin: AdminProcess, kind: Kind, rule: str | None) -> dict[Duration, datetime]:
    """Return the durations that the policy offers, the shortest first, with when each would end."""
    now, zone, policy = admin.now(), admin.zone, admin.policy
    latest = policy.asking.longest.end(now, zone)
    return {each: min(each.end(now, zone), latest) for each in durations_of(policy, kind, rule)}


def _empty(policy: Policy) -> dict[str, str]:
    usual = policy.asking.usual
    return {
        "reason": "",
        "duration": usual.value if usual else "",
        "for_whom": ForWhom.PERSON.value,
        "extent": Extent.PAGE.value,
    }


async def _ask_of(http_request: Request) -> AskToken:
    """Return what the followed link said.

    Raises UnknownRequestError when this browser did not follow it.
    """
    session = known(http_request)
    person_of(session)
    ask = await admin_of(http_request).asks.followed(session, http_request.path_params["code"])
    if ask is None:
        raise UnknownRequestError("this browser has not opened that Ask link")
    return ask


async def _form(
    http_request: Request, ask: AskToken, filled_in: dict[str, str], error: InvalidRequestError | None = None
) -> Response:
    admin = admin_of(http_request)
    person = person_of(known(http_request))
    record = admin.policy.people.get(person)
    department = record.department if record else None
    rule = next((rule for rule in admin.policy.rules if rule.id == ask.rule), None)
    limit = next((limit for limit in admin.policy.limits if limit.id == ask.rule), None)
    kind = admin.requests.kind_of(ask)
    try:
        site_of(ask.host)
    except InvalidRequestError:
        return await page(http_request, "ask_for_no_site.html", 422 if error else 200, ask=ask)
    own = await admin.requests.own_open(person, ask)
    all_ends = offered(admin, kind, ask.rule)
    ends = {each: end for each, end in all_ends.items() if own is None or not own.is_enough_for(each)}
    others = await admin.requests.to_join(person, ask)
    if others is not None and (person in others.askers or (own is not None and others.is_once)):
        others = None
    return await page(
        http_request,
        "ask.html",
        422 if error else 200,
        ask=ask,
        person=person,
        department=department,
        because=rule.because if rule else limit.because if limit else None,
        stops=limit_words.stopped_by(ask.rule, admin.policy) if kind is Kind.DOWNLOAD else "",
        is_for_reading=rule is not None and rule.action is Verdict.VIEW_ONLY,
        ends=ends,
        can_be_one=Duration.ONCE in all_ends,
        longest=[*all_ends][-1],
        never=bool(never_allowed(admin.policy, (*ask.risks, ask.category or ""))),
        max_reason_length=MAX_REASON_LENGTH,
        own=own,
        sees_own=own is not None and await may_see(http_request, own),
        own_status=status_of(http_request, own) if own else None,
        others=others,
        opens_at_once=admin.emergency_access.is_named(person) and not ask.risks,
        can_join=others is not None and joining.can_join(admin.policy, others, person, admin.now()),
        filled_in=filled_in,
        error=error,
        **await answered_lately(http_request, kind, ask.host, ask.path),
    )


async def _asked_already(http_request: Request, request: AccessRequest) -> Response:
    """Lead to the request that is open, or say how to see it where it was sent from another session."""
    if not await may_see(http_request, request):
        status = status_of(http_request, request)
        return await page(http_request, "asked_already.html", 409, request=request, status=status)
    return go_to(f"/requests/{request.id}")


async def _request_of(http_request: Request) -> AccessRequest:
    return await admin_of(http_request).request_views.get(known(http_request), http_request.path_params["id"])


def _check(filled_in: dict[str, str]) -> None:
    """Raise InvalidRequestError for all that is missing or wrong, in the order of the form."""
    wrong = []
    try:
        tidy_reason(filled_in["reason"])
    except InvalidRequestError as error:
        wrong.append(error)
    for name, (kind, otherwise) in _CHOICES.items():
        if filled_in[name] not in kind:
            wrong.append(InvalidRequestError(name, otherwise))
    if wrong:
        raise InvalidRequestError(wrong[0].field, str(wrong[0]), wrong[1:])
