"""Makes a page from a template, inside the frame that every page shares."""

import logging
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from admin import roles, stored_requests
from admin.admin_process import AdminProcess
from admin.asked import Kind
from admin.asking import AccessRequest, ForWhom, State, UnknownRequestError
from admin.database import DatabaseError
from admin.request_time_line import Turn
from admin.roles import Permission
from admin.site_reports import Answer, OwnReportError, ReportKind
from admin.templates import environment
from admin.web import words
from admin.web.long_questions import LongQuestions
from admin.web.people import People
from admin.web.request_words import said_earlier, standing
from admin.web.session_cookie import CSRF_FIELD, Cookies, csrf_token, session_of
from admin.web.words import Status, Times
from categories.taxonomy import taxonomy
from policy import amounts, limit_words
from policy.access_duration import Duration
from policy.decision import Verdict
from policy.town_policy import Approver

logger = logging.getLogger(__name__)

STATIC_FOLDER = Path(__file__).parents[1] / "static"
_USWDS = "/static/vendor/uswds-3.14.0"
_HTMX = "/static/vendor/htmx.org-2.0.11"

_ENVIRONMENT = environment("admin.web", autoescape=True)
_ENVIRONMENT.globals.update(
    uswds=_USWDS,
    htmx=_HTMX,
    words=words,
    limit_words=limit_words,
    amounts=amounts,
    said_earlier=said_earlier,
    csrf_field=CSRF_FIELD,
    State=State,
    ForWhom=ForWhom,
    Duration=Duration,
    Verdict=Verdict,
    Approver=Approver,
    Turn=Turn,
    Kind=Kind,
    ReportKind=ReportKind,
    Answer=Answer,
)
_ENVIRONMENT.filters["host"] = words.host
_ENVIRONMENT.filters["subject"] = words.subject
_ENVIRONMENT.filters["as_title"] = words.title


@dataclass(frozen=True, slots=True)
class Link:
    """A place of the navigation. `prefix` is what the addresses of its pages begin with."""

    href: str
    label: str

    def is_current(self, path: str) -> bool:
        """Whether the page at `path` is this place or below it."""
        return path == self.href or path.startswith(f"{self.href}/")


def admin_of(http_request: Request) -> AdminProcess:
    """Return the running admin."""
    admin: AdminProcess = http_request.app.state.admin
    return admin


def questions_of(http_request: Request) -> LongQuestions:
    """Return what asks the visit log long questions."""
    questions: LongQuestions = http_request.app.state.questions
    return questions


async def page(http_request: Request, template: str, status: int = 200, /, **values: object) -> HTMLResponse:
    """Return a page: the template with `values` and what every page needs."""
    admin = admin_of(http_request)
    session = session_of(http_request)
    policy = admin.policy
    html = _ENVIRONMENT.get_template(template).render(
        values,
        path=http_request.url.path,
        sign_in_path=sign_in_path(http_request),
        town=policy.town,
        policy=policy,
        taxonomy=taxonomy(),
        people=People(policy),
        times=Times(admin.zone, admin.now()),
        session=session,
        csrf_token=csrf_token(http_request),
        links=await _links(http_request),
        lockdowns=admin.emergency.lockdowns,
        filter_off=admin.emergency.filter_off,
        duty_links=await _duty_links(http_request),
    )
    response = HTMLResponse(html, status)
    cookies: Cookies = http_request.app.state.cookies
    visitor: str = http_request.state.visitor
    if session is None and http_request.cookies.get(cookies.visitor) != visitor:
        cookies.set(response, cookies.visitor, visitor)
    return response


def go_to(path: str) -> RedirectResponse:
    """Return what sends a browser to another page after a POST."""
    return RedirectResponse(path, status_code=303)


def is_poll(http_request: Request) -> bool:
    """Whether a page's script asks for a part of it."""
    return "HX-Request" in http_request.headers


def lead_to(http_request: Request, path: str) -> Response:
    """Return what sends a browser to another page instead of the one that it asked for."""
    if is_poll(http_request):
        # htmx would put the other page, or nothing, in the place of the part.
        return Response(status_code=204, headers={"HX-Redirect": path})
    return go_to(path)


def sign_in_path(http_request: Request) -> str:
    """Return where to sign in, and come back to this page where it is one to come to."""
    url = http_request.url
    if http_request.method != "GET" or url.path.startswith(("/sign-in", "/password/")):
        return "/sign-in"
    wanted = f"{url.path}?{url.query}" if url.query else url.path
    return f"/sign-in?next={quote(wanted)}"


def has_duty(http_request: Request, may: Permission) -> bool:
    """Whether the person who signed in may see what needs this permission (`admin.roles`)."""
    session = session_of(http_request)
    if session is None or session.person is None or not session.is_signed_in:
        return False
    return may(admin_of(http_request).policy, session.person)


def status_of(http_request: Request, request: AccessRequest) -> Status:
    """Return where a request stands, for the person who looks."""
    admin = admin_of(http_request)
    times = Times(admin.zone, admin.now())
    return standing(request, admin.policy, session_of(http_request), times)


async def whose_answer(http_request: Request, error: Exception) -> tuple[bool, str]:
    """Say of what somebody may not do whether it is their own, and whose answer it waits for.

    That is within a sentence, empty for none: of a report that they sent, or of the request that the address
    is about, which they asked for, joined or proposed.
    """
    if isinstance(error, OwnReportError):
        return True, "another of IT"
    id_, path = http_request.path_params.get("id"), http_request.url.path
    if not isinstance(id_, int) or not ("/requests/" in path or path.startswith("/decide/")):
        return False, ""
    admin, session = admin_of(http_request), session_of(http_request)
    person = session.person if session else None
    try:
        request = await stored_requests.get(admin.db, id_)
    except UnknownRequestError:
        return False, ""
    return person in request.own, People(admin.policy).awaited(request, person)


async def _links(http_request: Request) -> list[Link]:
    session = session_of(http_request)
    links = []
    if session is not None and session.person is not None and session.is_signed_in:
        admin = admin_of(http_request)
        views = admin.request_views
        waiting = len(await views.to_decide(session)) + len(await views.to_open(session))
        waiting += len(await views.still_needed(session))
        waiting += len(await admin.emergency_access.to_review(session))
        waiting += len(await admin.names.to_answer(session))
        if waiting or session.person in _deciders(admin):
            links.append(Link("/decide", f"To decide ({waiting})" if waiting else "To decide"))
        if admin.delegations.departments_of(session):
            links.append(Link("/delegation", "Delegation"))
        if has_duty(http_request, roles.has_weekly_report):
            links.append(Link("/weekly", "Weekly report"))
        if has_duty(http_request, roles.sees_exemptions) and not has_duty(
            http_request, roles.sees_all_requests
        ):
            links.append(Link("/exemptions", "Exemptions"))
    if session is not None:
        links.append(Link("/requests", "My requests"))
    links += [Link("/stopped", "Did something not open?"), Link("/policy", "Policy")]
    return links


async def _duty_links(http_request: Request) -> list[Link]:
    links = []
    if has_duty(http_request, roles.reviews):
        waiting = await _waiting(admin_of(http_request))
        links.append(Link("/review", f"To review ({waiting})" if waiting else "To review"))
    if has_duty(http_request, roles.sees_visits):
        links += [Link("/today", "Today"), Link("/visits", "Visits"), Link("/heavy", "Heavy now")]
        links.append(Link("/categories", "Categories"))
    if has_duty(http_request, roles.reviews):
        links.append(Link("/corrections", "Corrections"))
    if has_duty(http_request, roles.sees_all_requests):
        links.append(Link("/exemptions", "Exemptions"))
    if has_duty(http_request, roles.sees_social_media):
        links.append(Link("/social-media", "Social media"))
    if has_duty(http_request, roles.closes_people):
        links.append(Link("/people", "People"))
    if has_duty(http_request, roles.sees_records):
        links.append(Link("/records", "Records"))
    if has_duty(http_request, roles.acts_in_emergencies):
        links.append(Link("/emergency", "Emergency"))
    if has_duty(http_request, roles.runs_towngate):
        links.append(Link("/settings", "Settings"))
    return links


async def _waiting(admin: AdminProcess) -> int:
    """Return how much there is to review; 0 when it cannot be read, which is no reason to show no page."""
    try:
        return await admin.review.waiting()
    except (sqlite3.DatabaseError, DatabaseError) as error:
        logger.error("not known what there is to review: error=%s", error)
        return 0


def _deciders(admin: AdminProcess) -> set[str]:
    policy = admin.policy
    heads = {person for d in policy.departments.values() for person in (d.head, *d.delegates)}
    return heads.union(*(policy.roles.get(role.value, ()) for role in Approver))
