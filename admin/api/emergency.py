"""Limiting the web, taking a device off it, switching the filter off. For IT security."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from admin import measures
from admin.api.operation import Call, Input, Listed, Nothing, example
from admin.asking import InvalidRequestError
from admin.measures import MeasureKind, NewMeasure
from admin.web.people import People


class Measure(BaseModel):
    """What was done, as it stands."""

    id: int
    kind: MeasureKind
    subject: str = Field(
        description="The department of a lockdown, empty for everyone; the IP address of a device."
    )
    because: str
    began_at: datetime
    began_by: str
    next_news_at: datetime | None
    ends_at: datetime | None = Field(description="When it ends by itself.")
    ended_at: datetime | None
    ended_by: str | None
    is_in_force: bool
    has_reached_proxy: bool = Field(description="Whether the proxy was told of how it stands now.")


class LockdownAlert(BaseModel):
    """The web is limited, for everyone or a department."""

    model_config = ConfigDict(from_attributes=True)

    department: str | None
    because: str
    since: datetime
    next_news_at: datetime | None


class FilterOffAlert(BaseModel):
    """The filter is off for everyone, until it comes on again by itself."""

    model_config = ConfigDict(from_attributes=True)

    because: str
    since: datetime
    until: datetime


class Alerts(BaseModel):
    """What every page says at its top, to everyone."""

    lockdowns: list[LockdownAlert]
    filter_off: FilterOffAlert | None


class Lockdown(Input):
    """For a department of the policy, or for everyone where it is empty."""

    model_config = example(because="A worm goes round.", next_news="11:00")

    because: str = Field(description="1 to 300 characters; people read it.")
    department: str = ""
    next_news: str = Field("", description='When people hear more: "11:00" or "2026-03-02 11:00".')


class DeviceOff(Input):
    """A device, by its IP address or its name in the policy."""

    model_config = example(device="FIN-PC-15", because="It sends mail by itself.")

    device: str
    because: str


class FilterOff(Input):
    """For how long the filter is off: "10m" or "2h", four hours at most."""

    model_config = example(lasts="10m", because="The lists block everything.")

    lasts: str
    because: str


class News(Input):
    """Why it goes on, and when people hear more."""

    model_config = example(because="The worm is not gone yet.", next_news="14:00")

    because: str
    next_news: str = ""


async def read_alerts(call: Call[Nothing, Nothing]) -> Alerts:
    """Say whether the web is limited now, or the filter off; everyone may know."""
    emergency = call.admin.emergency
    off = emergency.filter_off
    return Alerts(
        lockdowns=[LockdownAlert.model_validate(lockdown) for lockdown in emergency.lockdowns],
        filter_off=FilterOffAlert.model_validate(off) if off is not None else None,
    )


async def list_measures(call: Call[Nothing, Nothing]) -> Listed[Measure]:
    """List the newest measures, in force or over."""
    found = await call.admin.emergency.latest(call.session)
    return Listed[Measure](items=[_seen(call, measure) for measure in found])


async def read_measure(call: Call[Nothing, Nothing]) -> Measure:
    """Show one measure."""
    try:
        return _seen(call, await call.admin.emergency.get(call.session, call.id))
    except LookupError as error:
        raise HTTPException(404) from error


async def begin_lockdown(call: Call[Nothing, Lockdown]) -> Measure:
    """Limit the web to what still works in a lockdown; in force in every worker within a second."""
    policy, body, now = call.admin.policy, call.body, call.admin.now()
    return await _begun(
        call, lambda: measures.lockdown(policy, body.department, body.because, body.next_news, now)
    )


async def take_device_off(call: Call[Nothing, DeviceOff]) -> Measure:
    """Take a device off the web."""
    body = call.body
    return await _begun(call, lambda: measures.device_off(call.admin.policy, body.device, body.because))


async def switch_filter_off(call: Call[Nothing, FilterOff]) -> Measure:
    """Switch the filter off for a while; it comes on again by itself."""
    body = call.body
    return await _begun(call, lambda: measures.filter_off(body.lasts, body.because, call.admin.now()))


async def give_news(call: Call[Nothing, News]) -> Measure:
    """Say anew why a lockdown goes on, and when people hear more."""
    body = call.body
    try:
        told = await call.admin.emergency.give_news(call.session, call.id, body.because, body.next_news)
    except LookupError as error:
        raise HTTPException(404) from error
    return _seen(call, told)


async def end_measure(call: Call[Nothing, Nothing]) -> Measure:
    """End a measure."""
    try:
        return _seen(call, await call.admin.emergency.end(call.session, call.id))
    except LookupError as error:
        raise HTTPException(404) from error


async def _begun(call: Call[Nothing, Any], new: Callable[[], NewMeasure]) -> Measure:
    emergency = call.admin.emergency
    try:
        measure = new()
    except InvalidRequestError:
        # Who may not act is told that first.
        emergency.check(call.session)
        raise
    return _seen(call, await emergency.begin(call.session, measure))


def _seen(call: Call[Nothing, Any], measure: measures.Measure) -> Measure:
    admin = call.admin
    people = People(admin.policy)
    return Measure(
        id=measure.id,
        kind=measure.kind,
        subject=measure.subject,
        because=measure.because,
        began_at=measure.began_at,
        began_by=people.name(measure.began_by),
        next_news_at=measure.next_news_at,
        ends_at=measure.ends_at,
        ended_at=measure.ended_at,
        ended_by=people.name(measure.ended_by) if measure.ended_by else None,
        is_in_force=measure.is_in_force_at(admin.now()),
        has_reached_proxy=admin.emergency.failure is None,
    )
