"""The admin site as an ASGI application."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from admin.admin_process import AdminProcess
from admin.api.application import create_api
from admin.call_limit import CallLimit
from admin.measures import MeasureKind
from admin.town_account import RETURN_PATH
from admin.web import (
    about,
    accounts,
    api,
    asking,
    asking_for_visitor,
    categories,
    corrections,
    deciding,
    deciding_several,
    delegation,
    device,
    emergency,
    emergency_access,
    exemptions,
    exporting,
    heavy,
    inspection,
    names,
    notice,
    personal_use,
    records,
    reminding,
    reporting,
    resetting,
    review,
    settings,
    signing_in,
    social_media,
    standing_permission,
    stopped,
    today,
    tokens,
    town_account,
    town_people,
    visit_log,
    weekly,
)
from admin.web.errors import EXCEPTION_HANDLERS, database_trouble
from admin.web.long_questions import LongQuestions
from admin.web.page import STATIC_FOLDER, admin_of
from admin.web.session_cookie import API, Cookies, FormView, SessionMiddleware, with_form

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'",
    # With "no-referrer" browsers send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class _NumberConvertor(IntegerConvertor):
    """A number that the database can hold; any other is the address of nothing."""

    # Numbers of visits have 16 digits and more: their month, and the place in its file.
    regex = "[0-9]{1,18}"


register_url_convertor("number", _NumberConvertor())

_EMERGENCY_FORMS = {
    "lockdown": MeasureKind.LOCKDOWN,
    "device": MeasureKind.DEVICE_OFF,
    "filter": MeasureKind.FILTER_OFF,
}


def create_application(admin: AdminProcess, admin_url: str) -> ASGIApp:
    """Return the site for a running admin.

    `admin_url` ("https://host:port") is the one origin under which it is opened and its forms are
    accepted; with https its cookies are Secure.
    """
    cookies, questions = Cookies(admin_url), LongQuestions()
    application = Starlette(
        routes=[Mount(API, create_api(admin, questions)), *_routes()],
        middleware=[
            Middleware(SessionMiddleware, admin=admin, cookies=cookies, trouble=database_trouble),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
    )
    application.state.admin = admin
    application.state.cookies = cookies
    application.state.forms = CallLimit()
    application.state.questions = questions
    # Around Starlette as a whole: its own answer to an exception passes by every middleware.
    return _HeadersMiddleware(application)


def _routes() -> list[BaseRoute]:
    return [
        _get("/", signing_in.start),
        _get("/sign-in", signing_in.sign_in_page),
        _post("/sign-in", signing_in.sign_in),
        _get("/sign-in/town-account", town_account.begin),
        _get(RETURN_PATH, town_account.done),
        _post("/sign-out", signing_in.sign_out),
        _get("/password/forgot", resetting.forgot_page),
        _post("/password/forgot", resetting.forgot),
        _get("/password/sent", resetting.sent_page),
        _get("/password/new", resetting.new_page),
        _post("/password/new", resetting.new),
        _get("/ask", asking.follow),
        _get("/ask/{code}", asking.ask_page),
        _post("/ask/{code}", asking.ask),
        _post("/ask/{code}/join", asking.join),
        _get("/requests", asking.requests_page),
        _get("/requests/new", asking.ahead_page),
        _post("/requests/new", asking.ask_ahead),
        _get("/requests/personal-use", personal_use.form_page),
        _post("/requests/personal-use", personal_use.ask),
        _get("/requests/device", device.form_page),
        _post("/requests/device", device.ask),
        _get("/requests/standing", standing_permission.form_page),
        _post("/requests/standing", standing_permission.ask),
        _get("/requests/emergency", emergency_access.form_page),
        _post("/requests/emergency", emergency_access.open_site),
        _get("/decide/{id:number}/review", emergency_access.review_page),
        _post("/decide/{id:number}/review", emergency_access.review),
        _get("/requests/{id:number}/terms", social_media.terms_page),
        _post("/requests/{id:number}/terms", social_media.sign),
        _get("/accounts/ask", accounts.ask_page),
        _post("/accounts/ask", accounts.ask),
        _get("/social-media", social_media.register_page),
        _get("/social-media.csv", social_media.register_csv),
        _get("/social-media/propose", social_media.propose_page),
        _post("/social-media/propose", social_media.propose),
        _get("/requests/{id:number}", asking.request_page),
        _get("/requests/{id:number}/sent", asking.sent_page),
        _post("/requests/{id:number}/withdraw", asking.withdraw),
        _post("/requests/{id:number}/hosts", asking.add_host),
        _post("/requests/{id:number}/renew", exemptions.renew),
        _post("/requests/{id:number}/end", asking.end),
        _post("/requests/{id:number}/keep", exemptions.keep),
        _get("/decide", deciding.inbox),
        _get("/decide/several", deciding_several.chosen_page),
        _post("/decide/several", deciding_several.decide),
        _get("/decide/{id:number}", deciding.decision_page),
        _post("/decide/{id:number}", deciding.decide),
        _get("/decide/{id:number}/done", deciding.decided_page),
        _post("/decide/{id:number}/open", deciding.open_access),
        _post("/decide/{id:number}/stop", deciding.stop),
        _get("/delegation", delegation.delegation_page),
        _post("/delegation", delegation.name),
        _post("/delegation/{id:number}/end", delegation.end),
        _get("/exemptions", exemptions.exemptions_page),
        _get("/visits", visit_log.visits_page),
        _get("/visits/after/{id:number}", visit_log.arrived_after),
        _get("/visits/export", exporting.export_visits),
        _get("/visits/own", visit_log.own_page),
        _get("/visits/names", names.names_page),
        _post("/visits/names", names.show_names),
        _get("/visits/names/{id:number}", names.request_page),
        _post("/visits/names/{id:number}", names.answer),
        _get("/visits/{id:number}/why", visit_log.why_page),
        _get("/visits/{id:number}/ask", asking_for_visitor.form_page),
        _post("/visits/{id:number}/ask", asking_for_visitor.ask),
        _get("/today", today.today_page),
        _get("/heavy", heavy.heavy_page),
        _get("/heavy/draft", heavy.draft_page),
        _post("/heavy/end", heavy.end),
        _get("/weekly", weekly.weekly_page),
        _get("/categories", categories.categories_page),
        _get("/emergency", emergency.emergency_page),
        *(
            route
            for name, kind in _EMERGENCY_FORMS.items()
            for route in (
                _get(f"/emergency/{name}", emergency.form_page(kind)),
                _post(f"/emergency/{name}", emergency.begin(kind)),
            )
        ),
        _get("/emergency/{id:number}", emergency.measure_page),
        _post("/emergency/{id:number}/news", emergency.give_news),
        _post("/emergency/{id:number}/end", emergency.end),
        _get("/policy", about.policy_page),
        _get("/stopped", stopped.stopped_page),
        _post("/stopped/{id:number}/download", stopped.download_stopped),
        _post("/stopped/{id:number}/ask", stopped.ask_about_stopped),
        _post("/stopped/{id:number}/wrong-category", stopped.stopped_wrongly),
        _post("/stopped/{id:number}/accident", stopped.stopped_by_accident),
        _get("/remind", reminding.follow),
        _get("/remind/{code}", reminding.reminder_page),
        _post("/remind/{code}", reminding.ask),
        _get("/wrong-category", reporting.follow_wrong_category),
        _get("/wrong-category/{code}", reporting.wrong_category_page),
        _post("/wrong-category/{code}", reporting.wrong_category),
        _get("/accident", reporting.follow_accident),
        _get("/accident/{code}", reporting.accident_page),
        _post("/accident/{code}", reporting.accident),
        _get("/reports/{id:number}", reporting.report_page),
        _post("/requests/{id:number}/wrong-category", reporting.report_request),
        _get("/review", review.board),
        _post("/review/reports/{id:number}", review.answer),
        _post("/review/requests/{id:number}/leave-open", review.leave_open),
        _post("/review/requests/{id:number}/stop", review.stop),
        _post("/review/never-inspect", inspection.never_inspect),
        _post("/review/inspect-again", inspection.inspect_again),
        _post("/review/leave-inspected", inspection.leave),
        _get("/categories/unlisted", corrections.unlisted_page),
        _get("/corrections", corrections.corrections_page),
        _post("/corrections", corrections.correct),
        _post("/corrections/undo", corrections.undo),
        _get("/recorded", about.recorded_page),
        _get("/api", api.api_page),
        _get("/tokens", tokens.tokens_page),
        _post("/tokens", tokens.create),
        _post("/tokens/{id:number}/revoke", tokens.revoke),
        _get("/notice", notice.notice_page),
        _post("/notice", notice.sign),
        _post("/notice/later", notice.put_off),
        _get("/people", town_people.people_page),
        _get("/people/{person}", town_people.person_page),
        _post("/people/{person}/close", town_people.close),
        _post("/people/{person}/reopen", town_people.reopen),
        _get("/records", records.records_page),
        _post("/records/verify", records.verify),
        _get("/settings", settings.settings_page),
        _post("/settings/test/town-account", settings.test_town_account),
        _post("/settings/test/{channel}", settings.test),
        _post("/settings/letters/{id:number}/again", settings.send_again),
        _get("/proxy.pac", about.proxy_pac),
        _get("/healthz", health),
        Mount("/static", StaticFiles(directory=STATIC_FOLDER)),
    ]


def _get(path: str, view: Callable[[Request], Awaitable[Response]]) -> Route:
    return Route(path, view, methods=["GET"])


def _post(path: str, view: FormView) -> Route:
    return Route(path, with_form(view), methods=["POST"])


async def health(http_request: Request) -> Response:
    """Answer "ok" when database and tasks are well. What is not is for IT, on Today."""
    is_well = not admin_of(http_request).troubles()
    return PlainTextResponse("ok" if is_well else "not well", 200 if is_well else 503)


class _HeadersMiddleware:
    """Sets the headers that every answer carries; pages are never stored, assets for a day."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        # The name of a vendored file's folder carries its version.
        if path.startswith("/static/vendor/"):
            caching = "public, max-age=31536000, immutable"
        elif path.startswith("/static/"):
            caching = "no-cache"
        else:
            caching = "no-store"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update({**_HEADERS, "Cache-Control": caching})
            await send(message)

        await self._app(scope, receive, send_with_headers)
