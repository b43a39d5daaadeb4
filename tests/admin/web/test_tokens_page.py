"""The page on which a person makes tokens for their programs, and ends them."""

import re
from datetime import timedelta

import httpx

from tests import people
from tests.admin.web.conftest import Site, post


async def made(client: httpx.AsyncClient, *scopes: str, name: str = "Grant files", **fields: str) -> str:
    """Make a token as its page has it; return its text."""
    token = (await client.get("/tokens")).text.partition('name="csrf_token" value="')[2].partition('"')[0]
    sent = {"csrf_token": token, "name": name, "last_day": "2026-04-30", "scopes": list(scopes), **fields}
    answer = await client.post("/tokens", data=sent)
    assert answer.status_code == 201, answer.text
    found = re.search(r">(tg_[\w-]{43})<", answer.text)
    assert found is not None, answer.text
    return found[1]


def bearer(text: str) -> dict[str, str]:
    """Return the header that a program sends."""
    return {"Authorization": f"Bearer {text}"}


async def test_a_token_is_shown_once_works_and_is_revoked_by_one_click(site: Site) -> None:
    clerk = await site.signed_in(people.CLERK)
    assert "You have no tokens" in (await clerk.get("/tokens")).text
    text = await made(clerk, "requests:read")
    shown = (await clerk.get("/tokens")).text
    assert text not in shown and "Works until" in shown and "Never" in shown
    program = site.client()
    answer = await program.get("/api/v1/me", headers=bearer(text))
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "number": "TOK-1",
        "name": "Grant files",
        "person": people.CLERK,
        "scopes": ["requests:read"],
        "ends_at": "2026-05-01T04:00:00Z",
    }
    assert "Never" not in (await clerk.get("/tokens")).text
    assert (await post(clerk, "/tokens/1/revoke", "/tokens")).status_code == 303
    assert "You have no tokens" in (await clerk.get("/tokens")).text
    refused = await program.get("/api/v1/me", headers=bearer(text))
    assert refused.status_code == 401 and refused.json()["detail"] == "This token was revoked."
    site.clock.at += timedelta(minutes=1)
