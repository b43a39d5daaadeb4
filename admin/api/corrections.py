"""What the town lists a site as, in place of every list."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field

from admin.api.operation import Call, Input, Listed, Nothing, example
from admin.asking import InvalidRequestError
from admin.corrections import MadeCorrection
from admin.web.people import People
from policy.web_address import parse_web_address


class Correction(BaseModel):
    """A correction; in force unless it was undone."""

    id: int
    site: str
    categories: list[str] = Field(description="Ids of the taxonomy; empty: the site is listed as nothing.")
    why: str
    made_by: str
    made_at: datetime
    undone_at: datetime | None

    @classmethod
    def of(cls, made: MadeCorrection, people: People) -> Self:
        """Return it with the name of who made it."""
        return cls(
            id=made.id,
            site=made.site,
            categories=list(made.categories),
            why=made.why,
            made_by=people.name(made.made_by),
            made_at=made.made_at,
            undone_at=made.undone_at,
        )


class Match(BaseModel):
    """One reason why a site is in a category."""

    category: str
    entry: str
    source: str


class Site(BaseModel):
    """What a site is listed as now, and how it was corrected."""

    site: str
    listed_as: list[Match]
    correction: Correction | None
    history: list[Correction]


class UnlistedSite(BaseModel):
    """A site that people use and no list knows."""

    site: str
    hosts: list[str]
    listed_hosts: list[str]
    visits: int
    people: int | None = Field(description="Null where they are under 3.")
    first_seen_at: datetime
    looks_like: str | None


class Correct(Input):
    """What a site is. `seen` is the id of the correction in force, null where there is none."""

    model_config = example(site="museum.example", categories=["reference"], why="It is a museum.")

    site: str
    categories: list[str] = Field(description="Empty: it is listed as nothing.")
    why: str
    seen: int | None = None


class UndoCorrection(Input):
    """The correction that ends, and why."""

    model_config = example(site="museum.example", why="The lists say it, too.", seen=7)

    site: str
    why: str
    seen: int


async def list_corrections(call: Call[Nothing, Nothing]) -> Listed[Correction]:
    """List the corrections in force, newest first."""
    people = People(call.admin.policy)
    found = await call.admin.review.corrections(call.session)
    return Listed[Correction](items=[Correction.of(one, people) for one in found])


async def read_site(call: Call[Nothing, Nothing]) -> Site:
    """Say what a site is listed as now, and how it was corrected."""
    review, session, people = call.admin.review, call.session, People(call.admin.policy)
    await review.corrections(session)
    listing = await review.listing(session, _host(call.path["site"]))
    history = await review.history(session, listing.site)
    return Site(
        site=listing.site,
        listed_as=[Match(**match._asdict()) for match in listing.matches],
        correction=Correction.of(listing.correction, people) if listing.correction else None,
        history=[Correction.of(one, people) for one in history],
    )


async def correct_site(call: Call[Nothing, Correct]) -> Correction:
    """List a site as these categories and nothing else, for everyone within a second."""
    body = call.body
    made = await call.admin.review.correct(
        call.session, await _site(call, body.site), body.categories, body.why, body.seen
    )
    return Correction.of(made, People(call.admin.policy))


async def undo_correction(call: Call[Nothing, UndoCorrection]) -> Correction:
    """Let the lists say again what a site is."""
    body = call.body
    ended = await call.admin.review.undo(call.session, await _site(call, body.site), body.why, body.seen)
    return Correction.of(ended, People(call.admin.policy))


async def list_unlisted(call: Call[Nothing, Nothing]) -> Listed[UnlistedSite]:
    """List the sites of the last 30 days that no list knows, the 100 most used, most visits first."""
    found = await call.admin.review.unlisted(call.session)
    items = [
        UnlistedSite(
            site=one.site,
            hosts=list(one.hosts),
            listed_hosts=list(one.listed_hosts),
            visits=one.visits,
            people=one.said_people if isinstance(one.said_people, int) else None,
            first_seen_at=one.first_seen_at,
            looks_like=one.looks_like,
        )
        for one in found
    ]
    return Listed[UnlistedSite](items=items)


async def _site(call: Call[Nothing, Correct] | Call[Nothing, UndoCorrection], text: str) -> str:
    """Return the host that is meant; who does not review is told that before anything about it."""
    try:
        return _host(text)
    except InvalidRequestError:
        await call.admin.review.corrections(call.session)
        raise


def _host(text: str) -> str:
    try:
        return parse_web_address(text).host
    except ValueError as error:
        raise InvalidRequestError("site", "Enter a site, like example.com") from error
