"""The policy's section about when a second person agrees to names."""

import pytest

from categories.taxonomy import taxonomy
from policy.document import load_document
from policy.problem import PolicyError
from policy.town_policy import SecondPerson

TOWN = "town: {name: T, timezone: UTC}\npeople: {ann: {name: A}, ben: {name: B}}\n"


def test_searches_by_name_need_a_second_person_where_the_policy_says_nothing() -> None:
    assert load_document(TOWN, taxonomy()).policy.second_person is SecondPerson.SEARCHES


@pytest.mark.parametrize("when", list(SecondPerson))
def test_policy_says_when_a_second_person_agrees(when: SecondPerson) -> None:
    text = f"{TOWN}roles: {{it_security: [ann], auditor: [ben]}}\nnames: {{second_person: {when.value}}}\n"
    document = load_document(text, taxonomy())
    assert (document.policy.second_person, document.warnings) == (when, ())


def test_check_warns_where_nobody_else_can_agree() -> None:
    text = (
        f"{TOWN}roles: {{it_security: [ann], town_administrator: [ann]}}\nnames: {{second_person: always}}\n"
    )
    (warning,) = load_document(text, taxonomy()).warnings
    assert str(warning) == (
        "line 4: names.second_person: nobody else can agree: give one of it_security, auditor,"
        " town_administrator to another"
    )


def test_other_words_are_named() -> None:
    with pytest.raises(PolicyError, match="'sometimes' is not when a second person agrees"):
        load_document(f"{TOWN}names: {{second_person: sometimes}}\n", taxonomy())
