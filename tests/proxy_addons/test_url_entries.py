"""An entry for a URL, of a host that is blocked: what is shown inside TLS, and what is not promised."""

from tests.proxied_town import TOWN, ProxiedTown
from tests.published_town import CATEGORIES

RULES = """rules:
  - {id: news-pages, categories: [press], action: allow}
"""


def test_an_allowed_page_of_a_blocked_host_is_a_page_and_a_record_not_a_loop(town: ProxiedTown) -> None:
    assert TOWN.count("rules:\n") == 1
    town.publish_policy(TOWN.replace("rules:\n", RULES))
    town.publish_categories(CATEGORIES, {"press": [("cardroom.example", "/news")]})

    answer = town.client.get("https://cardroom.example/news/today")

    assert answer.status == 403
    assert "This site is blocked" in answer.text
    assert town.visit().rule == "not-town-business"
