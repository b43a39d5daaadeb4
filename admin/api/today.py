"""Whether all is well, and the day's numbers. For those who see visits."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from admin.api.operation import Call, Nothing
from admin.api.visits import Hour
from admin.list_updates import Freshness
from admin.overview import Overview
from admin.today import today


class MostBlocked(BaseModel):
    """A category, and how many visits to its sites were blocked."""

    id: str
    visits: int


class Numbers(BaseModel):
    """Since midnight by the town's clock; requests and exemptions as they stand now."""

    visits: int
    blocked: int
    checked_inside: int
    to_decide: int
    exemptions: int
    hours: list[Hour]
    most_blocked: list[MostBlocked] = Field(description="Five at most, the most first.")

    @classmethod
    def of(cls, numbers: Overview) -> Self:
        """Return them as programs read them."""
        return cls(
            visits=numbers.visits,
            blocked=numbers.blocked,
            checked_inside=numbers.checked_inside,
            to_decide=numbers.undecided,
            exemptions=numbers.in_force,
            hours=[Hour.model_validate(hour) for hour in numbers.hours],
            most_blocked=[MostBlocked(id=id_, visits=visits) for id_, visits in numbers.most_blocked],
        )


class LogSize(BaseModel):
    """What the visit log takes, of which nothing is deleted."""

    model_config = ConfigDict(from_attributes=True)

    size_bytes: int
    bytes_a_day: int | None
    free_bytes: int


class Day(BaseModel):
    """Is all well, and what happened today."""

    is_well: bool
    troubles: list[str] = Field(description="For IT security; others are told that there are some.")
    policy_problems: list[str] = Field(description="The running policy stays.")
    lists_with_trouble: list[str] = Field(description="Those that are not fresh.")
    lists_version: str | None = Field(description="Null where no lists can be read.")
    visits_behind: int | None = Field(
        description="About how many visits are on their way; null while the log is up to date."
    )
    certificate_ends_at: datetime | None = Field(description="The town's own; null where it is not known.")
    has_next_certificate: bool
    line_in_use: float | None = Field(description="0 to 1; null where its capacity is not known.")
    visit_log: LogSize | None
    numbers: Numbers | None = Field(description="Null where the visit log cannot be read.")


async def read_today(call: Call[Nothing, Nothing]) -> Day:
    """Say whether all is well, and what happened since midnight."""
    found = await today(call.admin, call.session)
    authority = found.authority
    return Day(
        is_well=found.is_well,
        troubles=list(found.troubles),
        policy_problems=list(found.problems),
        lists_with_trouble=[one.name for one in found.sources if one.freshness is not Freshness.FRESH],
        lists_version=found.lists.version if found.lists is not None else None,
        visits_behind=found.behind.waiting_records if found.behind is not None else None,
        certificate_ends_at=authority.ends_at if authority else None,
        has_next_certificate=authority is not None and authority.has_next,
        line_in_use=found.line_in_use,
        visit_log=LogSize.model_validate(found.log_size) if found.log_size is not None else None,
        numbers=Numbers.of(found.numbers) if found.numbers is not None else None,
    )
