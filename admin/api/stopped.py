"""What was stopped for a person lately, and what they can say and ask about it."""

from datetime import datetime

from pydantic import BaseModel, Field

from admin.api.operation import Call, Input, Listed, Nothing, example
from admin.api.reports import Report, WrongCategory
from admin.api.request_model import AccessRequest, SentRequest
from admin.api.visits import Visit
from admin.asking import ForWhom
from policy.access_duration import Duration


class AskAboutStopped(Input):
    """What it is needed for, how long, for whom."""

    model_config = example(reason="Their report, for the grant file.", duration="week", for_whom="person")

    reason: str = Field(description="1 to 500 characters. Requests are town records.")
    duration: Duration
    for_whom: ForWhom


class AskReminder(Input):
    """The address of the download; it is kept without what follows the question mark."""

    model_config = example(address="https://files.example/maps/county.zip")

    address: str


class Reminder(BaseModel):
    """A mail that comes once the limit's hours are over, with the address."""

    address: str
    at: datetime | None = Field(description="Null where the download need not wait now, and no mail comes.")
    is_asked: bool


async def list_stopped(call: Call[Nothing, Nothing]) -> Listed[Visit]:
    """List what was stopped for you in the last 15 minutes."""
    rows = await call.admin.visit_views.stopped_here(call.session)
    return Listed[Visit](items=[Visit.of(row, call.admin.policy) for row in rows])


async def ask_about_stopped(call: Call[Nothing, AskAboutStopped]) -> SentRequest:
    """Ask for the site of one of them, as its block page would have let."""
    requests, body = call.admin.requests, call.body
    code = await requests.ask_about(call.session, call.id)
    sent = await requests.submit(call.session, code, body.reason, body.duration, body.for_whom)
    return await SentRequest.sent(call, sent)


async def join_stopped(call: Call[Nothing, Nothing]) -> AccessRequest:
    """Join the open request of a colleague for what one of them was: the site, or a download from it."""
    code = await call.admin.requests.ask_about(call.session, call.id)
    return AccessRequest.of(call, await call.admin.requests.join(call.session, code))


async def go_on(call: Call[Nothing, Nothing]) -> Listed[Visit]:
    """Go on past the limit that ended one of them, where it warns: for you, at this site, for eight hours."""
    await call.admin.limit_lifts.go_on(call.session, call.id)
    return await list_stopped(call)


async def ask_for_reminder(call: Call[Nothing, AskReminder]) -> Reminder:
    """Have a mail sent to you, once a download that was too large at these hours need not wait any more."""
    asked = await call.admin.download_reminders.ask_about(call.session, call.id, call.body.address)
    return Reminder(address=asked.address, at=asked.at, is_asked=asked.is_asked)


async def report_stopped(call: Call[Nothing, WrongCategory]) -> Report:
    """Say that the site of one of them is listed wrongly."""
    code = await call.admin.requests.ask_about(call.session, call.id)
    return Report.of(
        await call.admin.reports.wrong_category(call.session, code, call.body.proposed, call.body.remark)
    )


async def report_accident(call: Call[Nothing, Nothing]) -> Report:
    """Say that you came to one of them by accident; head and IT are told."""
    code = await call.admin.requests.ask_about(call.session, call.id)
    return Report.of(await call.admin.reports.accident(call.session, code))
