"""Deciding several requests with one answer: a page that lists each and asks again, then what came of each.

The answer's page is what its form is answered with: sent again it decides nothing again, since each request
is answered at the step that was shown.
"""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin.asking import InvalidRequestError
from admin.deciding_several import Outcome, Seen
from admin.web.deciding import DENIAL_REASONS, denial, expiry, inbox_page, is_to_allow, seen_step
from admin.web.page import admin_of, page, status_of
from admin.web.request_words import said_why_not
from admin.web.session_cookie import field, signed_in
from admin.web.words import Times


async def chosen_page(http_request: Request) -> Response:
    """List what was chosen, each with what its decision needs, and ask again; nothing is decided."""
    query = http_request.query_params
    # A card of one site asked for by several names all of them.
    ids = [int(text) for text in " ".join(query.getlist("request")).split() if _is_number(text)]
    return await _chosen(http_request, ids, query.get("answer") == "allow")


async def decide(http_request: Request, form: FormData) -> Response:
    """Answer each as it was shown, and say what came of each."""
    admin = admin_of(http_request)
    session = signed_in(http_request)
    to_allow = False
    ids = [int(text) for text in map(str, form.getlist("request")) if _is_number(text)]
    try:
        to_allow = is_to_allow(form)
        if to_allow:
            outcomes = await admin.several_decisions.allow(session, [_seen(form, id_) for id_ in ids])
        else:
            reason = denial(form)
            seen = [Seen(id_, seen_step(form, f"step-{id_}")) for id_ in ids]
            outcomes = await admin.several_decisions.deny(session, seen, reason)
    except InvalidRequestError as error:
        return await _chosen(http_request, ids, to_allow, error)
    return await page(
        http_request,
        "decided_several.html",
        outcomes=[
            (
                outcome,
                status_of(http_request, outcome.request) if outcome.request else None,
                _why_not(http_request, outcome),
            )
            for outcome in outcomes
        ],
        waiting=await admin.request_views.to_decide(session),
    )


async def _chosen(
    http_request: Request, ids: list[int], to_allow: bool, error: InvalidRequestError | None = None
) -> Response:
    admin = admin_of(http_request)
    try:
        looked_at = await admin.several_decisions.look(signed_in(http_request), ids)
    except InvalidRequestError as wrong:
        return await inbox_page(http_request, wrong)
    return await page(
        http_request,
        "decide_several.html",
        422 if error else 200,
        to_allow=to_allow,
        chosen=[
            await admin.request_views.decision_facts(outcome.request)
            for outcome in looked_at
            if outcome.request is not None and outcome.why_not is None
        ],
        left_out=[
            (outcome, _why_not(http_request, outcome)) for outcome in looked_at if outcome.why_not is not None
        ],
        denial_reasons=DENIAL_REASONS,
        error=error,
    )


def _why_not(http_request: Request, outcome: Outcome) -> str:
    if outcome.why_not is None:
        return ""
    admin = admin_of(http_request)
    times = Times(admin.zone, admin.now())
    return said_why_not(outcome, admin.policy, signed_in(http_request), times)


def _seen(form: FormData, id_: int) -> Seen:
    """Return what the page that asked again has shown of a request."""
    return Seen(
        id_,
        seen_step(form, f"step-{id_}"),
        hosts=field(form, f"hosts-{id_}").split(),
        joined=field(form, f"joined-{id_}").split(),
        expires_at=expiry(form, f"expires_at-{id_}"),
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10
