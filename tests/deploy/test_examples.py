"""What is to be added to a policy, as the README has it done: each alone, and all of it."""

from pathlib import Path

import pytest

from admin.first_start import DEMO_PEOPLE
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


def test_what_the_readme_says_can_be_asked_for_somebody_of_the_demo_can_ask_for() -> None:
    policy = added(*EXAMPLES).policy
    may_sign_in = set(DEMO_PEOPLE)
    emergency, standing, accounts = (
        policy.asking.emergency_access,
        policy.asking.standing_permission,
        policy.asking.internet_account,
    )
    assert emergency is not None and standing is not None and accounts is not None
    assert set(emergency.people) <= may_sign_in
    assert {policy.departments[id_].head for id_ in standing.departments} <= may_sign_in
    kinds = accounts.required_for
    need_one = {person.department for person in policy.people.values() if person.kind in kinds}
    assert need_one == {policy.people["head"].department}
