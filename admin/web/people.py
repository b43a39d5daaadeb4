"""The policy's people and departments as the pages name them."""

from collections.abc import Iterable
from dataclasses import dataclass

from admin.acting_roles import DELEGATE, DEPARTMENT_HEAD, STAND_IN, Who, who_is
from admin.asking import AccessRequest
from admin.audit import CLOCK
from admin.deciders import deciders, deciders_of, next_above, passed_on_to
from policy.town_policy import Approver, Policy

# What someone with a role is to a request.
_PARTS = {
    "it_security": "IT",
    "town_administrator": "the town administrator",
    "help_desk": "the help desk",
}
_PARTS_IN_DEPARTMENT = {
    DEPARTMENT_HEAD: "{} department head",
    DELEGATE: "{} department head's delegate",
    STAND_IN: "the stand-in for {} department head",
}


@dataclass(frozen=True, slots=True)
class People:
    """Names of people and departments. Ids that have left the policy stay readable as they are."""

    policy: Policy

    def name(self, person: str | None) -> str:
        """Return a person's name."""
        record = self.policy.people.get(person or "")
        return record.name if record else (person or "someone")

    def department(self, department: str | None) -> str:
        """Return a department's name."""
        record = self.policy.departments.get(department or "")
        return record.name if record else (department or "no department")

    def answers(
        self,
        role: Approver,
        asker: str,
        department: str | None,
        viewer: str | None,
        asked_for_by: str | None = None,
        answered_by: Iterable[str] = (),
    ) -> str:
        """Return who answers for a role when this person asks, within a sentence: "you", "IT security".

        A head's own request has another decider than the role says. Nor does who asked for them decide, nor
        who answered an earlier step.
        """
        found = deciders_of(
            self.policy, role, asker, department, asked_for_by=asked_for_by, answered_by=answered_by
        )
        if viewer in found:
            return "you"
        record = self.policy.departments.get(department or "")
        if record is not None and found & {record.head, *record.delegates}:
            return "your department head" if viewer == asker else "the department head"
        if found & {*self.policy.roles.get(Approver.TOWN_ADMINISTRATOR.value, ())}:
            return "the town administrator"
        return "IT security" if found else "the help desk"

    def hear_of_emergency(self, person: str) -> str:
        """Return who hears at once when this person opens a site, with the verb, within a sentence."""
        department = self.policy.people[person].department
        found = deciders_of(self.policy, Approver.DEPARTMENT_HEAD, person, department)
        record = self.policy.departments.get(department or "")
        if record is None or not found & {record.head, *record.delegates}:
            administrators = {*self.policy.roles.get(Approver.TOWN_ADMINISTRATOR.value, ())}
            return "the town administrator and IT hear" if found & administrators else "IT hears"
        if found & {*record.delegates}:
            return "your department head, who stands in for them, and IT hear"
        return "your department head and IT hear"

    def awaited(self, request: AccessRequest, viewer: str | None) -> str:
        """Return whose answer a request waits for, within a sentence; empty when it waits for none.

        Of one that was passed on, whom it was passed on to.
        """
        role, above = request.waits_for, passed_on_to(self.policy, request)
        if above and viewer not in deciders(self.policy, request):
            return self._role_of(above)
        if above:
            return "you"
        if role is None:
            return ""
        return self.answers(
            role, request.person, request.department, viewer, request.asked_for_by, request.answered_by
        )

    def above(self, request: AccessRequest) -> str:
        """Return to whom a request goes up next, within a sentence; empty where nobody is above."""
        people = next_above(self.policy, request)
        return self._role_of(people) if people else ""

    def _role_of(self, people: frozenset[str]) -> str:
        administrators = self.policy.roles.get(Approver.TOWN_ADMINISTRATOR.value, ())
        return "the town administrator" if people & {*administrators} else "IT security"

    def part_of(
        self, person: str | None, request: AccessRequest, viewer: str | None, acted: Who | None = None
    ) -> str:
        """Return what a person is to a request, within a sentence; or what they were when they `acted`.

        "you", "your department head", "IT", "the help desk"; to others than the asker
        "the" in place of "your". "we" is Towngate, where the time for something had come.
        """
        if person is not None and person == viewer:
            return "you"
        if person == CLOCK:
            return "we"
        who = acted or who_is(self.policy, person or "", request.department)
        whose = "your" if viewer in request.askers else "the"
        if who.department == request.department and who.role in _PARTS_IN_DEPARTMENT:
            return _PARTS_IN_DEPARTMENT[who.role].format(whose)
        return _PARTS.get(who.role, self.name(person))

    def decider(self, request: AccessRequest, viewer: str | None) -> str:
        """Return who decided a request last, as `part_of` says."""
        return self.part_of(request.decided_by, request, viewer, request.decided_as)
