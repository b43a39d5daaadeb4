"""The notice at the admin site: read, signed by name, put off, asked for again when it changes."""

import re
from datetime import timedelta

import httpx
import pytest

from admin import audit
from admin.audit import EventKind
from policy.snapshot import PolicySnapshot
from tests import people
from tests.admin.web.conftest import PASSWORD, Site, post
from tests.towns import DOCUMENT

TEXT = (
    "Sites are recorded,\n    and when.\n\n    Ask {x} & <script>alert(1)</script><b onclick=a()>first</b>."
)
NOTICE = f"""notice:
  title: Acceptable use of computers
  law: Records Law, section 3
  text: |
    {TEXT}
"""
LATER = "  required_from: 2026-03-20\n"


async def with_notice(site: Site, notice: str = NOTICE) -> str:
    """Put a notice in force; return its version."""
    before = site.admin.policy.version
    site.state.policy_document.write_text(DOCUMENT + notice)
    await site.until(lambda: site.admin.policy.version != before)
    in_force = site.admin.policy.notice
    assert in_force is not None
    return in_force.version


async def stopped(site: Site, person: str | None = people.CLERK, **changed: object) -> httpx.AsyncClient:
    """Return a browser in which a block page's "Read and accept" was followed."""
    client = site.client()
    token = site.token(person, **({"host": "library.example", "rule": None, "approval": ()} | changed))
    answer = await client.get("/notice", params={"token": token})
    assert answer.status_code == 303 and answer.headers["location"] == "/notice?from=K7M-4QP"
    return client


def published(site: Site) -> object:
    return PolicySnapshot.from_bytes(site.state.policy_snapshot.read_bytes()).receipts


def words(answer: httpx.Response) -> str:
    main = answer.text.partition("<main")[2].partition("</main>")[0]
    text = " ".join(re.sub(r"<[^>]+>", " ", main).replace("\u00a0", " ").split())
    return re.sub(r" ([.:,?])", r"\1", text)


async def test_clerk_signs_at_her_own_device_and_is_led_back_to_the_site(site: Site) -> None:
    version = await with_notice(site)
    clerk = await stopped(site)
    shown = await clerk.get("/notice?from=K7M-4QP")
    for said in ("Acceptable use of computers", "Records Law, section 3", "Sign as Clerk", version):
        assert said in words(shown)
    assert "ask me tomorrow" not in shown.text

    signed = await post(
        clerk, "/notice", "/notice?from=K7M-4QP", version=version, code="K7M-4QP", agree="yes"
    )

    assert signed.status_code == 303
    assert published(site) == {people.CLERK: None}
    after = await clerk.get(signed.headers["location"])
    assert "You accepted this Clerk, Fri, March 6, 10:14 AM." in words(after)
    assert 'href="https://library.example/"' in after.text
    assert "I have read" not in after.text
    assert "You accepted it on Fri, March 6, 10:14 AM" in words(await clerk.get("/policy"))
    (event,) = await audit.events_of(site.admin.db, f"notice {version}")
    assert event.details == {**people.AS_CLERK, "known_by": "own_device"}


async def test_text_is_shown_as_text_and_never_run(site: Site) -> None:
    await with_notice(site)
    page = (await site.client().get("/notice")).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "<script>alert" not in page
    assert "<b onclick" not in page
    assert "<p>Sites are recorded, and when.</p>" in page


@pytest.mark.parametrize(
    "who", ["no session", "a shared device", "a device a while ago", "a link of another person's device"]
)
async def test_who_is_not_known_for_sure_signs_in_first(who: str, site: Site) -> None:
    version = await with_notice(site)
    client = site.client()
    if who == "a shared device":
        client = await stopped(site, None, device=None)
    elif who == "a device a while ago":
        client = await stopped(site)
        site.clock.at += timedelta(minutes=16)
    elif who == "a link of another person's device":
        client = await stopped(site, people.HEAD, policy_version="another")
    page = await client.get("/notice")
    assert "Read this, then sign in to accept it." in words(page)
    assert 'name="agree"' not in page.text

    sent = await post(client, "/notice", "/sign-in", version=version, agree="yes")

    assert sent.status_code == 303 and sent.headers["location"].startswith("/sign-in")
    assert published(site) == {}


async def test_who_signs_in_at_a_shared_device_comes_back_and_signs(site: Site) -> None:
    version = await with_notice(site)
    await site.give_password(people.HEAD)
    client = await stopped(site, None, device=None)
    page = await client.get("/notice?from=K7M-4QP")
    assert 'href="/sign-in?next=/notice%3Ffrom%3DK7M-4QP"' in page.text

    signed_in = await post(
        client, "/sign-in", name=people.HEAD, password=PASSWORD, next="/notice?from=K7M-4QP"
    )
    assert signed_in.headers["location"] == "/notice?from=K7M-4QP"
    await post(client, "/notice", "/notice?from=K7M-4QP", version=version, code="K7M-4QP", agree="yes")

    assert published(site) == {people.HEAD: None}
    (event,) = await audit.events_of(site.admin.db, f"notice {version}")
    assert (event.actor, event.details) == (people.HEAD, {**people.AS_HEAD, "known_by": "signed_in"})
    assert "library.example" in (await client.get("/notice?from=K7M-4QP")).text


async def test_person_known_by_the_proxys_password_is_recorded_as_that(site: Site) -> None:
    version = await with_notice(site)
    clerk = await stopped(site, device=None)
    await post(clerk, "/notice", version=version, agree="yes")
    (event,) = await audit.events_of(site.admin.db, f"notice {version}")
    assert event.details == {**people.AS_CLERK, "known_by": "proxy_sign_in"}


async def test_box_that_is_not_checked_is_asked_for(site: Site) -> None:
    version = await with_notice(site)
    clerk = await stopped(site)
    answer = await post(clerk, "/notice", version=version, code="K7M-4QP")
    assert answer.status_code == 422
    assert "Check the box to say that you have read it" in words(answer)
    assert published(site) == {}


async def test_version_that_changed_while_it_was_read_is_not_signed(site: Site) -> None:
    version = await with_notice(site)
    clerk = await stopped(site)
    await with_notice(site, NOTICE.replace("and when", "and for how long"))
    for path in ("/notice", "/notice/later"):
        answer = await post(clerk, path, "/notice", version=version, agree="yes")
        assert answer.status_code == 409
        assert "The text has changed since you opened it. Nothing was signed." in words(answer)
    assert published(site) == {}


async def test_new_version_says_what_changed_since_the_one_that_was_signed(site: Site) -> None:
    version = await with_notice(site)
    clerk = await stopped(site)
    await post(clerk, "/notice", version=version, agree="yes")
    site.clock.at += timedelta(minutes=5)

    await with_notice(
        site, NOTICE.replace("and when.", "and for how long.").replace("section 3", "section 4")
    )

    page = await clerk.get("/notice")
    assert "Since you accepted the earlier text on Fri, March 6:" in words(page)
    assert "Gone: Sites are recorded, and when. New: Sites are recorded, and for how long." in words(page)
    assert "Ask {x}" not in page.text.partition("The whole text")[0]
    assert published(site) == {}


async def test_it_is_put_off_until_tomorrow_while_that_is_allowed(site: Site) -> None:
    version = await with_notice(site, NOTICE + LATER)
    clerk = await stopped(site)
    page = await clerk.get("/notice?from=K7M-4QP")
    assert "From Fri, March 20 the web opens only after that." in words(page)

    answer = await post(clerk, "/notice/later", "/notice?from=K7M-4QP", version=version, code="K7M-4QP")

    assert "You are asked again from tomorrow, 12 AM on." in words(answer)
    assert 'href="https://library.example/"' in answer.text
    assert published(site) == {people.CLERK: site.clock.at.replace(day=7, hour=5, minute=0, second=0)}

    site.clock.at += timedelta(days=14)
    clerk = await stopped(site)
    late = await post(clerk, "/notice/later", "/notice", version=version)
    assert late.status_code == 409 and "It can no longer be put off." in words(late)
    kinds = [event.kind for event in await audit.events_of(site.admin.db, f"notice {version}")]
    assert kinds == [EventKind.NOTICE_PUT_OFF, EventKind.NOTICE_MOVE_REFUSED]


async def test_link_is_followed_in_one_browser_and_changes_nothing_by_itself(site: Site) -> None:
    await with_notice(site)
    token = site.token(host="library.example", rule=None, approval=())
    assert (await site.client().get("/notice", params={"token": token})).status_code == 303
    assert (await site.client().get("/notice", params={"token": token})).status_code == 410
    assert (await site.client().get("/notice", params={"token": token + "x"})).status_code == 400
    site.clock.at += timedelta(minutes=16)
    assert (await site.client().get("/notice", params={"token": token})).status_code == 410
    assert published(site) == {}


async def test_without_a_notice_there_is_nothing_to_sign(site: Site) -> None:
    clerk = await stopped(site)
    page = await clerk.get("/notice?from=K7M-4QP")
    assert "Nothing to sign" in words(page) and "library.example" in page.text
    assert "The notice" not in words(await clerk.get("/policy"))
    assert "The law" not in words(await clerk.get("/recorded"))
    assert (await post(clerk, "/notice", "/sign-in", version="x", agree="yes")).status_code == 409


async def test_recorded_and_policy_name_the_notice_and_its_law(site: Site) -> None:
    await with_notice(site)
    page = await site.client().get("/recorded")
    assert "Records Law, section 3. The town’s notice says more: Acceptable use of computers" in words(page)
    assert "Sign in to see whether you have accepted it." in words(await site.client().get("/policy"))
    head = await site.signed_in(people.HEAD)
    assert "You have not accepted it yet." in words(await head.get("/policy"))
