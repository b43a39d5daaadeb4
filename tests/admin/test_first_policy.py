"""The policies that ship: a town's first one, and the demo town's."""

import re
from pathlib import Path

import pytest

import admin
from admin.first_policy import first_policy
from admin.first_start import DEMO_PEOPLE, demo_policy
from categories.publishing import CurrentSnapshot, publish_starter_if_empty
from categories.snapshot import CategorySnapshot
from categories.taxonomy import taxonomy
from policy.document import PolicyDocument, load_document
from policy.document_tests import run_tests
from policy.problem import PolicyError


@pytest.fixture
def starter(tmp_path: Path) -> CategorySnapshot:
    publish_starter_if_empty(tmp_path)
    return CurrentSnapshot(tmp_path).snapshot


def failures(document: PolicyDocument, lists: CategorySnapshot) -> list[str]:
    return [str(result.problem) for result in run_tests(document, lists) if result.problem]


@pytest.mark.parametrize(
    ("town_name", "networks", "name"),
    [
        ("Town of Exampleton", ["10.10.0.0/16"], "Ada Bennett"),
        ('Village "of" St. John\'s: #1, {really}', ["10.0.0.0/8", "fd00::/8"], "Núria O'Brien: $x"),
        ("Two\nlines", [], "ada"),
    ],
)
def test_first_policy_is_good_whatever_the_names(
    starter: CategorySnapshot, town_name: str, networks: list[str], name: str
) -> None:
    text = first_policy(town_name, "America/Chicago", networks, "ada", name, "ada@town.example")
    document = load_document(text, taxonomy())
    assert document.warnings == ()
    assert failures(document, starter) == []
    assert document.policy.town.name == " ".join(town_name.split())
    assert document.policy.people["ada"].name == name
    assert [str(network) for network in document.policy.departments["office"].networks] == networks
    assert document.policy.roles["town_administrator"] == ("ada",)


def test_first_policy_without_a_mail_address_has_none() -> None:
    text = first_policy("T", "UTC", ["10.0.0.0/8"], "ada", "Ada")
    assert load_document(text, taxonomy()).policy.people["ada"].mail == ""


def test_every_example_in_the_first_policy_is_good_too(starter: CategorySnapshot) -> None:
    head, town, body = first_policy("T", "UTC", ["10.10.10.0/24"], "ada", "Ada").partition("\ntown:")
    # An example is a key or an item behind a #; a note is a sentence.
    examples = re.sub(r"^( *)# (?=- |  \S|[\w.]+: )", r"\1", body, flags=re.MULTILINE)
    text = head + town + examples.replace("head: chief", "head: clerk")
    document = load_document(text, taxonomy())
    assert set(document.policy.people) == {"ada", "clerk", "nora"}
    assert set(document.policy.devices) == {"10.10.20.15", "10.10.20.90"}
    assert [rule.id for rule in document.policy.rules][2] == "investigations"
    assert_opens(document)


@pytest.mark.parametrize(
    ("timezone", "network", "problem"),
    [
        ("America/Chikago", "10.0.0.0/8", "is not a time zone (nearest: 'America/Chicago')"),
        ("America/Chicago", "10.0.0.1/8", "write the network: 10.0.0.0/8"),
    ],
)
def test_wrong_answers_at_the_first_start_are_named(timezone: str, network: str, problem: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load_document(first_policy("T", timezone, [network], "ada", "Ada"), taxonomy())
    assert problem in str(caught.value)


def test_demo_policy_passes_its_own_tests_with_the_starter_list(starter: CategorySnapshot) -> None:
    document = load_document(demo_policy(), taxonomy())
    assert document.warnings == ()
    assert len(document.tests) >= 10
    assert failures(document, starter) == []


def test_every_example_in_the_demo_policy_is_good_too(starter: CategorySnapshot) -> None:
    head, _, body = demo_policy().partition("\ntown:")
    examples = re.sub(r"^( *)# (?=- |  \S|[\w.]+: )", r"\1", body, flags=re.MULTILINE)
    document = load_document(f"{head}\ntown:{examples}", taxonomy())
    assert_opens(document)
    assert failures(document, starter) == []


def assert_opens(document: PolicyDocument) -> None:
    """The examples of what is opened, and what never is, are in the document."""
    opening = {rule.id for rule in document.policy.rules if rule.opens_sites}
    assert opening == {"social-read", "inappropriate"}
    assert document.policy.never_inspect_sites == {"credit-union.example"}


@pytest.mark.parametrize("text", [first_policy("T", "UTC", ["10.0.0.0/8"], "ada", "Ada"), demo_policy()])
def test_policies_that_ship_open_nothing_and_never_banks_and_health(text: str) -> None:
    policy = load_document(text, taxonomy()).policy
    assert policy.never_inspect_categories == {"banks", "health"}
    assert not any(rule.opens_sites for rule in policy.rules)


def test_demo_policy_knows_everyone_who_can_sign_in() -> None:
    policy = load_document(demo_policy(), taxonomy()).policy
    assert set(DEMO_PEOPLE) <= set(policy.people)
    assert policy.departments["finance"].head == "head"
    assert policy.departments["parks"].head == "parks-head"
    assert policy.devices["127.0.0.1"].person == "clerk"


def test_policies_that_ship_name_only_made_up_hosts() -> None:
    folder = Path(admin.__file__).parent
    for name in ("demo_policy.yaml", "first_policy.yaml"):
        assert "@" not in (folder / name).read_text().replace("@town.example", "")
