"""Rules of file types: a download that one stops becomes a page, and nothing more of it is fetched."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from policy.decision import Cause, Lane, Verdict
from policy.file_types import FILE_TYPES, refused_types
from proxy_addons import downloads
from tests.browsing import StartBrowser, violations
from tests.proxied_town import TOWN, TOWN_ISSUER, ProxiedTown, exemption
from tests.proxy_client import exchange, read_to_end
from tests.published_town import CATEGORIES, PublishedTown
from tests.recording_origin import EARLY, RecordingOrigin
from tests.running_proxy import running_worker

FILES = TOWN.replace(
    "rules:\n",
    "rules:\n"
    "  - {id: no-programs, categories: [file_sharing], file_types: [executable, archive], action: block,"
    " approval: [department_head], because: 'Acceptable Use Policy, Downloads 2'}\n",
)
HOST = "files.example"
EXE = b"MZ" + bytes(58) + b"\x80\x00\x00\x00" + b"secret-words" * 20_000
OCTETS = "Content-Type: application/octet-stream"
PAGE = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}


def _answer(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}", "", ""])
    return head.encode() + body


def _chunked(body: bytes, *fields: str) -> bytes:
    head = "\r\n".join(["HTTP/1.1 200 OK", *fields, "Transfer-Encoding: chunked", "", ""])
    return head.encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


STOPPED = {
    "/setup.exe": _answer(b"x" * 300_000, OCTETS),
    "/by-media-type": _answer(b"x", "Content-Type: application/zip"),
    "/by-name": _answer(b"x", OCTETS, 'Content-Disposition: attachment; filename="a.exe"'),
    "/by-first-bytes": _answer(EXE, OCTETS),
    "/without-type": _answer(EXE),
    "/chunked": _chunked(EXE, OCTETS),
    "/as-an-attachment": _answer(EXE, "Content-Type: image/png", "Content-Disposition: attachment"),
    "/as-an-image": _answer(EXE, "Content-Type: image/png"),
    "/as-a-font": _chunked(EXE, "Content-Type: font/woff2"),
    "/as-a-pdf": _answer(gzip.compress(EXE), "Content-Type: application/pdf", "Content-Encoding: gzip"),
    "/as-a-document": _answer(EXE, "Content-Type: application/vnd.oasis.opendocument.text"),
    "/as-a-video": _answer(EXE, "Content-Type: video/mp4"),
    "/as-text": _answer(EXE, "Content-Type: text/plain"),
    "/compressed": _answer(gzip.compress(EXE), OCTETS, "Content-Encoding: gzip"),
    "/short": _answer(b"PK\x03\x04", OCTETS),
}
UNTOLD = {
    "/unasked-coding": _answer(b"x" * 1000, OCTETS, "Content-Encoding: br"),
    "/image-in-an-unasked-coding": _answer(EXE, "Content-Type: image/png", "Content-Encoding: zstd"),
    "/image-in-two-codings": _answer(EXE, "Content-Type: image/png", "Content-Encoding: gzip, br"),
    "/bad-coding": _answer(b"x" * 1000, OCTETS, "Content-Encoding: gzip"),
    "/later-part": _answer(EXE[2:], OCTETS, "Content-Range: bytes 2-9/9", status="206 Partial Content"),
}
GOES_ON = {
    "/": _answer(b"<p>hello", "Content-Type: text/html"),
    "/about/setup.exe": _answer(b"<p>about it", "Content-Type: text/html"),
    "/image.png": _answer(b"\x89PNG" + bytes(5000), "Content-Type: image/png"),
    "/small.gif": _answer(b"GIF89a", "Content-Type: image/gif"),
    "/nothing.pdf": _answer(b"", "Content-Type: application/pdf"),
    "/later-part.pdf": _answer(
        b"x" * 90,
        "Content-Type: application/pdf",
        "Content-Range: bytes 9-98/99",
        status="206 Partial Content",
    ),
    "/photo": _answer(b"\x89PNG" + bytes(5000), OCTETS),
    "/photo-in-chunks": _chunked(b"\x89PNG" + bytes(5000), OCTETS),
    "/compressed-photo": _answer(gzip.compress(b"\x89PNG" + bytes(90)), OCTETS, "Content-Encoding: gzip"),
    "/small": _answer(b"tiny", OCTETS),
    "/empty.exe": _answer(b"", OCTETS),
    "/first-part": _answer(b"\x89PNG", OCTETS, "Content-Range: bytes 0-3/9", status="206 Partial Content"),
    "/film": _answer(b"x" * 100, "Content-Type: video/mp4"),
    "/later-part.mp4": _answer(
        b"x" * 9, "Content-Type: video/mp4", "Content-Range: bytes 9-17/99", status="206 Partial Content"
    ),
}
LARGE = 24 << 20


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordingOrigin]:
    large = _answer(bytes(LARGE), OCTETS)
    others = {f"{EARLY}/setup.exe": _answer(EXE, OCTETS), "/large.exe": large, "/large": large}
    names = (HOST, "other.example")
    origin = RecordingOrigin(
        tmp_path_factory.mktemp("files"), names, {**STOPPED, **UNTOLD, **GOES_ON, **others}
    )
    yield origin
    origin.close()


@pytest.fixture(scope="module")
def files_town(origin: RecordingOrigin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedTown]:
    folder = tmp_path_factory.mktemp("files-town")
    hosts = folder / "hosts"
    hosts.write_text(origin.hosts_lines())
    names = {**CATEGORIES, "file_sharing": [HOST]}
    published = PublishedTown(folder / "state", document=FILES)
    published.publish_categories(names)
    published.state.extra_roots.write_bytes(origin.ca_certificate.read_bytes())
    with running_worker(published.state.root, hosts, program=("-m", "tests.quick_worker")) as proxy:
        yield ProxiedTown(origin, published, proxy, FILES, names)
    assert "Traceback" not in proxy.logged()


@pytest.fixture
def town(files_town: ProxiedTown) -> ProxiedTown:
    """Return a town that stops programs and archives from files.example, behind a worker."""
    files_town.begin()
    return files_town


@pytest.mark.parametrize("path", STOPPED)
def test_download_that_a_rule_stops_becomes_a_page_and_a_record(path: str, town: ProxiedTown) -> None:
    answer = town.client.get(f"https://{HOST}{path}?key=secret", PAGE)

    assert (answer.status, answer.issuer) == (403, TOWN_ISSUER)
    assert "This download is blocked" in answer.text and "Esta descarga está bloqueada" in answer.text
    assert "Acceptable Use Policy, Downloads 2" in answer.text
    assert "secret" not in answer.text
    stopped, whole = sorted(town.visits(2), key=lambda visit: visit.lane)
    assert (stopped.verdict, stopped.lane, stopped.cause) == (Verdict.BLOCK, Lane.BLOCK, Cause.RULE)
    assert (stopped.rule, stopped.category) == ("no-programs", "file_sharing")
    types = refused_types(stopped.refusal) or frozenset()
    assert types in ({"executable"}, {"archive"}, {"executable", "video"})
    # The page says what the rule is about.
    (type_,) = types & {"executable", "archive"}
    assert f"This download is {FILE_TYPES[type_].one}." in answer.text
    assert stopped.code in answer.text
    assert (whole.verdict, whole.lane) == (Verdict.ALLOW, Lane.INSPECT)


@pytest.mark.parametrize("path", UNTOLD)
def test_download_of_which_nothing_can_be_told_is_stopped(path: str, town: ProxiedTown) -> None:
    assert town.client.get(f"https://{HOST}{path}", PAGE).status == 403
    stopped = next(visit for visit in town.visits(2) if visit.lane is Lane.BLOCK)
    assert stopped.refusal == "a download of a type that cannot be told"


@pytest.mark.parametrize("path", GOES_ON)
def test_everything_else_goes_on_whole(path: str, town: ProxiedTown) -> None:
    answer = town.client.get(f"https://{HOST}{path}", PAGE)
    assert answer.status in (200, 206)
    sent = GOES_ON[path].partition(b"\r\n\r\n")[2]
    assert answer.body in sent and answer.body_bytes >= len(sent) - 20
    assert town.visit().verdict is Verdict.ALLOW


def test_padding_before_what_was_compressed_is_not_taken_for_harmless() -> None:
    # A gzip header may hold a field of any length (RFC 1952, FEXTRA).
    extra = (1000).to_bytes(2, "little") + bytes(1000)
    padded = b"\x1f\x8b\x08\x04" + bytes(6) + extra + gzip.compress(EXE)[10:]
    assert gzip.decompress(padded) == EXE
    assert downloads._decoded(padded[: downloads.BEGINNING_BYTES], "gzip") is None
    assert downloads._decoded(gzip.compress(b"short"), "gzip") == b"short"


def test_nothing_more_is_fetched_of_what_is_stopped(town: ProxiedTown, origin: RecordingOrigin) -> None:
    before = origin.sent_bytes
    with town.client.tunnel(HOST) as secured:
        # Of a script, the client's connection stays: it is the origin server's own that ends.
        fields = {"Sec-Fetch-Dest": "empty"}
        assert exchange(secured, "GET", "/large.exe", HOST, fields=fields).status == 403
        assert exchange(secured, "GET", "/", HOST, fields=fields).status == 200
    # What the kernel's buffers take is sent before the end is seen.
    assert origin.sent_bytes - before < LARGE / 2


def test_large_download_that_goes_on_is_streamed(town: ProxiedTown) -> None:
    town.client.get(f"https://{HOST}/photo")
    before = town.proxy.peak_memory_bytes()
    assert town.client.get(f"https://{HOST}/large").body_bytes == LARGE
    assert town.proxy.peak_memory_bytes() - before < 12 << 20


def test_stopped_download_is_a_request_of_its_own_record_alone(town: ProxiedTown) -> None:
    with town.client.tunnel(HOST) as kept:
        for path in ("/", "/setup.exe"):
            exchange(kept, "GET", path, HOST, fields=PAGE)
    stopped, whole = sorted(town.visits(2), key=lambda one: one.lane is Lane.INSPECT)
    assert (whole.connections, whole.requests, whole.pages) == (1, 1, 1)
    assert (stopped.connections, stopped.requests, stopped.pages) == (0, 1, 1)


def test_plain_http_is_one_visit_that_was_blocked(town: ProxiedTown) -> None:
    assert town.client.get(f"http://{HOST}/by-first-bytes", PAGE).status == 403
    visit = town.visit()
    assert (visit.verdict, visit.lane, visit.rule) == (Verdict.BLOCK, Lane.BLOCK, "no-programs")


def test_script_is_told_in_json_and_may_go_on(town: ProxiedTown) -> None:
    fields = {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"}
    with town.client.tunnel(HOST) as secured:
        for path in ("/setup.exe", "/by-first-bytes"):
            answer = exchange(secured, "GET", path, HOST, fields=fields)
            assert (answer.status, list(json.loads(answer.body))) == (403, ["error"])
        assert exchange(secured, "GET", "/", HOST, fields=fields).text == "<p>hello"


def test_client_that_is_still_sending_is_answered_and_ended(town: ProxiedTown) -> None:
    with town.client.tunnel(HOST) as secured:
        head = f"POST {EARLY}/setup.exe HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 9\r\n\r\n"
        secured.sendall(head.encode() + b"hello")
        assert read_to_end(secured).startswith(b"HTTP/1.1 403 ")


def test_origin_server_is_asked_for_what_can_be_looked_into(
    town: ProxiedTown, origin: RecordingOrigin
) -> None:
    told = len(origin.told)
    town.client.get(f"https://{HOST}/", {"Accept-Encoding": "br, gzip, zstd"})
    town.client.get(f"https://{HOST}/", {"Accept-Encoding": "br"})
    asked = bytes(origin.told[told:])
    assert b"Accept-Encoding: gzip\r\n" in asked and b"Accept-Encoding: identity\r\n" in asked


def test_other_sites_and_exempt_ones_are_tunnelled(town: ProxiedTown, origin: RecordingOrigin) -> None:
    assert town.client.get("https://other.example/setup.exe").issuer != TOWN_ISSUER
    town.publish_policy(FILES, [exemption(HOST, department="finance")])
    assert town.client.get(f"https://{HOST}/setup.exe").body == b"x" * 300_000


def test_access_to_one_download_is_of_the_rule_that_was_asked_about(town: ProxiedTown) -> None:
    once = replace(exemption(HOST, department="finance"), lifts_limits=True, is_once=True)
    town.publish_policy(FILES, [replace(once, lifts_rule="no-others")])
    assert town.client.get(f"https://{HOST}/setup.exe").status == 403
    town.publish_policy(FILES, [replace(once, lifts_rule="no-programs")])
    for path, status in (("/by-first-bytes", 200), ("/setup.exe", 403), ("/by-first-bytes", 200)):
        assert town.client.get(f"https://{HOST}{path}").status == status
    by_it = [visit for visit in town.visits(8) if visit.exemption]
    assert {(visit.exemption, visit.lane, visit.requests) for visit in by_it} == {(once.id, Lane.INSPECT, 1)}
    # For today nothing is stopped there, and so nothing is opened.
    town.publish_policy(FILES, [replace(once, is_once=False, lifts_rule="no-programs")])
    assert town.client.get(f"https://{HOST}/setup.exe").issuer != TOWN_ISSUER


def test_access_to_one_large_download_lets_no_program_through_that_is_sent_as_an_image(
    town: ProxiedTown,
) -> None:
    limit = (
        f"limits:\n  - {{id: asked, larger_than: 1kB, hosts: [{HOST}], action: ask,"
        " approval: [department_head]}\n"
    )
    once = replace(exemption(HOST, department="finance"), lifts_limits=True, is_once=True)
    town.publish_policy(FILES.replace("default: {action", f"{limit}default: {{action"), [once])
    for path in ("/as-an-image", "/as-a-font"):
        assert town.client.get(f"https://{HOST}{path}", PAGE).status == 403
    stopped = [visit.rule for visit in town.visits(4) if visit.lane is Lane.BLOCK]
    assert stopped == ["no-programs", "no-programs"]
    assert town.client.get(f"https://{HOST}/image.png", PAGE).status == 200


def test_file_that_two_rules_stop_goes_through_by_access_about_both_alone(town: ProxiedTown) -> None:
    document = FILES.replace(
        "rules:\n",
        "rules:\n"
        "  - {id: no-videos, categories: [file_sharing], file_types: [video], action: block,"
        " approval: [department_head]}\n",
    )
    once = replace(exemption(HOST, department="finance"), lifts_limits=True, is_once=True)
    of_videos, of_programs = (
        replace(once, id=f"EX-{number}", lifts_rule=rule)
        for number, rule in ((71, "no-videos"), (72, "no-programs"))
    )
    for alone in (of_videos, of_programs):
        town.publish_policy(document, [alone])
        assert town.client.get(f"https://{HOST}/as-a-video").status == 403
    assert not [*town.published.state.spool.glob("EX-7[12]-*.claim")], "none was used up in vain"
    town.publish_policy(document, [of_videos, of_programs])
    assert town.client.get(f"https://{HOST}/as-a-video").status == 200
    assert len([*town.published.state.spool.glob("EX-7[12]-*.claim")]) == 2
    assert town.client.get(f"https://{HOST}/film").status == 403
    # Of a later part nothing is told: by access about the rule that stops it first, it is taken up again.
    town.publish_policy(document, [replace(of_videos, id="EX-73")])
    assert town.client.get(f"https://{HOST}/later-part").status == 206


async def test_browser_shows_the_page(town: ProxiedTown, browser: StartBrowser, screenshots: Path) -> None:
    chromium = await browser(
        proxy=f"127.0.0.1:{town.proxy.port}", trusts=[town.published.state.ca / "town-ca.pem"]
    )
    page = await chromium.new_page()
    await page.goto(f"https://{HOST}/setup.exe")
    assert await page.locator("h1").inner_text() == "This download is blocked"
    await page.set_viewport_size({"width": 320, "height": 640})
    assert await page.evaluate("document.documentElement.scrollWidth") <= 320
    assert await violations(page) == []
    await page.screenshot(path=screenshots / "download-320-light.png", full_page=True)
