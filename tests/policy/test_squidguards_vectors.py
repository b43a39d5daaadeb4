"""squidGuard's own test 1: 1,005 requests, its lists and its ACLs, and what it answers."""

from collections import Counter
from pathlib import Path

import pytest

from policy.decision import Verdict
from tests.categories.lists import publish_lists
from tests.real_data import TestData
from tests.squidguard import SquidGuard

_CATEGORY = "adult"


@pytest.fixture
def vectors(test_data: TestData) -> Path:
    return test_data("vectors") / "squidguard"


def _squidguard(vectors: Path, tmp_path: Path, *names: str) -> SquidGuard:
    """Return our squidGuard with these files of its list, which test 1 names in its configuration."""
    folder = tmp_path / "lists" / _CATEGORY
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes((vectors / "blacklist" / name).read_bytes())
    lists = publish_lists(tmp_path / "published", {"squidguard": folder.parent}, tmp_path / "scratch")
    configuration = (vectors / "test1.conf.in").read_text()
    return SquidGuard(configuration, lists, {"blacklist": _CATEGORY})


def test_every_request_gets_squidguards_verdict(vectors: Path, tmp_path: Path) -> None:
    ours = _squidguard(vectors, tmp_path, "domains", "urls")
    requests = (vectors / "requests").read_text("latin-1").splitlines()
    answers = (vectors / "test1.expected").read_text().splitlines()
    agreed: Counter[tuple[str, str]] = Counter()
    for request, answer in zip(requests, answers, strict=True):
        decision = ours.decide(request)
        expected = Verdict.BLOCK if answer else Verdict.ALLOW
        assert decision.verdict is expected, (request, decision)
        # By which of its sources, too.
        group = "default" if "clientgroup=default" in answer else "kids" if answer else "pass"
        agreed[expected.value, group] += 1
    assert agreed == {("allow", "pass"): 868, ("block", "kids"): 58, ("block", "default"): 79}
    assert agreed.total() == 1005


def test_without_its_lists_the_vectors_fail(vectors: Path, tmp_path: Path) -> None:
    ours = _squidguard(vectors, tmp_path, "domains")
    requests = (vectors / "requests").read_text("latin-1").splitlines()
    answers = (vectors / "test1.expected").read_text().splitlines()
    missed = sum(
        1 for request, answer in zip(requests, answers, strict=True)
        if answer and ours.decide(request).verdict is Verdict.ALLOW
    )  # fmt: skip
    assert missed
