"""What people do on the pages, and read there, their programs can, too: or it is said why not.

A page is told by its route, an operation of the API by its name.
"""

from collections.abc import Iterator

from starlette.routing import Route

from admin.api.operations import OPERATIONS
from admin.web.application import _routes

IN_PERSON = "It proves who somebody is, which a program cannot."
A_FORM = "It asks for what an operation takes."
WORDS = "It says in words what other pages are about."
NOTHING_TO_TELL = "It leads to another page, or repeats one."

DONE_BY = {
    "/ask/{code}": {"ask_for_site", "ask_about_stopped"},
    "/ask/{code}/join": {"join_request", "join_stopped"},
    "/requests/new": {"ask_for_site"},
    "/requests/personal-use": {"ask_for_personal_use"},
    "/requests/device": {"ask_for_device"},
    "/requests/standing": {"ask_for_standing_permission"},
    "/requests/emergency": {"open_at_once"},
    "/decide/{id:number}/review": {"review_emergency_access"},
    "/requests/{id:number}/terms": {"sign_terms"},
    "/accounts/ask": {"ask_for_internet_account"},
    "/social-media/propose": {"propose_person"},
    "/requests/{id:number}/withdraw": {"withdraw_request"},
    "/requests/{id:number}/hosts": {"add_host"},
    "/requests/{id:number}/renew": {"renew_access"},
    "/requests/{id:number}/end": {"end_access"},
    "/requests/{id:number}/keep": {"keep_access"},
    "/requests/{id:number}/wrong-category": {"report_request"},
    "/decide/several": {"decide_several"},
    "/decide/{id:number}": {"approve_request", "deny_request"},
    "/decide/{id:number}/open": {"open_access"},
    "/decide/{id:number}/stop": {"stop_access"},
    "/delegation": {"name_delegate"},
    "/delegation/{id:number}/end": {"end_delegation"},
    "/visits/names": {"show_names"},
    "/visits/names/{id:number}": {"answer_names_request"},
    "/visits/{id:number}/ask": {"ask_for_visitor"},
    "/heavy/end": {"end_heavy"},
    "/emergency/lockdown": {"begin_lockdown"},
    "/emergency/device": {"take_device_off"},
    "/emergency/filter": {"switch_filter_off"},
    "/emergency/{id:number}/news": {"give_news"},
    "/emergency/{id:number}/end": {"end_measure"},
    "/stopped/{id:number}/download": {"go_on"},
    "/stopped/{id:number}/ask": {"ask_about_stopped"},
    "/stopped/{id:number}/wrong-category": {"report_stopped"},
    "/stopped/{id:number}/accident": {"report_accident"},
    "/remind/{code}": {"ask_for_reminder"},
    "/wrong-category/{code}": {"report_stopped"},
    "/accident/{code}": {"report_accident"},
    "/review/reports/{id:number}": {"answer_reports"},
    "/review/requests/{id:number}/leave-open": {"leave_open"},
    "/review/requests/{id:number}/stop": {"stop_access"},
    "/review/never-inspect": {"never_inspect"},
    "/review/inspect-again": {"inspect_again"},
    "/review/leave-inspected": {"leave_inspected"},
    "/corrections": {"correct_site"},
    "/corrections/undo": {"undo_correction"},
    "/people/{person}/close": {"close_person"},
    "/people/{person}/reopen": {"reopen_person"},
    "/records/verify": {"verify_records"},
    "/settings/test/town-account": {"test_town_account"},
    "/settings/test/{channel}": {"test_channel"},
    "/settings/letters/{id:number}/again": {"send_again"},
}
DONE_IN_PERSON = {
    "/sign-in": IN_PERSON,
    "/sign-out": IN_PERSON,
    "/password/forgot": IN_PERSON,
    "/password/new": IN_PERSON,
    "/notice": "Whoever signs has read it, and signs by name.",
    "/notice/later": "It goes with signing.",
    "/tokens": "No program makes itself more than it was given, nor for longer.",
    "/tokens/{id:number}/revoke": "It goes with making them.",
}
DONE_AT_THE_COMMAND_LINE = {"look_at_people", "apply_people"}
SHOWN_BY = {
    "/requests": {"list_requests", "list_reports", "list_quotas"},
    "/requests/{id:number}": {"read_request"},
    "/requests/{id:number}/terms": {"read_terms"},
    "/social-media": {"list_register", "list_coordinators"},
    "/decide": {"list_requests", "list_names_requests"},
    "/decide/{id:number}": {"read_request"},
    "/decide/{id:number}/review": {"read_review"},
    "/delegation": {"list_delegations"},
    "/exemptions": {"list_exemptions", "list_accounts"},
    "/visits": {"list_visits", "count_visits"},
    "/visits/own": {"list_own_visits"},
    "/visits/names/{id:number}": {"read_names_request"},
    "/visits/{id:number}/why": {"explain_visit"},
    "/today": {"read_today", "read_alerts"},
    "/heavy": {"read_heavy", "read_lately"},
    "/weekly": {"read_weekly_report"},
    "/categories": {"look_site_up", "read_lists"},
    "/categories/unlisted": {"list_unlisted"},
    "/emergency": {"list_measures"},
    "/emergency/{id:number}": {"read_measure"},
    "/policy": {"read_policy"},
    "/notice": {"read_notice"},
    "/stopped": {"list_stopped"},
    "/reports/{id:number}": {"read_report"},
    "/review": {"list_unanswered", "list_opened_lately", "list_untrusting", "list_never_inspected"},
    "/corrections": {"list_corrections", "read_site", "list_categories"},
    "/people": {"list_people"},
    "/people/{person}": {"read_person"},
    "/records": {"list_records"},
    "/settings": {"read_settings", "list_undelivered"},
    "/tokens": {"read_token"},
}
NOT_SHOWN = {
    **dict.fromkeys(("/sign-in/town-account", "/sign-in/town-account/done"), IN_PERSON),
    **dict.fromkeys(("/sign-in", "/password/forgot", "/password/sent", "/password/new"), IN_PERSON),
    **dict.fromkeys(("/recorded", "/api"), WORDS),
    **dict.fromkeys(("/ask/{code}", "/requests/new", "/requests/personal-use"), A_FORM),
    **dict.fromkeys(("/requests/device", "/requests/standing", "/requests/emergency"), A_FORM),
    **dict.fromkeys(("/accounts/ask", "/social-media/propose", "/decide/several"), A_FORM),
    **dict.fromkeys(("/visits/names", "/visits/{id:number}/ask", "/remind/{code}"), A_FORM),
    **dict.fromkeys(("/wrong-category/{code}", "/accident/{code}"), A_FORM),
    **dict.fromkeys(("/emergency/lockdown", "/emergency/device", "/emergency/filter"), A_FORM),
    **dict.fromkeys(("/", "/ask", "/remind", "/wrong-category", "/accident"), NOTHING_TO_TELL),
    **dict.fromkeys(("/requests/{id:number}/sent", "/decide/{id:number}/done"), NOTHING_TO_TELL),
    "/social-media.csv": "The register is a list of the API.",
    "/visits/export": "It is a file of visits, which are a list of the API.",
    "/visits/after/{id:number}": "It says when to look at a list again that the API has.",
    "/heavy/draft": "It is text for policy.yaml, for somebody to look at.",
    "/proxy.pac": "It is a file for browsers, and asks for no token.",
    "/healthz": "It is for programs already, and asks for no token.",
}


def routes(method: str) -> Iterator[str]:
    """Yield the addresses of the pages that are asked for so."""
    for route in _routes():
        if isinstance(route, Route) and method in (route.methods or ()):
            yield route.path


def names(method: str) -> set[str]:
    """Return the operations of a method."""
    return {one.name for one in OPERATIONS if one.method == method}


def test_what_a_form_does_a_program_can_do_or_it_is_said_why_not() -> None:
    assert {*DONE_BY, *DONE_IN_PERSON} == {*routes("POST")}
    assert DONE_BY.keys().isdisjoint(DONE_IN_PERSON)
    assert set().union(*DONE_BY.values()) | DONE_AT_THE_COMMAND_LINE == names("POST")


def test_what_a_page_tells_a_program_is_told_or_it_is_said_why_not() -> None:
    assert {*SHOWN_BY, *NOT_SHOWN} == {*routes("GET")}
    assert SHOWN_BY.keys().isdisjoint(NOT_SHOWN)
    assert set().union(*SHOWN_BY.values()) == names("GET")
