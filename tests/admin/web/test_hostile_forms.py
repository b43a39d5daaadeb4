"""Forms filled in by whoever means harm: answered with a page, and what makes no sense changes nothing."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote_plus

import httpx
import pytest
from starlette.routing import Route

from admin.web.application import _routes, create_application
from tests import people
from tests.admin.web import test_who_may_do_what
from tests.admin.web.conftest import PASSWORD, Site
from tests.admin.web.test_notice_pages import with_notice
from tests.admin.web.test_personal_use import ASKED
from tests.admin.web.test_who_may_do_what import COLLEAGUE, make_objects

WHY = "Needed for the grant file."
ENDS = datetime(2026, 3, 13, 15, 14, 7, tzinfo=UTC).isoformat()
ASKER = "who followed a link"
DOCUMENT = test_who_may_do_what.DOCUMENT + "  personal_use: {categories: [sports, shopping], longest: 90m}\n"


@dataclass(frozen=True)
class Form:
    """Where and by whom a form is sent, and what it says where all is well.

    `texts` are in people's own words, or only lead on: whatever stands there may be meant. Without those that
    are `optional` it says as much.
    """

    path: str
    sender: str
    fields: Mapping[str, str] = field(default_factory=dict)
    texts: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()


def form(path: str, sender: str, texts: str = "", optional: str = "", **fields: str) -> Form:
    own_words = dict.fromkeys(texts.split(), WHY)
    return Form(path, sender, {**own_words, **fields}, frozenset(own_words), frozenset(optional.split()))


# Whose form it is, on objects as `make_objects` makes them. What a form decides comes from its button alone
# where it has no fields: it is sent as its owner would, and is not here.
FORMS = (
    form("/sign-in", people.CLERK, "", "next", name="clerk", password=PASSWORD, next="/requests"),
    form("/password/forgot", people.CLERK, "name"),
    form("/password/new", people.CLERK, token="x.y", password=PASSWORD),
    form("/ask/B7M-4QP", ASKER, "reason", duration="week", for_whom="person", extent="site"),
    form("/wrong-category/W7M-4QP", ASKER, "remark", "proposed remark", proposed="charity"),
    form("/requests/new", people.CLERK, site="museum.example"),
    form("/requests/personal-use", people.CLERK, "reason", **{**ASKED, "reason": WHY}),
    form("/requests/device", people.CLERK, "name reason", address="10.10.20.200", last="2026-12-31"),
    form(
        *("/requests/standing", people.HEAD, "reason case_number", "site categories"),
        **{"department": "finance", "site": "museum.example", "categories": "gambling", "last": "2026-03-31"},
    ),
    form("/requests/emergency", people.CLERK, "reason", site="dating.example"),
    form("/decide/4/review", people.IT, "note", was_right="yes"),
    form(
        *("/social-media/propose", people.HEAD, "reason", "authorisations"),
        **{"person": COLLEAGUE, "sites": "facebook.com", "level": "view", "last": "2026-03-31"},
        authorisations="post",
    ),
    form("/requests/3/terms", people.CLERK, agree="yes", version="x" * 64),
    form("/accounts/ask", people.HEAD, "reason employer", "sponsor", person=COLLEAGUE, last="2026-03-31"),
    form(
        *("/delegation", people.HEAD),
        **{"department": "finance", "delegate": COLLEAGUE, "first": "2026-05-01", "last": "2026-05-02"},
    ),
    form("/requests/1/hosts", people.CLERK, "", "from", host="cdn.example", **{"from": "decide"}),
    form("/decide/5", people.HEAD, "", "step hosts", answer="allow", step="0", expires_at=ENDS, hosts=""),
    form("/decide/6", people.HEAD, "other_reason reason", "step", answer="deny", step="0", reason="other"),
    form(
        *("/decide/several", people.HEAD, "", "step-7 hosts-7 joined-7"),
        **{"answer": "allow", "request": "7", "step-7": "0", "expires_at-7": ENDS},
        **{"hosts-7": "", "joined-7": ""},
    ),
    form(
        *("/decide/several", people.HEAD, "other_reason reason", "step-8"),
        **{"answer": "deny", "request": "8", "step-8": "0", "reason": "other"},
    ),
    form("/decide/2/stop", people.HEAD, "reason"),
    form("/visits/{visit}/ask", people.IT, "reason", duration="week"),
    form("/visits/names", people.IT, "reason case next", "case", next="/visits?person=clerk"),
    form("/visits/names/1", "auditor", answer="agree"),
    form("/emergency/lockdown", people.IT, "because next_news", department="finance", sure="yes"),
    form("/emergency/device", people.IT, "because", device="10.10.20.16", sure="yes"),
    form("/emergency/filter", people.IT, "because", lasts="10m", sure="yes"),
    form("/emergency/1/news", people.IT, "because next_news"),
    form("/heavy/end", people.IT, code="K7M-4QP"),
    form("/review/reports/1", people.IT, "note", answer="correct", category="charity", seen="7"),
    form("/review/requests/2/stop", people.IT, "reason"),
    form("/review/never-inspect", people.IT, "why", host="api.example"),
    form("/review/inspect-again", people.IT, "why", host="api.example"),
    form("/review/leave-inspected", people.IT, "host", host="api.example"),
    form("/corrections", people.IT, "why to", site="museum.example", category="reference", to="x"),
    form("/corrections/undo", people.IT, "undo_why", site="museum.example", seen="7"),
    form("/tokens", people.CLERK, "name", scopes="requests:read", last_day="2026-03-31"),
    form("/people/leaver/close", people.IT, "why"),
    form("/people/leaver/reopen", people.IT, "why"),
)
FORMS_OF_A_NOTICE = (
    form("/notice", people.CLERK, "", "code", agree="yes", version="x" * 64, code="K7M-4QP"),
    form("/notice/later", people.CLERK, "", "code", version="x" * 64, code="K7M-4QP"),
)
# They have no fields: their button is all that they say.
ONLY_BUTTONS = {
    *("/sign-out", "/ask/{code}/join", "/accident/{code}", "/remind/{code}", "/records/verify"),
    *(f"/requests/{{id:number}}/{move}" for move in ("renew", "end", "keep", "withdraw", "wrong-category")),
    *("/decide/{id:number}/open", "/delegation/{id:number}/end", "/emergency/{id:number}/end"),
    *(f"/stopped/{{id:number}}/{move}" for move in ("download", "ask", "wrong-category", "accident")),
    *("/review/requests/{id:number}/leave-open", "/tokens/{id:number}/revoke"),
    *("/settings/test/town-account", "/settings/test/{channel}", "/settings/letters/{id:number}/again"),
}
# Of these any number is sent; what makes no sense among them is left out.
OF_SEVERAL = {"request", "authorisations"}
MARKUP = "\"><script>alert(1)</script>{{ 7 * 7 }}'"
# As it stands in the body: quoted, but for the last byte, which no browser sends so.
HOSTILE = {
    "NUL": "%00",
    "no text": f"{quote_plus(MARKUP)}%0D%0ASet-Cookie:+a=b%E2%80%AE%ED%A0%80%FF\xff",
    "a huge number": "9" * 400,
    "no number": "-1e999",
}
HOSTILE_TEXT = {"much": "%F0%9F%A4%A1" * 4_000}
HOSTILE_TIMES = {
    "the end of time": quote_plus("9999-12-31T23:59:59-23:59"),
    "the beginning of time": quote_plus("0001-01-01T00:00:00+23:59"),
}


def hostile_bodies(sent: Form) -> Iterator[tuple[str, str, bytes]]:
    """Yield what is said for a field, that field, and the body of the form; what may be taken at last."""
    for name in sorted(sent.fields, key=lambda name: (name in sent.texts, name in sent.optional)):
        others = [f"{other}={quote_plus(value)}" for other, value in sent.fields.items() if other != name]
        is_time = sent.fields[name].startswith("20")
        more = HOSTILE_TIMES if is_time else HOSTILE_TEXT if name in sent.texts else {}
        for case, value in {**HOSTILE, **more}.items():
            yield case, name, "&".join([*others, f"{name}={value}"]).encode("latin-1")
        if name not in OF_SEVERAL:
            well = f"{name}={quote_plus(sent.fields[name])}"
            yield "the same twice", name, "&".join([*others, well, f"{name}=nonsense"]).encode()
        yield "nothing", name, "&".join(others).encode()


class Senders:
    """The browsers of those who send forms, each with its session's token."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._transport = httpx.ASGITransport(create_application(site.admin, site.url))
        self._known: dict[str, tuple[httpx.AsyncClient, str]] = {}

    async def send(self, who: str, path: str, body: bytes) -> httpx.Response:
        """Send a form."""
        client, token = self._known[who]
        return await client.post(
            path,
            content=b"csrf_token=" + token.encode() + b"&" + body,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )

    async def open(self, who: str) -> None:
        """Have somebody sign in, or follow the links of two block pages."""
        if who in self._known:
            return
        if who == ASKER:
            signed_in = await self._site.asking(host="bingo.example", path="/players/", code="B7M-4QP")
            await signed_in.get("/wrong-category", params={"token": self._site.token(code="W7M-4QP")})
        else:
            signed_in = await self._site.signed_in(who)
        client = httpx.AsyncClient(
            transport=self._transport, base_url=self._site.url, cookies=signed_in.cookies
        )
        self._site.clients.append(client)
        shown = await client.get("/ask/B7M-4QP" if who == ASKER else "/password/sent")
        token = shown.text.partition('name="csrf_token" value="')[2].partition('"')[0]
        assert token, who
        self._known[who] = client, token


def test_every_form_is_sent_by_whoever_means_harm() -> None:
    routes = [one for one in _routes() if isinstance(one, Route) and "POST" in (one.methods or ())]
    paths = [one.path.replace("{visit}", "1") for one in (*FORMS, *FORMS_OF_A_NOTICE)]
    sent = {one.path for one in routes if any(map(one.path_regex.match, paths))}
    assert sent.isdisjoint(ONLY_BUTTONS)
    assert sent | ONLY_BUTTONS == {one.path for one in routes}


async def changes(site: Site) -> int:
    """Count what was done: a refused move is on record, and no change."""
    row = await site.admin.db.fetch_one("SELECT count(*) AS n FROM event WHERE kind NOT LIKE '%refused'")
    assert row is not None
    return int(row["n"])


async def sent_by_whoever_means_harm(site: Site, forms: Iterable[Form]) -> list[str]:
    """Send forms with each field hostile in turn; return what is wrong with how that is answered."""
    senders, wrong = Senders(site), []
    for sent in forms:
        await senders.open(sent.sender)
        before = await changes(site)
        path = sent.path.replace("/{visit}/ask", "")
        if path != sent.path:
            path = await site.of_visit(1, "visits", "ask")
        for case, name, body in hostile_bodies(sent):
            answer = await senders.send(sent.sender, path, body)
            said = f"{sent.path} {name}: {case}: {answer.status_code}"
            if answer.status_code >= 500 or "This form is too old" in answer.text:
                wrong.append(said)
            if "<script>alert(1)" in answer.text or "set-cookie: a=b" in str(answer.headers).lower():
                wrong.append(f"{said}, given back as it was")
            now = await changes(site)
            means_something = name in sent.texts or name in OF_SEVERAL
            if now != before and not (means_something or (case == "nothing" and name in sent.optional)):
                wrong.append(f"{said}, and changed something")
            before = now
    return wrong


async def test_hostile_forms_are_answered_with_a_page_and_nonsense_changes_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("admin.call_limit.MOST_AT_ONCE", 1_000_000)
    monkeypatch.setattr(test_who_may_do_what, "DOCUMENT", DOCUMENT)
    await make_objects(site)
    for number in (5, 6, 7, 8):
        assert await site.sent_request(host=f"site-{number}.example", code=f"F{number}M-4QP") == number
    wrong = await sent_by_whoever_means_harm(site, FORMS)
    assert wrong == [], "\n".join(wrong)


async def test_hostile_forms_sign_no_notice(site: Site) -> None:
    await with_notice(site)
    wrong = await sent_by_whoever_means_harm(site, FORMS_OF_A_NOTICE)
    assert wrong == [], "\n".join(wrong)
