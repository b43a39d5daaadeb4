"""Records as the page says them: what happened, who by role, what else is known."""

from collections.abc import Mapping

from admin.acting_roles import Who
from admin.audit import EventKind
from admin.measures import MeasureKind
from admin.people_register import Listed
from admin.records import KINDS, Record
from admin.web.people import People

WHAT: Mapping[EventKind, str] = {
    EventKind.REQUEST_SUBMITTED: "Asked for access",
    EventKind.REQUEST_ENDORSED: "Agreed, passed on",
    EventKind.REQUEST_APPROVED: "Allowed",
    EventKind.REQUEST_OPENED_AT_ONCE: "Opened a site for themselves, in an emergency",
    EventKind.REQUEST_REVIEWED: "Looked at emergency access",
    EventKind.REQUEST_SIGNED: "Signed the terms",
    EventKind.REQUEST_OPENED: "Opened access",
    EventKind.REQUEST_DENIED: "Did not allow",
    EventKind.REQUEST_WITHDRAWN: "Took a request back",
    EventKind.REQUEST_STOPPED: "Stopped access",
    EventKind.REQUEST_MOVE_REFUSED: "A move on a request was refused",
    EventKind.REQUEST_HOST_ADDED: "Added a host to a request",
    EventKind.REQUEST_JOINED: "Joined a request",
    EventKind.REQUEST_HANDED_ON: "Handed a request on, as the asker left",
    EventKind.REQUEST_REMINDED: "Reminded those who were asked",
    EventKind.REQUEST_PASSED_ON: "Passed on, as nobody had answered",
    EventKind.EXEMPTION_REVIEW_DUE: "Asked whether access is still needed",
    EventKind.EXEMPTION_KEPT: "Kept access open",
    EventKind.DELEGATION_NAMED: "Named who stands in",
    EventKind.DELEGATION_ENDED: "Ended a delegation",
    EventKind.DELEGATION_REFUSED: "Naming who stands in was refused",
    EventKind.EXEMPTION_PAUSED: "Access paused: a security risk, or never allowed",
    EventKind.EXEMPTION_RESUMED: "Access goes on",
    EventKind.EXEMPTION_USED_UP: "Used up access to one download",
    EventKind.EXEMPTION_LEFT_OPEN: "Left access open",
    EventKind.SIGNED_IN: "Signed in",
    EventKind.SIGN_IN_REFUSED: "Signing in was refused",
    EventKind.SIGNED_OUT: "Signed out",
    EventKind.PERSON_CLOSED: "Closed a person",
    EventKind.PERSON_REOPENED: "Opened a person again",
    EventKind.PERSON_MOVE_REFUSED: "A move on a person was refused",
    EventKind.PEOPLE_IMPORTED: "Took another list of people",
    EventKind.PEOPLE_IMPORT_REFUSED: "Another list of people was refused",
    EventKind.PEOPLE_REMOVAL_FORCED: "Let a policy leave out over a fifth of the people",
    EventKind.PASSWORD_LINK_SENT: "A link for a new password was sent",
    EventKind.PASSWORD_SET: "Set a password",
    EventKind.TOKEN_CREATED: "Made a token",
    EventKind.TOKEN_REVOKED: "Revoked a token",
    EventKind.TOKEN_REFUSED: "A token was refused",
    EventKind.NAMES_SHOWN: "Had names shown",
    EventKind.NAMES_ASKED: "Asked a second person for names",
    EventKind.NAMES_AGREED: "Agreed that names are shown",
    EventKind.NAMES_NOT_AGREED: "Did not agree that names are shown",
    EventKind.NAMES_REFUSED: "An answer about names was refused",
    EventKind.VISITS_EXPORTED: "Exported visits",
    EventKind.POLICY_PUBLISHED: "A policy came into force",
    EventKind.REPORT_SENT: "Sent a report",
    EventKind.REPORT_REMINDED: "Reminded of a report",
    EventKind.REPORT_ANSWERED: "Answered a report",
    EventKind.REPORT_MOVE_REFUSED: "A report, or an answer to one, was refused",
    EventKind.SITE_CORRECTED: "Corrected a category",
    EventKind.SITE_CORRECTION_UNDONE: "Undid a correction",
    EventKind.SITE_CORRECTION_REFUSED: "A correction was refused",
    EventKind.SITE_NEVER_INSPECTED: "Site is never decrypted",
    EventKind.SITE_INSPECTED_AGAIN: "Site may be decrypted again",
    EventKind.SITE_LEFT_INSPECTED: "Left a site decrypted",
    EventKind.SITE_INSPECTION_REFUSED: "A move on decryption was refused",
    EventKind.LIMIT_PASSED: "Went on past a limit",
    EventKind.REMINDER_ASKED: "Asked to be reminded of a download",
    EventKind.VISIT_ENDED: "Ended a heavy visit",
    EventKind.ATTEMPTS_TOLD: "Told of many stopped visits",
    EventKind.SECURITY_RISK_TOLD: "Told of a visit stopped for security",
    EventKind.WEEKLY_REPORT_SENT: "Sent the weekly report",
    EventKind.LOCKDOWN_BEGUN: "Limited the web",
    EventKind.LOCKDOWN_NEWS_GIVEN: "Gave news of the limit",
    EventKind.LOCKDOWN_ENDED: "Ended the limit",
    EventKind.DEVICE_TAKEN_OFF: "Took a device off the web",
    EventKind.DEVICE_LET_BACK: "Let a device back",
    EventKind.FILTER_SWITCHED_OFF: "Switched the filter off",
    EventKind.FILTER_SWITCHED_ON: "Switched the filter on",
    EventKind.EMERGENCY_REFUSED: "A move in an emergency was refused",
    EventKind.NOTICE_ACCEPTED: "Accepted the notice",
    EventKind.NOTICE_PUT_OFF: "Put the notice off",
    EventKind.NOTICE_MOVE_REFUSED: "A move on the notice was refused",
    EventKind.NOTICE_EXPORTED: "Wrote out who accepted the notice",
    EventKind.LISTS_FORCED: "Forced a list into force",
    EventKind.LISTS_ROLLED_BACK: "Went back to earlier lists",
    EventKind.LISTS_RELEASED: "Lists are updated again",
    EventKind.BACKUP_STARTED: "Backed the town up",
    EventKind.BACKUP_RESTORED: "Restored a backup",
}
KIND_LABELS = {
    "asking": "Requests and access",
    "sites": "Sites and categories",
    "people": "People and passwords",
    "emergencies": "Emergencies",
    "running": "Policy, lists, backups and reports",
}
ROLE_LABELS = {
    "it_security": "IT security",
    "town_administrator": "Town administrator",
    "help_desk": "Help desk",
    "auditor": "Auditor",
    "department_head": "Department head",
    "delegate": "Delegate",
    "stand_in": "Stand-in for the head",
    "employee": "Employee",
    "command_line": "Command line",
    "not_known": "Not a person now",
    "itself": "Towngate",
}


def what_of(listed: Listed, people: People) -> str:
    """Return a person's duty, or else what they are to the town: "Contractor, Finance"."""
    duty, kind = said(listed.who, people), listed.person.kind.capitalize()
    return duty.replace("Employee", kind) if listed.who.role == "employee" else duty


def about(record: Record, people: People) -> str | None:
    """Return whom an event is about, or what an emergency measure is of; None where the subject says it."""
    if record.about is not None:
        return said(record.about, people)
    if record.kind.partition(".")[0] not in KINDS["emergencies"]:
        return None
    kind, _, of = record.subject.partition(" ")
    if kind == MeasureKind.LOCKDOWN:
        return people.department(of) if of else "Everyone"
    return of or "The filter"


def said(who: Who, people: People) -> str:
    """Return who it was: "Department head, Finance"."""
    label = ROLE_LABELS[who.role]
    return f"{label}, {people.department(who.department)}" if who.department else label
