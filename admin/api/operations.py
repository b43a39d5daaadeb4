"""All that the API can do, by subject. What is not in this table is not served, nor described."""

from collections.abc import Mapping

from admin.api import (
    accounts,
    corrections,
    deciding,
    delegations,
    device,
    emergency,
    emergency_access,
    exemptions,
    heavy,
    inspection,
    lists,
    me,
    names,
    notice,
    people,
    people_lists,
    policy,
    quotas,
    records,
    reports,
    requests,
    settings,
    social_media,
    standing_permission,
    stopped,
    today,
    visitor,
    visits,
    weekly,
)
from admin.api.operation import Operation
from admin.api_tokens import Scope

_READ, _WRITE, _DECIDE, _REVIEW = (
    Scope.REQUESTS_READ,
    Scope.REQUESTS_WRITE,
    Scope.DECIDE,
    Scope.REVIEW,
)
# A list of people has 4 MiB; as JSON it is longer.
_MOST_LIST_BYTES = 5 * 1024 * 1024

SUBJECTS: Mapping[str, tuple[str, tuple[Operation, ...]]] = {
    "Your token": (
        "What a program can know of the token it has.",
        (Operation("GET", "/me", None, me.read_token),),
    ),
    "Requests": (
        "Asking for access, and what becomes of it.",
        (
            Operation("GET", "/requests", _READ, requests.list_requests),
            Operation("POST", "/requests", _WRITE, requests.ask_for_site, 201),
            Operation("POST", "/requests/join", _WRITE, requests.join_request),
            Operation("POST", "/requests/personal-use", _WRITE, requests.ask_for_personal_use, 201),
            Operation("POST", "/requests/device", _WRITE, device.ask_for_device, 201),
            Operation(
                "POST", "/requests/standing", _WRITE, standing_permission.ask_for_standing_permission, 201
            ),
            Operation("POST", "/requests/account", _WRITE, accounts.ask_for_internet_account, 201),
            Operation("GET", "/requests/{id:number}", _READ, requests.read_request),
            Operation("POST", "/requests/{id:number}/withdraw", _WRITE, requests.withdraw_request),
            Operation("POST", "/requests/{id:number}/hosts", _WRITE, requests.add_host),
        ),
    ),
    "Policy": (
        "The rules and limits in force, the notice, and what is left of your quotas.",
        (
            Operation("GET", "/policy", _READ, policy.read_policy),
            Operation("GET", "/notice", _READ, notice.read_notice),
            Operation("GET", "/quotas", _READ, quotas.list_quotas),
        ),
    ),
    "Stopped visits": (
        'What was stopped for you in the last 15 minutes, as on "Did something not open?".',
        (
            Operation("GET", "/stopped", _READ, stopped.list_stopped),
            Operation("POST", "/stopped/{id:number}/ask", _WRITE, stopped.ask_about_stopped, 201),
            Operation("POST", "/stopped/{id:number}/join", _WRITE, stopped.join_stopped),
            Operation("POST", "/stopped/{id:number}/download", _WRITE, stopped.go_on),
            Operation("POST", "/stopped/{id:number}/reminder", _WRITE, stopped.ask_for_reminder),
            Operation("POST", "/stopped/{id:number}/wrong-category", _WRITE, stopped.report_stopped, 201),
            Operation("POST", "/stopped/{id:number}/accident", _WRITE, stopped.report_accident, 201),
        ),
    ),
    "Deciding": (
        "Answering what waits for you, and opening and stopping access.",
        (
            Operation("POST", "/requests/{id:number}/approve", _DECIDE, deciding.approve_request),
            Operation("POST", "/requests/{id:number}/deny", _DECIDE, deciding.deny_request),
            Operation("POST", "/requests/decide", _DECIDE, deciding.decide_several),
            Operation("POST", "/requests/{id:number}/open", _DECIDE, deciding.open_access),
            Operation("POST", "/requests/{id:number}/stop", _DECIDE, deciding.stop_access),
        ),
    ),
    "Emergency access": (
        "A site opened at once by somebody whom the policy names, and what another says of it.",
        (
            Operation("POST", "/requests/emergency", Scope.EMERGENCY, emergency_access.open_at_once, 201),
            Operation("GET", "/requests/{id:number}/review", _READ, emergency_access.read_review),
            Operation(
                "POST", "/requests/{id:number}/review", _DECIDE, emergency_access.review_emergency_access
            ),
        ),
    ),
    "Exemptions": (
        "Access that is open, and what it is used for.",
        (
            Operation("GET", "/exemptions", _READ, exemptions.list_exemptions),
            Operation("GET", "/exemptions/accounts", _READ, exemptions.list_accounts),
            Operation("GET", "/review/opened", _REVIEW, exemptions.list_opened_lately),
            Operation("POST", "/requests/{id:number}/renew", _WRITE, exemptions.renew_access, 201),
            Operation("POST", "/requests/{id:number}/end", _WRITE, exemptions.end_access),
            Operation("POST", "/requests/{id:number}/keep", _DECIDE, exemptions.keep_access),
            Operation("POST", "/requests/{id:number}/leave-open", _REVIEW, exemptions.leave_open),
        ),
    ),
    "Delegations": (
        "Who stands in for a department's head, from a day to a day.",
        (
            Operation("GET", "/delegations", _READ, delegations.list_delegations),
            Operation("POST", "/delegations", _DECIDE, delegations.name_delegate, 201),
            Operation("POST", "/delegations/{id:number}/end", _DECIDE, delegations.end_delegation),
        ),
    ),
    "Social media": (
        "Whom the town lets read or write there, by the proposal of their department.",
        (
            Operation("GET", "/social-media", _READ, social_media.list_register),
            Operation("GET", "/social-media/coordinators", _READ, social_media.list_coordinators),
            Operation("POST", "/social-media", _WRITE, social_media.propose_person, 201),
            Operation("GET", "/requests/{id:number}/terms", _READ, social_media.read_terms),
            Operation("POST", "/requests/{id:number}/terms", _WRITE, social_media.sign_terms),
        ),
    ),
    "Reports": (
        "What people say of sites, and IT's answers.",
        (
            Operation("GET", "/reports", _READ, reports.list_reports),
            Operation("GET", "/reports/{id:number}", _READ, reports.read_report),
            Operation("POST", "/requests/{id:number}/wrong-category", _WRITE, reports.report_request, 201),
            Operation("GET", "/review/reports", _REVIEW, reports.list_unanswered),
            Operation("POST", "/review/reports/{id:number}", _REVIEW, reports.answer_reports),
        ),
    ),
    "Categories": (
        "What sites are listed as, and how the lists stand.",
        (
            Operation("GET", "/categories", _READ, lists.list_categories),
            Operation("GET", "/categories/site", Scope.VISITS_READ, lists.look_site_up),
            Operation("GET", "/categories/lists", Scope.VISITS_READ, lists.read_lists),
        ),
    ),
    "Corrections": (
        "What the town lists a site as, in place of the lists.",
        (
            Operation("GET", "/corrections", _REVIEW, corrections.list_corrections),
            Operation("POST", "/corrections", _REVIEW, corrections.correct_site, 201),
            Operation("POST", "/corrections/undo", _REVIEW, corrections.undo_correction),
            Operation("GET", "/sites/unlisted", _REVIEW, corrections.list_unlisted, is_long=True),
            Operation("GET", "/sites/{site}", _REVIEW, corrections.read_site),
        ),
    ),
    "Decryption": (
        "Sites whose programs do not trust the town's certificate, and what is never decrypted.",
        (
            Operation("GET", "/never-inspected", _REVIEW, inspection.list_never_inspected),
            Operation("GET", "/never-inspected/untrusting", _REVIEW, inspection.list_untrusting),
            Operation("POST", "/never-inspected", _REVIEW, inspection.never_inspect, 201),
            Operation("POST", "/never-inspected/undo", _REVIEW, inspection.inspect_again),
            Operation("POST", "/never-inspected/leave", _REVIEW, inspection.leave_inspected),
        ),
    ),
    "Emergency": (
        "Limiting the web, taking a device off it, switching the filter off.",
        (
            Operation("GET", "/alerts", None, emergency.read_alerts),
            Operation("GET", "/emergency", Scope.EMERGENCY, emergency.list_measures),
            Operation("POST", "/emergency/lockdown", Scope.EMERGENCY, emergency.begin_lockdown, 201),
            Operation("POST", "/emergency/device", Scope.EMERGENCY, emergency.take_device_off, 201),
            Operation("POST", "/emergency/filter", Scope.EMERGENCY, emergency.switch_filter_off, 201),
            Operation("GET", "/emergency/{id:number}", Scope.EMERGENCY, emergency.read_measure),
            Operation("POST", "/emergency/{id:number}/news", Scope.EMERGENCY, emergency.give_news),
            Operation("POST", "/emergency/{id:number}/end", Scope.EMERGENCY, emergency.end_measure),
        ),
    ),
    "Visits": (
        "The visit log, persons hidden until a reason is given, or a second person agreed.",
        (
            Operation("GET", "/visits", Scope.VISITS_READ, visits.list_visits, is_long=True),
            Operation("GET", "/visits/by-hour", Scope.VISITS_READ, visits.count_visits, is_long=True),
            Operation("GET", "/visits/own", Scope.VISITS_OWN, visits.list_own_visits, is_long=True),
            Operation("GET", "/visits/{id:number}/why", Scope.VISITS_READ, visits.explain_visit),
            Operation("POST", "/visits/{id:number}/ask", _WRITE, visitor.ask_for_visitor, 201),
            Operation("POST", "/visits/names", Scope.VISITS_NAMES, names.show_names),
            Operation("GET", "/visits/names", Scope.VISITS_NAMES, names.list_names_requests),
            Operation("GET", "/visits/names/{id:number}", Scope.VISITS_NAMES, names.read_names_request),
            Operation("POST", "/visits/names/{id:number}", Scope.VISITS_NAMES, names.answer_names_request),
        ),
    ),
    "Today": (
        "Whether all is well, and the day's numbers.",
        (Operation("GET", "/today", Scope.VISITS_READ, today.read_today),),
    ),
    "Heavy": (
        "What takes much of the town's line, now and lately.",
        (
            Operation("GET", "/heavy", Scope.VISITS_READ, heavy.read_heavy),
            Operation("GET", "/heavy/lately", Scope.VISITS_READ, heavy.read_lately, is_long=True),
            Operation("POST", "/heavy/{code}/end", Scope.EMERGENCY, heavy.end_heavy),
        ),
    ),
    "Weekly report": (
        "A department's use of the web in a week, or the town's, in numbers.",
        (Operation("GET", "/weekly", Scope.WEEKLY_READ, weekly.read_weekly_report),),
    ),
    "Records": (
        "What people decided and did.",
        (
            Operation("GET", "/records", Scope.RECORDS_READ, records.list_records),
            Operation("POST", "/records/verify", Scope.RECORDS_READ, records.verify_records),
        ),
    ),
    "People": (
        "Who is in the town's service.",
        (
            Operation("GET", "/people", Scope.PEOPLE_READ, people.list_people),
            Operation("GET", "/people/{person}", Scope.PEOPLE_READ, people.read_person),
            Operation(
                "POST",
                "/people/list/look",
                Scope.PEOPLE_WRITE,
                people_lists.look_at_people,
                most_bytes=_MOST_LIST_BYTES,
            ),
            Operation(
                "POST",
                "/people/list/apply",
                Scope.PEOPLE_WRITE,
                people_lists.apply_people,
                most_bytes=_MOST_LIST_BYTES,
            ),
            Operation("POST", "/people/{person}/close", Scope.PEOPLE_WRITE, people.close_person),
            Operation("POST", "/people/{person}/reopen", Scope.PEOPLE_WRITE, people.reopen_person),
        ),
    ),
    "Settings": (
        "Whether mail, the webhook to the help desk and town accounts work.",
        (
            Operation("GET", "/settings", Scope.SETTINGS, settings.read_settings),
            Operation("POST", "/settings/test/town-account", Scope.SETTINGS, settings.test_town_account),
            Operation("POST", "/settings/test/{channel}", Scope.SETTINGS, settings.test_channel),
            Operation("GET", "/settings/letters", Scope.SETTINGS, settings.list_undelivered),
            Operation("POST", "/settings/letters/{id:number}/again", Scope.SETTINGS, settings.send_again),
        ),
    ),
}
OPERATIONS = tuple(one for _, operations in SUBJECTS.values() for one in operations)
