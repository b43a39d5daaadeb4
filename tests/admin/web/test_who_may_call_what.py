"""Every role tries every operation of the API: only what the table says gets through.

Their tokens have every scope there is, more than they could be made with: what is tried is what the
operations themselves let a person do. The objects are those of the forms' table.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from admin.api.operations import OPERATIONS
from admin.api_tokens import Scope
from tests import people
from tests.admin.web.conftest import Site
from tests.admin.web.test_tokens_page import bearer
from tests.admin.web.test_who_may_do_what import (
    APPROVERS,
    AUDITOR,
    CLERK,
    COLLEAGUE,
    EVERYONE,
    HEAD,
    IT,
    NO_ROLE,
    NOBODY,
    OF_REQUEST,
    SEEING,
    SIGNED_IN,
    Fresh,
    gets_through,
    make_objects,
    new_token,
)

LOG = IT | {people.HELP_DESK, AUDITOR}
RECORDS = IT | {people.ADMINISTRATOR, AUDITOR}
REGISTER = APPROVERS | IT | {COLLEAGUE, people.PARKS_HEAD, people.ADMINISTRATOR, AUDITOR}
FROM = "2026-04-01"


@dataclass(frozen=True)
class Call:
    """For whom it gets through, with which objects and body."""

    for_whom: frozenset[str]
    path: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)


CALLS = {
    "GET /me": Call(SIGNED_IN),
    "GET /requests": Call(SIGNED_IN),
    "POST /requests": Call(
        SIGNED_IN,
        body={"site": "museum.example", "reason": "Needed", "duration": "week", "for_whom": "person"},
    ),
    "POST /requests/join": Call(SIGNED_IN, body={"site": "museum.example"}),
    "POST /requests/personal-use": Call(
        SIGNED_IN,
        body={"categories": ["press"], "day": FROM, "begins": "12:00", "ends": "13:00", "reason": "Needed"},
    ),
    "POST /requests/device": Call(
        SIGNED_IN,
        body={"name": "TABLET", "address": "10.10.20.77", "last": FROM, "reason": "For site visits"},
    ),
    "POST /requests/standing": Call(
        APPROVERS,
        body={
            "department": "finance",
            "categories": ["gambling"],
            "case_number": "2026-104",
            "last": FROM,
            "reason": "Follows the money",
        },
    ),
    "POST /requests/account": Call(
        APPROVERS | IT | {people.PARKS_HEAD, people.ADMINISTRATOR},
        body={"person": "helper", "last": FROM, "reason": "Reads to children"},
    ),
    "POST /requests/emergency": Call(CLERK, body={"site": "dice.example", "reason": "A threat"}),
    "GET /requests/{id:number}/review": Call(IT, "/requests/4/review"),
    "POST /requests/{id:number}/review": Call(
        IT, "/requests/4/review", {"was_right": True, "note": "It was needed"}
    ),
    "GET /requests/{id:number}": Call(OF_REQUEST, "/requests/1"),
    "POST /requests/{id:number}/withdraw": Call(CLERK, "/requests/{fresh}/withdraw"),
    "POST /requests/{id:number}/hosts": Call(APPROVERS | CLERK, "/requests/1/hosts", {"host": "cdn.example"}),
    "GET /policy": Call(SIGNED_IN),
    "GET /notice": Call(SIGNED_IN),
    "GET /quotas": Call(SIGNED_IN),
    "GET /stopped": Call(SIGNED_IN),
    "POST /stopped/{id:number}/ask": Call(
        CLERK, "/stopped/{visit}/ask", {"reason": "Needed", "duration": "week", "for_whom": "person"}
    ),
    "POST /stopped/{id:number}/join": Call(CLERK, "/stopped/{visit}/join"),
    "POST /stopped/{id:number}/download": Call(NO_ROLE, "/stopped/{visit}/download"),
    # It was no download.
    "POST /stopped/{id:number}/reminder": Call(
        NO_ROLE, "/stopped/{visit}/reminder", {"address": "https://cardroom.example/a.zip"}
    ),
    "POST /stopped/{id:number}/wrong-category": Call(
        CLERK, "/stopped/{visit}/wrong-category", {"remark": "?"}
    ),
    "POST /stopped/{id:number}/accident": Call(CLERK, "/stopped/{visit}/accident"),
    "POST /requests/{id:number}/approve": Call(APPROVERS, "/requests/{fresh}/approve", {"step": 0}),
    "POST /requests/{id:number}/deny": Call(
        APPROVERS, "/requests/{fresh}/deny", {"step": 0, "reason": "Not needed for work"}
    ),
    # Each is answered with an outcome of its own: `test_deciding_several`.
    "POST /requests/decide": Call(SIGNED_IN, body={"answer": "deny", "requests": [], "reason": "Needed"}),
    "POST /requests/{id:number}/open": Call(IT | {people.HELP_DESK}, "/requests/2/open"),
    "GET /exemptions": Call(SEEING | APPROVERS | {people.PARKS_HEAD}),
    "GET /exemptions/accounts": Call(SEEING | APPROVERS | {people.PARKS_HEAD}),
    "GET /review/opened": Call(IT),
    "POST /requests/{id:number}/renew": Call(APPROVERS | CLERK | IT, "/requests/2/renew"),
    "POST /requests/{id:number}/end": Call(CLERK, "/requests/2/end"),
    "POST /requests/{id:number}/keep": Call(APPROVERS | IT, "/requests/2/keep"),
    "POST /requests/{id:number}/leave-open": Call(IT, "/requests/2/leave-open"),
    "POST /requests/{id:number}/wrong-category": Call(
        OF_REQUEST, "/requests/2/wrong-category", {"remark": "?"}
    ),
    "POST /requests/{id:number}/stop": Call(APPROVERS | IT, "/requests/2/stop", {"reason": "Not safe"}),
    "GET /delegations": Call(SIGNED_IN),
    "POST /delegations": Call(
        HEAD, body={"department": "finance", "delegate": COLLEAGUE, "first": FROM, "last": FROM}
    ),
    "POST /delegations/{id:number}/end": Call(HEAD, "/delegations/1/end"),
    "GET /social-media": Call(REGISTER),
    "GET /social-media/coordinators": Call(REGISTER),
    "POST /social-media": Call(
        APPROVERS | {COLLEAGUE, people.PARKS_HEAD},
        body={"person": COLLEAGUE, "sites": ["facebook.com"], "level": "view", "last": FROM, "reason": "x"},
    ),
    "GET /requests/{id:number}/terms": Call(OF_REQUEST, "/requests/3/terms"),
    "POST /requests/{id:number}/terms": Call(CLERK, "/requests/3/terms", {"version": "another"}),
    "GET /reports": Call(SIGNED_IN),
    "GET /reports/{id:number}": Call(CLERK | IT, "/reports/1"),
    "GET /review/reports": Call(IT),
    "POST /review/reports/{id:number}": Call(IT, "/review/reports/1", {"answer": "kept", "note": "Right"}),
    "GET /categories": Call(SIGNED_IN),
    "GET /categories/site": Call(LOG, "/categories/site?site=museum.example"),
    "GET /categories/lists": Call(LOG),
    "GET /corrections": Call(IT),
    "POST /corrections": Call(IT, body={"site": "museum.example", "categories": ["reference"], "why": "Is"}),
    "POST /corrections/undo": Call(IT, body={"site": "museum.example", "why": "No", "seen": 1}),
    "GET /sites/unlisted": Call(IT),
    "GET /sites/{site}": Call(IT, "/sites/museum.example"),
    "GET /never-inspected": Call(IT),
    "GET /never-inspected/untrusting": Call(IT),
    "POST /never-inspected": Call(IT, body={"host": "api.example", "why": "It pins"}),
    "POST /never-inspected/undo": Call(IT, body={"host": "api.example", "why": "It trusts us"}),
    "POST /never-inspected/leave": Call(IT, body={"host": "api.example"}),
    "GET /alerts": Call(SIGNED_IN),
    "GET /emergency": Call(IT),
    "POST /emergency/lockdown": Call(IT, body={"because": "A worm.", "department": "finance"}),
    "POST /emergency/device": Call(IT, body={"device": "FIN-PC-15", "because": "A worm."}),
    "POST /emergency/filter": Call(IT, body={"lasts": "10m", "because": "It blocks everything."}),
    "GET /emergency/{id:number}": Call(IT, "/emergency/1"),
    "POST /emergency/{id:number}/news": Call(IT, "/emergency/1/news", {"because": "It goes on."}),
    "POST /emergency/{id:number}/end": Call(IT, "/emergency/1/end"),
    "GET /visits": Call(LOG),
    "GET /visits/by-hour": Call(LOG),
    "GET /visits/own": Call(SIGNED_IN),
    "GET /visits/{id:number}/why": Call(LOG, "/visits/{visit}/why"),
    # Names are hidden, as IT is told; the others may not.
    "POST /visits/{id:number}/ask": Call(
        NO_ROLE, "/visits/{visit}/ask", {"reason": "Needed", "duration": "week"}
    ),
    "POST /visits/names": Call(IT | {AUDITOR}, body={"reason": "Case 7"}),
    "GET /visits/names": Call(SIGNED_IN),
    "GET /visits/names/{id:number}": Call(IT | {AUDITOR}, "/visits/names/1"),
    "POST /visits/names/{id:number}": Call(frozenset({AUDITOR}), "/visits/names/1", {"agrees": False}),
    "GET /today": Call(LOG),
    "GET /heavy": Call(LOG),
    "GET /heavy/lately": Call(LOG),
    # Nothing is heavy, as IT is told; the others may not.
    "POST /heavy/{code}/end": Call(NO_ROLE, "/heavy/K7M-4QP/end"),
    "GET /weekly": Call(APPROVERS | IT | {people.PARKS_HEAD}),
    "GET /records": Call(RECORDS),
    "POST /records/verify": Call(RECORDS),
    "GET /people": Call(IT),
    "GET /people/{person}": Call(IT, "/people/leaver"),
    "POST /people/list/look": Call(IT, body={"format": "csv", "text": "id,name\nann,Ann\n"}),
    "POST /people/list/apply": Call(IT, body={"format": "csv", "text": "id,name\nann,Ann\n", "seen": "x"}),
    "POST /people/{person}/close": Call(IT, "/people/leaver/close", {"why": "Left"}),
    "POST /people/{person}/reopen": Call(IT, "/people/leaver/reopen", {"why": "Back"}),
    "GET /settings": Call(IT),
    "POST /settings/test/town-account": Call(IT),
    "POST /settings/test/{channel}": Call(IT, "/settings/test/webhook"),
    "GET /settings/letters": Call(IT),
    "POST /settings/letters/{id:number}/again": Call(IT, "/settings/letters/1/again"),
}
SCOPES = {f"{one.method} {one.path}": one.scope for one in OPERATIONS}


async def test_only_the_tables_cells_get_through(site: Site) -> None:
    assert CALLS.keys() == SCOPES.keys()
    await make_objects(site)
    headers = {role: bearer(await new_token(site, role, "the API")) for role in EVERYONE if role != NOBODY}
    async with site.admin.db.transaction() as t:
        await t.execute("UPDATE api_token SET scopes = ?", json.dumps(list(Scope)))
    program = site.client()
    found = (await program.get("/api/v1/visits", headers=headers[people.IT])).json()
    (visit,) = (one["id"] for one in found["items"])
    wrong, fresh = [], Fresh(site)
    for name, call in CALLS.items():
        method, route = name.split()
        for role in EVERYONE:
            path = (call.path or route).replace("{visit}", str(visit))
            if "{fresh}" in path:
                path = path.replace("{fresh}", str(await fresh.number()))
            body = call.body if call.body else None
            answer = await program.request(method, f"/api/v1{path}", headers=headers.get(role), json=body)
            if gets_through(answer) is not (role in call.for_whom):
                wrong.append(f"{role} {method} {path}: {answer.status_code} {answer.text}")
            if "{fresh}" in call.path and gets_through(answer):
                fresh.use()
    assert wrong == [], "\n".join(wrong)


async def test_a_token_is_for_its_scopes_alone(site: Site) -> None:
    await make_objects(site)
    header = bearer(await new_token(site, people.IT, "the API"))
    program = site.client()
    for scope in Scope:
        others = [other for other in Scope if other is not scope]
        async with site.admin.db.transaction() as t:
            await t.execute("UPDATE api_token SET scopes = ?", json.dumps(others))
        for name in (name for name, needed in SCOPES.items() if needed is scope):
            method, route = name.split()
            path = re.sub(r"{\w+(:number)?}", "1", CALLS[name].path or route)
            answer = await program.request(method, f"/api/v1{path}", headers=header)
            assert answer.status_code == 403 and answer.json()["type"] == "/api#scope", (name, answer.text)
