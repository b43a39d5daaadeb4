"""The words of letters to who stands in for a department's head."""

from collections.abc import Callable, Mapping
from datetime import datetime

from admin.letters.parts import Link, OutdatedLetterError, Town, Words
from admin.outbox import LetterKind, PutLetter


def _named(put: PutLetter, town: Town) -> Words:
    values = put.letter.values
    if town.now >= datetime.fromisoformat(values["ends_at"]):
        raise OutdatedLetterError("it is over")
    head, department = town.people.name(values["head"]), town.people.department(values["department"])
    first, last = _first_and_last(values, town)
    days = first if first == last else f"{first} to {last}"
    return Words(
        subject=f"[{put.letter.about}] You stand in for {head}, {days}",
        heading=f"You stand in for {head}",
        paragraphs=(
            f"{head} named you to stand in for them in {department}. It ends by itself.",
            "Meanwhile you answer what waits for them, as they still can. You get a mail when someone asks.",
            f"You decide nothing of your own or of {head}, and cannot name anybody else.",
        ),
        facts=(("Department", department), ("First day", first), ("Last day", last), ("Named by", head)),
        link=Link("See it on the admin site", "/delegation"),
        below=(f"If you cannot do it, tell {head}, who can end it.",),
    )


def _ended(put: PutLetter, town: Town) -> Words:
    values = put.letter.values
    head, department = town.people.name(values["head"]), town.people.department(values["department"])
    first, last = _first_and_last(values, town)
    days = first if first == last else f"{first} to {last}"
    record = town.policy.departments.get(values["department"])
    is_delegate_still = record is not None and put.letter.to in record.delegates
    then = "still answer" if is_delegate_still else "no longer answer"
    by = town.people.name(values["by"])
    return Words(
        subject=f"[{put.letter.about}] You no longer stand in for {head}",
        heading=f"You no longer stand in for {head}",
        paragraphs=(
            f"{by} ended it on {town.moment(put.put_at)}. You were named for {days}.",
            f"You {then} requests of {department}{', as its delegate' if is_delegate_still else ''}."
            " What you decided stays.",
        ),
        facts=(("Department", department), ("Ended by", by)),
        link=Link("See who stands in", "/delegation"),
    )


def _first_and_last(values: Mapping[str, str], town: Town) -> tuple[str, str]:
    first, end = (datetime.fromisoformat(values[name]) for name in ("begins_at", "ends_at"))
    return town.day(first), town.last_day(end)


DELEGATION_WORDS: Mapping[LetterKind, Callable[[PutLetter, Town], Words]] = {
    LetterKind.DELEGATION_NAMED: _named,
    LetterKind.DELEGATION_ENDED: _ended,
}
