"""The page on which a head names who stands in."""

from datetime import timedelta

from tests import people
from tests.admin.web.conftest import Site, post

PARKS_HEAD = {"department": "finance", "delegate": "parks-head"}


async def test_head_names_who_stands_in_and_they_decide_until_it_is_over(site: Site) -> None:
    id_ = await site.sent_request()
    head = await site.signed_in(people.HEAD)
    assert 'href="/delegation"' in (await head.get("/decide")).text
    wrong = await post(
        head,
        "/delegation",
        department="finance",
        delegate="parks-head",
        first="2026-03-06",
        last="2026-03-05",
    )
    assert wrong.status_code == 422 and "Choose a last day" in wrong.text
    named = await post(
        head,
        "/delegation",
        department="finance",
        delegate="parks-head",
        first="2026-03-06",
        last="2026-03-06",
    )
    assert named.status_code == 303
    shown = (await head.get("/delegation")).text
    assert "Head of Parks" in shown and "Stands in for you in Finance" in shown
    delegate = await site.signed_in(people.PARKS_HEAD)
    assert "You stand in for Head of Finance" in (await delegate.get("/delegation")).text
    assert "cardroom.example" in (await delegate.get("/decide")).text
    answer = await post(
        delegate, "/delegation", department="finance", delegate="clerk", first="2026-03-06", last="2026-03-06"
    )
    assert answer.status_code == 403
    site.clock.at += timedelta(hours=14)
    delegate = await site.signed_in(people.PARKS_HEAD)
    assert "Nothing to decide" in (await delegate.get("/decide")).text
    assert (await delegate.get(f"/decide/{id_}")).status_code == 404


async def test_head_ends_it_at_once(site: Site) -> None:
    head = await site.signed_in(people.HEAD)
    days = {"first": "2026-03-06", "last": "2026-03-31"}
    await post(head, "/delegation", **PARKS_HEAD, **days)
    assert site.admin.policy.departments["finance"].delegates == ("parks-head",)
    await post(head, "/delegation/1/end", page="/delegation")
    assert "Nobody stands in for you" in (await head.get("/delegation")).text
    assert site.admin.policy.departments["finance"].delegates == ()
    # The proxy is told of nobody who stands in.
    assert site.admin._publisher.policy.departments["finance"].delegates == ()


async def test_who_is_no_head_has_no_form(site: Site) -> None:
    clerk = await site.signed_in(people.CLERK)
    shown = (await clerk.get("/delegation")).text
    assert "Name who stands in" not in shown
    assert 'href="/delegation"' not in (await clerk.get("/requests")).text
