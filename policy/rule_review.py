"""What is allowed in the rules of a document, and yet can hardly be meant: warned of, not refused."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from policy.decision import Verdict
from policy.document_value import Value
from policy.town_policy import Approver, Limit, Rule

type Written = list[tuple[Rule, Value]]
"""The rules in their order, with their places in the document."""


def review(
    written: Written,
    risks: frozenset[str],
    roles: Mapping[str, Collection[str]],
    never_inspected: frozenset[str],
    default: Verdict,
) -> None:
    """Warn, at the rule it is about, of each rule that cannot act as it says.

    `risks` are the categories that are security risks, `roles` the people of each role,
    `never_inspected` the categories that no rule can have looked into, `default` is what no rule decides.
    """
    _review_order(written, risks)
    _review_risks(written, risks)
    _review_blocked_files(written, risks, default)
    review_approvers(written, roles)
    _review_inspecting(written, never_inspected)


def _review_order(written: Written, risks: frozenset[str]) -> None:
    """Warn of a rule that is never reached; of one that has sites opened, for which categories not."""
    for index, (rule, value) in enumerate(written):
        before = [other for other, _ in written[:index]]
        earlier = next((other for other in before if _covers(other, rule, risks)), None)
        if earlier is not None:
            value.warn(f"rule {rule.id!r} is never reached: {earlier.id!r} matches whatever it would")
        elif rule.opens_sites:
            _review_parts(rule, value, before, risks)


def _review_risks(written: Written, risks: frozenset[str]) -> None:
    for rule, value in written:
        named_risks = sorted(rule.categories & risks)
        if rule.action is not Verdict.BLOCK and named_risks:
            value.warn(f"rule {rule.id!r} opens a security risk: {', '.join(named_risks)}")
        if rule.approval and Approver.IT_SECURITY not in rule.approval and named_risks:
            value.warn(
                f"rule {rule.id!r} asks {rule.approval[0]}, but only it_security can open a security risk:"
                f" {', '.join(named_risks)}"
            )


def _review_parts(rule: Rule, value: Value, before: list[Rule], risks: frozenset[str]) -> None:
    taken: dict[str, list[str]] = {}
    for category in sorted(rule.categories):
        part = replace(rule, categories=frozenset({category}))
        earlier = next((other for other in before if _covers(other, part, risks)), None)
        if earlier is not None:
            taken.setdefault(earlier.id, []).append(category)
    what = "downloads" if rule.file_types else "URLs" if rule.inspects_urls else "sites"
    for id_, categories in taken.items():
        value.warn(
            f"rule {rule.id!r} never decides about {what} of {', '.join(categories)}: {id_!r} answers for"
            " them before it"
        )


def _review_blocked_files(written: Written, risks: frozenset[str], default: Verdict) -> None:
    """Warn of a rule of files for sites that are blocked all the same: there is nothing to download."""
    for index, (rule, value) in enumerate(written):
        if not rule.file_types or rule.action is not Verdict.BLOCK:
            continue
        after = [other for other, _ in written[index + 1 :] if not other.file_types]
        visits = replace(rule, file_types=frozenset())
        blocked: dict[str, list[str]] = {}
        for category in sorted(rule.categories):
            part = replace(visits, categories=frozenset({category}))
            answers = (other for other in after if not other.categories or category in other.categories)
            first = next(answers, None)
            if first is None and default is Verdict.BLOCK:
                blocked.setdefault("the default", []).append(category)
            elif first is not None and first.action is Verdict.BLOCK and _covers(first, part, risks):
                blocked.setdefault(repr(first.id), []).append(category)
        for by, categories in blocked.items():
            value.warn(
                f"rule {rule.id!r} finds no downloads of sites that are {', '.join(categories)} alone: {by}"
                " blocks the sites"
            )


def review_approvers(
    written: Iterable[tuple[Rule | Limit, Value]], roles: Mapping[str, Collection[str]], what: str = "rule"
) -> None:
    """Warn once of each role that is asked and has nobody to answer."""
    seen: set[Approver] = set()
    for asking, value in written:
        for role in asking.approval:
            # No one decides their own: what a head asks for goes to the town administrator.
            answers = Approver.TOWN_ADMINISTRATOR if role is Approver.DEPARTMENT_HEAD else role
            if answers in seen or roles.get(answers):
                continue
            seen.add(answers)
            asks = "sends a head's own requests to" if answers is not role else "asks"
            value.warn(f"{what} {asking.id!r} {asks} {answers}, but roles names nobody as {answers}")


def _review_inspecting(written: Written, never_inspected: frozenset[str]) -> None:
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
