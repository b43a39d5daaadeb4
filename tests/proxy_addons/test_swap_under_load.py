"""Lists are swapped while people browse: no visit fails, and none gets past them."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.proxied_town import CATEGORIES, ProxiedTown

_BROWSERS = 4
_SWAPS = 6
_MORE_NAMES = 20_000


def test_no_visit_fails_or_goes_unfiltered_while_lists_are_swapped(town: ProxiedTown) -> None:
    ended = threading.Event()

    def browse(number: int) -> Counter[tuple[str, int]]:
        answers = Counter[tuple[str, int]]()
        while not ended.is_set():
            # Over plain HTTP and through a tunnel; blocked and allowed.
            for url in (
                "http://cardroom.example/",
                "http://library.example/",
                f"https://{'cardroom' if number % 2 else 'library'}.example/",
            ):
                answers[url, town.client.get(url).status] += 1
        return answers

    with ThreadPoolExecutor(_BROWSERS) as pool:
        browsers = [pool.submit(browse, number) for number in range(_BROWSERS)]
        try:
            for swap in range(_SWAPS):
                more = [f"site{number}.swap{swap}.example" for number in range(_MORE_NAMES)]
                town.publish_categories({**CATEGORIES, "games": more})
        finally:
            ended.set()
        answers = sum((browser.result() for browser in browsers), Counter[tuple[str, int]]())

    assert set(answers) == {
        ("http://cardroom.example/", 403),
        ("https://cardroom.example/", 403),
        ("http://library.example/", 200),
        ("https://library.example/", 200),
    }
    assert min(answers.values()) >= _SWAPS
    visits = town.visits(sum(answers.values()))
    assert len({visit.category_version for visit in visits}) > _SWAPS / 2
