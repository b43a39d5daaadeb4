"""Why a recorded visit was decided as it was: what is compared with today, and what is not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from admin import visits
from admin.clock import utc_now
from admin.database import Database
from admin.ingest import Ingest
from admin.replaying import Explanation, explain
from admin.visit_log.searching import VisitFilter
from admin.visits import VisitRow, WhoCodes
from policy.decision import Cause, Lane, Verdict
from policy.file_types import refusal_of
from policy.visit_record import VisitRecord
from tests.admin.small_town import visit_record
from tests.categories.lists import publish_lists, write_layout
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
