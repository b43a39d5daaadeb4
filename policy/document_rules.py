"""The rules of a policy document, and what is strange about them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from categories.taxonomy import Taxonomy
from policy.decision import Verdict
from policy.document_value import Value
from policy.file_types import FILE_TYPES
from policy.town_policy import Approver, Rule

# Words of later versions, so that whoever copies them from a newer document is told so.
LATER = "is not supported by this version"
LATER_ACTIONS = dict.fromkeys(("ask",), LATER) | {"inspect": "is no action; give the rule inspect: urls"}
_LATER_CONDITIONS = dict.fromkeys(("larger_than", "quota"), LATER)


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
    value: Value, vocabulary: Vocabulary, never_inspected: frozenset[str] = frozenset()
) -> tuple[Rule, ...]:
    """Read `rules`, in their order, and warn of those that cannot be meant.

    `never_inspected` are the categories that no rule can have looked into.
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
    _review(written, vocabulary.taxonomy.members("security_risk"))
    _review_approvers(written, vocabulary.roles)
    _review_inspecting(written, never_inspected)
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
        instead=_LATER_CONDITIONS,
    )
    action = fields["action"].member(Verdict, "an action", LATER_ACTIONS)
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
        categories=_categories(fields["group"], fields["categories"], vocabulary.taxonomy),
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


def _categories(group: Value, categories: Value, taxonomy: Taxonomy) -> frozenset[str]:
    ids = read_categories(categories, taxonomy)
    group_id = group.one_of(taxonomy.groups, "a group")
    if group_id is None:
        return ids
    if categories.is_given:
        group.report("a rule has either group or categories; write two rules")
    if not taxonomy.members(group_id):
        group.report(f"{group_id!r} has no categories")
    return taxonomy.members(group_id)


def _approval(value: Value, action: Verdict | None) -> tuple[Approver, ...]:
    approvers = value.each_of([role.value for role in Approver], "an approver")
    if value.is_given and action in (Verdict.ALLOW, Verdict.WARN):
        value.report(f"the rule {action.value}s; there is nothing to approve")
    return tuple(Approver(role) for role in approvers)


def _review(written: list[tuple[Rule, Value]], risks: frozenset[str]) -> None:
    for index, (rule, value) in enumerate(written):
        earlier = next((other for other, _ in written[:index] if _covers(other, rule, risks)), None)
        if earlier is not None:
            value.warn(f"rule {rule.id!r} is never reached: {earlier.id!r} matches whatever it would")
        named_risks = sorted(rule.categories & risks)
        if rule.action is not Verdict.BLOCK and named_risks:
            value.warn(f"rule {rule.id!r} opens a security risk: {', '.join(named_risks)}")
        if rule.approval and Approver.IT_SECURITY not in rule.approval and named_risks:
            value.warn(
                f"rule {rule.id!r} asks {rule.approval[0]}, but only it_security can open a security risk:"
                f" {', '.join(named_risks)}"
            )


def _review_approvers(written: list[tuple[Rule, Value]], roles: Mapping[str, Collection[str]]) -> None:
    """Warn once of each role that is asked and has nobody to answer."""
    seen: set[Approver] = set()
    for rule, value in written:
        for role in rule.approval:
            # No one decides their own: what a head asks for goes to the town administrator.
            answers = Approver.TOWN_ADMINISTRATOR if role is Approver.DEPARTMENT_HEAD else role
            if answers in seen or roles.get(answers):
                continue
            seen.add(answers)
            asks = "sends a head's own requests to" if answers is not role else "asks"
            value.warn(f"rule {rule.id!r} {asks} {answers}, but roles names nobody as {answers}")


def _review_inspecting(written: list[tuple[Rule, Value]], never_inspected: frozenset[str]) -> None:
    for rule, value in written:
        shut = sorted(rule.categories & never_inspected)
        if rule.action is Verdict.VIEW_ONLY and shut:
            value.warn(
                f"rule {rule.id!r} leaves {', '.join(shut)} open for more than reading over HTTPS:"
                " never_inspect names it"
            )
        elif rule.inspects_urls and shut:
            value.warn(f"rule {rule.id!r} cannot see URLs of {', '.join(shut)}: never_inspect names it")
        elif rule.file_types and rule.action is Verdict.BLOCK and shut:
            value.warn(
                f"rule {rule.id!r} cannot see downloads of {', '.join(shut)} over HTTPS:"
                " never_inspect names it"
            )


def _covers(earlier: Rule, later: Rule, risks: frozenset[str]) -> bool:
    """Whether `earlier` matches every visit, or every download, that `later` would."""

    def is_wider(wide: frozenset[str], narrow: frozenset[str]) -> bool:
        return not wide or (bool(narrow) and narrow <= wide)

    if earlier.file_types and not (later.file_types and later.file_types <= earlier.file_types):
        return False
    # A security risk is judged only by rules that name it: one for any site does not come first.
    if not earlier.categories and later.categories & risks:
        return False
    return (
        is_wider(earlier.categories, later.categories)
        and is_wider(earlier.departments, later.departments)
        and is_wider(earlier.people, later.people)
        and earlier.when in (None, later.when)
    )
