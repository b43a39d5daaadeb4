"""What policy/README.md says is so."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

import policy
from categories.publishing import CurrentSnapshot, publish_starter_if_empty
from categories.taxonomy import taxonomy
from policy import deciding
from policy.document import load_document
from policy.document_tests import run_tests
from policy.document_value import Value
from policy.problem import PolicyError

README = Path(policy.__file__).with_name("README.md").read_text()
EXAMPLE = README.partition("```yaml\n")[2].partition("```")[0]


def test_example_is_a_good_policy_and_its_tests_pass(tmp_path: Path) -> None:
    document = load_document(EXAMPLE, taxonomy())
    publish_starter_if_empty(tmp_path)
    results = run_tests(document, CurrentSnapshot(tmp_path).snapshot)
    assert [str(result.problem) for result in results if result.problem] == []
    assert document.warnings == ()


def test_every_key_is_explained_and_used_in_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    known: set[str] = set()
    read = Value.fields

    def noting(
        self: Value, required: Collection[str] = (), optional: Collection[str] = (), **others: Any
    ) -> dict[str, Value]:
        known.update(required, optional)
        return read(self, required, optional, **others)

    monkeypatch.setattr(Value, "fields", noting)
    load_document(EXAMPLE, taxonomy())
    assert len(known) > 30
    table = README.partition("| key | meaning |")[2]
    explained = set(re.findall(r"`\{?(\w+)[`:]", table))
    assert known - explained == set()
    assert {key for key in known if not re.search(rf"\b{key}:", EXAMPLE)} == set()


def test_steps_are_told_in_the_order_in_which_they_are_taken() -> None:
    told = re.findall(r"^\d+\. \*\*(.+?)\*\*", README, flags=re.MULTILINE)
    assert [name.lower() for name in told] == [*deciding._STEP_NAMES, "rule", "default"]


def test_example_of_a_problem_is_one() -> None:
    shown = re.search(r"policy\.yaml: line 31: (.+)", README)
    assert shown
    rules = "rules:\n" + "".join(f"  - {{id: r{i}, action: block, people: [clerk]}}\n" for i in range(3))
    text = EXAMPLE.partition("rules:")[0] + rules + "  - {id: x, action: block, categories: [gambing]}\n"
    with pytest.raises(PolicyError) as caught:
        load_document(text, taxonomy())
    assert str(caught.value).partition(": ")[2] == shown[1]
