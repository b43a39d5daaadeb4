"""The running policy's rules and limits, as its page says them."""

from pydantic import BaseModel, Field

from admin import roles
from admin.api.operation import Call, Nothing
from admin.web.words import plain, window
from policy import limit_words
from policy.decision import Verdict
from policy.town_policy import Approver, LimitAction


class Conditions(BaseModel):
    """What must be so for a rule or a limit to hold; empty or null: it is for all."""

    categories: list[str]
    departments: list[str]
    is_for_some_people: bool = Field(description="It names people; they are not told here.")
    when: str | None = Field(description='In words, like "12 to 1 PM, Mon to Fri".')
    because: str | None = Field(description="The policy's own clause.")
    approval: list[Approver] = Field(description="Who can allow it, in turn.")


class PolicyRule(Conditions):
    """A rule. The first that fits decides."""

    id: str
    action: Verdict
    file_types: list[str] = Field(description="Where it is about downloads of these types, and no visits.")
    is_decrypted: bool = Field(description="Whether connections are decrypted for it.")


class PolicyLimit(Conditions):
    """What holds beside the rules, for what they allow."""

    id: str
    action: LimitAction
    says: str = Field(description='Like "a download of more than 500 MB gets a warning first".')
    hosts: list[str]


class RunningPolicy(BaseModel):
    """The policy in force."""

    version: str
    town: str
    rules: list[PolicyRule]
    default: Verdict = Field(description="What comes of a visit that no rule is about.")
    limits: list[PolicyLimit]
    essentials: list[str] = Field(description="Always open, with their subdomains.")
    problems: list[str] = Field(
        description="Why policy.yaml as it is now is not in force, for those who see visits."
    )


async def read_policy(call: Call[Nothing, Nothing]) -> RunningPolicy:
    """Show the rules and limits in force."""
    policy = call.admin.policy

    def when(name: str | None) -> str | None:
        return plain(window(policy.schedules[name])) if name is not None else None

    sees_problems = roles.sees_visits(policy, call.session.person or "")
    return RunningPolicy(
        version=policy.version,
        town=policy.town.name,
        rules=[
            PolicyRule(
                id=rule.id,
                action=rule.action,
                categories=sorted(rule.categories),
                departments=sorted(rule.departments),
                is_for_some_people=bool(rule.people),
                when=when(rule.when),
                because=rule.because,
                approval=list(rule.approval),
                file_types=sorted(rule.file_types),
                is_decrypted=rule.opens_sites,
            )
            for rule in policy.rules
        ],
        default=policy.default,
        limits=[
            PolicyLimit(
                id=limit.id,
                action=limit.action,
                says=plain(f"{limit_words.over(limit)} {limit_words.does(limit)}"),
                hosts=sorted(limit.hosts),
                categories=sorted(limit.categories),
                departments=sorted(limit.departments),
                is_for_some_people=bool(limit.people),
                when=when(limit.when),
                because=limit.because,
                approval=list(limit.approval),
            )
            for limit in policy.limits
        ],
        essentials=sorted(policy.essentials),
        problems=list(call.admin.policy_problems) if sees_problems else [],
    )
