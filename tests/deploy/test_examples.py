"""What is to be added to a policy, as the README has it done: each alone, and all of it."""

from pathlib import Path

import pytest

from categories.taxonomy import taxonomy
from policy.document import PolicyDocument, load_document

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "deploy" / "examples").glob("*.yaml"))


def added(*examples: Path) -> PolicyDocument:
    """Return what comes of the demo's policy with these at its end."""
    texts = [path.read_text() for path in (ROOT / "admin" / "demo_policy.yaml", *examples)]
    return load_document("".join(texts), taxonomy())


@pytest.mark.parametrize("example", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_each_example_can_be_added_to_the_demos_policy_and_is_in_the_readme(example: Path) -> None:
    assert added(example).policy != added().policy
    assert f"cat deploy/examples/{example.name} >> var/policy.yaml" in (ROOT / "README.md").read_text()


def test_all_examples_can_be_added_together() -> None:
    policy = added(*EXAMPLES).policy
    assert policy.notice is not None
    assert [limit.id for limit in policy.limits] == ["too-large", "large", "streams"]
    assert policy.asking.personal_use is not None
    assert policy.asking.internet_account is not None
