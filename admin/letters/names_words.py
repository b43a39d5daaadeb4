"""The words of letters about seeing names, told from the request as it stands."""

from admin import names, roles
from admin.database import Database
from admin.letters.parts import Link, OutdatedLetterError, Town, Words
from admin.names import NamesState
from admin.outbox import LetterKind, PutLetter

NAMES_KINDS = frozenset({LetterKind.NAMES_ASKED, LetterKind.NAMES_ANSWERED})


async def words_about_names(put: PutLetter, db: Database, town: Town) -> Words:
    """Find the words of a letter of NAMES_KINDS.

    Raises OutdatedLetterError, and LookupError or ValueError when there is no such request.
    """
    request = await names.request_of(db, put.letter.about, town.now)
    state, about = request.state_at(town.now), put.letter.about
    link = Link("See the request", f"/visits/names/{request.id}")
    if put.letter.kind is LetterKind.NAMES_ASKED:
        agree = roles.agree_to_names(town.policy, request.asked_by, request.person)
        if state is not NamesState.WAITING or put.letter.to not in agree:
            raise OutdatedLetterError("it was answered, is over, or is not theirs to answer")
        by = town.moment(request.ends_at)
        wants = "to search the visit log by a name" if request.person else "to see names in the visit log"
        return Words(
            subject=f"[{about}] A second person is needed, by {by}",
            heading="A second person is needed",
            paragraphs=(f"{town.people.name(request.asked_by)} asks {wants}.",),
            quote=request.reason,
            facts=(("Case", request.case_number or "none"), ("Until", by)),
            link=link,
            below=("Nothing is decided by this mail.",),
        )
    if request.holds_until is None:
        heading, said = "Not agreed", "The second person did not agree. Names stay hidden."
    elif not request.goes_on or not roles.may_show_names(town.policy, request.asked_by):
        raise OutdatedLetterError("names are shown to nobody: who asked is signed out, or sees none any more")
    elif state is NamesState.AGREED:
        until = town.moment(request.holds_until)
        heading, said = f"Agreed until {until}", f"Names are shown until {until}, where you asked."
    else:
        raise OutdatedLetterError("its time is over")
    return Words(subject=f"[{about}] {heading}", heading=heading, paragraphs=(said,), link=link)
