"""Why a recorded visit was decided as it was: what is compared with today, and what is not."""

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from admin import visits, why_words
from admin.clock import utc_now
from admin.database import Database
from admin.ingest import Ingest
from admin.kept_policies import KeptPolicies
from admin.replaying import DecidedBy, Explanation, explain
from admin.visit_log.searching import VisitFilter
from admin.visits import VisitRow, WhoCodes
from policy.correction import Correction
from policy.decision import Cause, Lane, Verdict
from policy.file_types import refusal_of
from policy.snapshot import PolicySnapshot
from policy.state import Exemption
from policy.visit_record import VisitRecord
from tests.admin.small_town import visit_record
from tests.categories.lists import publish_lists, write_layout
from tests.people import CLERK
from tests.published_town import PublishedTown, policy_of
from tests.towns import DOCUMENT

MONDAY_TEN = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


@pytest.fixture
def town(tmp_path: Path) -> PublishedTown:
    return PublishedTown(tmp_path / "state")


def blocked_by_url(town: PublishedTown, scratch: Path) -> VisitRecord:
    """Publish lists with a URL entry, and return the record of a visit that it blocked."""
    lists = {"ut1": write_layout(scratch / "ut1", {"gambling/urls": "blog.example/casino\n"})}
    version = publish_lists(town.state.categories, lists, scratch / "scratch").version
    record = visit_record(
        scheme="http", host="www.blog.example", port=80, entry="blog.example/casino", source="ut1"
    )
    return replace(record, policy_version=policy_of(DOCUMENT).version, category_version=version)


async def explained(db: Database, town: PublishedTown, record: VisitRecord) -> tuple[VisitRow, Explanation]:
    (town.state.spool / "1.visits").write_bytes(record.to_line())
    await Ingest(db, town.state.spool, utc_now).take_in()
    (row,) = await visits.query(db, VisitFilter(), WhoCodes(b"k" * 32, UTC), names_shown=False)  # type: ignore[arg-type]
    return row, await explain(db, town.state, row)


@pytest.mark.parametrize(
    "cause",
    [Cause.MISMATCH, Cause.NOT_TLS, Cause.MALFORMED, Cause.UNREACHABLE, Cause.CERTIFICATE, Cause.FAULT],
)
async def test_what_the_proxy_itself_refused_is_not_decided_again(
    db: Database, town: PublishedTown, cause: Cause
) -> None:
    changed: dict[str, Any] = {"cause": cause, "lane": Lane.REFUSE, "rule": None, "verdict": Verdict.BLOCK}
    row, why = await explained(db, town, visit_record(host="library.example", **changed))
    assert why == Explanation(None)
    assert why.agrees_with(row)


async def test_url_entry_is_found_again_though_the_path_was_not_recorded(
    db: Database, town: PublishedTown, tmp_path: Path
) -> None:
    row, why = await explained(db, town, blocked_by_url(town, tmp_path))
    assert why.agrees_with(row)
    assert why.changed == ()
    assert why.decision is not None and why.decision.match is not None
    assert why.decision.match.entry == "blog.example/casino"


async def test_url_entry_that_is_gone_is_a_change_of_the_lists_alone(
    db: Database, town: PublishedTown, tmp_path: Path
) -> None:
    record = blocked_by_url(town, tmp_path)
    town.publish_categories({"shopping": ["shop.example"]})
    row, why = await explained(db, town, record)
    assert not why.agrees_with(row)
    assert why.changed == ("lists",)


async def test_unknown_clients_address_is_in_no_step(db: Database, town: PublishedTown) -> None:
    changed = {"person": None, "device": None, "department": None, "cause": Cause.UNKNOWN_CLIENT}
    _, why = await explained(db, town, visit_record(address="192.0.2.77", rule=None, **changed))
    assert why.decision is not None and why.decision.cause is Cause.UNKNOWN_CLIENT
    assert "192.0.2.77" not in " ".join(step.why for step in why.steps)


@pytest.mark.parametrize("verdict", [Verdict.WARN, Verdict.ALLOW])
async def test_warning_and_the_visit_of_who_continued_both_come_to_the_same_again(
    db: Database, town: PublishedTown, verdict: Verdict
) -> None:
    document = DOCUMENT.replace(
        "rules:\n", "rules:\n  - {id: think-first, categories: [gambling], action: warn}\n", 1
    )
    town.publish_policy(document)
    record = visit_record(verdict=verdict, rule="think-first", policy_version=policy_of(document).version)
    row, why = await explained(db, town, record)
    assert why.agrees_with(row)
    assert why.decision is not None and why.decision.verdict is verdict


async def test_url_entry_inside_https_is_found_again_where_the_site_is_still_opened(
    db: Database, town: PublishedTown, tmp_path: Path
) -> None:
    record = replace(blocked_by_url(town, tmp_path), scheme="https", port=443)
    document = DOCUMENT.replace("action: block\n", "action: block\n    inspect: urls\n", 1)
    town.publish_policy(document)
    row, why = await explained(db, town, replace(record, policy_version=policy_of(document).version))
    assert why.agrees_with(row)
    assert why.opened_for == ("not-town-business",)
    assert why.decision is not None and why.decision.match is not None
    assert why.decision.match.entry == "blog.example/casino"


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_visit_that_access_to_a_page_opened_is_decided_by_it_again(
    db: Database, town: PublishedTown, tmp_path: Path, scheme: str
) -> None:
    blocked = blocked_by_url(town, tmp_path)
    document = DOCUMENT.replace("action: block\n", "action: block\n    inspect: urls\n", 1)
    began, ends = blocked.started_at - timedelta(hours=1), blocked.started_at + timedelta(hours=1)
    page = Exemption("EX-1", "blog.example", began, ends, person=CLERK, path="/casino/rules")
    town.publish_policy(document, [page])
    record = replace(
        blocked,
        scheme=scheme,
        port=443 if scheme == "https" else 80,
        verdict=Verdict.ALLOW,
        cause=Cause.EXEMPTION,
        rule=None,
        exemption="EX-1",
        policy_version=policy_of(document).version,
    )
    row, why = await explained(db, town, record)
    assert why.agrees_with(row) and why.changed == ()
    assert why.decision is not None and why.decision.exemption == "EX-1"


async def test_url_entry_inside_https_counts_no_more_where_nothing_is_opened(
    db: Database, town: PublishedTown, tmp_path: Path
) -> None:
    row, why = await explained(db, town, replace(blocked_by_url(town, tmp_path), scheme="https", port=443))
    assert not why.agrees_with(row)
    assert why.decision is not None and why.decision.verdict is Verdict.ALLOW


async def test_visit_to_a_newly_seen_site_is_explained_as_of_when_it_was_made(
    db: Database, town: PublishedTown
) -> None:
    new_sites = "rules:\n  - {id: new-sites, categories: [newly_seen], action: block}\n"
    town.publish_policy(DOCUMENT.replace("rules:\n", new_sites, 1))
    town.publish_first_visits(
        {"first.example": MONDAY_TEN - timedelta(days=90), "library.example": MONDAY_TEN}
    )
    record = visit_record(
        host="library.example",
        started_at=MONDAY_TEN,
        ended_at=MONDAY_TEN,
        rule="new-sites",
        category="newly_seen",
        entry="library.example",
        source="no list",
    )
    row, why = await explained(db, town, record)
    assert why.agrees_with(row)
    assert why.decision is not None and why.decision.rule == "new-sites"


async def test_access_to_one_download_opened_no_site_and_is_no_change(
    db: Database, town: PublishedTown
) -> None:
    ends_at = MONDAY_TEN + timedelta(days=1)
    once = Exemption("EX-9", "library.example", MONDAY_TEN, ends_at, CLERK, lifts_limits=True, is_once=True)
    town.publish_policy(DOCUMENT, [once])
    by_it = visit_record(
        host="library.example", verdict=Verdict.ALLOW, cause=Cause.DEFAULT, rule=None, exemption="EX-9"
    )
    row, why = await explained(db, town, by_it)
    assert why.agrees_with(row) and "access that was granted" not in why.changed


NO_PROGRAMS = "rules:\n  - {id: no-programs, categories: [press], file_types: [executable], action: block}\n"


@pytest.mark.parametrize("types", [{"executable"}, {"archive", "executable"}, set()])
async def test_download_that_was_stopped_is_stopped_again(
    db: Database, town: PublishedTown, types: set[str]
) -> None:
    row, why = await explained(db, town, stopped_download(town, types))
    assert why.agrees_with(row) and why.changed == ("lists",)
    assert [(step.what, step.is_hit) for step in why.steps][-2:] == [
        ("default", True),
        ("rule no-programs, of downloads", True),
    ]


async def test_download_of_a_type_that_no_rule_stops_any_more_would_be_allowed(
    db: Database, town: PublishedTown
) -> None:
    row, why = await explained(db, town, stopped_download(town, {"video"}))
    assert not why.agrees_with(row)
    assert why.decision is not None and why.decision.verdict is Verdict.ALLOW
    assert why.steps[-1].why == "the file is of the type video: no rule stops it"


async def test_what_a_visit_cannot_download_is_told(db: Database, town: PublishedTown) -> None:
    town.publish_policy(DOCUMENT.replace("rules:\n", NO_PROGRAMS, 1))
    _, why = await explained(db, town, visit_record(host="news.example"))
    assert [(files.rule, files.types) for files in why.stopped] == [("no-programs", {"executable"})]


def stopped_download(town: PublishedTown, types: set[str]) -> VisitRecord:
    document = DOCUMENT.replace("rules:\n", NO_PROGRAMS, 1)
    town.publish_policy(document)
    return visit_record(
        host="news.example",
        rule="no-programs",
        category="press",
        entry="news.example",
        refusal=refusal_of(frozenset(types)),
        policy_version=policy_of(document).version,
    )


async def keep(db: Database, town: PublishedTown) -> PolicySnapshot:
    """Keep what is published now, as publishing does; return it."""
    snapshot = PolicySnapshot.from_bytes(town.state.policy_snapshot.read_bytes())
    await KeptPolicies(db).keep(dataclasses.replace(snapshot, published_at=MONDAY_TEN))
    return snapshot


def recorded(snapshot: PolicySnapshot, lists: str, **changed: Any) -> VisitRecord:
    """Return the record of a visit that was decided by these."""
    values = {"policy_sequence": snapshot.sequence, "policy_version": snapshot.policy.version}
    return visit_record(category_version=lists, **values, **changed)


WARNS = DOCUMENT.replace(
    "rules:\n", "rules:\n  - {id: think-first, categories: [gambling], action: warn}\n", 1
)
GAMBLING = {"gambling": ["cardroom.example"]}


async def test_visit_is_decided_by_the_policy_and_lists_of_its_day(db: Database, town: PublishedTown) -> None:
    lists = town.publish_categories(GAMBLING)
    then = await keep(db, town)
    town.publish_policy(DOCUMENT.replace("categories: [adult, gambling", "categories: [adult"))
    today = await keep(db, town)
    town.publish_categories({"press": ["cardroom.example"]})
    row, why = await explained(db, town, recorded(then, lists))
    assert why.agrees_with(row) and not why.today_agrees_with(row)
    assert why.decision is not None and why.decision.rule == "not-town-business"
    assert why.today is not None and why.today.verdict is Verdict.ALLOW
    assert why.changed == ("policy", "lists")
    assert why.decided_by == DecidedBy(then.policy.version, lists, is_of_that_day=True)
    assert why_words.decided_by(why, row, UTC, MONDAY_TEN) == (  # type: ignore[arg-type]
        f"As of Mon,\u00a0March\u00a02: policy {then.policy.version}, lists {lists}."
    )
    assert (
        why_words.today(why, row) == "The policy and the lists changed since then. Now it would be allowed."
    )
    assert today.policy.version != then.policy.version


async def test_access_that_ended_since_still_explains_the_visit(db: Database, town: PublishedTown) -> None:
    lists = town.publish_categories(GAMBLING)
    until = MONDAY_TEN + timedelta(hours=1)
    granted = Exemption("EX-1", "cardroom.example", MONDAY_TEN - timedelta(hours=1), until, person=CLERK)
    town.publish_policy(DOCUMENT, [granted])
    then = await keep(db, town)
    town.publish_policy(DOCUMENT)
    changed = {"rule": None, "exemption": "EX-1", "cause": Cause.EXEMPTION, "verdict": Verdict.ALLOW}
    at = {"started_at": MONDAY_TEN, "ended_at": MONDAY_TEN}
    row, why = await explained(db, town, recorded(then, lists, **at, **changed))
    assert why.agrees_with(row) and why.decision is not None and why.decision.exemption == "EX-1"
    assert why.changed == ("access that was granted",)
    assert why_words.today(why, row) == (
        "The access that was granted changed since then. Now it would be blocked, by rule not-town-business."
    )


async def test_correction_since_then_is_named(db: Database, town: PublishedTown) -> None:
    lists = town.publish_categories(GAMBLING)
    then = await keep(db, town)
    town.publish_policy(corrections=[Correction("cardroom.example", ("press",))])
    row, why = await explained(db, town, recorded(then, lists))
    assert why.agrees_with(row) and why.changed == ("corrections",)
    assert why_words.today(why, row) == "The corrections changed since then. Now it would be allowed."


async def test_lists_that_are_gone_are_said_and_the_records_entry_stands_in(
    db: Database, town: PublishedTown
) -> None:
    then = await keep(db, town)
    town.publish_categories({"press": ["cardroom.example"]})
    row, why = await explained(db, town, recorded(then, "0123456789ab"))
    assert why.agrees_with(row) and not why.today_agrees_with(row)
    assert why.decided_by == DecidedBy(then.policy.version, None, is_of_that_day=True)
    said = why_words.decided_by(why, row, UTC, MONDAY_TEN)  # type: ignore[arg-type]
    assert "The lists of that day, 0123456789ab, are gone: the entry on record stands in for them." in said


@pytest.mark.parametrize("version", ["../published", "", "."])
async def test_record_names_no_folder_to_read_lists_from(
    db: Database, town: PublishedTown, version: str
) -> None:
    _, why = await explained(db, town, recorded(await keep(db, town), version))
    assert why.decided_by is not None and why.decided_by.lists is None


@pytest.mark.parametrize("changed", [{"policy_sequence": 99}, {"policy_version": "of another database"}])
async def test_visit_whose_policy_was_not_kept_is_told_by_what_is_in_force_now(
    db: Database, town: PublishedTown, changed: dict[str, Any]
) -> None:
    lists = town.publish_categories(GAMBLING)
    snapshot = await keep(db, town)
    row, why = await explained(db, town, replace(recorded(snapshot, lists), **changed))
    assert why.decision == why.today
    assert why.decided_by == DecidedBy(snapshot.policy.version, lists, is_of_that_day=False)
    said = why_words.decided_by(why, row, UTC, MONDAY_TEN)  # type: ignore[arg-type]
    assert said.startswith("What was in force then is not kept. With what is in force now: policy ")


async def test_who_never_was_warned_is_not_taken_for_one_who_went_on(
    db: Database, town: PublishedTown
) -> None:
    lists = town.publish_categories(GAMBLING)
    town.publish_policy(DOCUMENT.replace("adult, gambling", "adult"))
    then = await keep(db, town)
    town.publish_policy(WARNS)
    changed = {"verdict": Verdict.ALLOW, "rule": None, "cause": Cause.DEFAULT}
    row, why = await explained(db, town, recorded(then, lists, **changed))
    assert why.agrees_with(row)
    assert why.today is not None and why.today.verdict is Verdict.WARN


async def test_what_is_kept_and_explains_nothing_is_said(db: Database, town: PublishedTown) -> None:
    lists = town.publish_categories(GAMBLING)
    then = await keep(db, town)
    row, why = await explained(db, town, recorded(then, lists, rule="some-other-rule"))
    assert why_words.otherwise(why, row) == (
        "Decided again by that, it would have been blocked, by rule not-town-business."
    )


async def test_limit_that_stopped_a_visit_is_that_of_its_day(db: Database, town: PublishedTown) -> None:
    limits = "limits:\n  - {id: big, larger_than: 500MB, action: block}\n"
    town.publish_policy(DOCUMENT + limits)
    then = await keep(db, town)
    town.publish_policy(DOCUMENT)
    _, why = await explained(db, town, recorded(then, "", cause=Cause.LIMIT, rule="big"))
    assert [held.limit.id for held in why.limits] == ["big"] and not why.no_limits
