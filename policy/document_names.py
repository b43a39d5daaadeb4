"""The section of a policy document that says when a second person agrees to names in the visit log."""

from collections.abc import Collection, Mapping

from policy.document_value import Value
from policy.town_policy import SecondPerson

_WHO_AGREES = ("it_security", "auditor", "town_administrator")


def read_second_person(value: Value, roles: Mapping[str, Collection[str]]) -> SecondPerson:
    """Read `names`; searches alone need one where it is left out. `roles` gives the people of each."""
    fields = value.fields(required=("second_person",))
    when = fields["second_person"].member(SecondPerson, "when a second person agrees")
    people = {person for role in _WHO_AGREES for person in roles[role]}
    if when not in (None, SecondPerson.NEVER) and len(people) < 2:
        fields["second_person"].warn(
            f"nobody else can agree: give one of {', '.join(_WHO_AGREES)} to another"
        )
    return when or SecondPerson.SEARCHES
