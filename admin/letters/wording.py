"""What letters say: those about requests by `request_words`, all others here."""

from collections.abc import Callable, Mapping
from datetime import datetime

from admin import password_resets
from admin.database import Database
from admin.letters.attempt_words import ATTEMPT_WORDS
from admin.letters.delegation_words import DELEGATION_WORDS
from admin.letters.names_words import NAMES_KINDS, words_about_names
from admin.letters.parts import Link, OutdatedLetterError, Town, Words
from admin.letters.request_words import REQUEST_KINDS, words_about_request
from admin.letters.weekly_words import words_of_weekly_report
from admin.notices import paragraphs
from admin.outbox import LetterKind, PutLetter
from admin.web import words
from policy import limit_words
from policy.limiting import hours_end_at


async def words_of(put: PutLetter, db: Database, town: Town) -> Words:
    """Find the words of a letter.

    Raises OutdatedLetterError when it tells what is no longer so, LookupError or ValueError when it
    cannot be told; DatabaseError or sqlite3.Error when what it tells cannot be read.
    """
    if put.letter.kind in REQUEST_KINDS:
        return await words_about_request(put, db, town)
    if put.letter.kind in NAMES_KINDS:
        return await words_about_names(put, db, town)
    if put.letter.kind is LetterKind.WEEKLY_REPORT:
        return await words_of_weekly_report(put, db, town)
    return _WORDS[put.letter.kind](put, town)


def _category_reported(put: PutLetter, town: Town) -> Words:
    values = put.letter.values
    return Words(
        subject=_tagged(put, "A wrong category"),
        heading="Someone says that a category is wrong",
        quote=values["note"],
        facts=(
            ("Site", words.host(values["host"])),
            ("Listed as", town.category(values["listed_as"])),
            ("Should be", town.category(values["proposed"]) if values["proposed"] else "not said"),
        ),
        link=_board(put, town),
        below=("Nothing is changed by this mail.",),
    )


def _category_answered(put: PutLetter, town: Town) -> Words:
    values = put.letter.values
    host, category = words.host(values["host"]), town.category(values["category"])
    if values["answer"] == "corrected":
        heading, said = (
            "The category is corrected",
            f"{host} is now listed as {category}, for everyone. Thank you.",
        )
    else:
        heading, said = "The category stays", f"{host} stays listed as {category}."
    return Words(
        subject=_tagged(put, heading),
        heading=heading,
        paragraphs=(said,),
        quote=values["note"],
        quoted="IT",
    )


def _accident_reported(put: PutLetter, town: Town) -> Words:
    values = put.letter.values
    department = town.people.department(values["department"] or None)
    return Words(
        subject=_tagged(put, f"{department}: a site opened by accident"),
        heading="A site opened by accident",
        paragraphs=(
            f"Someone in {department} came to a site by accident and said so. The visit is marked Reported.",
        ),
        facts=(
            ("Site", words.host(values["host"])),
            ("Listed as", town.category(values["category"])),
            ("When", town.moment(datetime.fromisoformat(values["at"]))),
        ),
        link=_board(put, town),
    )


def _report_reminder(put: PutLetter, town: Town) -> Words:
    values = put.letter.values
    return Words(
        subject=_tagged(put, "Still waiting for your answer"),
        heading="A report about a site waits for your answer",
        paragraphs=("Nobody has answered it yet.",),
        facts=(
            ("Site", words.host(values["host"])),
            ("Sent", town.moment(datetime.fromisoformat(values["at"]))),
        ),
        link=_board(put, town),
        below=("Nothing is changed by this mail.",),
    )


def _accident_answered(put: PutLetter, _town: Town) -> Words:
    host = words.host(put.letter.values["host"])
    was_blocked = put.letter.values["answer"] == "blocked"
    return Words(
        subject=_tagged(put, "What you reported"),
        heading="Thank you for saying so",
        paragraphs=(
            f"IT has looked at {host}. "
            + ("It is blocked now." if was_blocked else "There is no problem.")
            + " You need to do nothing.",
        ),
    )


def _limit_closed(put: PutLetter, town: Town) -> Words:
    values = put.letter.values
    limit = next((limit for limit in town.policy.limits if limit.id == values["limit"]), None)
    said = f": {limit_words.over(limit)} {limit_words.does(limit)}" if limit is not None else ""
    when = town.moment(datetime.fromisoformat(values["at"]))
    return Words(
        subject="A download was stopped",
        heading="A download was stopped",
        paragraphs=(
            f"A connection to {words.host(values['host'])} was ended on {when}, as it went over a limit of"
            f" the town{said}."
            " No page could be shown there, so this mail says it, once a day.",
        ),
        facts=(("Limit", values["limit"]),),
        link=Link("See what was stopped", "/stopped"),
    )


def _download_reminder(put: PutLetter, town: Town) -> Words:
    values = put.letter.values
    limit = next((limit for limit in town.policy.limits if limit.id == values["limit"]), None)
    is_over = limit is None or hours_end_at(limit, town.policy, town.now) is None
    return Words(
        subject="Your reminder: a download",
        heading="You asked to be reminded of a download",
        paragraphs=("It no longer slows others down.",) if is_over else (),
        facts=(("Site", words.host(values["host"])),),
        link=Link("Open it", values["address"]),
        below=(
            "What follows a “?” in an address is not kept here: if it does not open, look for the file where"
            " you found it.",
        ),
    )


def _notice_receipt(put: PutLetter, town: Town) -> Words:
    values = put.letter.values
    accepted_at = town.moment(datetime.fromisoformat(values["accepted_at"]))
    law = (("Law", values["law"]),) if values["law"] else ()
    return Words(
        subject=f"Your copy: {values['title']}",
        heading=values["title"],
        paragraphs=(f"You accepted this on {accepted_at}.", *paragraphs(values["text"])),
        facts=(*law, ("Version", values["version"])),
        link=Link("See it on the admin site", "/notice"),
    )


def _password_reset(put: PutLetter, town: Town) -> Words:
    if town.reset_key is None:
        raise ValueError("there is no key for links to set a password")
    if town.now >= put.put_at + password_resets.LINK_LIFETIME:
        raise OutdatedLetterError("the link would be over")
    letter = put.letter
    token = password_resets.token(letter.values["reset"], letter.to, put.put_at, town.reset_key)
    return Words(
        subject="Set a new password",
        heading="Set a new password",
        paragraphs=(
            "Somebody, we hope you, said on the admin site that they forgot your password.",
            f"The link works once, until {town.moment(put.put_at + password_resets.LINK_LIFETIME)}.",
        ),
        link=Link("Choose a new password", f"/password/new?token={token}"),
        below=("Was it not you? Then do nothing: your password stays as it is.",),
    )


def _test(_put: PutLetter, town: Town) -> Words:
    return Words(
        subject=f"A test from {town.policy.town.name}",
        heading="Mail works",
        paragraphs=("Somebody in IT pressed Test on the Settings page. You need to do nothing.",),
        link=Link("See the settings", "/settings"),
    )


def _tagged(put: PutLetter, text: str) -> str:
    return f"[{put.letter.about}] {text}"


def _board(put: PutLetter, town: Town) -> Link | None:
    """Return where IT answers; a head is only told."""
    is_it = put.letter.to in town.policy.roles.get("it_security", ())
    return Link("Open the board", "/review") if is_it else None


_WORDS: Mapping[LetterKind, Callable[[PutLetter, Town], Words]] = {
    LetterKind.CATEGORY_REPORTED: _category_reported,
    LetterKind.CATEGORY_ANSWERED: _category_answered,
    LetterKind.ACCIDENT_REPORTED: _accident_reported,
    LetterKind.ACCIDENT_ANSWERED: _accident_answered,
    LetterKind.REPORT_REMINDER: _report_reminder,
    LetterKind.DOWNLOAD_REMINDER: _download_reminder,
    LetterKind.LIMIT_CLOSED: _limit_closed,
    LetterKind.NOTICE_RECEIPT: _notice_receipt,
    LetterKind.PASSWORD_RESET: _password_reset,
    LetterKind.TEST: _test,
    **ATTEMPT_WORDS,
    **DELEGATION_WORDS,
}
