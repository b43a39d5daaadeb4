"""What acts on a site that is for reading only, and what reads."""

import json
from importlib import resources
from urllib.parse import urlencode

import pytest

from policy.acting import LARGEST_READ_BYTES, Act, Attempt, Operations, judge, judge_body, read_sites
from tests.acting_cases import FORM, JSON, SENT, UNKNOWN, Sent

SITES = read_sites(resources.files("proxy_addons").joinpath("acting_sites.yaml").read_text("utf-8"))


def attempt_of(sent: Sent) -> Attempt:
    path, media_type = sent.path.partition("?")[0], sent.media_type.partition(";")[0]
    return Attempt(
        sent.host,
        frozenset({sent.method}),
        path,
        media_type,
        len(sent.body),
        is_navigation=sent.is_navigation,
    )


def done_by(sent: Sent) -> Act | None:
    found = judge(attempt_of(sent), SITES)
    if isinstance(found, Operations):
        return judge_body(sent.body, sent.media_type, found)
    return found


@pytest.mark.parametrize("sent", SENT, ids=str)
def test_what_pages_send_reads_or_acts(sent: Sent) -> None:
    assert done_by(sent) is sent.does


def test_every_line_of_the_table_has_a_case() -> None:
    for host, site in SITES.items():
        if host == "twitter.com":
            assert site == SITES["x.com"]
            continue
        paths = [sent.path.partition("?")[0].lower().rstrip("/") for sent in SENT if sent.host.endswith(host)]
        lines = [expression for _, expression in site.acts] + [row.path for row in site.operations]
        for expression in lines:
            assert any(map(expression.fullmatch, paths)), (host, expression.pattern)


@pytest.mark.parametrize(
    "path",
    [
        "//youtubei//v1/comment/create_comment",
        "/youtubei/v1/x/../comment/create_comment",
        "/YouTubei/v1/comment/Create_Comment/",
        "/youtubei/v1/%63omment/create_comment",
    ],
)
def test_path_in_another_spelling_acts_as_well(path: str) -> None:
    attempt = Attempt("www.youtube.com", frozenset({"POST"}), path, JSON, 10)
    assert judge(attempt, SITES) is Act.COMMENT


def test_name_of_a_site_is_not_the_end_of_another() -> None:
    attempt = Attempt("notyoutube.com", frozenset({"POST"}), "/youtubei/v1/like/like", JSON, 10)
    assert judge(attempt, SITES) is None


def test_method_that_a_field_names_counts_too() -> None:
    methods = frozenset({"GET", "DELETE"})
    assert judge(Attempt(UNKNOWN, methods, "/post/7"), SITES) is Act.CHANGE


def test_get_with_a_body_is_judged_like_a_post() -> None:
    attempt = Attempt(UNKNOWN, frozenset({"GET"}), "/photo", "image/png", 5)
    assert judge(attempt, SITES) is Act.UPLOAD


@pytest.mark.parametrize(("media_type", "act"), [(JSON, None), (FORM, Act.UPLOAD), ("", Act.UPLOAD)])
def test_body_of_unknown_length_goes_on_only_as_json(media_type: str, act: Act | None) -> None:
    assert judge(Attempt(UNKNOWN, frozenset({"POST"}), "/feed", media_type, None), SITES) is act


def test_websocket_is_taken_for_messages() -> None:
    attempt = Attempt("www.facebook.com", frozenset({"GET"}), "/ws", is_upgrade=True)
    assert judge(attempt, SITES) is Act.MESSAGE


@pytest.mark.parametrize(
    ("length", "media_type", "is_coded", "is_read"),
    [
        (LARGEST_READ_BYTES, JSON, False, True),
        (LARGEST_READ_BYTES + 1, JSON, False, False),
        (None, JSON, False, False),
        (0, JSON, False, False),
        (100, "text/plain", False, False),
        (100, JSON, True, False),
    ],
)
def test_operation_that_cannot_be_read_acts(
    length: int | None, media_type: str, is_coded: bool, is_read: bool
) -> None:
    attempt = Attempt(UNKNOWN, frozenset({"POST"}), "/graphql", media_type, length, is_coded)
    found = judge(attempt, SITES)
    assert isinstance(found, Operations) if is_read else found is Act.CHANGE


ANY = judge(Attempt(UNKNOWN, frozenset({"POST"}), "/graphql", JSON, 9), SITES)


@pytest.mark.parametrize(
    ("body", "acts"),
    [
        (json.dumps({"query": "  # mutation\n query Q { mutation }"}), False),
        (json.dumps({"query": 'query Q { a(t: "} mutation { b }") }'}), False),
        (json.dumps({"query": "\ufeff,mutation M { b }"}), True),
        (json.dumps({"query": "fragment F on X { a } mutation M { b }"}), True),
        (json.dumps({"query": "query Q { a } mutation M { b }", "operationName": "M"}), True),
        (json.dumps({"query": "# only a comment\rmutation { b }"}), True),
        (json.dumps([{"query": "{ a }"}, {"query": "{ b }"}]), False),
        (json.dumps([{"query": "{ a }"}, {"query": "mutation { b }"}]), True),
        (json.dumps([{"operationName": "FeedQuery"}, {"operationName": "CreatePost"}]), True),
        (json.dumps({"operationName": "UnreadCounts"}), False),
        (json.dumps({"extensions": {"persistedQuery": {}}}), True),
        ('{"query": "{ a }", "query": "mutation { b }"}', True),
        ("[]", True),
        ("7", True),
        ("not json", True),
        ("[" * 60_000, True),
    ],
)
def test_operations_of_a_body(body: str, acts: bool) -> None:
    assert isinstance(ANY, Operations)
    assert (judge_body(body.encode(), JSON, ANY) is not None) is acts


@pytest.mark.parametrize(
    ("fields", "acts"),
    [
        ([("fb_api_req_friendly_name", "AQuery")], False),
        ([("fb_api_req_friendly_name", "AQuery"), ("fb_api_req_friendly_name", "BMutation")], True),
        ([("query", "mutation { a }"), ("operationName", "AQuery")], True),
        ([("other", "AQuery")], True),
    ],
)
def test_operations_of_a_form(fields: list[tuple[str, str]], acts: bool) -> None:
    assert isinstance(ANY, Operations)
    assert (judge_body(urlencode(fields).encode(), FORM, ANY) is not None) is acts


def test_body_that_is_no_utf_8_acts() -> None:
    assert isinstance(ANY, Operations)
    assert judge_body('{"query": "{ a }"}'.encode("utf-16"), JSON, ANY) is Act.CHANGE


@pytest.mark.parametrize("act", Act)
def test_every_act_says_in_words_why_it_was_stopped(act: Act) -> None:
    assert act.refusal.endswith(" is off")
