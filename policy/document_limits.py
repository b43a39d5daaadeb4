"""The limits of a policy document, and what the town's line carries."""

from collections.abc import Collection
from dataclasses import replace

from policy import notation
from policy.document_rules import Vocabulary, read_group_or_categories
from policy.document_value import Value
from policy.file_types import FILE_TYPES
from policy.rule_review import review_approvers
from policy.town_policy import Approver, Limit, LimitAction, Per, Quota

_SUBJECTS = ("larger_than", "file_types", "quota")
_INSTEAD_OF_ACTIONS = {
    "allow": "is no action of a limit; leave out what it holds for, or write a rule",
    "view_only": "is for rules",
}


def read_limits(value: Value, vocabulary: Vocabulary, rules: Collection[str]) -> tuple[Limit, ...]:
    """Read `limits`, in their order; `rules` are the ids that are taken."""
    written: list[tuple[Limit, Value]] = []
    lines: dict[str, int] = {}
    for item in value.items():
        limit = _limit(item, vocabulary)
        if limit.id in lines:
            item.report(f"limit {limit.id!r} is given twice, first in line {lines[limit.id]}")
        elif limit.id and limit.id in rules:
            item.report(f"{limit.id!r} is a rule's id; records name both, so give the limit another")
        elif limit.id:
            lines[limit.id] = item.line
        written.append((limit, item))
    review_approvers(written, vocabulary.roles, "limit")
    return tuple(limit for limit, _ in written)


def read_line(value: Value) -> int | None:
    """Read `line`: what the town's line carries, in bits a second; None where nobody says."""
    return value.fields(required=("capacity",))["capacity"].parsed(notation.line_capacity)


def _limit(value: Value, vocabulary: Vocabulary) -> Limit:
    fields = value.fields(
        required=("id", "action"),
        optional=(
            *_SUBJECTS,
            "per",
            "group",
            "categories",
            "hosts",
            "departments",
            "people",
            "when",
            "approval",
            "because",
        ),
    )
    given = [name for name in _SUBJECTS if fields[name].is_given]
    if len(given) != 1:
        value.report(f"a limit has one of {', '.join(_SUBJECTS)}; this one has {len(given) or 'none'}")
    action = fields["action"].member(LimitAction, "an action", _INSTEAD_OF_ACTIONS)
    return Limit(
        id=fields["id"].new_id(),
        action=action or LimitAction.BLOCK,
        larger_than=fields["larger_than"].parsed(notation.size),
        file_types=fields["file_types"].condition(FILE_TYPES, "a file type"),
        quota=_quota(fields["quota"], fields["per"]),
        categories=read_group_or_categories(
            fields["group"], fields["categories"], vocabulary.taxonomy, "limit"
        ),
        hosts=_hosts(fields["hosts"]),
        departments=fields["departments"].condition(vocabulary.departments, "a department"),
        people=fields["people"].condition(vocabulary.people, "a person"),
        when=fields["when"].one_of(vocabulary.schedules, "a schedule"),
        because=fields["because"].text() or None,
        approval=_approval(fields["approval"], action, value),
    )


def _quota(value: Value, per: Value) -> Quota | None:
    if per.is_given and not value.is_given:
        per.report("says whose use a quota adds up, and there is none")
    quota = value.parsed(notation.quota)
    whose = per.member(Per, "whose use can be added up")
    return quota if quota is None or whose is None else replace(quota, per=whose)


def _hosts(value: Value) -> frozenset[str]:
    if value.is_empty:
        value.report("the list is empty; fill it in, or leave the key out")
    return frozenset(value.parsed_items(notation.site))


def _approval(value: Value, action: LimitAction | None, limit: Value) -> tuple[Approver, ...]:
    approvers = value.each_of([role.value for role in Approver], "an approver")
    if value.is_given and action in (LimitAction.BLOCK, LimitAction.WARN):
        value.report(f"the limit {action.value}s; there is nobody to ask. Write action: ask")
    if action is LimitAction.ASK and not approvers:
        limit.report("a limit that asks names who may lift it: approval")
    return tuple(Approver(role) for role in approvers)
