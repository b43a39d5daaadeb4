"""Expressions: all of a set at once, in linear time, and none missed."""

import pytest

from categories import expressions as module
from categories.expressions import ExpressionError, ExpressionSet, checked_expression, quoted


def test_every_expression_that_matches_is_found() -> None:
    each = ExpressionSet(["^a", "b$", "c", "x{900}"])
    assert each.matching("acb") == ["^a", "b$", "c"]
    assert each.matching("B") == ["b$"]
    assert each.matching("-") == []
    assert ExpressionSet([]).matching("a") == []


@pytest.mark.parametrize("bytes_of_all", [1 << 12, 1 << 15, 60_000, 100_000, 1 << 20])
def test_set_that_is_too_large_for_its_memory_misses_nothing(
    monkeypatch: pytest.MonkeyPatch, bytes_of_all: int
) -> None:
    monkeypatch.setattr(module, "_MAX_BYTES_OF_ALL", bytes_of_all)
    texts = [f"x{number}(.*a.{{20}}b|foo)[a-z]*q" for number in range(20)]
    assert ExpressionSet(texts).matching("x17foozq") == [texts[17]]
    assert ExpressionSet(texts).matching("nothing") == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("(a", "is not an expression that can be used: missing [)]"),
        (r"(a)\1", r"invalid escape sequence: \\1"),
        ("(?=a)", "invalid perl operator"),
        ("((a{900}){9}b{900}){9}", "invalid repetition size"),
        ("", "everything matches"),
        ("a|", "everything matches"),
    ],
)
def test_what_re2_refuses_or_matches_all_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ExpressionError, match=reason):
        checked_expression(text)


def test_keyword_is_taken_as_it_is_written() -> None:
    each = ExpressionSet([quoted("a.b")])
    assert each.matching("xa.bx") == [quoted("a.b")]
    assert each.matching("aXb") == []


class FakeOvergrownSet:
    """What RE2's set answers once it has no memory left; no list here is large enough for that."""

    def Match(self, text: str) -> None:  # noqa: N802  # RE2's name
        """Answer as if nothing matched, not even what always does."""


def test_set_that_outgrows_its_memory_while_matching_misses_nothing() -> None:
    each = ExpressionSet(["^a", "b$", "c"])
    each._set = FakeOvergrownSet()
    assert each.matching("acb") == ["^a", "b$", "c"]
    assert each.matching("-") == []
