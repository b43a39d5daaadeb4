"""Asking for a device of one's own."""

from datetime import date

from pydantic import Field

from admin.api.operation import Call, Input, Nothing, example
from admin.api.request_model import SentRequest


class AskDevice(Input):
    """A device, and until the end of which day it is known as yours."""

    model_config = example(
        name="CLERK-TABLET", address="10.10.20.77", last="2026-03-31", reason="For site visits."
    )

    name: str = Field(description="Up to 40 characters. No other device has it.")
    address: str = Field(description="Its IP address in the town's network.")
    last: date
    reason: str


async def ask_for_device(call: Call[Nothing, AskDevice]) -> SentRequest:
    """Ask that visits from a device of your own are known as yours."""
    body = call.body
    sent = await call.admin.device_requests.ask(
        call.session, name=body.name, address=body.address, last=body.last, reason=body.reason
    )
    return await SentRequest.sent(call, sent)
