"""A policy snapshot as lines: it comes back, and little differs from one to the next."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from policy.snapshot import SnapshotError
from policy.snapshot_lines import from_lines, to_lines
from policy.state import Exemption
from tests.policy.test_readme import EXAMPLE
from tests.policy.test_snapshot import NOW, SNAPSHOT
from tests.published_town import policy_of
from tests.towns import DOCUMENT

_LINES_OF_A_TOWN = (
    "from policy.snapshot_lines import to_lines; from tests.policy.test_snapshot_lines import A_TOWN;"
    " print('\\n'.join(to_lines(A_TOWN)))"
)
A_TOWN = replace(SNAPSHOT, policy=policy_of(DOCUMENT))


def test_snapshot_comes_back_without_what_nothing_is_decided_by() -> None:
    snapshot = replace(SNAPSHOT, ended_visits=("K7M-4QP",))
    lines = to_lines(snapshot)
    assert from_lines(lines, 7, NOW) == replace(SNAPSHOT, proxy_passwords={})
    assert "argon2id" not in "".join(lines) and "K7M-4QP" not in "".join(lines)


@pytest.mark.parametrize("document", [DOCUMENT, EXAMPLE], ids=["the tests' town", "the README's example"])
def test_policy_of_a_document_comes_back(document: str) -> None:
    snapshot = replace(SNAPSHOT, policy=policy_of(document))
    assert from_lines(to_lines(snapshot), 7, NOW).policy == snapshot.policy


def test_one_more_exemption_and_one_less_are_a_line_each() -> None:
    one, other = (
        Exemption(f"EX-{n}", "a.example", NOW, NOW, person="clerk", accepted_risks=frozenset({"doh", "vpn"}))
        for n in (2, 3)
    )
    before = replace(SNAPSHOT, exemptions=(*SNAPSHOT.exemptions, one))
    after = replace(SNAPSHOT, sequence=8, exemptions=(one, other))
    assert [len(set(to_lines(a)) - set(to_lines(b))) for a, b in ((before, after), (after, before))] == [1, 1]


def test_lines_are_the_same_in_every_process() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-c", _LINES_OF_A_TOWN],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert said == {"\n".join(to_lines(A_TOWN)) + "\n"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('[["policy","default"],"perhaps"]', "another form: policy.default"),
        ('[["policy","default"', "is damaged"),
        ("[[],1]", "is damaged"),
        ('[["policy","default","deeper"],1]', "is damaged"),
        ("7", "is damaged"),
    ],
)
def test_lines_of_another_form_are_refused(line: str, said: str) -> None:
    with pytest.raises(SnapshotError, match=f"the policy kept as 7 .*{said}|the policy kept as 7 {said}"):
        from_lines([*to_lines(SNAPSHOT), line], 7, NOW)


def test_lines_are_json() -> None:
    assert [path for path, _ in map(json.loads, to_lines(SNAPSHOT)) if path[0] == "exemptions"] == [
        ["exemptions", None]
    ]
