"""Emergency in the admin site: asked once more, done, ended, and told on every page."""

import re
from datetime import timedelta

import httpx
import pytest

from admin import measures
from admin.audit import EventKind, events_of
from policy.snapshot import PolicySnapshot
from tests import people
from tests.admin.web.conftest import Site, post

WORM = "A worm goes round."
LOCKDOWN = {"department": "", "because": WORM, "next_news": "11:00"}
DEVICE = {"device": "FIN-PC-15", "because": "It sends mail by itself."}
FILTER = {"lasts": "30m", "because": "The lists are bad."}
FORMS = {"lockdown": LOCKDOWN, "device": DEVICE, "filter": FILTER}


def words(answer: httpx.Response) -> str:
    """Return what a reader of the page sees."""
    text = re.sub(r"<(script|style|title)\b.*?</\1>|<[^>]+>", " ", answer.text, flags=re.DOTALL)
    return re.sub(r" ([.,:?])", r"\1", " ".join(text.replace("\u00a0", " ").split()))


def published(site: Site) -> PolicySnapshot:
    return PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes())


async def done(it: httpx.AsyncClient, what: str, **changed: str) -> str:
    """Do it, and return the address of its page."""
    answer = await post(it, f"/emergency/{what}", **{**FORMS[what], "sure": "yes", **changed})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


@pytest.mark.parametrize(
    ("what", "asked", "told", "over"),
    [
        (
            "lockdown",
            "Limit the web for everyone?",
            "The web is limited for everyone",
            "The web is no longer limited for everyone",
        ),
        ("device", "Take FIN-PC-15 off the web?", "FIN-PC-15 is off the web", "FIN-PC-15 is back on the web"),
        ("filter", "Switch the filter off until 10:44 AM?", "The filter is off", "The filter is on again"),
    ],
)
async def test_it_is_asked_once_more_then_in_force_then_ended(
    site: Site, what: str, asked: str, told: str, over: str
) -> None:
    it = await site.signed_in(people.IT)
    before = site.state.policy_snapshot.read_bytes()
    sure = await post(it, f"/emergency/{what}", **FORMS[what])
    assert sure.status_code == 200 and asked in words(sure)
    assert site.state.policy_snapshot.read_bytes() == before, "nothing is done before it was asked once more"
    address = await done(it, what)
    snapshot = published(site)
    in_force = (*snapshot.lockdowns, *snapshot.devices_off, snapshot.filter_off)
    assert [found.because for found in in_force if found] == [FORMS[what]["because"]]
    page = await it.get(address)
    assert told in words(page) and "Done. In force everywhere since 10:14:07 AM." in words(page)
    assert "by IT" in words(page)
    ended = await post(it, f"{address}/end", address)
    assert ended.headers["location"] == address
    assert over in words(await it.get(address))
    assert published(site).lockdowns == published(site).devices_off == ()
    assert published(site).filter_off is None
    overview = words(await it.get("/emergency"))
    assert "Nothing is in force." in overview and FORMS[what]["because"] in overview


async def test_page_that_asks_once_more_says_what_comes_of_it(site: Site) -> None:
    it = await site.signed_in(people.IT)
    lockdown = words(await post(it, "/emergency/lockdown", **LOCKDOWN))
    assert "Still works This site alone Next news by 11 AM Ends when IT ends it" in lockdown
    device = words(await post(it, "/emergency/device", **DEVICE))
    assert "Address 127.0.0.1 Used by Clerk, Finance" in device
    network = words(await post(it, "/emergency/device", device="10.10.40.9", because="Why"))
    assert "Take 10.10.40.9 off the web?" in network and "Used by Parks" in network
    off = words(await post(it, "/emergency/filter", **FILTER))
    assert "security risks too" in off and "Ends by itself, today, 10:44 AM" in off


async def test_change_something_brings_the_form_back_as_it_was_filled_in(site: Site) -> None:
    it = await site.signed_in(people.IT)
    form = await post(it, "/emergency/lockdown", **{**LOCKDOWN, "department": "parks", "sure": "no"})
    assert 'value="A worm goes round."' in form.text and 'value="11:00"' in form.text
    assert '<option value="parks" selected>' in form.text


@pytest.mark.parametrize(
    ("what", "changed", "field", "message"),
    [
        ("lockdown", {"because": " "}, "because", "Enter why; people read it"),
        ("lockdown", {"department": "prks"}, "department", "is not a department of the policy (nearest:"),
        ("lockdown", {"next_news": "99:00"}, "next_news", "is not a time"),
        ("device", {"device": "10.0.0.256"}, "device", "is neither an IP address nor a device"),
        ("device", {"because": "x" * 301}, "because", "Use 300 characters at most"),
        ("filter", {"lasts": "5h"}, "lasts", "The filter is off for 1m to 4h at a time"),
    ],
)
@pytest.mark.parametrize("sure", ["", "yes"])
async def test_bad_input_comes_back_with_what_is_wrong_and_nothing_is_done(
    site: Site, what: str, changed: dict[str, str], field: str, message: str, sure: str
) -> None:
    it = await site.signed_in(people.IT)
    before = site.state.policy_snapshot.read_bytes()
    answer = await post(it, f"/emergency/{what}", **{**FORMS[what], **changed, "sure": sure})
    assert answer.status_code == 422
    assert message in words(answer) and f'href="#{field}"' in answer.text
    assert site.state.policy_snapshot.read_bytes() == before


async def test_news_are_given_while_the_lockdown_goes_on(site: Site) -> None:
    it = await site.signed_in(people.IT)
    address = await done(it, "lockdown")
    empty = await post(it, f"{address}/news", address, because=" ", next_news="12:30")
    assert empty.status_code == 422 and "Enter why; people read it" in words(empty)
    assert 'value="12:30"' in empty.text
    given = await post(it, f"{address}/news", address, because="Half is clean.", next_news="12:30")
    assert given.headers["location"] == address
    assert "“Half is clean.” Only this site still works. Next news by 12:30 PM." in words(
        await it.get("/policy")
    )
    assert published(site).lockdowns[0].because == "Half is clean."
    await post(it, f"{address}/end", address)
    late = await post(it, f"{address}/news", "/emergency/lockdown", because="Late.")
    assert late.status_code == 409 and "Nothing changed." in words(late)


async def test_only_a_lockdown_has_news(site: Site) -> None:
    it = await site.signed_in(people.IT)
    address = await done(it, "filter")
    assert "Give news" not in words(await it.get(address))
    assert (await post(it, f"{address}/news", address, because="News.")).status_code == 404


@pytest.mark.parametrize(
    "person", [people.CLERK, people.HEAD, people.PARKS_HEAD, people.HELP_DESK, people.ADMINISTRATOR]
)
async def test_nobody_but_it_security_sees_or_acts_and_who_tries_is_on_record(
    site: Site, person: str
) -> None:
    address = await done(await site.signed_in(people.IT), "lockdown")
    other = await site.signed_in(person)
    for path in ("/emergency", "/emergency/lockdown", "/emergency/device", "/emergency/filter", address):
        assert (await other.get(path)).status_code == 403
    assert 'href="/emergency"' not in (await other.get("/policy")).text
    before = published(site)
    for path, fields in (
        (f"{address}/end", {}),
        (f"{address}/news", {"because": "News."}),
        ("/emergency/filter", {**FILTER, "sure": "yes"}),
        ("/emergency/filter", FILTER),
    ):
        assert (await post(other, path, "/policy", **fields)).status_code == 403
    assert published(site) == before
    for subject in ("lockdown", "filter_off"):
        last = (await events_of(site.admin.db, subject))[-1]
        assert (last.kind, last.actor) == (EventKind.EMERGENCY_REFUSED, person)


async def test_without_signing_in_nothing_is_seen_or_done(site: Site) -> None:
    client = site.client()
    assert (await client.get("/emergency")).headers["location"].startswith("/sign-in")
    answer = await post(client, "/emergency/lockdown", "/sign-in", **LOCKDOWN, sure="yes")
    assert answer.headers["location"].startswith("/sign-in")
    assert published(site).lockdowns == ()


async def test_looking_at_the_pages_changes_nothing(site: Site) -> None:
    it = await site.signed_in(people.IT)
    address = await done(it, "lockdown")
    before = published(site)
    for path in ("/emergency", "/emergency/lockdown?sure=yes&because=x", address, f"{address}/end"):
        await it.get(path)
    assert published(site) == before


async def test_second_of_two_is_told_and_nothing_changes(site: Site) -> None:
    it = await site.signed_in(people.IT)
    address = await done(it, "lockdown")
    again = await post(it, "/emergency/lockdown", **{**LOCKDOWN, "because": "Another."}, sure="yes")
    assert again.status_code == 409
    assert "Nothing changed. It began before, as you see here." in words(again) and WORM in words(again)
    await post(it, f"{address}/end", address)
    late = await post(it, f"{address}/end", "/emergency/lockdown")
    assert late.status_code == 409
    assert "Nothing changed. It had ended before" in words(late)


async def test_one_that_is_not_there_is_not_found(site: Site) -> None:
    it = await site.signed_in(people.IT)
    assert (await it.get("/emergency/7")).status_code == 404
    assert (await post(it, "/emergency/7/end", "/emergency/lockdown")).status_code == 404


EVERY_PAGE = (
    "/sign-in",
    "/policy",
    "/recorded",
    "/nowhere",
    "/ask?token=abc",
    "/requests",
    "/today",
    "/visits",
)


async def test_lockdown_is_told_on_every_page_signed_in_or_not(site: Site) -> None:
    it = await site.signed_in(people.IT)
    await done(it, "lockdown", department="parks")
    for client in (site.client(), await site.signed_in(people.CLERK), it):
        for path in EVERY_PAGE:
            told = words(await client.get(path, follow_redirects=True))
            assert "The web is limited for Parks Since 10:14 AM: “A worm goes round.”" in told, path
            assert "Next news by 11 AM." in told, path
    site.clock.at += timedelta(hours=1)
    later = words(await site.client().get("/policy"))
    assert "The web is limited for Parks" in later and "Next news" not in later


async def test_lockdown_tells_what_still_works(site: Site) -> None:
    it = await site.signed_in(people.IT)
    await done(it, "lockdown")
    assert "Only this site still works." in words(await site.client().get("/policy"))
    many = ", ".join(f"site{n}.example" for n in range(10))
    document = site.state.policy_document.read_text()
    site.state.policy_document.write_text(document.replace("rules:", f"essentials: [{many}]\nrules:", 1))
    await site.until(lambda: bool(site.admin.policy.essentials))
    told = words(await site.client().get("/policy")).partition("Skip to")[2]
    assert "These still work: site0.example, site1.example" in told
    assert "site7.example and 2 more." in told


async def test_filter_that_is_off_is_told_until_it_comes_on_by_itself(site: Site) -> None:
    it = await site.signed_in(people.IT)
    address = await done(it, "filter")
    told = words(await site.client().get("/sign-in"))
    assert "The filter is off Since 10:14 AM, until 10:44 AM: “The lists are bad.”" in told
    site.clock.at += timedelta(minutes=30)
    assert "The filter is off" not in words(await site.client().get("/sign-in"))
    assert "The filter is on again" in words(await it.get(address))
    assert "by itself" in words(await it.get(address))


async def test_today_is_not_all_well_while_something_is_in_force(site: Site) -> None:
    it = await site.signed_in(people.IT)
    assert "All is well." in words(await it.get("/today"))
    address = await done(it, "filter")
    assert "All is well." not in words(await it.get("/today"))
    await post(it, f"{address}/end", address)
    assert "All is well." in words(await it.get("/today"))


async def test_device_off_is_told_to_it_alone(site: Site) -> None:
    it = await site.signed_in(people.IT)
    await done(it, "device")
    assert "FIN-PC-15" not in (await site.client().get("/policy")).text


async def test_reason_with_markup_is_text_everywhere(site: Site) -> None:
    it = await site.signed_in(people.IT)
    reason = "<script>alert(1)</script>"
    sure = await post(it, "/emergency/lockdown", **{**LOCKDOWN, "because": reason})
    address = await done(it, "lockdown", because=reason)
    for answer in (sure, await it.get(address), await it.get("/emergency"), await it.get("/policy")):
        assert "<script>alert" not in answer.text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text


async def test_what_another_process_did_is_told_within_a_second(site: Site) -> None:
    new = measures.lockdown(site.admin.policy, measures.EVERYONE, WORM, "", site.clock.at)
    await measures.begin(site.admin.db, new, actor="root at the command line", at=site.clock.at)
    await site.until(lambda: bool(site.admin.emergency.lockdowns))
    assert "The web is limited for everyone" in words(await site.client().get("/policy"))
    it = await site.signed_in(people.IT)
    assert "by root at the command line" in words(await it.get("/emergency/1"))


async def test_page_says_when_the_proxy_has_not_been_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    it = await site.signed_in(people.IT)
    with monkeypatch.context() as patched:
        patched.setattr("admin.publisher.write_atomically", full)
        page = words(await it.get(await done(it, "lockdown")))
        assert "Recorded, but the proxy has not been told" in page and "No space left on device" in page
        assert "Done." not in page
    await site.until(lambda: site.admin.emergency.failure is None)
    assert "Done. In force everywhere" in words(await it.get("/emergency/1"))
