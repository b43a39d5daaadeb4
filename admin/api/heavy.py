"""What is heavy on the town's line, now and lately, and ending it."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from admin.api.operation import Call, Nothing, Query
from admin.api.visits import Who
from admin.heavy import DAYS
from admin.visit_log.counting import Loaded
from policy.decision import Lane
from policy.worker_facts import HeavyVisit as Carrying


class HeavyVisit(BaseModel):
    """An open visit that has carried much, or carries much now."""

    code: str = Field(description="To end it by.")
    who: Who
    started_at: datetime
    host: str
    category: str | None
    lane: Lane
    bytes_up: int
    bytes_down: int
    bytes_per_second: int
    share: float | None = Field(description="Of the line, 0 to 1; null where its capacity is not known.")
    is_ending: bool = Field(description="It was ended, and is over within seconds.")


class Updates(BaseModel):
    """Software updates, all of them together."""

    computers: int
    size_bytes: int
    bytes_per_second: int


class Heavy(BaseModel):
    """What workers said within the last seconds, what carries most first."""

    visits: list[HeavyVisit]
    updates: Updates
    bytes_per_second: int = Field(description="Of all visits, both ways.")
    in_use: float | None = Field(description="Of the line, 0 to 1; null where its capacity is not known.")


class WhichDays(Query):
    """By the town's clock."""

    span: Literal["today", "week"] = Field("today", description="Or the last seven days, today with them.")


class LoadedBy(BaseModel):
    """What somebody loaded."""

    who: Who
    size_bytes: int


class LoadedFrom(BaseModel):
    """What was loaded by a department, or from a site, or sites of a category."""

    id: str
    size_bytes: int


class HeavyLately(BaseModel):
    """Ten of each, the most first. Visits count when they have ended."""

    people: list[LoadedBy]
    departments: list[LoadedFrom] = Field(description="An empty id where none is known.")
    sites: list[LoadedFrom]
    categories: list[LoadedFrom] = Field(description="An empty id for what no list has.")


async def read_heavy(call: Call[Nothing, Nothing]) -> Heavy:
    """Show what is heavy now, persons hidden unless names are shown to this token."""
    now = await call.admin.heavy.now(call.session)
    return Heavy(
        visits=[
            HeavyVisit(
                **_known(row.visit)
                | {
                    "who": Who.model_validate(row.who),
                    "share": row.share,
                    "is_ending": row.is_ending,
                }
            )
            for row in now.rows
        ],
        updates=Updates(
            computers=now.computers,
            size_bytes=now.updates_bytes,
            bytes_per_second=now.updates_per_second,
        ),
        bytes_per_second=now.bytes_per_second,
        in_use=now.in_use,
    )


async def read_lately(call: Call[WhichDays, Nothing]) -> HeavyLately:
    """Show what was heavy today, or this week, persons hidden unless names are shown to this token."""
    since = await call.admin.heavy.since(call.session, DAYS[call.query.span])
    return HeavyLately(
        people=[LoadedBy(who=Who.model_validate(who), size_bytes=size) for who, size in since.people],
        departments=_loaded(since.departments),
        sites=_loaded(since.hosts),
        categories=_loaded(since.categories),
    )


async def end_heavy(call: Call[Nothing, Nothing]) -> Heavy:
    """End an open visit that is heavy now."""
    try:
        await call.admin.heavy.end(call.session, call.path["code"])
    except LookupError as error:
        raise HTTPException(404) from error
    return await read_heavy(call)


def _loaded(found: Iterable[Loaded]) -> list[LoadedFrom]:
    return [LoadedFrom(id=one.what or "", size_bytes=one.size_bytes) for one in found]


def _known(visit: Carrying) -> dict[str, Any]:
    return {name: value for name, value in asdict(visit).items() if name in HeavyVisit.model_fields}
