"""Every role tries every action on every kind of object: only what the table says gets through.

What gets through is what reaches the action, whatever comes of it (done, too late, a field missing); all else
is answered 403 or 404, or with the way to sign in. Pages that are read are tried like that too.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
from starlette.routing import Route

from admin import api_tokens
from admin.web.application import _routes
from policy.visit_record import new_code
from tests import people, towns
from tests.admin.web.conftest import Site, post, visit

NOBODY = "not signed in"
COLLEAGUE = "colleague"
STRANGER = "parks-clerk"
DELEGATE = "delegate"
AUDITOR = "auditor"
DOCUMENT = (
    towns.DOCUMENT.replace("head: head,", "head: head, delegates: [delegate],")
    .replace(
        "people:\n",
        "people:\n"
        "  colleague: {name: Colleague, department: finance}\n"
        "  delegate: {name: Delegate, department: finance}\n"
        "  parks-clerk: {name: Parks clerk, department: parks}\n"
        "  leaver: {name: Leaver, department: parks}\n"
        "  it-2: {name: More IT}\n"
        "  auditor: {name: Auditor}\n",
    )
    .replace("it_security: [it]", "it_security: [it, it-2]")
    .replace("help_desk: [helpdesk]", "help_desk: [helpdesk]\n  auditor: [auditor]")
    + "asking:\n  social_media: {terms: Write kindly., coordinators: {finance: colleague}}\n"
    "  own_device: {}\n"
    "  standing_permission: {departments: [finance]}\n"
    "  emergency_access: {people: [clerk], reviewed_by: it_security}\n"
    "  internet_account: {required_for: volunteers}\n"
)
EVERYONE = (
    *(NOBODY, people.CLERK, COLLEAGUE, STRANGER, DELEGATE, people.HEAD, people.PARKS_HEAD),
    *(people.HELP_DESK, people.IT, people.ADMINISTRATOR, AUDITOR),
)
SIGNED_IN = frozenset(EVERYONE) - {NOBODY}
CLERK = frozenset({people.CLERK})
HEAD = frozenset({people.HEAD})
IT = frozenset({people.IT})
APPROVERS = frozenset({people.HEAD, DELEGATE})
SEEING = IT | {people.HELP_DESK, people.ADMINISTRATOR, AUDITOR}
OF_REQUEST = SEEING | APPROVERS | CLERK
NO_ROLE = frozenset[str]()
"""Needs a link that was followed in the same browser, or a visit stopped there: no role is enough."""

OPEN_TO_ALL = {"/sign-in", "/sign-out", "/password/forgot", "/password/new"}


@dataclass(frozen=True)
class Action:
    """A form sent to a route: with which objects and fields, and for whom it gets through.

    "{fresh}" in the path is a request of the clerk's that nobody has answered or withdrawn;
    "{visit}" is the clerk's visit.
    """

    for_whom: frozenset[str]
    path: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


WHY = {"why": "Needed", "because": "Needed", "reason": "Needed", "note": "Needed"}
# REQ-1 is the clerk's and waits for the head; REQ-2, theirs too, was allowed by the head; REQ-3 is their
# proposal of the clerk for social media, to be signed; REQ-4 is the clerk's emergency access. The visit
# is theirs, and was stopped a minute ago. The head of Finance named a colleague for later. TOK-1 is the
# clerk's. NAMES-1 is IT's.
ACTIONS = {
    "/ask/{code}": Action(NO_ROLE, "/ask/K7M-4QP", WHY),
    "/ask/{code}/join": Action(NO_ROLE, "/ask/K7M-4QP/join"),
    "/requests/new": Action(SIGNED_IN, "", {"site": "museum.example"}),
    "/requests/personal-use": Action(SIGNED_IN),
    "/requests/device": Action(SIGNED_IN),
    "/requests/standing": Action(APPROVERS),
    "/requests/emergency": Action(CLERK),
    "/decide/{id:number}/review": Action(IT, "/decide/4/review"),
    "/social-media/propose": Action(APPROVERS | {COLLEAGUE, people.PARKS_HEAD}),
    "/requests/{id:number}/terms": Action(CLERK, "/requests/3/terms", {"agree": "yes", "version": "old"}),
    "/accounts/ask": Action(APPROVERS | IT | {people.PARKS_HEAD, people.ADMINISTRATOR}),
    "/requests/{id:number}/renew": Action(APPROVERS | CLERK | IT, "/requests/2/renew"),
    "/requests/{id:number}/end": Action(CLERK, "/requests/2/end"),
    "/requests/{id:number}/keep": Action(APPROVERS | IT, "/requests/2/keep"),
    "/delegation": Action(HEAD, "", {"department": "finance", "delegate": COLLEAGUE}),
    "/delegation/{id:number}/end": Action(HEAD, "/delegation/1/end"),
    "/requests/{id:number}/withdraw": Action(CLERK, "/requests/{fresh}/withdraw"),
    "/requests/{id:number}/hosts": Action(APPROVERS | CLERK, "/requests/1/hosts", {"host": "cdn.example"}),
    "/requests/{id:number}/wrong-category": Action(OF_REQUEST, "/requests/2/wrong-category"),
    # Each is answered with an outcome of its own: `test_deciding_several`.
    "/decide/several": Action(SIGNED_IN, "", {"answer": "deny", "request": "1", **WHY}),
    "/decide/{id:number}": Action(APPROVERS, "/decide/{fresh}", {"answer": "deny", **WHY}),
    "/decide/{id:number}/open": Action(IT | {people.HELP_DESK}, "/decide/2/open"),
    "/decide/{id:number}/stop": Action(APPROVERS | IT, "/decide/2/stop", WHY),
    # Names are hidden: IT is led to them first. Nobody else may ask at all.
    "/visits/{id:number}/ask": Action(IT, "/visits/{visit}/ask", {**WHY, "duration": "week"}),
    "/visits/names": Action(IT | {AUDITOR}, "", WHY),
    "/visits/names/{id:number}": Action(frozenset({AUDITOR}), "/visits/names/1", {"answer": "refuse"}),
    "/emergency/lockdown": Action(IT),
    "/emergency/device": Action(IT),
    "/emergency/filter": Action(IT),
    "/emergency/{id:number}/news": Action(IT, "/emergency/1/news"),
    "/emergency/{id:number}/end": Action(IT, "/emergency/1/end"),
    "/stopped/{id:number}/download": Action(NO_ROLE, "/stopped/{visit}/download"),
    "/stopped/{id:number}/ask": Action(CLERK, "/stopped/{visit}/ask"),
    "/stopped/{id:number}/wrong-category": Action(CLERK, "/stopped/{visit}/wrong-category"),
    "/stopped/{id:number}/accident": Action(CLERK, "/stopped/{visit}/accident"),
    "/heavy/end": Action(IT, "", {"code": "K7M-4QP"}),
    "/wrong-category/{code}": Action(NO_ROLE, "/wrong-category/K7M-4QP", WHY),
    "/accident/{code}": Action(NO_ROLE, "/accident/K7M-4QP"),
    "/remind/{code}": Action(NO_ROLE, "/remind/K7M-4QP"),
    "/review/reports/{id:number}": Action(IT, "/review/reports/1", WHY),
    "/review/requests/{id:number}/leave-open": Action(IT, "/review/requests/2/leave-open"),
    "/review/requests/{id:number}/stop": Action(APPROVERS | IT, "/review/requests/2/stop", WHY),
    "/review/never-inspect": Action(IT, "", {"host": "api.example", **WHY}),
    "/review/inspect-again": Action(IT, "", {"host": "api.example", **WHY}),
    "/review/leave-inspected": Action(IT, "", {"host": "api.example"}),
    "/corrections": Action(IT, "", {"site": "museum.example", "category": "reference", **WHY}),
    "/corrections/undo": Action(IT, "", {"site": "museum.example", "undo_why": "x", **WHY}),
    "/tokens": Action(SIGNED_IN),
    "/tokens/{id:number}/revoke": Action(CLERK, "/tokens/1/revoke"),
    "/notice": Action(SIGNED_IN),
    "/notice/later": Action(SIGNED_IN),
    "/people/{person}/close": Action(IT, "/people/leaver/close", WHY),
    "/people/{person}/reopen": Action(IT, "/people/leaver/reopen", WHY),
    "/records/verify": Action(IT | {people.ADMINISTRATOR, AUDITOR}),
    "/settings/test/town-account": Action(IT),
    "/settings/test/{channel}": Action(IT, "/settings/test/webhook"),
    "/settings/letters/{id:number}/again": Action(IT, "/settings/letters/1/again"),
}
# What is read: a path, and who reads it.
PAGES = {
    "/api": frozenset(EVERYONE),
    "/tokens": SIGNED_IN,
    "/requests/1": OF_REQUEST,
    "/requests/new": SIGNED_IN,
    "/requests/personal-use": SIGNED_IN,
    "/delegation": SIGNED_IN,
    "/requests/device": SIGNED_IN,
    "/requests/standing": SIGNED_IN,
    "/requests/emergency": SIGNED_IN,
    "/requests/4": OF_REQUEST,
    "/decide/4/review": IT,
    "/accounts/ask": SIGNED_IN,
    "/social-media": APPROVERS | {COLLEAGUE, people.PARKS_HEAD, people.ADMINISTRATOR, AUDITOR} | IT,
    "/social-media.csv": APPROVERS | {COLLEAGUE, people.PARKS_HEAD, people.ADMINISTRATOR, AUDITOR} | IT,
    "/social-media/propose": SIGNED_IN,
    "/requests/3/terms": OF_REQUEST,
    "/decide/1": APPROVERS,
    "/decide/several?answer=allow&request=1": SIGNED_IN,
    "/exemptions": SEEING | APPROVERS | {people.PARKS_HEAD},
    "/visits": IT | {people.HELP_DESK, AUDITOR},
    "/visits/after/{visit}": IT | {people.HELP_DESK, AUDITOR},
    "/visits/export": IT | {people.HELP_DESK, AUDITOR},
    "/visits/own": SIGNED_IN,
    "/visits/names/1": IT | {AUDITOR},
    "/visits/{visit}/why": IT | {people.HELP_DESK, AUDITOR},
    "/today": IT | {people.HELP_DESK, AUDITOR},
    "/heavy": IT | {people.HELP_DESK, AUDITOR},
    "/heavy/draft?host=files.example": IT | {people.HELP_DESK, AUDITOR},
    "/weekly": APPROVERS | IT | {people.PARKS_HEAD},
    "/weekly?of=": IT,
    "/weekly?of=finance": APPROVERS,
    "/weekly?of=parks": frozenset({people.PARKS_HEAD}),
    "/weekly?of=finance&week=2026-02-23": APPROVERS,
    "/categories": IT | {people.HELP_DESK, AUDITOR},
    "/categories/unlisted": IT,
    "/corrections": IT,
    "/review": IT,
    "/emergency": IT,
    "/emergency/1": IT,
    "/settings": IT,
    "/people": IT,
    "/people/leaver": IT,
    "/records": IT | {people.ADMINISTRATOR, AUDITOR},
}


def gets_through(answer: httpx.Response) -> bool:
    """Whether a role was let through."""
    assert answer.status_code < 500, answer.text
    leads_to_signing_in = answer.headers.get("location", "").startswith("/sign-in")
    return answer.status_code not in (401, 403, 404) and not leads_to_signing_in


async def propose_and_approve(site: Site, head: httpx.AsyncClient) -> None:
    """Have the head propose the clerk for social media, and the administrator agree: REQ-3."""
    proposal = {"person": people.CLERK, "sites": "facebook.com", "level": "view", "last": "2026-03-31"}
    sent = await post(head, "/social-media/propose", **proposal, reason="Answers questions.")
    assert sent.headers.get("location") == "/requests/3/sent", sent.text
    administrator = await site.signed_in(people.ADMINISTRATOR)
    until = datetime(2026, 4, 1, 4, tzinfo=UTC).isoformat()
    agreed = await post(administrator, "/decide/3", answer="allow", step="1", expires_at=until)
    assert agreed.status_code == 303, agreed.text


class Fresh:
    """A request of the clerk's, another one whenever somebody got through to it."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._sent = 0
        self._number: int | None = None

    async def number(self) -> int:
        """Return its number."""
        if self._number is None:
            self._sent += 1
            self._number = await self._site.sent_request(host=f"site-{self._sent}.example", code=new_code())
        return self._number

    def use(self) -> None:
        """Have it be another one from now on."""
        self._number = None


async def make_objects(site: Site) -> None:
    """Make what the actions are about."""
    site.state.policy_document.write_text(DOCUMENT)
    await site.until(lambda: AUDITOR in site.admin.policy.people)
    await site.log(visit())
    await site.sent_request(device="FIN-PC-15")
    await site.sent_request(host="dice.example", code="D7M-4QP")
    head, it = await site.signed_in(people.HEAD), await site.signed_in(people.IT)
    allowed = await post(head, "/decide/2", answer="allow", step="0", expires_at="2026-03-07T15:00:00Z")
    assert allowed.status_code == 303
    await propose_and_approve(site, head)
    clerk = await site.signed_in(people.CLERK)
    opened = await post(clerk, "/requests/emergency", site="cardroom.example", reason="A threat.")
    assert opened.headers.get("location") == "/requests/4", opened.text
    later = {"department": "finance", "delegate": COLLEAGUE, "first": "2026-04-01", "last": "2026-04-02"}
    assert (await post(head, "/delegation", **later)).status_code == 303
    lockdown = {"department": "parks", "because": "A worm.", "sure": "yes"}
    assert (await post(it, "/emergency/lockdown", **lockdown)).status_code == 303
    names = {"reason": "A complaint.", "next": "/visits?person=clerk"}
    asked = await post(it, "/visits/names", **names)
    assert asked.headers["location"].startswith("/visits/names/1"), asked.text
    await new_token(site, people.CLERK)


async def new_token(site: Site, person: str, name: str = "Grant files") -> str:
    """Return a token of a person, for whatever theirs can be for."""
    policy, at = site.admin.policy, site.clock.at
    scopes = api_tokens.offered(policy, person)
    last_day = at.date() + timedelta(days=30)
    _, text = await api_tokens.create(
        site.admin.db, policy, person, name=name, scopes=scopes, last_day=last_day, at=at
    )
    return text


async def prepared(site: Site) -> dict[str, tuple[httpx.AsyncClient, str]]:
    """Make the objects; return a browser and its form token for each role."""
    await make_objects(site)
    browsers = {}
    for role in EVERYONE:
        client = site.client() if role == NOBODY else await site.signed_in(role)
        shown = await client.get("/password/sent" if role != NOBODY else "/sign-in")
        token = shown.text.partition('name="csrf_token" value="')[2].partition('"')[0]
        assert token, role
        browsers[role] = client, token
    return browsers


async def test_only_the_tables_cells_get_through(site: Site) -> None:
    routes = {r.path for r in _routes() if isinstance(r, Route) and "POST" in (r.methods or ())}
    assert routes - OPEN_TO_ALL == ACTIONS.keys()
    browsers = await prepared(site)
    wrong, fresh = [], Fresh(site)
    it, _ = browsers[people.IT]
    seen = re.search(r"/visits/([0-9]+)/why", (await it.get("/visits")).text)
    assert seen is not None
    for route, action in ACTIONS.items():
        for role, (client, token) in browsers.items():
            path = (action.path or route).replace("{visit}", seen[1])
            if "{fresh}" in path:
                path = path.replace("{fresh}", str(await fresh.number()))
            answer = await client.post(path, data={"csrf_token": token, **action.fields})
            if "{fresh}" in action.path and gets_through(answer):
                fresh.use()
            if gets_through(answer) is not (role in action.for_whom):
                wrong.append(f"{role} POST {path}: {answer.status_code} {answer.headers.get('location', '')}")
    for path, readers in PAGES.items():
        for role, (client, _) in browsers.items():
            answer = await client.get(path.replace("{visit}", seen[1]))
            if gets_through(answer) is not (role in readers):
                wrong.append(f"{role} GET {path}: {answer.status_code} {answer.headers.get('location', '')}")
    assert wrong == [], "\n".join(wrong)


async def test_whoever_loses_a_duty_is_signed_out_and_whoever_gains_one_is_not(site: Site) -> None:
    it, desk = await site.signed_in(people.IT), await site.signed_in(people.HELP_DESK)
    head, administrator = await site.signed_in(people.HEAD), await site.signed_in(people.ADMINISTRATOR)
    text = towns.DOCUMENT.replace("it_security: [it]", "it_security: [helpdesk]")
    text = text.replace("head: head,", "head: administrator, delegates: [head],")
    site.state.policy_document.write_text(text)
    await site.until(lambda: site.admin.policy.roles["it_security"] == (people.HELP_DESK,))
    assert (await it.get("/requests")).headers["location"].startswith("/sign-in")
    assert (await desk.get("/people")).status_code == 200
    assert (await head.get("/decide")).status_code == 200
    assert (await administrator.get("/decide")).status_code == 200
    # It does not come back with the duty.
    site.state.policy_document.write_text(towns.DOCUMENT)
    await site.until(lambda: site.admin.policy.roles["it_security"] == (people.IT,))
    assert (await it.get("/requests")).status_code == 303
