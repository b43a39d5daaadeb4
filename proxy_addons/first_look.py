"""The first look at a request to the proxy itself: who makes it, and for which host."""

from typing import Literal

from mitmproxy import http

from categories.host_name import HostNameError
from policy.decision import Cause
from policy.visit import Client
from proxy_addons.client_identity import SignInRequiredError, sign_in_response
from proxy_addons.gate import Gate, asked_host
from proxy_addons.page_response import bare_response
from proxy_addons.via import CAME_BACK, has_come_back


async def look_first(
    gate: Gate, flow: http.HTTPFlow, scheme: Literal["http", "https"]
) -> tuple[Client, str] | None:
    """Return who asks, and the canonical host that is asked for; `scheme` is that of the visit.

    None where it is answered already: it came back, who asks has to say so first, or it names no host.
    """
    request, client = flow.request, flow.client_conn
    if has_come_back(request, gate.via):
        gate.log.record(gate.refused(client, Cause.MALFORMED, scheme), CAME_BACK)
        flow.response = bare_response(508, "This request came back to the town's proxy.")
        return None
    try:
        who = await gate.identify(flow)
    except SignInRequiredError:
        flow.response = sign_in_response(gate.judge.policy.town.name)
        return None
    try:
        if scheme == "http" and request.scheme != "http":
            raise HostNameError(f"{request.scheme}:// cannot be asked for without CONNECT")
        return who, asked_host(request)
    except HostNameError as error:
        gate.log.record(gate.refused(client, Cause.MALFORMED, scheme), str(error))
        flow.response = bare_response(400, f"This is not the address of a site: {error}")
        return None
