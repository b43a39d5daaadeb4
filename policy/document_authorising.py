"""The parts of `asking` in a policy document about what people are authorised for."""

import hashlib
from collections.abc import Collection, Mapping

from policy import notation
from policy.document_value import Value
from policy.town_policy import AccountTerms, Approver, Person, PersonKind, SocialMedia

_REQUIRED_FOR = {f"{kind.value}s": frozenset({kind}) for kind in PersonKind} | {
    "everyone": frozenset(PersonKind)
}


def read_social_media(
    value: Value, people: Mapping[str, Person], departments: Collection[str]
) -> SocialMedia | None:
    """Read `social_media`; None where it is left out, and nobody can be proposed."""
    if not value.is_given:
        return None
    fields = value.fields(required=("terms",), optional=("approval", "longest", "coordinators"))
    terms = fields["terms"].paragraphs()
    default = SocialMedia(terms, hashlib.sha256(terms.encode()).hexdigest()[:12])
    coordinators = {}
    for key, named in fields["coordinators"].entries():
        id_ = key.one_of(departments, "a department")
        person = named.one_of(people, "a person") if id_ is not None else None
        if id_ is None or person is None:
            continue
        coordinators[id_] = person
        if people[person].department != id_:
            named.warn(f"{person!r} is not of {id_}, and proposes its people")
    return SocialMedia(
        terms,
        default.version,
        read_chain(fields["approval"]) or default.approval,
        fields["longest"].parsed(notation.number_of_days) or default.longest,
        coordinators,
    )


def read_internet_account(value: Value) -> AccountTerms | None:
    """Read `internet_account`; None where it is left out, and nobody needs one."""
    if not value.is_given:
        return None
    fields = value.fields(required=("required_for",), optional=("approval", "longest", "required_from"))
    needed = fields["required_for"].items_or_self()
    words = [word for item in needed if (word := item.one_of(_REQUIRED_FOR, "a kind of people")) is not None]
    default = AccountTerms(frozenset().union(*(_REQUIRED_FOR[word] for word in words)))
    return AccountTerms(
        default.required_for,
        read_chain(fields["approval"]) or default.approval,
        fields["longest"].parsed(notation.number_of_days) or default.longest,
        fields["required_from"].parsed(notation.date_of),
    )


def read_chain(value: Value) -> tuple[Approver, ...]:
    """Read who agrees, in turn, to what a department's head can propose; empty where it is left out.

    Somebody beside that head does.
    """
    chain = tuple(Approver(role) for role in value.each_of([role.value for role in Approver], "an approver"))
    if chain == (Approver.DEPARTMENT_HEAD,):
        value.report("a head can propose it: name who agrees beside the head")
    return chain
