"""The words of letters about a request, told from the request as it stands when they are sent."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime

from admin import request_time_line, stored_requests
from admin.acting_roles import Who
from admin.asked import Kind, Level
from admin.asking import WAITING, ForWhom, State
from admin.asking_terms import risks_of
from admin.database import Database
from admin.deciders import deciders
from admin.letters.access_words import ACCESS_WORDS
from admin.letters.emergency_words import EMERGENCY_WORDS
from admin.letters.parts import Link, OutdatedLetterError, Town, Words, sentence
from admin.letters.told import Told
from admin.opening import may_open, opens_until
from admin.outbox import LetterKind, PutLetter
from admin.visit_log import counting
from admin.web import words
from policy.access_duration import Duration


async def words_about_request(put: PutLetter, db: Database, town: Town) -> Words:
    """Find the words of a letter of REQUEST_KINDS.

    Raises OutdatedLetterError, and LookupError or ValueError when there is no such request.
    """
    id_ = int(put.letter.about.removeprefix("REQ-"))
    return await _WORDS[put.letter.kind](Told(put, await stored_requests.get(db, id_), db, town))


# --- requests ---


async def _to_decide(told: Told) -> Words:
    request, town = told.request, told.town
    is_open = request.state_at(town.now) is State.SUBMITTED
    is_awaited = is_open and str(request.step) == told.put.letter.values["step"]
    if not is_awaited or told.reader not in deciders(town.policy, request):
        raise OutdatedLetterError(f"{request.number} does not wait for {told.reader} any more")
    due = town.moment(request.due_at)
    who = f"{town.people.department(request.department)}: a" if request.department else "A"
    said = {Duration.ONCE: ", one download", Duration.HOUR: ", 1 hour"}.get(request.duration)
    end = town.last_day(request.asked_until or request.duration.end(town.now, town.zone))
    if request.for_whom is ForWhom.DEPARTMENT:
        whom = f"{told.for_whom}, asked by {told.asker}"
    else:
        whom = "these people" if request.joined else "this person"
    risks = [town.category(risk) for risk in sorted(risks_of(town.policy, request))]
    return Words(
        subject=told.subject(f"{who} web request, by {due}"),
        heading=f"Allow {told.host} for {told.for_whom}?",
        quote=request.reason,
        quoted=told.asker,
        facts=(
            ("For", f"{whom}{said or f', to {end}'}"),
            *told.also,
            *(await _about_site(told, risks)),
            ("Earlier", await told.earlier()),
            ("Answer by", due),
        ),
        link=Link("Open the request", f"/decide/{request.id}"),
        below=("Nothing is decided by this mail. You sign in to answer.",),
    )


async def _about_site(told: Told, risks: list[str]) -> tuple[tuple[str, str], ...]:
    """Return what a decider hears of a site; of categories, which risks they are; of a device, nothing."""
    request = told.request
    security = ("Security", f"A known security risk: {', '.join(risks)}" if risks else "No known risk")
    if not request.host:
        return (security,) if risks else ()
    source = f" ({request.source})" if request.source else ""
    return (
        ("Listed as", f"{told.town.category(request.category)}{source}"),
        security,
        ("Reach", await _reach(told)),
    )


async def _reminder(told: Told) -> Words:
    words_to_decide = await _to_decide(told)
    request, town = told.request, told.town
    above = town.people.above(request)
    after = f" After {town.moment(request.due_at)} {above} can answer, too." if above else ""
    return replace(
        words_to_decide,
        subject=told.subject("Still waiting for your answer"),
        paragraphs=(f"Asked {town.moment(request.submitted_at)}, and nobody has answered yet.{after}",),
    )


async def _passed_on(told: Told) -> Words:
    request, town = told.request, told.town
    if request.state_at(town.now) is not State.SUBMITTED:
        raise OutdatedLetterError(f"{request.number} is answered by now, or its time is over")
    whom = town.people.awaited(request, told.reader)
    return Words(
        subject=told.subject(f"No answer yet, passed on to {whom}"),
        heading=f"No answer yet, passed on to {whom}",
        paragraphs=(f"{sentence(whom)} can answer now, by {town.moment(request.due_at)}.",),
        facts=(("Site", told.host), ("You asked", town.moment(request.submitted_at))),
        link=told.see,
    )


async def _reach(told: Told) -> str:
    since = told.town.now - counting.REACH_WITHIN
    if not told.request.host:
        return "no one site"
    found = await counting.reach(told.db.visits, told.request.host, told.request.department, since)
    if not found.tries:
        return "none in 30 days"
    people = "under 3 people" if found.people < 3 else words.number(found.people, "person", "people")
    return f"{words.number(found.tries, 'try', 'tries')}, {people}, 30 days"


async def _to_sign(told: Told) -> Words:
    request, town = told.request, told.town
    if request.state_at(town.now) is not State.AWAITS_SIGNATURE:
        raise OutdatedLetterError(f"{request.number} does not wait for a signature any more")
    return Words(
        subject=told.subject("Approved, waiting for your signature"),
        heading="Approved, waiting for your signature",
        paragraphs=(f"{told.decided_by} approved {told.host} for you. It opens when you sign the terms.",),
        facts=(("Sites", told.host), ("Until", town.until(request.asked_until or town.now))),
        link=Link("Read and sign the terms", f"/requests/{request.id}/terms"),
        below=("Nothing is signed by this mail. You sign in to sign.",),
    )


async def _to_open(told: Told) -> Words:
    request, town = told.request, told.town
    is_awaited = request.state_at(town.now) is State.AWAITS_OPENING
    if not is_awaited or not may_open(town.policy, request, told.reader):
        raise OutdatedLetterError(f"{request.number} does not wait for {told.reader} any more")
    return Words(
        subject=told.subject("Still waiting to be opened"),
        heading=f"Open {told.host} for {told.for_whom}?",
        paragraphs=(
            f"Approved {town.moment(request.decided_at or town.now)}, and nobody has opened it yet.",
        ),
        quote=request.reason,
        quoted=told.asker,
        facts=await _ticket_facts(told),
        link=Link("Open it on the admin site", f"/decide/{request.id}/done"),
        below=("Nothing is opened by this mail. You sign in to open it.",),
    )


async def _approved(told: Told) -> Words:
    if told.request.state_at(told.town.now) is not State.AWAITS_OPENING:
        raise OutdatedLetterError(f"{told.request.number} does not wait for IT any more")
    return Words(
        subject=told.subject("Approved, waiting for IT to open it"),
        heading="Approved, waiting for IT to open it",
        paragraphs=(f"{told.decided_by} approved {told.host}. IT opens it; you get a mail then.",),
        facts=(("Site", told.host), ("For", told.for_whom)),
        link=told.see,
    )


async def _approver(told: Told) -> tuple[str | None, Who | None]:
    """Return who gave the last approval, and in what role; IT may have opened it since."""
    moves = await request_time_line.time_line(told.db, told.request)
    if told.request.kind is Kind.EMERGENCY:
        return told.request.person, None
    return next(((move.actor, move.acted) for move in reversed(moves) if move.role is not None), (None, None))


async def _allowed(told: Told) -> Words:
    request, town = told.request, told.town
    if request.state_at(town.now) is not State.APPROVED or request.paused_for:
        raise OutdatedLetterError(f"{request.number} opens nothing any more")
    person, acted = await _approver(told)
    approver = town.people.part_of(person, request, told.reader, acted)
    until = town.until(request.expires_at or town.now)
    everyone = f" for {told.for_whom}" if request.for_whom is ForWhom.DEPARTMENT else ""
    return Words(
        subject=told.subject(f"Allowed until {until}"),
        heading=f"Allowed until {until}",
        paragraphs=(_opens(told, everyone),),
        facts=(("Site", told.host), *told.also, ("For", told.for_whom), ("Allowed by", sentence(approver))),
        link=told.see,
        below=("IT can still stop it for security.",),
    )


def _opens(told: Told, everyone: str) -> str:
    if told.request.account is not None:
        return "The web is open for " + told.for_whom + " now."
    window, social_media = told.request.window, told.request.social_media
    if social_media is not None:
        return f"The sites open now{', to read' if social_media.level is Level.VIEW else ''}."
    if told.request.device is not None:
        return "The device is known as yours now."
    if not told.request.host and window is None:
        return f"Sites of this kind open now{everyone}."
    if window is None:
        return _opens_site(told, everyone)
    return f"Sites of this kind open from {told.town.moment(window.begins_at)}."


def _opens_site(told: Told, everyone: str) -> str:
    if told.request.is_once:
        return f"Load it again: {told.host} goes through."
    if told.request.kind is Kind.DOWNLOAD:
        return f"Load it again: no limit holds for {told.host}{everyone}."
    return f"Load {told.host} again: it opens{everyone}."


async def _handed_on(told: Told) -> Words:
    request = told.request
    state = request.state_at(told.town.now)
    if request.person != told.reader or state not in (*WAITING, State.APPROVED):
        raise OutdatedLetterError(f"{request.number} is not {told.reader}'s, or not open any more")
    is_undecided = state is State.SUBMITTED
    return Words(
        subject=told.subject("It is your request now"),
        heading="It is your request now",
        paragraphs=(
            f"A colleague had asked for {told.host} and does not need it any more. You had joined,"
            f" so it goes on for you.{' If you do not need it, withdraw it.' if is_undecided else ''}",
        ),
        facts=(("Site", told.host),),
        link=told.see,
    )


async def _denied(told: Told) -> Words:
    request = told.request
    part = told.town.people.decider(request, told.reader)
    return Words(
        subject=told.subject("Not approved"),
        heading="Not approved",
        paragraphs=(f"{told.host} stays as it is. To talk about it, ask {part} or {told.town.help_desk()}.",),
        quote=request.note or "",
        quoted=told.decided_by,
        facts=(("Site", told.host), ("You asked", told.town.moment(request.submitted_at))),
        link=told.see,
    )


async def _stopped(told: Told) -> Words:
    request, town = told.request, told.town
    part = town.people.decider(request, told.reader)
    talk = f" To talk about it, ask {part} or {town.help_desk()}." if told.is_asker else ""
    stopped = f"{'Ended' if request.decided_by in request.askers else 'Stopped'} by {part}"
    return Words(
        subject=told.subject(stopped),
        heading=stopped,
        paragraphs=(f"Access to {told.host} for {told.for_whom} has ended.{talk}",),
        quote=request.note or "",
        quoted=told.decided_by,
        facts=(("Site", told.host), ("Stopped", town.moment(request.decided_at or town.now))),
        link=told.see,
    )


# --- the help desk's: tickets ---


async def _ticket(told: Told) -> Words:
    request, town = told.request, told.town
    if request.approved_until is None:
        return await _ticket_opened(told)
    until = opens_until(request, town.now)
    if until is None:
        raise OutdatedLetterError(f"{request.number} does not wait for IT any more")
    is_risk = bool(risks_of(town.policy, request))
    return Words(
        subject=told.subject(f"To open: {told.host} until {_iso(until, town)}"),
        heading=f"To open: {told.host} until {town.until(until)}",
        paragraphs=("A known security risk: only IT security opens it.",) if is_risk else (),
        quote=request.reason,
        quoted=told.asker,
        facts=await _ticket_facts(told),
        link=Link("Open it on the admin site", f"/decide/{request.id}/done"),
        below=("Nothing is opened by this mail. You sign in to open it.",),
    )


async def _ticket_opened(told: Told) -> Words:
    request, town = told.request, told.town
    until = request.expires_at or town.now
    return Words(
        subject=told.subject(f"Access allowed: {told.host} until {_iso(until, town)}"),
        heading=f"Access allowed: {told.host} until {town.until(until)}",
        quote=request.reason,
        quoted=told.asker,
        facts=await _ticket_facts(told),
        link=told.see,
        below=("IT can stop it for security.",),
    )


async def _ticket_stopped(told: Told) -> Words:
    request, town = told.request, told.town
    is_withdrawn = request.state is State.WITHDRAWN
    what = f"{'Not to open any more' if is_withdrawn else 'Access stopped'}: {told.host}"
    return Words(
        subject=told.subject(what),
        heading=what,
        quote=request.note or "",
        quoted=told.decided_by,
        facts=(
            ("Site", told.host),
            ("For", told.for_whom),
            ("Withdrawn" if is_withdrawn else "Stopped", town.moment(request.decided_at or town.now)),
        ),
        link=told.see,
    )


async def _ticket_facts(told: Told) -> tuple[tuple[str, str], ...]:
    request, town = told.request, told.town
    return (
        ("Site", told.host),
        *told.also,
        ("For", told.for_whom),
        ("Asked by", told.asker),
        ("Department", town.people.department(request.department)),
        ("Listed as", town.category(request.category)),
        ("Approved by", town.people.name((await _approver(told))[0])),
        ("Code", request.code),
    )


def _iso(at: datetime, town: Town) -> str:
    return f"{at.astimezone(town.zone):%Y-%m-%d %H:%M}"


_WORDS: Mapping[LetterKind, Callable[[Told], Awaitable[Words]]] = {
    LetterKind.REQUEST_TO_DECIDE: _to_decide,
    LetterKind.REQUEST_REMINDER: _reminder,
    LetterKind.REQUEST_PASSED_ON: _passed_on,
    LetterKind.REQUEST_TO_SIGN: _to_sign,
    LetterKind.REQUEST_TO_OPEN: _to_open,
    LetterKind.REQUEST_APPROVED: _approved,
    LetterKind.REQUEST_ALLOWED: _allowed,
    LetterKind.REQUEST_HANDED_ON: _handed_on,
    LetterKind.REQUEST_DENIED: _denied,
    LetterKind.REQUEST_STOPPED: _stopped,
    LetterKind.TICKET: _ticket,
    LetterKind.TICKET_OPENED: _ticket_opened,
    LetterKind.TICKET_STOPPED: _ticket_stopped,
    **ACCESS_WORDS,
    **EMERGENCY_WORDS,
}
REQUEST_KINDS = frozenset(_WORDS)
