"""YAML with places; what is not plain YAML is refused where it stands."""

import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from policy import yaml_tree
from policy.problem import PolicyError
from policy.yaml_tree import MAX_BYTES, Mapping, Node, Scalar, Sequence, compose


def plain(node: Node) -> object:
    """Return the tree as Python's own values, texts as written."""
    match node:
        case Scalar(text=text, is_null=is_null):
            return None if is_null else text
        case Sequence(items=items):
            return [plain(item) for item in items]
        case Mapping(pairs=pairs):
            return [(plain(key), plain(value)) for key, value in pairs]


def problem_of(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        compose(text)
    (problem,) = caught.value.problems
    return str(problem)


@pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])
def test_texts_stay_as_written_and_only_nothing_is_null(
    monkeypatch: pytest.MonkeyPatch, loader: object
) -> None:
    monkeypatch.setattr(yaml_tree, "_LOADER", loader)
    text = """\
time: 16:30
no: 0555
date: 2026-03-02
empty:
null: ~
quoted: ["", "null", '~']
a: {b: [c, {d: e}]}
"""
    assert plain(compose(text)) == [
        ("time", "16:30"),
        ("no", "0555"),
        ("date", "2026-03-02"),
        ("empty", None),
        (None, None),
        ("quoted", ["", "null", "~"]),
        ("a", [("b", ["c", [("d", "e")]])]),
    ]


def test_nodes_know_where_they_begin() -> None:
    root = compose("# a note\na:\n  - {b: c}\n")
    assert isinstance(root, Mapping)
    ((key, value),) = root.pairs
    assert (key.line, key.column) == (2, 1)
    assert (value.line, value.column) == (3, 3)


def test_alias_stands_for_what_its_anchor_named() -> None:
    text = "a: &both [10.1.0.0/16, 10.2.0.0/16]\nb: *both\n"
    assert plain(compose(text)) == [
        ("a", ["10.1.0.0/16", "10.2.0.0/16"]),
        ("b", ["10.1.0.0/16", "10.2.0.0/16"]),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1: the document is empty"),
        ("# only a note\n", "line 1: the document is empty"),
        ("a: b\n---\nc: d", "line 2: a second document begins here; only one is read"),
        ("a: *b", "line 1: the alias *b has no anchor above it"),
        ("a: &x [b, *x]", "line 1: the alias *x has no anchor above it"),
        (
            "a: !!python/object:os.system x",
            "line 1: the tag 'tag:yaml.org,2002:python/object:os.system' is not supported;"
            " write plain values",
        ),
        ("a: \ud800", "line 1: this is not UTF-8 text"),
        ("a: b\nc: é\x07\n", "line 2: the character 0x7 is not allowed in YAML"),
        ("a: b: c", "line 1: YAML: mapping values are not allowed in this context"),
        (
            "town:\n\tname: x",
            "line 2: YAML: found character that cannot start any token while scanning for the next token;"
            " indent with spaces, not with tabs",
        ),
        (
            "rules:\n  - a\n  b: c",
            "line 3: YAML: did not find expected '-' indicator"
            " while parsing a block collection that begins in line 2",
        ),
        (
            "a: {b: c\n",
            "line 2: YAML: did not find expected ',' or '}'"
            " while parsing a flow mapping that begins in line 1",
        ),
    ],
)
def test_what_is_no_plain_yaml_is_refused_at_its_line(text: str, problem: str) -> None:
    assert problem_of(text) == problem


def test_document_of_more_than_4_mib_is_refused_unread() -> None:
    assert problem_of("#" * (MAX_BYTES + 1)) == (
        "line 1: the document has 4,194,305 bytes; at most 4,194,304 are read"
    )


def test_aliases_that_unfold_into_millions_are_refused_at_once() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))
    begun_at = time.process_time()
    assert problem_of(bomb) == "line 6: more than 500,000 values, aliases unfolded"
    assert time.process_time() - begun_at < 1


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000 + "x", "? " * 1000])
def test_deep_nesting_is_refused(text: str) -> None:
    assert "nested more than 20 levels deep" in problem_of(text)


@given(st.text(alphabet="ab:-[]{}&*!?|>'\"#%@`,~ \n\t\\\x00é\ud800", max_size=60))
def test_any_text_is_a_tree_or_one_problem(text: str) -> None:
    try:
        compose(text)
    except PolicyError as error:
        assert len(error.problems) == 1
        assert error.problems[0].line >= 1
