"""What protects forms and sessions: own origin, the session's token, cookies, headers."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import NoReturn

import httpx
import pytest
from starlette.routing import Route

from admin.admin_process import AdminProcess
from admin.web.application import _routes, create_application
from admin.web.session_cookie import Cookies
from tests import people
from tests.admin.web.conftest import PASSWORD, Site, post

POST_PATHS = sorted(
    route.path.replace("{id:number}", "1").replace("{code}", "K7M-4QP").replace("{person}", people.CLERK)
    for route in _routes()
    if isinstance(route, Route) and route.methods is not None and "POST" in route.methods
)


async def test_no_form_is_accepted_without_the_sessions_token(site: Site) -> None:
    number = await site.sent_request()
    head = await site.signed_in(people.HEAD)
    for path in POST_PATHS:
        for token in ("", "x" * 43, "\u00e9"):
            fields = {"csrf_token": token, "answer": "deny", "reason": "Use another site"}
            answer = await head.post(path, data=fields)
            assert (answer.status_code, "This form is too old" in answer.text) == (403, True), path
    assert "Waiting for you" in (await head.get(f"/requests/{number}")).text


async def test_more_forms_than_a_person_sends_wait_for_one_browser_alone(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("admin.call_limit.MOST_AT_ONCE", 4)
    clerk, head = await site.signed_in(people.CLERK), await site.signed_in(people.HEAD)
    form = "/requests/new"
    answers = [await post(clerk, form, site=f"site-{number}.example") for number in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429]
    page = answers[-1].text.replace("\u00a0", " ")
    assert "Nothing was saved" in page and "wait 1 second," in page
    assert answers[-1].headers["retry-after"] == "1"
    assert (await post(head, form, site="site-9.example")).status_code == 200
    site.clock.at += timedelta(seconds=1)
    assert (await post(clerk, form, site="site-9.example")).status_code == 200


# What a form carries when somebody whose page is old, or who made it up, sends it to what is not there.
FILLED_IN = {
    "answer": "no_problem",
    "reason": "Not needed",
    "note": "It is",
    "because": "A worm",
    "why": "A museum",
    "undo_why": "Of no use",
    "site": "museum.example",
    "category": "reference",
    "host": "cdn.example",
    "agree": "yes",
    "version": "none",
}


async def test_what_is_not_there_is_never_a_fault_of_ours(site: Site) -> None:
    it = await site.signed_in(people.IT)
    token = (await it.get("/today")).text.partition('name="csrf_token" value="')[2].partition('"')[0]
    broken = []
    for route in _routes():
        if not isinstance(route, Route) or route.methods is None:
            continue
        site.clock.at += timedelta(seconds=1)
        for number in ("999", "9" * 30):
            path = route.path.replace("{id:number}", number).replace("{code}", "Q" * 300)
            if "POST" in route.methods and path not in ("/sign-in", "/sign-out"):
                answer = await it.post(path, data={"csrf_token": token, **FILLED_IN})
            else:
                answer = await it.get(path)
            if answer.status_code >= 500:
                broken.append((path[:60], answer.status_code))
    assert broken == []


async def test_form_from_another_origin_is_refused(site: Site) -> None:
    number = await site.sent_request()
    head = await site.signed_in(people.HEAD)
    for origin in ("https://evil.example", "null", site.url + "0", site.url.replace("http", "https")):
        head.headers["Origin"] = origin
        answer = await post(head, f"/decide/{number}", answer="deny", reason="Use another site")
        assert answer.status_code == 403
    head.headers["Origin"] = site.url
    answer = await post(head, f"/decide/{number}", answer="deny", reason="Use another site")
    assert answer.status_code == 303


async def test_token_of_another_session_is_refused(site: Site) -> None:
    number = await site.sent_request()
    head, administrator = await site.signed_in(people.HEAD), await site.signed_in(people.ADMINISTRATOR)
    shown = await administrator.get("/decide")
    token = shown.text.partition('name="csrf_token" value="')[2].partition('"')[0]
    answer = await head.post(f"/decide/{number}", data={"csrf_token": token, "answer": "deny"})
    assert answer.status_code == 403


async def test_form_larger_than_a_form_of_ours_is_refused_unread(site: Site) -> None:
    client = site.client()
    answer = await client.post("/sign-in", content=b"a=" + b"x" * 70_000)
    assert answer.status_code == 413
    chunked = await client.post("/sign-in", content=_chunks())
    assert chunked.status_code == 413


async def _chunks():  # type: ignore[no-untyped-def] # an async generator, for httpx alone
    yield b"name=clerk"


async def test_every_answer_carries_the_headers_that_keep_a_page_to_itself(site: Site) -> None:
    client = site.client()
    for path in ("/sign-in", "/nowhere", "/static/town.css", "/healthz", "/", "/api/v1/me"):
        headers = (await client.get(path)).headers
        allowed = dict(part.split(maxsplit=1) for part in headers["content-security-policy"].split(";"))
        for source in ("default-src", "base-uri", "frame-ancestors"):
            assert allowed.pop(source) == "'none'"
        assert set(allowed.values()) == {"'self'", "'self' data:"}
        assert (allowed["script-src"], allowed["form-action"]) == ("'self'", "'self'")
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
    assert (await client.get("/sign-in")).headers["cache-control"] == "no-store"


async def test_session_cookie_is_kept_from_scripts_and_sent_with_links_from_mail(site: Site) -> None:
    answer = await post(site.client(), "/sign-in", name=people.CLERK, password="wrong")
    assert answer.status_code == 422
    await site.give_password(people.CLERK)
    answer = await post(site.client(), "/sign-in", name=people.CLERK, password=PASSWORD)
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("towngate_session="))
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Max-Age=43200" in cookie


async def test_page_that_breaks_says_so_under_the_same_headers(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(self: AdminProcess) -> NoReturn:
        raise ZeroDivisionError("a fault of our own")

    monkeypatch.setattr(AdminProcess, "now", break_down)
    transport = httpx.ASGITransport(create_application(site.admin, site.url), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=site.url) as client:
        answer = await client.get("/policy")
    assert answer.status_code == 500
    assert (
        "Something broke here. It is not your fault" in answer.text and "fault of our own" not in answer.text
    )
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"


async def test_cookies_are_secure_and_bound_to_the_host_under_https(site: Site) -> None:
    url = "https://gate.town.example"
    application = create_application(site.admin, url)
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url=url) as client:
        answer = await client.get("/sign-in")
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-towngate_visitor=")
    assert "Secure" in cookie and "Path=/" in cookie and "Domain" not in cookie
    cookies = Cookies(url + "/")
    assert (cookies.origin, cookies.session) == (url, "__Host-towngate_session")


async def test_sign_out_ends_the_session_on_the_server(site: Site) -> None:
    head = await site.signed_in(people.HEAD)
    copied = dict(head.cookies)
    answer = await post(head, "/sign-out", "/decide")
    assert answer.status_code == 303
    thief = httpx.AsyncClient(base_url=site.url, cookies=copied)
    site.clients.append(thief)
    assert (await thief.get("/decide")).headers["location"] == "/sign-in?next=/decide"


async def test_signing_in_leads_back_to_the_page_that_was_wanted(site: Site) -> None:
    number = await site.sent_request()
    await site.give_password(people.HEAD)
    client = site.client()
    asked = await client.get(f"/decide/{number}?from=mail")
    assert asked.status_code == 303
    page = asked.headers["location"]
    wanted = httpx.URL(site.url + page).params["next"]
    answer = await post(client, "/sign-in", page, name=people.HEAD, password=PASSWORD, next=wanted)
    assert answer.headers["location"] == f"/decide/{number}?from=mail"


@pytest.mark.parametrize(
    "elsewhere",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", "/\n/evil.example"],
)
async def test_signing_in_never_leads_to_another_site(elsewhere: str, site: Site) -> None:
    await site.give_password(people.CLERK)
    answer = await post(site.client(), "/sign-in", name=people.CLERK, password=PASSWORD, next=elsewhere)
    assert answer.headers["location"] == "/"


async def test_too_many_wrong_passwords_are_answered_with_a_time(site: Site) -> None:
    await site.give_password(people.CLERK)
    client = site.client()
    for _ in range(5):
        answer = await post(client, "/sign-in", name=people.CLERK, password="wrong")
    answer = await post(client, "/sign-in", name=people.CLERK, password=PASSWORD)
    assert answer.status_code == 429
    assert "Too many tries. Try again at" in answer.text
    assert f'value="{people.CLERK}"' in answer.text, "what was typed stays"


async def test_poll_of_a_session_that_is_over_leads_the_whole_page_to_signing_in(site: Site) -> None:
    answer = await site.client().get("/visits?span=today", headers={"HX-Request": "true"})
    assert answer.status_code == 204
    assert answer.headers["hx-redirect"] == "/sign-in?next=/visits%3Fspan%3Dtoday"


async def test_health_is_ok_while_database_and_tasks_are_well(site: Site) -> None:
    answer = await site.client().get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok")


async def test_health_says_to_nobody_what_is_not_well(site: Site) -> None:
    site.admin._background.failures["ingest"] = "/srv/spool: disk full"
    answer = await site.client().get("/healthz")
    assert (answer.status_code, answer.text) == (503, "not well")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/static/nope.css", 404),
        ("GET", "/static/", 404),
        ("POST", "/static/town.css", 405),
        ("GET", "/healthzz", 404),
        ("POST", "/healthz", 405),
        ("DELETE", "/sign-in", 405),
        ("POST", "/nowhere", 404),
    ],
)
async def test_address_or_method_that_is_not_ours_is_answered_with_a_page(
    method: str, path: str, status: int, site: Site
) -> None:
    for client in (site.client(), await site.signed_in(people.HEAD)):
        answer = await client.request(method, path)
        assert answer.status_code == status
        assert "<h1" in answer.text and "Back to the start" in answer.text


async def test_locked_database_is_answered_with_try_again(site: Site) -> None:
    head = await site.signed_in(people.HEAD)
    site.clock.at += timedelta(minutes=2)  # that the session is used would be written down
    await site.admin.db._file._writer.execute_fetchall("PRAGMA busy_timeout = 50")
    with closing(sqlite3.connect(site.admin.db.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        shown = await head.get("/requests")
        sent = await head.post("/sign-out")
        assert (await site.client().get("/healthz")).status_code == 200
        other.execute("ROLLBACK")
    assert (shown.status_code, sent.status_code) == (503, 503)
    assert "Try again" in shown.text and "Not saved. Try again." in sent.text
    assert "locked" not in shown.text
    assert (await head.get("/requests")).status_code == 200


async def test_start_leads_everyone_to_what_they_came_for(site: Site) -> None:
    await site.sent_request()
    for client, path in (
        (site.client(), "/sign-in"),
        (await site.asking(code="H7M-4QP"), "/requests"),
        (await site.signed_in(people.HEAD), "/decide"),
        (await site.signed_in(people.PARKS_HEAD), "/requests"),
        (await site.signed_in(people.IT), "/today"),
    ):
        assert (await client.get("/")).headers["location"] == path
