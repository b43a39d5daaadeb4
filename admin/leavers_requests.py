"""What becomes of the requests of somebody who leaves: withdrawn, stopped, passed on or handed on."""

import json
from datetime import datetime

from admin import exemptions, internet_accounts, joining, own_devices, request_letters, waiting_requests
from admin.asking import State
from admin.database import Transaction
from admin.request_moves import move
from admin.stored_requests import get
from policy.town_policy import Policy


async def leave(
    t: Transaction, before: Policy, after: Policy, person: str, *, actor: str, at: datetime
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """End what a person asked for who leaves, and pass on what waits for them; `after` is without them.

    Return the numbers of the requests that were withdrawn, of those by which they had access that is stopped,
    and of those that were passed on. Access of a department, and what waits for it, stays; so does what
    others joined or they only joined, for the others: what is not open yet is then the one's who joined
    first, and what is open is stopped when nobody has it any more.
    """
    had_access = await exemptions.stop_of(t, person, stopped_by=actor, at=at)
    await own_devices.stop_of(t, person, stopped_by=actor, at=at)
    await internet_accounts.stop_of(t, person, stopped_by=actor, at=at)
    await t.execute(
        "DELETE FROM access_request_joiner WHERE person = ? AND access_request IN ("
        "SELECT id FROM access_request WHERE state IN ('submitted', 'awaits_opening'))",
        person,
    )
    rows = await t.fetch_all(
        "SELECT id FROM access_request WHERE (person = ? AND (state = 'submitted'"
        " OR (state IN ('awaits_signature', 'awaits_opening', 'approved')"
        " AND for_whom = 'person'))) OR id IN (SELECT value FROM json_each(?)) ORDER BY id",
        person,
        json.dumps(sorted(had_access)),
    )
    ended: dict[State, list[str]] = {State.WITHDRAWN: [], State.STOPPED: []}
    for row in rows:
        request = await get(t, row["id"])
        if request.state_at(at) is State.ENDED:
            continue
        if request.state is not State.APPROVED and request.joined:
            await joining.hand_on(t, request, actor=actor, at=at)
            await request_letters.put(t, after, await get(t, request.id), at)
            continue
        if await exemptions.are_live(t, request.id, at):
            ended[State.STOPPED].append(request.number)
            continue
        new_state = State.WITHDRAWN if request.state is State.SUBMITTED else State.STOPPED
        await move(t, before, request, new_state, actor=actor, at=at)
        await request_letters.put(t, after, await get(t, request.id), at)
        ended[new_state].append(request.number)
    waiting = await waiting_requests.to_decide(t, before, person, at)
    for request in waiting:
        await request_letters.put(t, after, request, at)
    passed_on = tuple(request.number for request in waiting)
    return tuple(ended[State.WITHDRAWN]), tuple(ended[State.STOPPED]), passed_on
