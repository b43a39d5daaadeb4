"""The words of letters about emergency access."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from admin.letters.parts import Words
from admin.letters.told import Told
from admin.outbox import LetterKind
from admin.web import words


async def _opened(told: Told) -> Words:
    values, town = told.put.letter.values, told.town
    department = town.people.department(values["department"] or None)
    until = town.until(datetime.fromisoformat(values["until"]))
    return Words(
        subject=told.subject(f"Emergency access, until {until}"),
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
            ("Earlier", await told.earlier()),
        ),
        link=told.see,
        below=("Whoever got this mail can stop it now.",),
    )


async def _reviewed(told: Told) -> Words:
    values = told.put.letter.values
    heading = "It was right" if values["answer"] == "right" else "It was not right"
    return Words(
        subject=told.subject(f"Your emergency access: {heading.lower()}"),
        heading=heading,
        paragraphs=(f"Somebody looked at why you opened {words.host(values['host'])}.",),
        quote=values["note"],
        link=told.see,
    )


EMERGENCY_WORDS: Mapping[LetterKind, Callable[[Told], Awaitable[Words]]] = {
    LetterKind.EMERGENCY_OPENED: _opened,
    LetterKind.EMERGENCY_REVIEWED: _reviewed,
}
