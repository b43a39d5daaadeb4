"""What the pages say of the site itself: what is recorded, who may look, and how far the log is."""

import re
from datetime import timedelta

import pytest

from admin.ingest import Ingest, IngestStatus
from policy.worker_facts import WorkerFacts
from tests import people
from tests.admin.web.conftest import Site
from tests.towns import DOCUMENT


async def test_recorded_names_everyone_who_may_look_and_who_may_see_names(site: Site) -> None:
    page = (await site.client().get("/recorded")).text
    assert "IT and the help desk. They see departments, not names." in page
    assert "IT may see names. To see them they must give a reason." in page
    assert "auditors" not in page


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        (
            "  help_desk: [helpdesk]\n  auditor: [clerk]\n",
            ["IT, the help desk and auditors. They see", "IT and auditors may see names"],
        ),
        ("", ["IT. They see departments"]),
    ],
)
async def test_recorded_follows_the_running_roles(roles: str, said: list[str], site: Site) -> None:
    version = site.admin.policy.version
    site.state.policy_document.write_text(DOCUMENT.replace("  help_desk: [helpdesk]\n", roles))
    await site.until(lambda: site.admin.policy.version != version)
    page = (await site.client().get("/recorded")).text
    for words in said:
        assert words in page


async def test_recorded_says_who_is_told_of_what_was_stopped(site: Site) -> None:
    assert "Who is told" not in (await site.client().get("/recorded")).text
    told = "attempts: {more_than: 10, within: 4h, categories: [gambling, dating]}\n"
    site.state.policy_document.write_text(DOCUMENT + told)
    await site.until(lambda: site.admin.policy.attempts is not None)
    page = " ".join((await site.client().get("/recorded")).text.split()).replace("\u00a0", " ")
    assert "A mail with names goes to the department head and IT in two cases:" in page
    assert "stopped more than 10 times within 4 hours at sites listed as Dating, Gambling<" in page


async def test_recorded_says_that_a_list_entry_may_name_a_page(site: Site) -> None:
    page = (await site.client().get("/recorded")).text
    assert "some entries name one page of a site" in page
    assert "other pages within a site" in page


@pytest.mark.parametrize(
    ("queries", "said", "not_kept"),
    [
        (
            "false",
            "opened, where it can be seen, without the part after “?”<",
            "at none, the part of an address",
        ),
        (
            "true",
            "opened, where it can be seen, with the part after “?”<",
            "the part of an address after “?”<",
        ),
    ],
)
async def test_recorded_says_of_which_sites_full_addresses_are_kept(
    queries: str, said: str, not_kept: str, site: Site
) -> None:
    assert "full address" not in (await site.client().get("/recorded")).text
    kept = f"addresses: {{categories: [gambling], queries: {queries}}}\n"
    site.state.policy_document.write_text(DOCUMENT + kept)
    await site.until(lambda: site.admin.policy.addresses is not None)
    page = " ".join((await site.client().get("/recorded")).text.split())
    assert "at sites listed as Gambling: the full address of each page" in page
    assert said in page and not_kept in page and "other pages within a site" not in page
    assert "They are shown only together with names, and to you." in page


async def test_today_and_visits_say_how_far_the_log_is(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    it = await site.signed_in(people.IT)
    for path in ("/today", "/visits"):
        assert "on their way" not in (await it.get(path)).text
    stuck = Ingest(site.admin.db, site.state.spool, site.clock)
    stuck.status = IngestStatus(site.clock.at - timedelta(minutes=12, seconds=7), 744_000)
    monkeypatch.setattr(site.admin, "_ingest", stuck)
    for path in ("/today", "/visits"):
        page = " ".join((await it.get(path)).text.split())
        assert ">10:02 AM</time> are here; 1,240 are on their way, none lost." in page
    assert "All is well" not in (await it.get("/today")).text


async def test_what_is_broken_inside_is_told_to_it_alone(site: Site) -> None:
    site.admin._background.failures["ingest"] = "/srv/spool: disk full"
    shown = (await (await site.signed_in(people.IT)).get("/today")).text
    assert "/srv/spool: disk full" in shown
    shown = (await (await site.signed_in(people.HELP_DESK)).get("/today")).text
    assert "/srv/spool" not in shown and "Part of Towngate is not well" in shown


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (1, "REQ-1 waits for nobody: only those who asked could answer it."),
        (3, "REQ-1 and 2 more wait for nobody: only those who asked could answer them."),
    ],
)
async def test_today_says_in_a_line_that_requests_wait_for_nobody(site: Site, sent: int, said: str) -> None:
    for number in range(sent):
        await site.sent_request(code=f"K7M-4Q{number}", host=f"cardroom-{number}.example")
    it = await site.signed_in(people.IT)
    assert "for nobody" not in (await it.get("/today")).text
    document = DOCUMENT.replace("head: head,", "head: clerk,").replace("[administrator]", "[clerk]")
    site.state.policy_document.write_text(f"{document}asking: {{pass_on_to: [town_administrator]}}\n")
    await site.admin._publisher.reload_document()
    shown = (await it.get("/today")).text
    assert said in shown and shown.count("for nobody") == 1


@pytest.mark.parametrize(
    ("days_left", "has_next", "alert", "said"),
    [
        (31, False, None, "The town's certificate is good until Mon, April 6."),
        (30, False, "warning", "ends on Sun, April 5. Make the next one with towngate ca rotate, and roll"),
        (2, True, "warning", "ends on Sun, March 8. The next one is made: roll it out, then run towngate ca"),
        (0, False, "error", "ended on Fri, March 6: no page can be shown over https"),
    ],
)
async def test_today_says_in_time_that_the_towns_certificate_ends(
    days_left: int, has_next: bool, alert: str | None, said: str, site: Site
) -> None:
    facts = WorkerFacts(site.clock.at, site.clock.at + timedelta(days=days_left), has_next)
    (site.state.spool / "worker-1.facts").write_bytes(facts.to_bytes())

    page = (await (await site.signed_in(people.IT)).get("/today")).text
    words = " ".join(re.sub("<[^>]*>", "", page).replace("\u00a0", " ").split()).replace("&#39;", "'")
    assert said in words
    assert ("All is well." in words) is (alert is None)
    assert re.findall("usa-alert--(warning|error)", page) == ([alert] if alert else [])


async def test_today_says_nothing_of_the_certificate_before_a_worker_did(site: Site) -> None:
    page = (await (await site.signed_in(people.IT)).get("/today")).text
    assert "certificate" not in page and "All is well." in page


OPENING = """rules:
  - {id: social-read, categories: [social_networks], action: view_only}
  - {id: inner-pages, categories: [adult, hate], action: block, inspect: urls}
"""
NEVER = "never_inspect: {categories: [banks, health], sites: [credit-union.example]}\n"


async def test_pages_say_what_is_opened_and_why_and_what_never_is(site: Site) -> None:
    client = site.client()
    for path in ("/recorded", "/policy"):
        page = (await client.get(path)).text
        assert "Never decrypted" not in page and "are decrypted" not in page
    assert "Open sites are not decrypted" in (await client.get("/recorded")).text
    document = DOCUMENT.replace("rules:\n", NEVER + OPENING, 1)
    site.state.policy_document.write_text(document)
    await site.until(lambda: bool(site.admin.policy.never_inspect_categories))
    for path in ("/recorded", "/policy"):
        page = " ".join((await client.get(path)).text.split())
        assert "Decrypted, so that reading works and posting does not." in page
        assert "Sites are decrypted where a list names single pages of them as this." in page
        assert "Never decrypted: Banks, Health." in page
        assert "credit-union.example" in page
        assert "are not decrypted. Only a page" not in page
    recorded = " ".join((await client.get("/recorded")).text.split())
    assert "Social networks: Decrypted, so that" in recorded
