"""Deciding: the inbox, one request on one screen, and what came of it.

Deciding is a POST by someone signed in; it ends on a page, so that a reload decides nothing again.
"""

from datetime import datetime

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin import roles
from admin.asked import Kind
from admin.asking import AccessRequest, InvalidRequestError, NotAllowedError, State
from admin.asking_terms import risks_of
from admin.deciders import deciders, may_stop, took_part
from admin.deciding_several import can_be_among_several
from admin.opening import may_open, opens_until
from admin.web.asking import offered
from admin.web.page import admin_of, go_to, has_duty, page, status_of
from admin.web.session_cookie import field, form_number, person_of, signed_in
from policy.access_duration import Duration
from policy.town_policy import AfterApproval

# What a head who does not allow can say with one touch; the asker reads it.
DENIAL_REASONS = ("Not needed for work", "Use another site")


async def inbox(http_request: Request) -> Response:
    """List what waits for this person: to decide, nearest deadline first, and to open."""
    return await inbox_page(http_request)


async def inbox_page(http_request: Request, error: InvalidRequestError | None = None) -> Response:
    """Return that list; with what is wrong with what was chosen of it."""
    admin = admin_of(http_request)
    session = signed_in(http_request)
    requests = await admin.request_views.to_decide(session)
    return await page(
        http_request,
        "decide_list.html",
        422 if error else 200,
        cards=_cards(requests),
        together={request.id for request in requests if can_be_among_several(request)},
        to_open=await admin.request_views.to_open(session),
        to_review=await admin.emergency_access.to_review(session),
        still_needed=await admin.request_views.still_needed(session),
        names_asked=await admin.names.to_answer(session),
        asks_for_accounts=bool(admin.accounts.proposes_for(session)),
        has_mail=admin.correspondence.reaches(session.person),
        error=error,
    )


async def decision_page(http_request: Request) -> Response:
    """Show what a decision needs.

    Raises NotAllowedError for a request of one's own or of no concern.
    """
    return await _decision(http_request, await _request_of(http_request))


async def decide(http_request: Request, form: FormData) -> Response:
    """Allow until a time, or do not allow with a reason."""
    admin = admin_of(http_request)
    session = signed_in(http_request)
    request_id = http_request.path_params["id"]
    try:
        if is_to_allow(form):
            await admin.requests.approve(
                session,
                request_id,
                seen_step=seen_step(form),
                seen_hosts=field(form, "hosts").split(),
                seen_joined=field(form, "joined").split(),
                expires_at=expiry(form),
            )
        else:
            await admin.requests.deny(session, request_id, denial(form), seen_step=seen_step(form))
    except InvalidRequestError as error:
        return await _decision(http_request, await _request_of(http_request), error)
    return go_to(f"/decide/{request_id}/done")


async def decided_page(http_request: Request) -> Response:
    """Say what is now so."""
    admin = admin_of(http_request)
    session = signed_in(http_request)
    request = await _request_of(http_request)
    is_open = request.state_at(admin.now()) is State.SUBMITTED
    if is_open and person_of(session) in deciders(admin.policy, request):
        return go_to(f"/decide/{request.id}")
    return await _decided(http_request, request)


async def open_access(http_request: Request, _form: FormData) -> Response:
    """Open what was approved and waits for IT."""
    request_id = http_request.path_params["id"]
    await admin_of(http_request).requests.open_access(signed_in(http_request), request_id)
    return go_to(f"/decide/{request_id}/done")


async def stop(http_request: Request, form: FormData) -> Response:
    """End access that was granted."""
    admin = admin_of(http_request)
    session = signed_in(http_request)
    request_id = http_request.path_params["id"]
    try:
        await admin.requests.stop(session, request_id, _required(form, "reason", "Enter why it ends"))
    except InvalidRequestError as error:
        return await _decided(http_request, await _request_of(http_request), error)
    return go_to(f"/decide/{request_id}/done")


async def _request_of(http_request: Request) -> AccessRequest:
    return await admin_of(http_request).request_views.get(
        signed_in(http_request), http_request.path_params["id"]
    )


async def _decided(
    http_request: Request, request: AccessRequest, error: InvalidRequestError | None = None
) -> Response:
    admin = admin_of(http_request)
    session = signed_in(http_request)
    person = person_of(session)
    return await page(
        http_request,
        "decided.html",
        422 if error else 200,
        request=request,
        state=request.state_at(admin.now()),
        status=status_of(http_request, request),
        has_answered=person in took_part(admin.policy, request),
        waiting=await admin.request_views.to_decide(session),
        opens_until=opens_until(request, admin.now()),
        can_open=may_open(admin.policy, request, person),
        is_risk=bool(risks_of(admin.policy, request)),
        can_stop=may_stop(admin.policy, request, person),
        stops="stop" in http_request.query_params,
        error=error,
    )


async def _decision(
    http_request: Request, request: AccessRequest, error: InvalidRequestError | None = None
) -> Response:
    admin = admin_of(http_request)
    session = signed_in(http_request)
    person = person_of(session)
    if request.state_at(admin.now()) is not State.SUBMITTED:
        return go_to(f"/decide/{request.id}/done")
    if person not in deciders(admin.policy, request):
        raise NotAllowedError(f"{request.number} does not wait for {person}")
    facts = await admin.request_views.decision_facts(request)
    waiting = [waiting.id for waiting in await admin.request_views.to_decide(session)]
    return await page(
        http_request,
        "decide.html",
        422 if error else 200,
        request=request,
        place=waiting.index(request.id) + 1 if request.id in waiting else 1,
        waiting=max(len(waiting), 1),
        facts=facts,
        needed=await admin.needed_hosts.suggested(session, request),
        accepts_risks=has_duty(http_request, roles.reviews),
        waits_for_it=admin.policy.after_approval is AfterApproval.WAIT_FOR_IT,
        later_steps=request.chain[request.step + 1 :],
        ends={
            duration: end
            for duration, end in offered(admin, request.kind, request.rule).items()
            if (duration is Duration.ONCE) is request.is_once
        },
        denial_reasons=DENIAL_REASONS,
        error=error,
    )


def _cards(requests: list[AccessRequest]) -> list[list[AccessRequest]]:
    """Return a card for each site, with all who ask for it, where the nearest of their deadlines is.

    Of downloads from it each limit, and each rule of file types, has one: an answer is about what it stops.
    """
    cards: dict[object, list[AccessRequest]] = {}
    for request in requests:
        stopped_by = request.rule if request.kind is Kind.DOWNLOAD else None
        site = request.kind, request.is_once, request.host, request.path, stopped_by
        cards.setdefault(site if request.asked is None else request.id, []).append(request)
    return list(cards.values())


def is_to_allow(form: FormData) -> bool:
    """Return whether the answer is to allow, or not to. Raises InvalidRequestError where it is neither."""
    match field(form, "answer"):
        case "allow":
            return True
        case "deny":
            return False
        case _:
            raise InvalidRequestError("other_reason", "Choose whether you allow it")


def expiry(form: FormData, name: str = "expires_at") -> datetime:
    """Return the very instant that was on the button. Raises InvalidRequestError."""
    try:
        expires_at = datetime.fromisoformat(field(form, name))
    except ValueError as error:
        raise InvalidRequestError("expires_at", "Choose until when it is open") from error
    if expires_at.tzinfo is None:
        raise InvalidRequestError("expires_at", "Choose until when it is open")
    return expires_at


def seen_step(form: FormData, name: str = "step") -> int | None:
    """Return the step that was on the page, None where none was. Raises InvalidRequestError for no number."""
    step = form_number(form, name)
    if step is None and field(form, name):
        raise InvalidRequestError("other_reason", "Look at it again: this form is not as it was shown")
    return step


def denial(form: FormData) -> str:
    """Return why it is not allowed. Raises InvalidRequestError."""
    chosen = field(form, "reason")
    if chosen in DENIAL_REASONS:
        return chosen
    return _required(form, "other_reason", "Choose a reason, or enter one. The asker reads it")


def _required(form: FormData, name: str, otherwise: str) -> str:
    text = field(form, name)
    if not text:
        raise InvalidRequestError(name, otherwise)
    return text
