"""What kind of file a download is, and which rule decides about it."""

from dataclasses import replace
from typing import Any

import pytest

from policy.deciding import Step, decide
from policy.decision import Cause, Decision, Verdict
from policy.file_types import FILE_TYPES, Download, refusal_of, refused_types
from policy.inspecting import decide_download, rules_for_downloads, stopped_files
from policy.state import Exemption, State
from policy.town_policy import Asking, Policy, Rule, Town
from policy.visit import Client, Visit
from tests.policy.test_inspecting import HOST, OFFICER, TEN, visit

SHARING = frozenset({"file_sharing"})
BY_POLICE = Rule("police", Verdict.ALLOW, SHARING, frozenset({"police"}), file_types=frozenset({"archive"}))
NO_PROGRAMS = Rule(
    "no-programs", Verdict.BLOCK, SHARING, because="Use 9", file_types=frozenset({"executable", "archive"})
)
POLICY = Policy(
    "test",
    Town("Town of Exampleton", "America/New_York"),
    essentials=frozenset({"dispatch.example"}),
    security_categories=frozenset({"malware"}),
    never_inspect_sites=frozenset({"bank.example"}),
    rules=(
        BY_POLICE,
        Rule("sharing-first", Verdict.ALLOW, frozenset({"press"})),
        NO_PROGRAMS,
        Rule("no-games", Verdict.BLOCK, frozenset({"games"})),
    ),
)
EXE = b"MZ" + bytes(58) + b"\x80\x00\x00\x00" + bytes(64)


@pytest.mark.parametrize(
    ("download", "types", "is_told"),
    [
        (Download("/setup.exe", "application/octet-stream"), {"executable"}, False),
        (Download("/SETUP.EXE.", "application/octet-stream"), {"executable"}, False),
        (Download("/setup%2Eexe;v=2", ""), {"executable"}, False),
        (Download("/get", "application/x-msdownload; v=1"), {"executable"}, False),
        (Download("/get", "image/png", 'inline; filename="a.exe"'), {"executable"}, False),
        (Download("/get", "", "attachment; filename*=UTF-8''a%2Eexe; filename=a.txt"), {"executable"}, False),
        (Download("/get", "", "attachment; filename=a.tar.gz"), {"archive"}, False),
        (Download("/film", "video/mp4"), {"video"}, False),
        (Download("/song.mp3", "audio/mpeg"), {"audio"}, False),
        (Download("/a.docm", "application/octet-stream"), {"office_macro"}, False),
        (Download("/about/setup.exe", "text/html; charset=utf-8"), set(), True),
        (Download("/api/setup.exe", "application/json"), set(), True),
        (Download("/about/setup.exe", "text/html", "attachment"), {"executable"}, False),
        (Download("/run.sh", "text/plain"), {"script"}, False),
        (Download("/photo.png", "image/png"), set(), False),
        (Download("/logo.svg", "image/svg+xml; charset=utf-8"), set(), False),
        (Download("/font.woff2", "font/woff2"), set(), False),
        (Download("/report", "application/pdf"), set(), False),
        (Download("/report.docx", "application/vnd.openxmlformats-officedocument"), set(), False),
        (Download("/get", "text/plain; charset=utf-8"), set(), False),
        (Download("/get", "text/css"), set(), True),
        (Download("/photo.png", "image/png", "attachment"), set(), False),
        (Download("/get", "application/octet-stream"), set(), False),
        (Download("/get", ""), set(), False),
    ],
)
def test_head_names_what_a_file_is(download: Download, types: set[str], is_told: bool) -> None:
    assert download.named_types == types
    assert download.is_told is is_told


@pytest.mark.parametrize(
    ("beginning", "type_"),
    [
        (EXE, "executable"),
        (b"\x7fELF\x02\x01", "executable"),
        (b"\xcf\xfa\xed\xfe", "executable"),
        (b"!<arch>\ndebian-binary", "installer"),
        (b"#!/bin/sh\n", "script"),
        (b"PK\x03\x04\x14\x00", "archive"),
        (b"\x1f\x8b\x08\x00", "archive"),
        (b"Rar!\x1a\x07\x01\x00", "archive"),
        (bytes(257) + b"ustar\x0000", "archive"),
        (b"KDMV\x01", "disk_image"),
        (b"\x00\x00\x00\x20ftypisom", "video"),
        (b"ID3\x04\x00", "audio"),
        (b"d8:announce35:udp://", "torrent"),
        (b"MZ is a text that begins like a program, and is long enough to hold a header" * 3, None),
        (b"<!doctype html>", None),
        (b"", None),
    ],
)
def test_first_bytes_tell_what_a_file_is(beginning: bytes, type_: str | None) -> None:
    assert Download("/get").types_of(beginning) == ({type_} if type_ else set())


IMAGES, FONTS, PDF = "image/png", "font/woff2", "application/pdf"


@pytest.mark.parametrize(
    ("media_type", "beginning", "types"),
    [
        *((media_type, EXE, {"executable"}) for media_type in (IMAGES, FONTS, PDF, "text/plain", "image/x")),
        (IMAGES, b"PK\x03\x04\x14\x00", {"archive"}),
        (PDF, b"Rar!\x1a\x07\x01\x00", {"archive"}),
        ("text/plain", b"#!/bin/sh\n", {"script"}),
        ("application/vnd.oasis.opendocument.text", b"PK\x03\x04\x14\x00", set()),
        ("application/vnd.oasis.opendocument.text", EXE, {"executable"}),
        (IMAGES, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", set()),
        ("image/jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF\0", set()),
        ("image/gif", b"GIF89a", set()),
        ("image/webp", b"RIFF\x24\0\0\0WEBPVP8 ", set()),
        ("video/mp4", EXE, {"executable", "video"}),
        ("audio/mpeg", b"ID3\x04\x00", {"audio"}),
        ("image/avif", b"\0\0\0\x20ftypavif\0\0\0\0avifmif1", set()),
        ("image/heic", b"\0\0\0\x18ftypheic", set()),
        ("image/x-icon", b"\0\0\1\0\1\0\x10\x10", set()),
        ("image/bmp", b"BM\x36\0\0\0", set()),
        ("image/tiff", b"MM\0*", set()),
        ("image/svg+xml", b'<?xml version="1.0"?><svg>', set()),
        (FONTS, b"wOF2\0\1\0\0", set()),
        ("font/ttf", b"\0\1\0\0\0\x0f", set()),
        ("font/otf", b"OTTO\0\x0b", set()),
        (PDF, b"%PDF-1.7\n", set()),
        ("text/plain", b"MZ is the mark of a program", set()),
    ],
)
def test_media_type_does_not_hide_what_the_first_bytes_are(
    media_type: str, beginning: bytes, types: set[str]
) -> None:
    shown = Download("/get", media_type)
    assert not shown.is_told
    assert shown.types_of(beginning) == types


def test_later_part_of_what_is_shown_is_what_its_head_says() -> None:
    for media_type in (IMAGES, FONTS, PDF, "text/plain", "video/mp4", "text/css"):
        assert Download("/get", media_type).is_told_without_beginning
    assert not Download("/get", "application/octet-stream").is_told_without_beginning
    assert not Download("/get", PDF, "attachment").is_told_without_beginning


def test_document_that_is_zipped_inside_is_no_archive() -> None:
    zipped = b"PK\x03\x04\x14\x00"
    assert Download("/get", "", "attachment; filename=report.docx").types_of(zipped) == set()
    assert Download("/report.pdf", "", "attachment").types_of(EXE) == {"executable"}


def test_types_share_no_extension() -> None:
    extensions = [extension for file_type in FILE_TYPES.values() for extension in file_type.extensions]
    assert len(extensions) == len(set(extensions))


def decided(asked: Visit) -> Decision:
    return decide(asked, POLICY, State())


@pytest.mark.parametrize(
    ("case", "asked", "rules"),
    [
        ("a category of the rule", visit("file_sharing"), ("no-programs",)),
        ("another category", visit("press"), ()),
        ("allowed by a rule before", visit("file_sharing", "press"), ()),
        ("blocked", visit("games", "file_sharing"), ()),
        ("essential", visit("file_sharing", host="dispatch.example"), ()),
        ("never to be opened", visit("file_sharing", host="bank.example"), ()),
        ("of those who may have archives", visit("file_sharing", client=OFFICER), ("no-programs",)),
    ],
)
def test_visit_is_opened_for_rules_of_files_before_the_one_that_decides(
    case: str, asked: Visit, rules: tuple[str, ...]
) -> None:
    assert decided(asked).inspect_rules == rules, case


def test_rule_of_files_leaves_the_visit_to_the_next_and_says_so() -> None:
    steps: list[Step] = []
    decision = decide(visit("file_sharing"), POLICY, State(), steps)
    assert (decision.verdict, decision.cause) == (Verdict.ALLOW, Cause.DEFAULT)
    why = next(step.why for step in steps if step.what == "rule no-programs")
    assert why == "it decides about downloads only: archive, executable"


@pytest.mark.parametrize(
    ("client", "types", "rule"),
    [
        (visit().client, {"executable"}, "no-programs"),
        (visit().client, {"video", "archive"}, "no-programs"),
        (visit().client, {"video"}, None),
        (visit().client, set(), None),
        (OFFICER, {"archive"}, None),
        (OFFICER, {"executable"}, "no-programs"),
    ],
)
def test_first_rule_that_names_the_type_decides(client: Client, types: set[str], rule: str | None) -> None:
    asked = visit("file_sharing", client=client)
    rules = rules_for_downloads(asked, decided(asked), POLICY)
    decision = decide_download(frozenset(types), rules, asked, POLICY)
    assert (decision and decision.rule) == rule
    if decision is not None:
        assert (decision.verdict, decision.cause, decision.because) == (Verdict.BLOCK, Cause.RULE, "Use 9")
        assert decision.match is not None and decision.match.category == "file_sharing"


@pytest.mark.parametrize(
    ("case", "asked", "stopped"),
    [
        ("of the rule's category", visit("file_sharing"), {"no-programs": {"executable", "archive"}}),
        (
            "but those of a rule before",
            visit("file_sharing", client=OFFICER),
            {"no-programs": {"executable"}},
        ),
        ("another category", visit("press"), {}),
        ("blocked whole", visit("games", "file_sharing"), {}),
        ("essential", visit("file_sharing", host="dispatch.example"), {}),
        ("never opened", visit("file_sharing", host="bank.example"), {}),
        (
            "never opened, in plain http",
            visit("file_sharing", host="bank.example", scheme="http"),
            {"no-programs": {"executable", "archive"}},
        ),
    ],
)
def test_what_a_visit_cannot_download_is_told_by_rule(
    case: str, asked: Visit, stopped: dict[str, set[str]]
) -> None:
    found = stopped_files(asked, decided(asked), POLICY, State())
    assert {files.rule: files.types for files in found} == stopped, case


@pytest.mark.parametrize("types", [{"executable"}, {"installer", "archive"}, set()])
def test_types_are_read_back_from_the_refusal_of_a_download(types: set[str]) -> None:
    assert refused_types(refusal_of(frozenset(types))) == types


@pytest.mark.parametrize(
    ("refusal", "types"),
    [
        (None, None),
        ("commenting is off", None),
        ("a download of a type that is not allowed", None),
        ("a download of a type that is not allowed: <b>, executable", {"executable"}),
    ],
)
def test_other_refusals_name_no_type_and_words_from_outside_are_none(
    refusal: str | None, types: set[str] | None
) -> None:
    assert refused_types(refusal) == types


def test_exemption_is_for_downloads_too() -> None:
    asked = visit("file_sharing")
    exemption = Exemption("1", HOST, TEN, TEN.replace(year=2027), person=asked.client.person)
    decision = decide(asked, POLICY, State([exemption]))
    assert rules_for_downloads(asked, decision, POLICY) == ()


@pytest.mark.parametrize(
    ("changed", "never", "is_lifted"),
    [
        ({}, (), True),
        ({"lifts_rule": "police"}, (), False),
        ({"is_once": True}, (), False),
        ({}, ("file_sharing",), False),
        ({"person": "somebody-else"}, (), False),
    ],
)
def test_access_lifts_the_rule_that_was_asked_about_and_has_nothing_opened(
    changed: dict[str, Any], never: tuple[str, ...], is_lifted: bool
) -> None:
    asked = visit("file_sharing")
    access = Exemption("1", HOST, TEN, TEN.replace(year=2027), person=asked.client.person, lifts_limits=True)
    access = replace(access, **{"lifts_rule": "no-programs", **changed})
    policy = replace(POLICY, asking=Asking(never=frozenset(never)))
    decision = decide(asked, policy, State([access]))
    assert (decision.cause, decision.exemption) == (Cause.DEFAULT, None)
    assert (decision.inspect_rules == ()) is is_lifted
    assert (rules_for_downloads(asked, decision, policy) == ()) is is_lifted


def test_access_lifts_no_rule_of_a_security_risk_that_nobody_accepted() -> None:
    named = replace(NO_PROGRAMS, categories=frozenset({"hacking", "file_sharing"}))
    opened = Rule("opened", Verdict.ALLOW, frozenset({"hacking"}))
    policy = replace(POLICY, rules=(named, opened), security_categories=frozenset({"hacking"}))
    asked = visit("hacking")
    access = Exemption("1", HOST, TEN, TEN.replace(year=2027), person=asked.client.person, lifts_limits=True)
    access = replace(access, lifts_rule="no-programs")
    for risks, lifted in (((), ()), (("hacking",), ("no-programs",))):
        state = State([replace(access, accepted_risks=frozenset(risks))])
        assert decide(asked, policy, state).lifted == lifted


def test_site_that_no_list_knows_can_be_named() -> None:
    rule = replace(NO_PROGRAMS, categories=frozenset({"uncategorised"}))
    policy = replace(POLICY, rules=(rule,))
    decision = decide_download(frozenset({"executable"}), (rule,), visit(), policy)
    assert decide(visit(), policy, State()).inspect_rules == ("no-programs",)
    assert decision is not None and decision.match is not None
    assert decision.match.category == "uncategorised"
