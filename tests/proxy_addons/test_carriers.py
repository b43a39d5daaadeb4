"""A translator or an archive that shows a listed site is judged as that site too."""

import pytest

from policy.decision import Cause, Lane, Verdict
from tests.proxied_town import TOWN, ProxiedTown

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


def test_site_that_would_be_warned_of_is_blocked_where_another_shows_it(town: ProxiedTown) -> None:
    answer = town.client.get(ARCHIVED.format("video.example"))

    assert answer.status == 403
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
