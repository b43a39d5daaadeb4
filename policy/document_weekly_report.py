"""The section of a policy document that says when the weekly report is sent, and whether it names people."""

from policy import notation
from policy.document_value import Value
from policy.town_policy import WeeklyReport

_NAMES = ("hidden", "shown")


def read_weekly_report(value: Value) -> WeeklyReport | None:
    """Read `weekly_report`; None where it is left out, and none is sent."""
    if not value.is_given:
        return None
    fields = value.fields(required=("day", "at"), optional=("names",))
    day = fields["day"].parsed(notation.day_of_week)
    at = fields["at"].parsed(notation.clock_time)
    names = fields["names"].one_of(_NAMES, "what becomes of names")
    if day is None or at is None:
        return None
    return WeeklyReport(day, at, names_shown=names == "shown")
