"""The section of a policy document that says of which sites full addresses are kept."""

from collections.abc import Collection

from categories.taxonomy import UNLISTED, Taxonomy
from policy.document_rules import read_categories
from policy.document_value import Value
from policy.town_policy import KeptAddresses


def read_addresses(value: Value, taxonomy: Taxonomy, never_inspect: Collection[str]) -> KeptAddresses | None:
    """Read `addresses`; None where it is left out, and none is kept. `never_inspect` are its categories."""
    if not value.is_given:
        return None
    fields = value.fields(required=("categories",), optional=("queries",))
    categories = read_categories(fields["categories"], taxonomy)
    for private in sorted(categories & frozenset(never_inspect)):
        fields["categories"].report(
            f"{private!r} is in never_inspect: no address of such a site is kept; leave it out of one"
        )
    for unlisted in sorted(categories & UNLISTED):
        fields["categories"].report(f"{unlisted!r} is what a site is in no list; name what it is listed as")
    queries = fields["queries"].one_of(("true", "false"), "whether queries are kept")
    return KeptAddresses(categories, with_queries=queries == "true")
