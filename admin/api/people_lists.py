"""Another list of people in place of people.csv: what it would change, then putting it in force."""

from typing import Literal, Self

from pydantic import BaseModel, Field

from admin.api.operation import Call, Input, Nothing, example
from admin.closed_people import Ended
from admin.people_lists import SeenList
from policy.town_policy import Person, PersonKind


class PeopleList(Input):
    """A list of people, whole: who is not in it is removed.

    Those whom policy.yaml names itself are not part of it.
    """

    model_config = example(
        format="csv", text="id,name,mail,department\nclerk,Clerk,clerk@town.example,finance\n"
    )

    format: Literal["csv", "yaml"] = Field(
        description="`csv`: columns id, name, mail, department, kind in any order. `yaml`: as in policy.yaml."
    )
    text: str = Field(description="The list itself; 4 MiB at most.")

    @property
    def name(self) -> str:
        """What a file of it would be called."""
        return f"people.{self.format}"


class ApplyPeopleList(PeopleList):
    """The same list, as it was looked at."""

    model_config = example(format="csv", text="id,name\nclerk,Clerk\n", seen="9b1c44d0")

    seen: str = Field(description="The `seen` of what it changes.")
    even_over_a_fifth: bool = Field(
        False, description="That it is meant to remove over a fifth of the people; else that is refused."
    )


class ListedPerson(BaseModel):
    """Somebody as a list has them."""

    id: str
    name: str
    mail: str
    department: str | None
    kind: PersonKind

    @classmethod
    def of(cls, id_: str, person: Person) -> Self:
        """Return somebody by their id."""
        return cls(id=id_, name=person.name, mail=person.mail, department=person.department, kind=person.kind)


class ChangedPerson(BaseModel):
    """Somebody who stays, and how they were listed before."""

    before: ListedPerson
    after: ListedPerson


class RemovedPerson(BaseModel):
    """Somebody who is removed, and what ends with them: numbers of requests, like "REQ-7"."""

    person: ListedPerson
    loses_access: list[str]
    withdrawn: list[str]
    passed_on: list[str] = Field(description="What others decide from then on.")

    @classmethod
    def of(cls, id_: str, person: Person, ended: Ended | None) -> Self:
        """Return somebody by their id."""
        return cls(
            person=ListedPerson.of(id_, person),
            loses_access=list(ended.stopped) if ended else [],
            withdrawn=list(ended.withdrawn) if ended else [],
            passed_on=list(ended.passed_on) if ended else [],
        )


class PeopleChange(BaseModel):
    """What a list changes in people.csv as it is."""

    people: int = Field(description="How many the list has.")
    added: list[ListedPerson]
    changed: list[ChangedPerson]
    removed: list[RemovedPerson]
    removes_over_a_fifth: bool
    notes: list[str] = Field(description="What is strange about the list, and no reason to refuse it.")
    seen: str = Field(description="What says that this was looked at: it is sent with the list to apply it.")

    @classmethod
    def of(cls, seen: SeenList) -> Self:
        """Return it as programs read it."""
        change = seen.change
        before, after = change.before, change.after
        return cls(
            people=len(after),
            added=[ListedPerson.of(id_, after[id_]) for id_ in change.added],
            changed=[
                ChangedPerson(
                    before=ListedPerson.of(id_, before[id_]), after=ListedPerson.of(id_, after[id_])
                )
                for id_ in change.changed
            ],
            removed=[RemovedPerson.of(id_, before[id_], seen.ended.get(id_)) for id_ in change.removed],
            removes_over_a_fifth=change.removes_too_many,
            notes=list(seen.notes),
            seen=seen.digest,
        )


class AppliedPeople(PeopleChange):
    """What a list changed in people.csv, and whether that is in force."""

    has_reached_proxy: bool = Field(description="Whether the proxy was told of it.")
    not_told: list[str] = Field(
        description="Why it was not. It is tried again, and the page Today says how it stands."
    )


async def look_at_people(call: Call[Nothing, PeopleList]) -> PeopleChange:
    """Say what a list of people would change, and what would end with whom it removes; nothing is changed."""
    body = call.body
    return PeopleChange.of(await call.admin.people_lists.look_at(call.session, body.text, body.name))


async def apply_people(call: Call[Nothing, ApplyPeopleList]) -> AppliedPeople:
    """Put a list of people in force in place of people.csv, after looking at what it changes.

    What removed people had ends with it: sign-ins, passwords, tokens, access, open requests. It is
    answered 409 where the list, or people.csv, is not as it was looked at, and 422 where over a fifth of the
    people would be removed and `even_over_a_fifth` does not say that this is meant.
    """
    body = call.body
    applied = await call.admin.people_lists.put_in_force(
        call.session, body.text, body.name, body.seen, even_over_a_fifth=body.even_over_a_fifth
    )
    change = PeopleChange.of(applied.seen)
    not_told = list(applied.not_told)
    return AppliedPeople(**change.model_dump(), has_reached_proxy=not not_told, not_told=not_told)
