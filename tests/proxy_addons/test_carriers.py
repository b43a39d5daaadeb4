"""A translator or an archive that shows a listed site is judged as that site too."""

from pathlib import Path

import pytest

from policy.decision import Cause, Lane, Verdict
from proxy_addons.snapshot_watch import SnapshotWatch
from tests.people import CLERK_AT_WORK
from tests.proxied_town import TOWN, ProxiedTown
from tests.published_town import PublishedTown

ARCHIVED = "http://web.archive.org/web/2020/http://{}/"


def test_page_and_record_name_the_site_that_is_shown(town: ProxiedTown) -> None:
    answer = town.client.get(ARCHIVED.format("www.cardroom.example"))

    assert answer.status == 403
    assert "cardroom.example" in answer.text
    assert "Gambling" in answer.text
    visit = town.visit()
    assert (visit.host, visit.rule, visit.entry) == (
        "www.cardroom.example",
        "not-town-business",
        "cardroom.example",
    )
    assert visit.refusal == "shown by web.archive.org"


def test_host_of_a_translator_is_seen_through_in_tls(town: ProxiedTown) -> None:
    answer = town.client.get("https://cardroom-example.translate.goog/")

    assert (answer.status, town.visit().host) == (403, "cardroom.example")


def test_private_address_that_is_shown_is_refused(town: ProxiedTown) -> None:
    assert town.client.get(ARCHIVED.format("10.0.0.5")).status == 403
    assert town.visit().cause is Cause.PRIVATE_ADDRESS


@pytest.mark.parametrize("url", [ARCHIVED.format("video.example"), "https://video-example.translate.goog/"])
def test_site_that_would_be_warned_of_is_blocked_where_another_shows_it(url: str, town: ProxiedTown) -> None:
    answer = town.client.get(url)

    assert answer.status == 403
    assert "Before you go on" not in answer.text
    assert "/.well-known/towngate/continue" not in answer.text
    assert (town.visit().verdict, town.visit().lane) == (Verdict.BLOCK, Lane.BLOCK)


@pytest.mark.parametrize("shown", ["library.example", "a..example"])
def test_allowed_and_unreadable_sites_are_no_reason_to_block_what_shows_them(
    shown: str, town: ProxiedTown
) -> None:
    answer = town.client.get(ARCHIVED.format(shown))

    # Nothing answers here for the archive itself.
    assert answer.status == 502
    assert (town.visit().verdict, town.visit().host) == (Verdict.ALLOW, "web.archive.org")


def test_essential_site_shows_what_it_likes(town: ProxiedTown) -> None:
    town.publish_policy(TOWN + "essentials: [web.archive.org]\n")

    answer = town.client.get(ARCHIVED.format("cardroom.example"))

    assert answer.status == 502
    assert town.visit().cause is Cause.UNREACHABLE


def test_open_visit_is_judged_again_by_what_it_shows(tmp_path: Path) -> None:
    town = PublishedTown(tmp_path)
    town.publish_categories({"press": ["news.example"]})
    before = SnapshotWatch(tmp_path).judge
    visited = before.judge(CLERK_AT_WORK, "https", "cardroom-example.translate.goog", 443, None)
    assert before.judge_carried(visited, "").decision.is_allowed

    town.publish_categories({"gambling": ["cardroom.example"]})

    again = SnapshotWatch(tmp_path).judge.judge_again(visited)
    assert (again.decision.verdict, again.visit.host) == (Verdict.BLOCK, "cardroom.example")
