"""What else an event tells: the details that may be shown, in words, and people by role.

What is not listed here is not shown: an auditor gives a reason before they see who somebody is.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup, escape

from admin.acting_roles import Who
from admin.clock import from_ms
from admin.town_account import HOW
from admin.web.people import People
from admin.web.record_words import ROLE_LABELS, said
from admin.web.visit_filters import chips
from admin.web.words import LEVELS, STATES, Times, host
from categories.taxonomy import taxonomy


@dataclass(frozen=True, slots=True)
class _Saying:
    people: People
    times: Times


type _Words = Callable[[Any, _Saying], str]


def facts(details: Mapping[str, Any], people: People, times: Times) -> list[tuple[str, str]]:
    """Return what else an event tells, of `Record.details`, each with its label."""
    saying = _Saying(people, times)
    found = [
        (label, words(details[name], saying))
        for name, (label, words) in _FACTS.items()
        if details.get(name) not in (None, "", [])
    ]
    return [(label, text if isinstance(text, Markup) else host(text)) for label, text in found if text]


def _plain(value: Any, _saying: _Saying) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _word(value: Any, _saying: _Saying) -> str:
    return str(value).replace("_", " ")


def _level(value: Any, saying: _Saying) -> str:
    return LEVELS.get(value) or _word(value, saying)


def _how(value: Any, _saying: _Saying) -> str:
    # By password is the usual way, and goes without saying.
    return "by town account" if value == HOW else ""


def _roles(value: Any, _saying: _Saying) -> str:
    return ", ".join(ROLE_LABELS.get(role, role) for role in _listed(value))


def _categories(value: Any, _saying: _Saying) -> str:
    known = taxonomy().categories
    return ", ".join(known[id_].label if id_ in known else id_ for id_ in _listed(value))


def _before(value: Any, saying: _Saying) -> str:
    # Whose a request was, what a site was corrected to, or where a request stood.
    if isinstance(value, Who):
        return _who(value, saying)
    return (_categories if isinstance(value, list) else _state)(value, saying)


def _state(value: Any, saying: _Saying) -> str:
    return STATES.get(value) or _word(value, saying)


def _moment(value: Any, saying: _Saying) -> str:
    return saying.times.moment(datetime.fromisoformat(value))


def _until(value: Any, saying: _Saying) -> str:
    return saying.times.until(datetime.fromisoformat(value))


def _who(value: Any, saying: _Saying) -> str:
    if not isinstance(value, list):
        return said(value, saying.people) if isinstance(value, Who) else str(value)
    counts = Counter(said(who, saying.people) for who in value)
    return "; ".join(who if count == 1 else f"{who} ({count})" for who, count in counts.items())


def _how_many(value: Any, _saying: _Saying) -> str:
    return str(len(value))


def _why(value: Any, saying: _Saying) -> str:
    pieces = value if isinstance(value, list) else [value]
    return "".join(said(piece, saying.people) if isinstance(piece, Who) else piece for piece in pieces)


def _asked(value: Any, saying: _Saying) -> str:
    window = json.loads(value)
    if not window:
        return ""
    begins = saying.times.moment(from_ms(window["begins_at"]))
    ends = saying.times.until(from_ms(window["ends_at"]))
    return Markup("{}, {} to {}").format(escape(_categories(window["categories"], saying)), begins, ends)


def _request(value: Any, _saying: _Saying) -> str:
    return f"REQ-{value}"


def _filters(value: Any, saying: _Saying) -> str:
    given = dict(each.split("=", 1) for each in value)
    return ", ".join(label for label, _ in chips(given, saying.people.policy, saying.times))


def _listed(value: Any) -> Iterable[str]:
    return value if isinstance(value, list) else [value]


_FACTS: Mapping[str, tuple[str, _Words]] = {
    "kind": ("Kind", _word),
    "move": ("Move", _plain),
    "answer": ("Answer", _word),
    "before": ("Before", _before),
    "after": ("After", _state),
    "state": ("State", _state),
    "role": ("Role", _roles),
    "chain": ("Asked", _roles),
    "person": ("Person", _who),
    "people": ("People", _who),
    "delegate": ("Stands in", _who),
    "for": ("For", _word),
    "host": ("Site", _plain),
    "path": ("Page", _plain),
    "hosts": ("Also opened", _plain),
    "site": ("Site", _plain),
    "asked": ("Personal use", _asked),
    "person_kind": ("Kind of person", _word),
    "employer": ("Employer", _plain),
    "sponsor": ("Sponsor", _who),
    "level": ("Opens", _level),
    "device": ("Device", _plain),
    "case_number": ("Case", _plain),
    "authorisations": ("Recorded, not enforced", _plain),
    "version": ("Version", _plain),
    "renews": ("Renews", _request),
    "for_whom": ("For whom", _word),
    "duration": ("Duration", _word),
    "rule": ("Rule", _plain),
    "category": ("Category", _categories),
    "categories": ("Categories", _categories),
    "proposed": ("Proposed", _categories),
    "risks": ("Risks", _categories),
    "accepted_risks": ("Accepted risks", _categories),
    "code": ("Code", _plain),
    "policy_version": ("Policy version", _plain),
    "token": ("Token", _plain),
    "scopes": ("It is for", _plain),
    "begins_at": ("From", _moment),
    "ends_at": ("Until", _until),
    "expires_at": ("Until", _until),
    "until": ("Until", _until),
    "next_news_at": ("Next news", _moment),
    "filters": ("Filters", _filters),
    "visits": ("Visits", _plain),
    "names": ("Names", _word),
    "is_unused": ("Unused", _plain),
    "known_by": ("Known by", _word),
    "how": ("How", _how),
    "added": ("Added", _plain),
    "changed": ("Changed", _plain),
    "removed": ("Removed", _how_many),
    "withdrawn": ("Withdrawn", _plain),
    "stopped": ("Stopped", _plain),
    "passed_on": ("Passed on", _plain),
    "former": ("Former", _plain),
    "doubts": ("Doubts", _plain),
    "versions": ("Versions", _plain),
    "receipts": ("Receipts", _plain),
    "case": ("Case", _plain),
    "because": ("Because", _plain),
    "reason": ("Reason", _plain),
    "note": ("Note", _plain),
    "why": ("Why", _why),
}
"""What may be shown, in the order in which it is, and how it is said."""
