"""The cookie that says which session a browser is in, and the check that a form is our own.

SameSite is Lax, not Strict: a link from a mail has to find its reader signed in. Every POST
carries the session's CSRF token and comes from our own origin; before a session there is a random
cookie in its place, so that nobody is signed in as someone else either.
"""

import secrets
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import timedelta

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from admin.admin_process import AdminProcess
from admin.sessions import Opened, Session

# What is larger is no form of ours.
_MAX_FIELDS = 120
_MAX_FORM_BYTES = 64 * 1024
CSRF_FIELD = "csrf_token"
API = "/api/v1"
"""Where the API is, which knows people by their tokens alone."""

type View = Callable[[Request], Awaitable[Response]]
type ErrorView = Callable[[Request, Exception], Awaitable[Response]]
type FormView = Callable[[Request, FormData], Awaitable[Response]]


class ForgedFormError(Exception):
    """A form did not come from a page of this site; nothing was done."""


class SignInNeededError(Exception):
    """The page is for people who are known: signed in, or by an Ask link where that is enough."""


class Cookies:
    """Names and flags of the cookies: `__Host-` and Secure wherever the site speaks HTTPS."""

    def __init__(self, admin_url: str) -> None:
        self.origin = admin_url.rstrip("/")
        self._is_secure = self.origin.startswith("https:")
        prefix = "__Host-" if self._is_secure else ""
        self.session = f"{prefix}towngate_session"
        self.visitor = f"{prefix}towngate_visitor"

    def set(self, response: Response, name: str, value: str, lasts: timedelta | None = None) -> None:
        """Set a cookie; without `lasts` it ends with the browser."""
        max_age = int(lasts.total_seconds()) if lasts is not None else None
        response.set_cookie(
            name, value, max_age, secure=self._is_secure, httponly=True, samesite="lax", path="/"
        )

    def open(self, response: Response, opened: Opened) -> None:
        """Put a browser into a session that was just opened; the server ends it, if not the person."""
        if opened.token is not None:
            session = opened.session
            self.set(response, self.session, opened.token, session.ends_at - session.opened_at)
            self.drop(response, self.visitor)

    def drop(self, response: Response, name: str) -> None:
        """Remove a cookie."""
        response.delete_cookie(name, secure=self._is_secure, httponly=True, samesite="lax", path="/")


class SessionMiddleware:
    """Finds the session of an http_request's cookie; gives a browser without one a visitor's cookie.

    `trouble` answers when the database cannot say whose session it is. What is the same for
    everyone is served without asking it. The API is asked without a session: a cookie that a browser
    sends by itself opens nothing there.
    """

    def __init__(self, app: ASGIApp, admin: AdminProcess, cookies: Cookies, trouble: ErrorView) -> None:
        self._app = app
        self._admin = admin
        self._cookies = cookies
        self._trouble = trouble

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        http_request = Request(scope)
        path: str = scope["path"]
        token = http_request.cookies.get(self._cookies.session)
        is_for_everyone = path == "/healthz" or path.startswith(("/static/", f"{API}/"))
        app = self._app
        http_request.state.session = None
        http_request.state.visitor = (
            http_request.cookies.get(self._cookies.visitor) or secrets.token_urlsafe()
        )
        if token and not is_for_everyone:
            try:
                http_request.state.session = await self._admin.session_of(token)
            except sqlite3.DatabaseError as error:
                app = await self._trouble(http_request, error)
        await app(scope, receive, send)


def session_of(http_request: Request) -> Session | None:
    """Return the session, None for a browser nobody has signed in with."""
    session: Session | None = http_request.state.session
    return session


def csrf_token(http_request: Request) -> str:
    """Return what every form of a page sends back."""
    session = session_of(http_request)
    visitor: str = http_request.state.visitor
    return session.csrf_token if session else visitor


def known(http_request: Request) -> Session:
    """Return the session of a person who is known, by password or by an Ask link.

    Raises SignInNeededError.
    """
    session = session_of(http_request)
    if session is None:
        raise SignInNeededError
    return session


def signed_in(http_request: Request) -> Session:
    """Return the session of a person who signed in. Raises SignInNeededError."""
    session = known(http_request)
    if not session.is_signed_in:
        raise SignInNeededError
    return session


def person_of(session: Session) -> str:
    """Return who the session is of. Raises SignInNeededError at a shared device nobody signed in at."""
    if session.person is None:
        raise SignInNeededError
    return session.person


def with_form(view: FormView) -> View:
    """Return a view for POST that reads the form and refuses one that is not of this site.

    1. it says its size, and is no larger than a form of ours can be
    2. Origin, where a browser sends it (all do), is ours
    3. it carries the session's CSRF token
    4. the session has not sent too many lately: TooManyCallsError
    """

    async def checked(http_request: Request) -> Response:
        size = http_request.headers.get("content-length", "")
        if not size.isdecimal() or int(size) > _MAX_FORM_BYTES:
            raise HTTPException(413)
        cookies: Cookies = http_request.app.state.cookies
        origin = http_request.headers.get("origin")
        if origin is not None and origin != cookies.origin:
            raise ForgedFormError(f"a form sent from {origin[:200]}")
        async with http_request.form(max_files=0, max_fields=_MAX_FIELDS) as form:
            sent = form.get(CSRF_FIELD)
            expected = csrf_token(http_request)
            if not isinstance(sent, str) or not secrets.compare_digest(sent.encode(), expected.encode()):
                raise ForgedFormError("a form without this session's token")
            session = session_of(http_request)
            if session is not None:
                state = http_request.app.state
                state.forms.count(session.id, state.admin.now())
            return await view(http_request, form)

    return checked


def form_number(form: FormData, name: str) -> int | None:
    """Return a field's number, None when it holds none."""
    text = field(form, name)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def field(form: FormData, name: str) -> str:
    """Return a field's text without outer spaces; empty when it was not sent."""
    value = form.get(name, "")
    return value.strip() if isinstance(value, str) else ""
