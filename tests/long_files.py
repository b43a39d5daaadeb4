"""Of a run on several cores, the files that take long are begun first.

A pytest plugin. A file marks itself `pytestmark = pytest.mark.long` once its tests take a core half a
minute or more. Begun last, such a file would keep one core at work while the others have none left.
"""

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # A run by one process keeps the order of the files, which is easier to follow.
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("long") is None)
