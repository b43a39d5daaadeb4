"""The rules of a policy document."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from categories.taxonomy import Taxonomy
from policy.decision import Verdict
from policy.document_value import Value
from policy.file_types import FILE_TYPES
from policy.rule_review import review
from policy.town_policy import Approver, Rule

# Words that stand elsewhere.
INSTEAD_OF_ACTIONS = {
    "ask": "is for limits; a rule blocks, and names who may allow it: approval",
    "inspect": "is no action; give the rule inspect: urls",
}
_CONDITIONS_OF_LIMITS = dict.fromkeys(
    ("larger_than", "quota", "hosts"), "is for limits, what is only known once something is loaded"
)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What rules may name: categories and groups, and the ids of other sections.

    `roles` gives the people of each role.
    """

    taxonomy: Taxonomy
    departments: Collection[str]
    people: Collection[str]
    schedules: Collection[str]
    roles: Mapping[str, Collection[str]]


def read_rules(
    value: Value, vocabulary: Vocabulary, never_inspected: frozenset[str], default: Verdict
) -> tuple[Rule, ...]:
    """Read `rules`, in their order, and warn of those that cannot be meant.

    `never_inspected` are the categories that no rule can have looked into, `default` is what no rule decides.
    """
    written: list[tuple[Rule, Value]] = []
    lines: dict[str, int] = {}
    for item in value.items():
        rule = _rule(item, vocabulary)
        if rule.id in lines:
            item.report(f"rule {rule.id!r} is given twice, first in line {lines[rule.id]}")
        elif rule.id:
            lines[rule.id] = item.line
        written.append((rule, item))
    review(written, vocabulary.taxonomy.members("security_risk"), vocabulary.roles, never_inspected, default)
    return tuple(rule for rule, _ in written)


def _rule(value: Value, vocabulary: Vocabulary) -> Rule:
    fields = value.fields(
        required=("id", "action"),
        optional=(
            "group",
            "categories",
            "departments",
            "people",
            "when",
            "approval",
            "because",
            "inspect",
            "file_types",
        ),
        instead=_CONDITIONS_OF_LIMITS,
    )
    action = fields["action"].member(Verdict, "an action", INSTEAD_OF_ACTIONS)
    inspect = fields["inspect"].one_of(("urls",), "what can be inspected")
    if not (fields["group"].is_given or fields["categories"].is_given):
        # As little is opened as can be: no rule opens every site.
        for name, is_meant in (
            ("action", action is Verdict.VIEW_ONLY),
            ("inspect", inspect is not None),
            ("file_types", fields["file_types"].is_given),
        ):
            if is_meant:
                fields[name].report("a rule that has sites looked into must name their categories")
    if fields["file_types"].is_given:
        if action in (Verdict.WARN, Verdict.VIEW_ONLY):
            fields["action"].report("a rule of file_types allows or blocks")
        if inspect is not None:
            fields["inspect"].report("a rule of file_types decides about downloads, and about no URL")
    return Rule(
        id=fields["id"].new_id(),
        action=action or Verdict.BLOCK,
        categories=read_group_or_categories(fields["group"], fields["categories"], vocabulary.taxonomy),
        departments=fields["departments"].condition(vocabulary.departments, "a department"),
        people=fields["people"].condition(vocabulary.people, "a person"),
        when=fields["when"].one_of(vocabulary.schedules, "a schedule"),
        because=fields["because"].text() or None,
        approval=_approval(fields["approval"], action),
        inspects_urls=inspect is not None,
        file_types=fields["file_types"].condition(FILE_TYPES, "a file type"),
    )


def read_categories(value: Value, taxonomy: Taxonomy) -> frozenset[str]:
    """Read a list of categories that is either left out or not empty."""
    groups = dict.fromkeys(taxonomy.groups, "is a group; write it as group, without a list")
    return value.condition(taxonomy.categories, "a category", groups)


def read_group_or_categories(
    group: Value, categories: Value, taxonomy: Taxonomy, what: str = "rule"
) -> frozenset[str]:
    """Read what a site has to be listed as: all of a group, or these categories; empty for any site."""
    ids = read_categories(categories, taxonomy)
    group_id = group.one_of(taxonomy.groups, "a group")
    if group_id is None:
        return ids
    if categories.is_given:
        group.report(f"a {what} has either group or categories; write two {what}s")
    if not taxonomy.members(group_id):
        group.report(f"{group_id!r} has no categories")
    return taxonomy.members(group_id)


def _approval(value: Value, action: Verdict | None) -> tuple[Approver, ...]:
    approvers = value.each_of([role.value for role in Approver], "an approver")
    if value.is_given and action in (Verdict.ALLOW, Verdict.WARN):
        value.report(f"the rule {action.value}s; there is nothing to approve")
    return tuple(Approver(role) for role in approvers)
