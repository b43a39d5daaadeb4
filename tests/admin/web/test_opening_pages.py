"""Where the policy waits for IT: the last approval opens nothing, and IT opens it through the pages."""

import httpx
import pytest

from policy.town_policy import AfterApproval
from tests import people
from tests.admin.web.conftest import Site, post


async def waiting(site: Site, **changed: object) -> httpx.AsyncClient:
    """Let the policy wait and the head approve a request; return the head's browser."""
    document = site.state.policy_document
    document.write_text(document.read_text() + "after_approval: wait_for_it\n")
    await site.until(lambda: site.admin.policy.after_approval is AfterApproval.WAIT_FOR_IT)
    await site.sent_request(**changed)
    head = await site.signed_in(people.HEAD)
    page = (await head.get("/decide/1")).text
    assert "IT opens it after that" in page
    on_button = page.partition('name="expires_at" value="')[2].partition('"')[0]
    answer = await post(head, "/decide/1", answer="allow", step="0", expires_at=on_button)
    assert answer.headers["location"] == "/decide/1/done"
    return head


async def exemptions(site: Site) -> int:
    return len(await site.admin.db.fetch_all("SELECT 1 FROM exemption"))


@pytest.mark.parametrize("person", [people.IT, people.HELP_DESK])
async def test_it_opens_what_was_approved_and_the_asker_sees_each_state(site: Site, person: str) -> None:
    head = await waiting(site)
    assert "Approved, waiting for IT to open it" in (await head.get("/decide/1/done")).text
    assert await exemptions(site) == 0
    opener = await site.signed_in(person)
    inbox = (await opener.get("/decide")).text
    assert "To open" in inbox and "To decide (1)" in inbox
    asker = await site.signed_in(people.CLERK)
    assert "Approved, waiting for IT to open it" in (await asker.get("/requests/1")).text
    answer = await post(opener, "/decide/1/open", "/decide/1/done")
    assert answer.headers["location"] == "/decide/1/done"
    assert "Open now, until" in (await opener.get("/decide/1/done")).text
    assert "Allowed until" in (await asker.get("/requests/1")).text
    assert await exemptions(site) == 1
    again = await post(opener, "/decide/1/open", "/decide")
    assert again.status_code == 409
    assert await exemptions(site) == 1


@pytest.mark.parametrize("person", [people.CLERK, people.HEAD, people.PARKS_HEAD, people.ADMINISTRATOR])
async def test_nobody_else_opens_it(site: Site, person: str) -> None:
    await waiting(site)
    client = await site.signed_in(person)
    assert (await post(client, "/decide/1/open", "/requests")).status_code == 403
    assert "/decide/1/open" not in (await client.get("/decide/1/done")).text
    assert await exemptions(site) == 0


async def test_it_stops_what_waits_to_be_opened(site: Site) -> None:
    await waiting(site)
    it = await site.signed_in(people.IT)
    await post(it, "/decide/1/stop", "/decide/1/done", reason="Known for malware.")
    page = (await (await site.signed_in(people.CLERK)).get("/requests/1")).text
    assert "Stopped by IT" in page and "Known for malware." in page
    assert await exemptions(site) == 0
