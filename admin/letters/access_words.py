"""The words of letters about access that is open: paused, still needed?, waiting for a review."""

from collections.abc import Awaitable, Callable, Mapping

from admin import emergency_reviews, exemption_use
from admin.asking_terms import never_allowed
from admin.deciders import may_end, may_renew, may_stop
from admin.letters.parts import Link, OutdatedLetterError, Words, said_use, sentence
from admin.letters.told import Told
from admin.outbox import LetterKind
from admin.web import words


async def _paused(told: Told) -> Words:
    town, values = told.town, told.put.letter.values
    host, category = words.host(values["host"]), town.category(values["category"])
    ask = f" If it is needed for work, ask {town.help_desk()}." if told.is_asker else ""
    paused = words.paused_for((values["category"],))
    is_never = never_allowed(town.policy, (values["category"],))
    who = "Nobody can allow that" if is_never else "Only IT security can open it"
    return Words(
        subject=told.subject(paused),
        heading=paused,
        paragraphs=(
            f"{host} is now listed as {category}. Access for {told.for_whom} does not count any more."
            f" {who}.{ask}",
        ),
        facts=(("Site", host), ("Listed as", category)),
        link=told.see,
    )


async def _unreviewed(told: Told) -> Words:
    request, town = told.request, told.town
    review = await emergency_reviews.review_of(told.db, request.id)
    is_theirs = told.reader in emergency_reviews.reviewers(town.policy, request)
    if review is None or review.reviewed_at is not None or not is_theirs:
        raise OutdatedLetterError(f"{request.number} does not wait for {told.reader}'s review")
    asker = told.asker
    return Words(
        subject=told.subject("Emergency access waits for your review"),
        heading="Emergency access waits for your review",
        paragraphs=(
            f"{asker} opened {told.host} for themselves on {town.moment(request.submitted_at)}."
            " Nobody has looked at it yet.",
        ),
        quote=request.reason,
        quoted=asker,
        facts=(
            ("Site", told.host),
            ("Department", town.people.department(request.department)),
            ("Due since", town.moment(review.due_at)),
        ),
        link=Link("Look at it", f"/decide/{request.id}/review"),
        below=("Nothing is decided by this mail. You sign in to answer.",),
    )


async def _review(told: Told) -> Words:
    request, town = told.request, told.town
    use = await exemption_use.of(told.db, told.db.visits, request.id, town.now)
    if request.review_since is None or use is None:
        raise OutdatedLetterError(f"{request.number} does not come up for review any more")
    until = town.until(request.expires_at or town.now)
    unused = " Nobody has used it for 60 days: it should be closed." if use.is_unused_at(town.now) else ""
    is_account = request.account is not None
    what = f"the internet account of {told.for_whom}" if is_account else told.host
    return Words(
        subject=told.subject(f"Still needed? Allowed until {until}"),
        heading=f"Is {what} still needed?",
        paragraphs=(f"It is open until {until}, and then ends by itself.{unused}{_answers(told)}",),
        facts=(
            *(() if is_account else (("Site", told.host),)),
            ("For", told.for_whom),
            ("Use", said_use(use, town)),
        ),
        link=told.see,
        below=("Nothing is decided by this mail. You sign in to answer.",),
    )


def _answers(told: Told) -> str:
    """Return what the reader can answer, as a sentence; nothing where that is nothing."""
    policy, request, reader = told.town.policy, told.request, told.reader
    is_anothers = reader not in request.own and may_stop(policy, request, reader)
    answers = [
        *(("renew it",) if may_renew(policy, request, reader) else ()),
        *(("keep it",) if is_anothers else ()),
        *(("end it",) if may_end(policy, request, reader) or may_stop(policy, request, reader) else ()),
    ]
    said = " or ".join((", ".join(answers[:-1]), answers[-1])) if answers[1:] else "".join(answers)
    return f" {sentence(said)} on its page." if said else ""


ACCESS_WORDS: Mapping[LetterKind, Callable[[Told], Awaitable[Words]]] = {
    LetterKind.EXEMPTION_PAUSED: _paused,
    LetterKind.EXEMPTION_REVIEW: _review,
    LetterKind.EMERGENCY_UNREVIEWED: _unreviewed,
}
