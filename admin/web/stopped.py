"""Did something not open? What was stopped here lately, why, and what can be done about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from admin.asked import Kind
from admin.asking import AccessRequest, State
from admin.asking_terms import stops_downloads
from admin.limit_lifts import may_go_on
from admin.visits import VisitRow
from admin.web.client_address import seen_address
from admin.web.page import admin_of, go_to, page, status_of
from admin.web.session_cookie import known, session_of
from admin.web.words import Status, stopped_file, visit_status
from policy.decision import Cause
from policy.limiting import hours_end_at
from policy.rule_matching import asking_roles
from policy.state import Exemption
from policy.town_policy import Approver, Limit, LimitAction, Policy


@dataclass(frozen=True, slots=True)
class _Stopped:
    """The last of `count` visits that were stopped alike.

    `request` asks for it already, as `standing`. `ask` is what the button to ask says, empty where nobody can
    be asked, or for no more. `is_for_category`: it was stopped for what the site is listed as.
    `limit_ends_at` (aware): the limit that stopped it ends by the clock.
    """

    row: VisitRow
    count: int
    status: Status
    request: AccessRequest | None
    standing: Status | None
    ask: str
    can_go_on: bool
    is_for_category: bool
    limit_ends_at: datetime | None

    @property
    def can_be_accident(self) -> bool:
        """Whether somebody may have come there without meaning to, which is not reported yet."""
        return self.is_for_category and self.status.kind == "no" and not self.row.is_reported


async def stopped_page(http_request: Request) -> Response:
    """List what was stopped for this person or device lately, each with a way to ask.

    At a one-person computer it is shown without signing in, too, and nothing else of the person's.
    """
    admin, session = admin_of(http_request), session_of(http_request)
    if session is None or not (session.is_signed_in or session.is_at_the_device_at(admin.now())):
        address = seen_address(http_request)
        found = await admin.visit_views.stopped_at(address) if address is not None else None
        if found is not None:
            rows = [_stopped(http_request, found=found) for found in _last_of_each(found, admin.policy)]
            return await page(http_request, "stopped.html", rows=rows, lifted=(), can_act=False)
    session = known(http_request)
    found = await admin.visit_views.stopped_here(session)
    requests = await admin.request_views.standing(session)
    lifted = await admin.limit_lifts.of(session)
    rows = [_stopped(http_request, requests, lifted, found=one) for one in _last_of_each(found, admin.policy)]
    return await page(http_request, "stopped.html", rows=rows, lifted=lifted, can_act=True)


def _stopped(
    http_request: Request,
    requests: Iterable[AccessRequest] = (),
    lifted: Iterable[Exemption] = (),
    *,
    found: tuple[VisitRow, int],
) -> _Stopped:
    admin, (row, count) = admin_of(http_request), found
    policy = admin.policy
    # Of one download and all of them, what is more.
    in_turn = sorted(requests, key=lambda request: request.is_once)
    request = next((request for request in in_turn if _is_about(request, row, policy)), None)
    limit = (
        next((limit for limit in policy.limits if limit.id == row.rule), None) if _is_of_limit(row) else None
    )
    can_be_asked = bool(approval := asking_roles(row.cause, row.rule, policy, {row.category or ""}))
    if request is not None:
        ask = "Ask for all downloads" if can_be_asked and request.is_once else ""
    else:
        ask = _ask(approval, limit, is_download=_is_download(row, policy)) if can_be_asked else ""
    is_open = request is not None and request.state is State.APPROVED
    return _Stopped(
        row,
        count,
        visit_status(row, policy),
        request,
        status_of(http_request, request) if request else None,
        ask,
        may_go_on(row, policy)
        and not is_open
        and (row.host, row.rule) not in {(one.host, one.passed_limit) for one in lifted},
        _is_for_category(row, limit, policy),
        hours_end_at(limit, policy, admin.now()) if limit is not None and limit.quota is None else None,
    )


def _ask(approval: tuple[str, ...], limit: Limit | None, *, is_download: bool) -> str:
    """Return what the button says, as that of a block page."""
    if not is_download:
        return "Ask"
    if limit is not None and limit.quota is not None:
        return "Ask to use it now"
    return "Ask IT" if approval == (Approver.IT_SECURITY.value,) else "Ask for this download"


def _is_for_category(row: VisitRow, limit: Limit | None, policy: Policy) -> bool:
    """Whether it was stopped for what the site is listed as: then that may be wrong."""
    if not row.category:
        return False
    match row.cause:
        case Cause.RULE:
            rule = next((rule for rule in policy.rules if rule.id == row.rule), None)
            return rule is None or bool(rule.categories)
        case Cause.LIMIT:
            return limit is not None and bool(limit.categories)
        case _:
            return row.cause in (Cause.SECURITY_RISK, Cause.DEFAULT, Cause.EXEMPTION)


def _is_of_limit(row: VisitRow) -> bool:
    return row.cause is Cause.LIMIT


def _is_about(request: AccessRequest, row: VisitRow, policy: Policy) -> bool:
    """Whether the request asks for what was stopped: access opens no download that is.

    What was asked about a limit, or another rule, answers for no rule of file types; one download for no
    quota and nothing that warns, and while it waits only for what stopped that. Which page was visited no
    record says: of a request for one it is the visit from which that was sent.
    """
    if request.path and request.code != row.code:
        return False
    if not request.covers(row.host) or (request.kind is Kind.DOWNLOAD) is not _is_download(row, policy):
        return False
    if request.is_once and any(
        limit.id == row.rule and (limit.quota is not None or limit.action is LimitAction.WARN)
        for limit in policy.limits
    ):
        return False
    is_by_any = not stops_downloads(policy, row.rule) and (
        not request.is_once or request.state is State.APPROVED
    )
    return is_by_any or request.rule == row.rule


def _is_download(row: VisitRow, policy: Policy) -> bool:
    return _is_of_limit(row) or stops_downloads(policy, row.rule)


def _last_of_each(rows: Iterable[VisitRow], policy: Policy) -> list[tuple[VisitRow, int]]:
    """Return of the visits that were stopped alike the last, and how many: a browser tries again by itself.

    What was refused tells them apart where the page says it: the size of a download, or its kind. Whether a
    block page was shown, or the program took none, does not. Those that a used-up quota stops at a host are
    alike, whether a tunnel was closed or a page was shown.
    """
    quotas = {limit.id for limit in policy.limits if limit.quota is not None}
    alike: dict[tuple[str | None, ...], list[VisitRow]] = {}
    for row in rows:
        is_of_quota = _is_of_limit(row) and row.rule in quotas
        refused = row.refusal if _is_of_limit(row) or stopped_file(row) else None
        differs = () if is_of_quota else (row.category, refused)
        alike.setdefault((row.host, row.cause, row.rule, *differs), []).append(row)
    return [(max(of_one, key=lambda row: row.ended_at), len(of_one)) for of_one in alike.values()]


async def download_stopped(http_request: Request, _form: FormData) -> Response:
    """Go on past the limit that ended one of them, as the page before a download would have let."""
    await admin_of(http_request).limit_lifts.go_on(known(http_request), http_request.path_params["id"])
    return go_to("/stopped")


async def ask_about_stopped(http_request: Request, _form: FormData) -> Response:
    """Ask for one of them, as its block page would have let."""
    return await _follow_stopped(http_request, "/ask")


async def stopped_wrongly(http_request: Request, _form: FormData) -> Response:
    """Say that one of them is listed wrongly, as its block page would have let."""
    return await _follow_stopped(http_request, "/wrong-category")


async def stopped_by_accident(http_request: Request, _form: FormData) -> Response:
    """Say that one of them was an accident, as its block page would have let."""
    return await _follow_stopped(http_request, "/accident")


async def _follow_stopped(http_request: Request, place: str) -> Response:
    code = await admin_of(http_request).requests.ask_about(
        known(http_request), http_request.path_params["id"]
    )
    return go_to(f"{place}/{quote(code)}")
