"""The words of letters about emergency access."""

from collections.abc import Callable, Mapping
from datetime import datetime

from admin.asking import State
from admin.letters.parts import Link, Town, Words
from admin.outbox import LetterKind, PutLetter
from admin.web import words


def _opened(put: PutLetter, town: Town) -> Words:
    values, about = put.letter.values, put.letter.about
    department = town.people.department(values["department"] or None)
    until = town.until(datetime.fromisoformat(values["until"]))
    return Words(
        subject=f"[{about}] Emergency access, until {until}",
        heading="Someone opened a site for themselves",
        paragraphs=(
            f"{town.people.name(values['person'])} used emergency access. It ends by itself at {until}.",
            "It is looked at on the next business day.",
        ),
        quote=values["reason"],
        quoted=town.people.name(values["person"]),
        facts=(
            ("Site", words.host(values["host"])),
            ("Department", department),
            ("Until", until),
            *_earlier(values, town),
        ),
        link=Link("See the request", _page(about)),
        below=("Whoever got this mail can stop it now.",),
    )


def _earlier(values: Mapping[str, str], town: Town) -> tuple[tuple[str, str], ...]:
    """Return that the site was not allowed, or stopped, lately: a fact, or none."""
    if "refused" not in values:
        return ()
    day = town.day(datetime.fromisoformat(values["refused_at"]))
    what = "stopped" if values["refused"] == State.STOPPED else "not allowed"
    return (("Earlier", f"{what} {day}: “{values['refused_note']}”"),)


def _reviewed(put: PutLetter, _town: Town) -> Words:
    values, about = put.letter.values, put.letter.about
    heading = "It was right" if values["answer"] == "right" else "It was not right"
    return Words(
        subject=f"[{about}] Your emergency access: {heading.lower()}",
        heading=heading,
        paragraphs=(f"Somebody looked at why you opened {words.host(values['host'])}.",),
        quote=values["note"],
        link=Link("See the request", _page(about)),
    )


def _page(about: str) -> str:
    return f"/requests/{about.removeprefix('REQ-')}"


EMERGENCY_WORDS: Mapping[LetterKind, Callable[[PutLetter, Town], Words]] = {
    LetterKind.EMERGENCY_OPENED: _opened,
    LetterKind.EMERGENCY_REVIEWED: _reviewed,
}
