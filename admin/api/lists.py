"""What sites can be listed as, what one is listed as now, and how the lists stand."""

from datetime import datetime

from pydantic import BaseModel, Field

from admin import roles
from admin.api.corrections import Match
from admin.api.operation import Call, Listed, Nothing, Query
from admin.asking import InvalidRequestError
from admin.list_updates import Freshness
from admin.list_views import lists_standing, look_up
from categories.taxonomy import taxonomy
from policy.web_address import parse_web_address


class Category(BaseModel):
    """What a site can be listed as."""

    id: str
    label: str = Field(description='As pages have it, like "Gambling".')
    description: str
    group: str
    is_security_risk: bool


class Source(BaseModel):
    """A list, and how it stands."""

    name: str
    state: Freshness
    entries: int = Field(description="In force.")
    categories: list[str] = Field(description="What its entries are of, the most first.")
    good_at: datetime | None = Field(description="When it was last known to be the newest.")
    tried_at: datetime | None
    is_shipped: bool = Field(description="It comes with Towngate, and never ages.")
    refused: str | None = Field(
        description="Why its newest edition is not in force, for IT security alone; null where it is."
    )


class Lists(BaseModel):
    """The lists in force, and where they come from, those with trouble first."""

    version: str | None = Field(description="Null where no lists can be read.")
    built_at: datetime | None
    entries: int
    is_running: bool = Field(description="They are being brought up to date.")
    is_held: bool = Field(description="Somebody went back to those of before: new ones are not used.")
    sources: list[Source]


class WhichSite(Query):
    """What is looked up."""

    site: str = Field(max_length=2000, description="A site or an address of it, like library.example/path.")


class Found(Match):
    """One reason why a site is in a category, and of when the list is that has it."""

    list_of: datetime | None = Field(description="Null for the town's corrections, and what ships.")


class LookedUp(BaseModel):
    """What a site, or its page, is listed as now."""

    host: str
    path: str
    listed_as: list[Found] = Field(description="Empty: no list knows it.")
    lists: str = Field(description="The version of the lists that were asked.")


async def list_categories(call: Call[Nothing, Nothing]) -> Listed[Category]:
    """List the categories, by the ids that requests, reports and corrections take."""
    risks = call.admin.policy.security_categories
    items = [
        Category(
            id=id_,
            label=one.label,
            description=one.description,
            group=one.group,
            is_security_risk=id_ in risks,
        )
        for id_, one in taxonomy().listable.items()
    ]
    return Listed[Category](items=items)


async def read_lists(call: Call[Nothing, Nothing]) -> Lists:
    """Say how the lists stand."""
    found = await lists_standing(call.admin, call.session)
    sees_why = roles.runs_towngate(call.admin.policy, call.session.person or "")
    in_force = found.in_force
    return Lists(
        version=in_force.version if in_force is not None else None,
        built_at=in_force.built_at if in_force is not None else None,
        entries=len(in_force) if in_force is not None else 0,
        is_running=found.is_running,
        is_held=found.is_held,
        sources=[
            Source(
                name=one.name,
                state=one.freshness,
                entries=one.entries,
                categories=[id_ for id_, _ in one.categories],
                good_at=one.good_at,
                tried_at=one.tried_at,
                is_shipped=one.is_shipped,
                refused=one.refused if sees_why else None,
            )
            for one in found.sources
        ],
    )


async def look_site_up(call: Call[WhichSite, Nothing]) -> LookedUp:
    """Say what a site is listed as now, by which entry of which list, and of when that is."""
    lists = await lists_standing(call.admin, call.session)
    try:
        # The query of an address is nobody's to see, and says nothing.
        address = parse_web_address(call.query.site.partition("?")[0])
    except ValueError as error:
        raise InvalidRequestError("site", "Enter a site, like cardroom.example") from error
    matches = await look_up(call.admin, call.session, address)
    return LookedUp(
        host=address.host,
        path=address.path,
        listed_as=[Found(**match._asdict(), list_of=lists.good_at(match.source)) for match in matches],
        lists=await call.admin.site_lists.version(),
    )
