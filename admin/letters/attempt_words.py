"""The words of letters about what people were stopped at."""

from collections.abc import Callable, Mapping
from datetime import datetime

from admin import roles
from admin.letters.parts import Link, Town, Words, sentence
from admin.outbox import LetterKind, PutLetter
from admin.web import words


def _repeated(put: PutLetter, town: Town) -> Words:
    values = put.letter.values
    name, department = _who(put, town)
    begins, ends = (town.moment(datetime.fromisoformat(values[key])) for key in ("from", "until"))
    return Words(
        subject=_headed(department, "many stopped visits by one person"),
        heading="Many stopped visits by one person",
        paragraphs=(
            f"{name} was stopped {words.number(int(values['visits']), 'time', 'times')}"
            f" between {begins} and {ends}. The sites were not opened.",
            "A page can try such sites by itself: the number does not say why. Ask before you judge.",
        ),
        facts=(
            ("Person", name),
            ("Department", department or "none"),
            ("Listed as", ", ".join(town.category(id_) for id_ in values["categories"].split())),
        ),
        link=_log(put, town, "/visits"),
        below=("This is said once, not at every visit.",),
    )


def _risk(put: PutLetter, town: Town) -> Words:
    values = put.letter.values
    name, department = _who(put, town)
    return Words(
        subject=_headed(department, "a visit was stopped for security"),
        heading="A visit was stopped for security",
        paragraphs=(
            f"{words.host(values['host'])} is listed as {town.category(values['category'])}."
            " Nothing was loaded.",
            "A program can have tried it, and not a person. IT looks at the computer.",
        ),
        facts=(
            ("Computer", values["device"] or "not known by name"),
            ("Person", name if values["person"] else "not known"),
            ("Department", department or "none"),
            ("When", town.moment(datetime.fromisoformat(values["at"]))),
            ("Code", values["code"]),
        ),
        link=_log(put, town, f"/visits?code={values['code']}"),
        below=("This is said once a day for each computer and kind of risk.",),
    )


def _who(put: PutLetter, town: Town) -> tuple[str, str]:
    """Return the person's name, and the department's, "" where there is none."""
    person, department = put.letter.values["person"], put.letter.values["department"]
    return town.people.name(person), town.people.department(department) if department else ""


def _headed(department: str, text: str) -> str:
    return f"{department}: {text}" if department else sentence(text)


def _log(put: PutLetter, town: Town, path: str) -> Link | None:
    """Return where the visits are; others than those who see visits are only told."""
    return Link("See the visits", path) if roles.sees_visits(town.policy, put.letter.to) else None


ATTEMPT_WORDS: Mapping[LetterKind, Callable[[PutLetter, Town], Words]] = {
    LetterKind.ATTEMPTS_REPEATED: _repeated,
    LetterKind.RISK_STOPPED: _risk,
}
