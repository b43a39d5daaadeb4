"""Why a visit was decided so, in sentences for page, API and `towngate why`: by what, and what changed."""

from datetime import datetime
from zoneinfo import ZoneInfo

from admin.replaying import Explanation
from admin.visits import VisitRow
from admin.web.words import decided
from policy.town_time import ENGLISH


def decided_by(why: Explanation, row: VisitRow, zone: ZoneInfo, now: datetime) -> str:
    """Return which versions decided: "As of Mon, March 2: policy abc, lists def."; empty where none did."""
    by = why.decided_by
    if by is None:
        return ""
    if not by.is_of_that_day:
        lists = f"lists {by.lists}" if by.lists else "without lists"
        return f"What was in force then is not kept. With what is in force now: policy {by.policy}, {lists}."
    day = ENGLISH.day(row.started_at.astimezone(zone).date(), now.astimezone(zone).date())
    if by.lists is None:
        return (
            f"As of {day}: policy {by.policy}. The lists of that day, {row.category_version}, are gone:"
            " the entry on record stands in for them."
        )
    return f"As of {day}: policy {by.policy}, lists {by.lists}."


def otherwise(why: Explanation, row: VisitRow) -> str:
    """Return that what was kept does not explain the visit; empty where it does, or nothing was kept."""
    if (
        why.decision is None
        or why.agrees_with(row)
        or why.decided_by is None
        or not why.decided_by.is_of_that_day
    ):
        return ""
    again = decided(why.decision.verdict) + _by_rule(why.decision.rule)
    return f"Decided again by that, it would have been {again}."


def today(why: Explanation, row: VisitRow) -> str:
    """Return what has changed and what would be decided today; empty where that is the same."""
    if why.today is None or why.today_agrees_with(row):
        return ""
    changed = f"The {' and the '.join(why.changed)} changed since then. " if why.changed else ""
    return f"{changed}Now it would be {decided(why.today.verdict)}{_by_rule(why.today.rule)}."


def _by_rule(rule: str | None) -> str:
    return f", by rule {rule}" if rule else ""
