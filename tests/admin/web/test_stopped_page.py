"""What was stopped here: said in sentences, and asked for as the block page would let."""

from datetime import timedelta

import pytest

from policy.decision import Cause
from policy.file_types import refusal_of
from policy.visit_record import VisitRecord
from tests import people
from tests.admin.web.conftest import Site, post, visit

NOT_LISTED = {"rule": None, "category": None, "entry": None, "source": None}


def risk() -> VisitRecord:
    return visit(
        code="R2S-K22", host="bad.example", cause=Cause.SECURITY_RISK, **{**NOT_LISTED, "category": "malware"}
    )


async def test_security_risk_that_no_rule_names_can_be_asked_of_it(site: Site) -> None:
    await site.log(risk())
    client = await site.signed_in(people.CLERK)
    answer = await post(client, await site.of_visit(1, "stopped", "ask"), "/stopped")
    assert answer.headers["location"] == "/ask/R2S-K22"
    form = (await client.get("/ask/R2S-K22")).text
    assert "IT security" in form and "Send request" in form


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (Cause.PORT, "asked for on port 8443"),
        (Cause.PRIVATE_ADDRESS, "inside a private network"),
        (Cause.UNKNOWN_CLIENT, "which department this computer belongs to"),
        (Cause.MISMATCH, "asked for this site and then for another"),
        (Cause.NOT_TLS, "no request for a website"),
        (Cause.MALFORMED, "read as two different sites"),
        (Cause.LOCKDOWN, "IT had limited the web."),
        (Cause.DEVICE_OFF, "IT took the device off the web."),
        (Cause.NOTICE, "notice has to be accepted first."),
        (Cause.FAULT, "could not check this site"),
        (Cause.DEFAULT, "not on a list of sites that the town allows"),
    ],
)
async def test_causes_are_sentences_and_cannot_be_asked_about(site: Site, cause: Cause, said: str) -> None:
    refusal = "E_RAW: host 'x' says"
    await site.log(visit(host="library.example", port=8443, cause=cause, refusal=refusal, **NOT_LISTED))
    page = (await (await site.signed_in(people.CLERK)).get("/stopped")).text
    assert said in page
    assert "E_RAW" not in page and await site.of_visit(1, "stopped", "ask") not in page
    assert ('href="/notice"' in page) == (cause is Cause.NOTICE), "nobody is left without a way forward"


async def test_file_that_was_stopped_is_named_and_the_site_is_not_blamed(site: Site) -> None:
    await site.log(visit(refusal=refusal_of(frozenset({"installer"}))))
    page = (await (await site.signed_in(people.CLERK)).get("/stopped")).text
    assert "Only a download was stopped: an installer. The site itself is open." in page


async def test_what_is_asked_for_already_shows_its_state_and_no_second_ask(site: Site) -> None:
    await site.log(visit(host="www.cardroom.example"), visit(host="other.example"))
    number = await site.sent_request()
    client = await site.signed_in(people.CLERK)
    page = (await client.get("/stopped")).text
    assert "REQ-1" in page and "Waiting for your department head" in page
    first, second = [await site.of_visit(number, "stopped", "ask") for number in (1, 2)]
    assert first not in page and second in page
    head = await site.signed_in(people.HEAD)
    await post(head, f"/decide/{number}", answer="allow", step="0", expires_at="2026-03-13T15:14:07+00:00")
    page = (await client.get("/stopped")).text
    assert "Allowed until" in page and await site.of_visit(1, "stopped", "ask") not in page


async def test_of_visits_that_were_stopped_alike_the_newest_is_shown(site: Site) -> None:
    minute = timedelta(minutes=1)
    await site.log(
        visit(site.clock.at - 3 * minute, code="AAA-AAA", is_shown=True),
        visit(site.clock.at - 2 * minute, code="BBB-BBB", is_shown=True),
        visit(site.clock.at - minute, code="CCC-CCC", refusal=refusal_of(frozenset({"installer"}))),
    )
    page = (await (await site.signed_in(people.CLERK)).get("/stopped")).text
    assert "AAA-AAA" not in page and "BBB-BBB" in page and "CCC-CCC" in page
