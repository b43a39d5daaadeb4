"""The parts of `asking` in a policy document about what people are authorised for: social media."""

import hashlib
from collections.abc import Collection

from policy import notation
from policy.document_value import Value
from policy.town_policy import Approver, SocialMedia


def read_social_media(
    value: Value, people: Collection[str], departments: Collection[str]
) -> SocialMedia | None:
    """Read `social_media`; None where it is left out, and nobody can be proposed."""
    if not value.is_given:
        return None
    fields = value.fields(required=("terms",), optional=("approval", "longest", "coordinators"))
    terms = fields["terms"].paragraphs()
    default = SocialMedia(terms, hashlib.sha256(terms.encode()).hexdigest()[:12])
    coordinators = {
        id_: person
        for key, named in fields["coordinators"].entries()
        if (id_ := key.one_of(departments, "a department")) is not None
        and (person := named.one_of(people, "a person")) is not None
    }
    return SocialMedia(
        terms,
        default.version,
        read_chain(fields["approval"]) or default.approval,
        fields["longest"].parsed(notation.number_of_days) or default.longest,
        coordinators,
    )


def read_chain(value: Value) -> tuple[Approver, ...]:
    """Read who agrees, in turn, to what a department's head can propose; empty where it is left out.

    Somebody beside that head does.
    """
    chain = tuple(Approver(role) for role in value.each_of([role.value for role in Approver], "an approver"))
    if chain == (Approver.DEPARTMENT_HEAD,):
        value.report("a head can propose it: name who agrees beside the head")
    return chain
