"""The section of a policy document that says who is told of what people were stopped at."""

from collections.abc import Collection, Mapping

from categories.taxonomy import UNLISTED, Taxonomy
from policy import notation
from policy.document_rules import read_categories
from policy.document_value import Value
from policy.town_policy import Approver, Attempts


def read_attempts(value: Value, taxonomy: Taxonomy, roles: Mapping[str, Collection[str]]) -> Attempts | None:
    """Read `attempts`; None where it is left out, and nobody is told. `roles` gives the people of each."""
    if not value.is_given:
        return None
    fields = value.fields(required=("more_than", "within", "categories"), optional=("tell",))
    more_than = fields["more_than"].parsed(notation.number_of_visits)
    within = fields["within"].parsed(notation.span_of_time)
    categories = read_categories(fields["categories"], taxonomy)
    for risk in sorted(categories & taxonomy.members("security_risk")):
        fields["categories"].report(
            f"{risk!r} is a security risk: each visit is told of, and none is counted"
        )
    for unlisted in sorted(categories & UNLISTED):
        fields["categories"].report(f"{unlisted!r} is what a site is in no list; name what it is listed as")
    tell = _tell(fields["tell"], value, roles)
    if more_than is None or within is None:
        return None
    default = Attempts(more_than, within, categories)
    return Attempts(more_than, within, categories, tell or default.tell)


def _tell(value: Value, section: Value, roles: Mapping[str, Collection[str]]) -> tuple[Approver, ...]:
    named = value.each_of([role.value for role in Approver], "a role that can be told")
    if value.is_empty:
        value.report("nobody is told; fill it in, or leave the key out")
    # Who is of no department has no head: IT hears of them, whoever else is named.
    told = {Approver.IT_SECURITY.value, *named} - {Approver.DEPARTMENT_HEAD.value}
    for role in sorted(role for role in told if not roles[role]):
        (value if role in named else section).report(f"nobody has the role {role!r}")
    return tuple(Approver(role) for role in named)
