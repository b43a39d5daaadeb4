"""Limits of the policy, acted on: pages before large downloads, cuts, closed tunnels, quotas kept."""

import contextlib
import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from itertools import count
from pathlib import Path

import pytest

from policy import ask_token
from policy.decision import Cause, Lane, Verdict
from policy.state import Exemption
from policy.town_time import zone_of
from policy.usage import Usage, usage_key
from policy.visit import Client
from policy.visit_record import VisitRecord
from policy.worker_facts import WorkerFacts
from tests.faked_clock import FakedClock
from tests.odd_origin import OddOrigin
from tests.proxied_town import TOWN, TOWN_ISSUER, ProxiedTown, eventually, town_behind_a_worker
from tests.proxy_addons.test_websockets import open_websocket, receive_text, send_text
from tests.proxy_client import ProxyClient, exchange, read_to_end
from tests.published_town import CATEGORIES, policy_of
from tests.recording_origin import RecordingOrigin
from tests.running_proxy import running_worker

LARGEST = 300_000
LIMITS = """\
limits:
  - {id: huge, larger_than: 900kB, hosts: [files.example, tunnel.example], action: block}
  - {id: big, larger_than: 300kB, hosts: [files.example], action: warn, because: Use 7}
  - {id: cut, larger_than: 300kB, hosts: [tunnel.example, odd.example], action: block}
  - {id: asked, larger_than: 300kB, hosts: [ask.example], action: ask, approval: [department_head]}
  - {id: films, file_types: [video], hosts: [files.example], action: block}
  - {id: a-day, quota: 500kB/day, hosts: [daily.example], action: block}
  - {id: told, quota: 100kB/day, hosts: [told.example], action: warn}
"""
DOCUMENT = TOWN.replace("127.0.0.3/32", "127.0.0.3/32, 127.0.8.0/24").replace(
    "default: {action", f"{LIMITS}default: {{action"
)
HOSTS = ("files.example", "tunnel.example", "ask.example", "daily.example", "told.example", "free.example")
NAVIGATES = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}
_desks = count(1)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def sized(size_bytes: int, *fields: str, status: str = "200 OK") -> bytes:
    head = [f"HTTP/1.1 {status}", "Content-Type: application/octet-stream", *fields]
    return "\r\n".join([*head, f"Content-Length: {size_bytes}", "", ""]).encode() + b"x" * size_bytes


def chunked(chunks: int, chunk_bytes: int) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + (b"%x\r\n%b\r\n" % (chunk_bytes, b"x" * chunk_bytes)) * chunks + b"0\r\n\r\n"


ANSWERS = {
    "/small": sized(1000),
    "/at-the-limit": sized(LARGEST),
    "/large": sized(LARGEST + 1),
    "/huge": sized(900_001),
    "/a-part": sized(10, "Content-Range: bytes 0-9/4200000000", status="206 Partial Content"),
    "/early-part": sized(10, "Content-Range: bytes 899990-899999/*", status="206 Partial Content"),
    "/late-part": sized(10, "Content-Range: bytes 899991-900000/*", status="206 Partial Content"),
    "/false-part": sized(900_001, "Content-Range: bytes 0-9/10", status="206 Partial Content"),
    "/false-part-in-chunks": chunked(20, 50_000).replace(
        b"200 OK", b"206 Partial Content\r\nContent-Range: bytes 0-9/10", 1
    ),
    "/film": b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: 4\r\n\r\nfilm",
    "/counted": chunked(20, 50_000),
    "/counted-small": chunked(4, 50_000),
    "/200kB": sized(200_000),
    "/1kB": sized(1000),
}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordingOrigin]:
    origin = RecordingOrigin(tmp_path_factory.mktemp("origin"), HOSTS, ANSWERS)
    yield origin
    origin.close()


@pytest.fixture(scope="module")
def hosts(origin: RecordingOrigin, odd_origin: OddOrigin, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("limits-hosts") / "hosts"
    path.write_text(origin.hosts_lines() + odd_origin.hosts_lines())
    return path


@pytest.fixture(scope="module")
def limited_town(
    origin: RecordingOrigin, hosts: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProxiedTown]:
    folder = tmp_path_factory.mktemp("limits")
    names = {**CATEGORIES, "social_networks": ["files.example"], "education": ["free.example"]}
    with town_behind_a_worker(folder, origin, hosts, DOCUMENT, names, [origin.ca_certificate]) as town:
        yield town


@pytest.fixture
def town(limited_town: ProxiedTown) -> ProxiedTown:
    """Return a town with limits, behind a worker."""
    limited_town.begin()
    return limited_town


@pytest.fixture
def desk(town: ProxiedTown) -> ProxyClient:
    """Return a workstation that has used nothing and was never warned."""
    return town.client.at(f"127.0.8.{next(_desks)}")


def stops(town: ProxiedTown, visits: int = 2) -> VisitRecord:
    """Return the record of what was stopped, beside that of the visit in which it was."""
    return next(visit for visit in town.visits(visits) if visit.cause is Cause.LIMIT)


def test_large_download_is_warned_of_before_it_begins_and_goes_on_when_told_to(
    town: ProxiedTown, desk: ProxyClient, origin: RecordingOrigin
) -> None:
    sent = origin.sent_bytes
    page = desk.get("http://files.example/large?key=1", NAVIGATES)
    assert page.status == 403 and len(page.body) <= 8192
    for said in ("This download is 300\u00a0kB", "Download now", "Use 7", "Descargar ahora"):
        assert said in page.text
    visit = town.visit()
    assert (visit.verdict, visit.cause, visit.rule) == (Verdict.WARN, Cause.LIMIT, "big")
    eventually(lambda: town.metric("egress_limited_total", limit="big") == 1)
    assert visit.refusal == "a download of 300 kB, over 300 kB"
    assert "Remind me" not in page.text, "this limit ends at no hour"
    told = desk.request("POST", "http://files.example" + page.continue_form)
    assert (told.status, told.headers["Location"]) == (303, "http://files.example/large?key=1")
    assert desk.get(told.headers["Location"], NAVIGATES).body_bytes == LARGEST + 1
    assert origin.sent_bytes > sent
    # It was for this limit and this site alone.
    assert "This download is" in desk.get("http://files.example/huge", NAVIGATES).text
    assert "This download is" in desk.get("http://ask.example/large", NAVIGATES).text


def test_page_of_a_limit_of_some_hours_leads_to_a_reminder_without_the_query(
    town: ProxiedTown, desk: ProxyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as admin_site:
        admin_url = f"http://127.0.0.1:{admin_site.getsockname()[1]}"
        monkeypatch.setattr(town.published, "admin_url", admin_url)
        # It holds now, and on one day that is to come it does not.
        days = [day for day in range(7) if day != (datetime.now(UTC).weekday() + 3) % 7]
        hours = f'  busy: {{days: [{", ".join(DAYS[day] for day in days)}], from: "00:00", to: "24:00"}}\n'
        document = DOCUMENT.replace("schedules:\n", "schedules:\n" + hours)
        town.publish_policy(re.sub("id: (big|asked), ", r"\g<0>when: busy, ", document))
        # Whether an admin site answers is remembered for a second.
        eventually(lambda: "/remind?" in desk.get("http://files.example/large", NAVIGATES).text)
        page = desk.get("http://files.example/large?key=1", NAVIGATES)
        (link,) = set(re.findall(r'href="([^"]+/remind\?token=[^"]+)"', page.text))
        assert link.startswith(admin_url) and "Remind me on " in page.text and "Avisarme el " in page.text
        token = ask_token.unseal(link.partition("token=")[2], town.published.ask_key, datetime.now(UTC))
        assert (token.rule, token.address) == ("big", "http://files.example/large")
        both = desk.get("http://ask.example/large", NAVIGATES).text
        (remind,), (ask,) = (
            set(re.findall(rf'href="[^"]+/{way}\?token=([^"]+)"', both)) for way in ("remind", "ask")
        )
        addresses = [
            ask_token.unseal(text, town.published.ask_key, datetime.now(UTC)).address
            for text in (remind, ask)
        ]
        assert addresses == ["http://ask.example/large", ""], "where it is, is told with the reminder alone"
        long = desk.get(f"http://files.example/large?{'k' * 400}", NAVIGATES)
        assert "/remind?token=" in long.text and len(long.body) <= 8192


@pytest.mark.parametrize("path", ["/small", "/at-the-limit", "/counted-small"])
def test_what_is_not_over_a_limit_goes_on_whole(path: str, town: ProxiedTown, desk: ProxyClient) -> None:
    answer = desk.get(f"http://files.example{path}", NAVIGATES)
    assert (answer.status, answer.body_bytes) == (200, len(answer.body))
    assert town.visit().verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("path", "limit"),
    [("/huge", "huge"), ("/a-part", "huge"), ("/late-part", "huge"), ("/film", "films")],
)
def test_size_of_the_whole_file_and_its_kind_are_seen_at_the_head(
    path: str, limit: str, town: ProxiedTown, desk: ProxyClient
) -> None:
    page = desk.get(f"http://files.example{path}", NAVIGATES)
    assert page.status == 403 and "Download now" not in page.text
    visit = town.visit()
    assert (visit.verdict, visit.rule) == (Verdict.BLOCK, limit)


def test_download_of_unknown_length_is_cut_at_the_limit(town: ProxiedTown, desk: ProxyClient) -> None:
    with desk.dial() as connection:
        connection.sendall(b"GET http://ask.example/counted HTTP/1.1\r\nHost: ask.example\r\n\r\n")
        got = read_to_end(connection)
    assert b"\r\n0\r\n\r\n" not in got, "a client must not take it for whole"
    assert got.partition(b"\r\n\r\n")[2].count(b"x") <= LARGEST
    stopped = stops(town)
    assert (stopped.verdict, stopped.rule) == (Verdict.BLOCK, "asked")
    assert stopped.refusal == "over 300 kB came on one connection"
    whole = next(visit for visit in town.visits(2) if visit.cause is not Cause.LIMIT)
    assert whole.refusal == "closed: over the limit asked"
    assert 0 < whole.bytes_down <= LARGEST + 1000


def test_more_than_an_origin_server_says_of_a_part_is_held_to_the_limit(
    town: ProxiedTown, desk: ProxyClient
) -> None:
    assert desk.get("http://files.example/false-part", NAVIGATES).status == 403
    assert town.visit().rule == "huge"
    with desk.dial() as connection:
        connection.sendall(
            b"GET http://ask.example/false-part-in-chunks HTTP/1.1\r\nHost: ask.example\r\n\r\n"
        )
        assert read_to_end(connection).partition(b"\r\n\r\n")[2].count(b"x") <= LARGEST


def test_parts_of_a_file_of_unknown_size_are_counted_by_where_they_end(
    town: ProxiedTown, desk: ProxyClient, origin: RecordingOrigin
) -> None:
    town.publish_policy(DOCUMENT.replace("hosts: [tunnel.example, odd", "hosts: [free.example, odd"))
    assert desk.get("http://free.example/late-part").status == 403
    town.publish_policy(
        DOCUMENT.replace(
            "cut, larger_than: 300kB, hosts: [t", "cut, larger_than: 900kB, hosts: [free.example, t"
        )
    )
    assert desk.get("http://free.example/early-part").status == 206
    assert desk.get("http://free.example/late-part").status == 403
    # Where each of several parts ends, the head does not say: the whole is asked for.
    desk.get("http://free.example/small", {"Range": "bytes=0-9,20-29"})
    assert b"bytes=0-9" not in origin.told
    desk.get("http://free.example/small", {"Range": "bytes=0-9"})
    assert b"bytes=0-9" in origin.told


def test_websocket_is_closed_at_the_limit(town: ProxiedTown, desk: ProxyClient) -> None:
    connection, answer = open_websocket(desk, "odd.example")
    assert answer.startswith(b"HTTP/1.1 101 ")
    text, got = b"x" * 60_000, 0
    with connection:
        for _ in range(5):
            send_text(connection, text)
            got += len(receive_text(connection))
        assert got == LARGEST
        send_text(connection, b"x")
        assert b"x" not in read_to_end(connection)
    stopped = stops(town)
    assert (stopped.verdict, stopped.rule) == (Verdict.BLOCK, "cut")
    whole = next(visit for visit in town.visits(2) if visit.cause is not Cause.LIMIT)
    assert whole.refusal == "closed: over the limit cut"


def test_script_and_page_are_told_who_may_lift_a_limit(desk: ProxyClient) -> None:
    page = desk.get("http://ask.example/large", NAVIGATES)
    assert "Your department head" in page.text and "This download is" in page.text
    answer = desk.get("http://ask.example/large", {"Sec-Fetch-Dest": "empty"})
    assert "over a limit" in json.loads(answer.body)["error"]


@pytest.mark.parametrize("has_lane", [True, False])
def test_tunnel_is_closed_over_its_limit_and_says_so_in_records(
    has_lane: bool, town: ProxiedTown, hosts: Path, desk: ProxyClient
) -> None:
    before = town.metric("egress_limited_total", limit="cut")
    if has_lane:
        client = desk.trusting(*desk.trusts, town.web.ca_certificate)
        got = loaded(client, "tunnel.example", "/huge")
        assert got <= LARGEST
    else:
        state = town.published.state.root
        with running_worker(
            state, hosts, program=("-m", "tests.quick_worker"), options=("--no-lane",)
        ) as proxy:
            client = ProxyClient(proxy.port, desk.trusts, address=desk.address)
            got = loaded(client, "tunnel.example", "/huge")
            assert got <= LARGEST
    stopped = stops(town)
    assert (stopped.verdict, stopped.lane, stopped.rule) == (Verdict.BLOCK, Lane.REFUSE, "cut")
    whole = next(visit for visit in town.visits(2) if visit.cause is not Cause.LIMIT)
    assert (whole.verdict, whole.lane) == (Verdict.ALLOW, Lane.TUNNEL)
    assert whole.refusal == "closed: over the limit cut"
    # What is read at once, and would go over, is not let through.
    assert 0 < whole.bytes_down <= LARGEST
    if has_lane:
        eventually(lambda: town.metric("egress_limited_total", limit="cut") == before + 1)


def loaded(client: ProxyClient, host: str, path: str) -> int:
    """Return how much of a body came."""
    try:
        with client.tunnel(host) as secured:
            secured.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            got = 0
            while data := secured.recv(1 << 16):
                got += len(data)
                if data.endswith(b"x" * 9) and got > 900_000:
                    break
            return got
    except OSError:
        return got


def test_limit_that_begins_or_is_lifted_counts_for_tunnels_that_are_open(
    town: ProxiedTown, desk: ProxyClient
) -> None:
    now = datetime.now(UTC)
    lifted = Exemption(
        "EX-9", "tunnel.example", now, now + timedelta(hours=1), department="parks", lifts_limits=True
    )
    client = desk
    with client.tunnel("tunnel.example") as secured:
        assert exchange(secured, "GET", "/200kB", "tunnel.example", keep_body=False).body_bytes == 200_000
        town.publish_policy(DOCUMENT, [lifted])
        assert exchange(secured, "GET", "/large", "tunnel.example", keep_body=False).body_bytes == LARGEST + 1
        assert exchange(secured, "GET", "/huge", "tunnel.example", keep_body=False).body_bytes == 900_001
    with client.tunnel("tunnel.example") as secured:
        assert exchange(secured, "GET", "/large", "tunnel.example", keep_body=False).body_bytes == LARGEST + 1
        town.publish_policy(DOCUMENT)
        # It is judged again soon after.
        until = time.monotonic() + 30
        with pytest.raises(Exception):  # noqa: B017 - how a closed connection shows is the system's
            while time.monotonic() < until:
                exchange(secured, "GET", "/small", "tunnel.example")


def test_used_up_quota_closes_tunnels_pages_say_so_and_every_worker_knows_also_after_a_restart(
    town: ProxiedTown, desk: ProxyClient, hosts: Path
) -> None:
    with desk.tunnel("daily.example") as secured:
        for _ in range(2):
            assert exchange(secured, "GET", "/200kB", "daily.example", keep_body=False).body_bytes == 200_000
        secured.sendall(b"GET /200kB HTTP/1.1\r\nHost: daily.example\r\n\r\n")
        secured.settimeout(30)
        while True:
            try:
                if not secured.recv(1 << 16):
                    break
            except OSError:
                break
    stopped = stops(town)
    assert (stopped.rule, stopped.refusal) == ("a-day", "500 kB a day are used")
    counted = town.metric("egress_limited_total", limit="a-day")
    page = desk.get("https://daily.example/small", NAVIGATES)
    assert page.issuer == TOWN_ISSUER
    eventually(lambda: town.metric("egress_limited_total", limit="a-day") == counted + 1)
    assert "Opens at 12\u00a0AM tomorrow" in page.text and "Your 500\u00a0kB are used." in page.text
    # Another person has their own.
    other = town.client.at(f"127.0.8.{next(_desks)}")
    assert other.get("https://daily.example/small").status == 200
    state = town.published.state.root
    eventually(lambda: is_told(town, key_of("a-day", desk.address)), 30)
    with running_worker(state, hosts, program=("-m", "tests.quick_worker")) as proxy:
        elsewhere = ProxyClient(proxy.port, desk.trusts, address=desk.address)
        assert "Your 500\u00a0kB are used." in elsewhere.get("https://daily.example/small", NAVIGATES).text
        assert (
            ProxyClient(proxy.port, desk.trusts, address=other.address)
            .get("https://daily.example/small")
            .status
            == 200
        )


def one_download(host: str, number: int) -> Exemption:
    """Return access of everyone in Parks to one download."""
    now = datetime.now(UTC)
    ends_at = now + timedelta(hours=1)
    return Exemption(f"EX-{number}", host, now, ends_at, department="parks", lifts_limits=True, is_once=True)


def test_one_download_goes_through_on_whichever_worker_and_another_is_stopped_on_both(
    town: ProxiedTown, desk: ProxyClient, hosts: Path
) -> None:
    town.publish_policy(DOCUMENT, [one_download("ask.example", 9)])
    state = town.published.state.root
    with running_worker(state, hosts, program=("-m", "tests.quick_worker")) as proxy:
        workers = [desk, ProxyClient(proxy.port, desk.trusts, address=desk.address)]
        files = [f"http://ask.example/large?file={number}" for number in (1, 2)]
        with ThreadPoolExecutor() as at_once:
            statuses = [found.status for found in at_once.map(ProxyClient.get, workers, files)]
        assert sorted(statuses) == [200, 403]
        let_through, other = files if statuses[0] == 200 else reversed(files)
        for worker in workers:
            rest = worker.get(let_through, {"Range": "bytes=1000-"})
            assert (rest.status, rest.body_bytes) == (200, LARGEST + 1)
            assert worker.get(other).status == 403
            assert worker.get("http://ask.example/large").status == 403
    by_it = [visit for visit in town.visits(8) if visit.verdict is Verdict.ALLOW]
    assert {(visit.exemption, visit.rule) for visit in by_it} == {("EX-9", None)} and len(by_it) == 3


def test_one_download_may_be_of_unknown_length_and_a_warning_is_given_all_the_same(
    town: ProxiedTown, desk: ProxyClient
) -> None:
    town.publish_policy(DOCUMENT, [one_download("ask.example", 10), one_download("files.example", 11)])
    assert desk.get("http://ask.example/counted").body_bytes == 20 * 50_000
    by_it = town.visit()
    assert (by_it.exemption, by_it.refusal, by_it.bytes_down > 20 * 50_000) == ("EX-10", None, True)
    warned = desk.get("http://files.example/large", NAVIGATES)
    assert "Download now" in warned.text
    assert desk.request("POST", "http://files.example" + warned.continue_form).status == 303
    assert desk.get("http://files.example/huge").body_bytes == 900_001, "nothing had used it up"


WARNS_TOO = """\
  - {id: told-too, larger_than: 300kB, hosts: [ask.example, tunnel.example], action: warn}
  - {id: films"""


def test_limit_further_down_that_warns_does_so_before_access_to_one_download_is_used_up(
    town: ProxiedTown, desk: ProxyClient
) -> None:
    access = [one_download("ask.example", 14), one_download("tunnel.example", 15)]
    town.publish_policy(DOCUMENT.replace("  - {id: films", WARNS_TOO), access)
    warned = desk.get("http://ask.example/large?file=1", NAVIGATES)
    assert warned.status == 403 and "Download now" in warned.text
    assert loaded(desk, "tunnel.example", "/large") <= LARGEST
    # Neither was used up in vain; who was warned goes on with another file by it.
    assert not [*town.published.state.spool.glob("EX-1[45]-*.claim")]
    told = desk.request("POST", "http://ask.example" + warned.continue_form)
    assert (told.status, told.headers["Location"]) == (303, "http://ask.example/large?file=1")
    assert desk.get("http://ask.example/large?file=2", NAVIGATES).body_bytes == LARGEST + 1
    other = desk.get("http://ask.example/large?file=1", NAVIGATES)
    assert other.status == 403 and "Download now" not in other.text, "it is used up"
    by_limit = [visit.rule for visit in town.visits(5) if visit.cause is Cause.LIMIT]
    assert sorted(str(limit) for limit in by_limit) == ["asked", "told-too", "told-too"]


def test_download_of_unknown_length_is_held_to_what_warns_of_more_and_goes_on_by_the_same_access(
    town: ProxiedTown, desk: ProxyClient
) -> None:
    document = DOCUMENT.replace("  - {id: films", WARNS_TOO.replace("300kB", "600kB"))
    access = one_download("ask.example", 16)
    town.publish_policy(document, [access])
    with desk.dial() as connection:
        connection.sendall(b"GET http://ask.example/counted HTTP/1.1\r\nHost: ask.example\r\n\r\n")
        got = read_to_end(connection).partition(b"\r\n\r\n")[2].count(b"x")
    assert LARGEST < got <= 2 * LARGEST
    stopped = stops(town)
    assert (stopped.rule, stopped.refusal) == ("told-too", "over 600 kB came on one connection")
    went_on = replace(access, id="told-1", is_once=False, passed_limit="told-too")
    town.publish_policy(document, [access, went_on])
    assert desk.get("http://ask.example/counted").body_bytes == 20 * 50_000
    assert desk.get("http://ask.example/large").status == 403, "another file is not let through"


def test_one_download_in_a_tunnel_is_one_tunnel(town: ProxiedTown, desk: ProxyClient) -> None:
    access = one_download("tunnel.example", 12)
    town.publish_policy(DOCUMENT, [access])
    with desk.tunnel("tunnel.example") as secured:
        assert exchange(secured, "GET", "/large", "tunnel.example", keep_body=False).body_bytes == LARGEST + 1
        # Judged again, it goes on; and what comes in another one does not.
        town.publish_policy(DOCUMENT, [access, one_download("free.example", 13)])
        assert exchange(secured, "GET", "/huge", "tunnel.example", keep_body=False).body_bytes == 900_001
        assert loaded(desk, "tunnel.example", "/large") <= LARGEST
    by_it = next(visit for visit in town.visits(3) if visit.exemption)
    assert (by_it.exemption, by_it.lane, by_it.refusal) == ("EX-12", Lane.TUNNEL, None)


def key_of(limit_id: str, address: str) -> bytes:
    """Return by what an address's use of a quota is counted."""
    limit = next(limit for limit in policy_of(DOCUMENT).limits if limit.id == limit_id)
    return usage_key(limit, Client(address, department="parks"))


def is_told(town: ProxiedTown, key: bytes) -> bool:
    """Whether what was used is in a file."""
    return any(key in path.read_bytes() for path in town.published.state.spool.glob("*.usage"))


def test_worker_that_ends_leaves_all_that_was_used_to_the_others(
    town: ProxiedTown, desk: ProxyClient, hosts: Path
) -> None:
    state = town.published.state
    with running_worker(state.root, hosts, program=("-m", "tests.quick_worker")) as proxy:
        client = ProxyClient(proxy.port, desk.trusts, address=desk.address)
        with client.tunnel("daily.example") as secured:
            exchange(secured, "GET", "/1kB", "daily.example", keep_body=False)
            os.kill(proxy.process.pid, signal.SIGTERM)
            # Until it has ended, so that something was used that was not written yet.
            with contextlib.suppress(OSError, HTTPException):
                while True:
                    exchange(secured, "GET", "/1kB", "daily.example", keep_body=False)
                    time.sleep(0.02)
            proxy.process.wait(30)
    (visit,) = town.visits()
    key, day = key_of("a-day", desk.address), datetime.now(zone_of(policy_of(DOCUMENT))).date()
    counted = Usage(day)
    for path in state.spool.glob(f"{day}-*.usage"):
        if key in (data := path.read_bytes()):
            counted.take_in(data)
    assert counted.used(key)[0] == visit.bytes_up + visit.bytes_down > 1000


def test_used_up_quota_stays_used_up_after_a_clock_was_days_ahead(
    town: ProxiedTown, desk: ProxyClient, hosts: Path, faked_clock: FakedClock
) -> None:
    state = town.published.state
    with running_worker(
        state.root, hosts, program=("-m", "tests.quick_worker"), options=(), **faked_clock.environment
    ) as proxy:
        client = ProxyClient(proxy.port, desk.trusts, address=desk.address)

        def is_open() -> bool:
            # What is being loaded when the quota is found to be used up is closed in its middle.
            with contextlib.suppress(ConnectionError, HTTPException):
                return client.get("http://daily.example/small", NAVIGATES).status == 200
            return False

        for _ in range(2):
            assert client.get("http://daily.example/200kB", NAVIGATES).status == 200
        with contextlib.suppress(ConnectionError, HTTPException):
            client.get("http://daily.example/200kB", NAVIGATES)
        eventually(lambda: not is_open())
        faked_clock.advance(timedelta(days=2))
        # Used on that day, and written twice: whatever a new day brings with it has been done.
        day = faked_clock.now().astimezone(zone_of(policy_of(DOCUMENT))).date()
        written = set[bytes]()

        def is_written_twice() -> bool:
            written.update(path.read_bytes() for path in state.spool.glob(f"{day}-*.usage"))
            return is_open() and len(written) > 1

        eventually(is_written_twice)
        faked_clock.advance(-timedelta(days=2))
        # Long before these few use it up anew: each is a three hundredth of it.
        for _ in range(60):
            if not is_open():
                break
            time.sleep(0.5)
        assert client.get("http://daily.example/small", NAVIGATES).status == 403
    # So it is for a worker that comes later.
    with running_worker(state.root, hosts, program=("-m", "tests.quick_worker")) as proxy:
        later = ProxyClient(proxy.port, desk.trusts, address=desk.address)
        assert later.get("http://daily.example/small", NAVIGATES).status == 403


def test_used_up_quota_that_warns_is_told_once_and_opens(desk: ProxyClient) -> None:
    # Found to be over the quota while it is loaded, it is cut off.
    with contextlib.suppress(ConnectionError, HTTPException):
        assert desk.get("http://told.example/200kB", NAVIGATES).status == 200
    page = desk.get("http://told.example/small", NAVIGATES)
    assert page.status == 403 and "Your 100\u00a0kB are used." in page.text
    assert desk.request("POST", "http://told.example" + page.continue_form).status == 303
    assert desk.get("http://told.example/200kB", NAVIGATES).status == 200


def facts(town: ProxiedTown) -> WorkerFacts:
    return WorkerFacts.from_bytes((town.published.state.spool / "worker-1.facts").read_bytes())


def test_heavy_download_is_told_of_while_it_flows_and_ends_when_it_says_so(
    town: ProxiedTown, desk: ProxyClient
) -> None:
    before = town.metric("egress_bytes_total", direction="down", lane="tunnel")
    with desk.tunnel("free.example") as secured:

        def flows_until(holds: Callable[[], object]) -> None:
            until = time.monotonic() + 30
            while not holds():
                assert time.monotonic() < until
                assert (
                    exchange(secured, "GET", "/huge", "free.example", keep_body=False).body_bytes == 900_001
                )

        flows_until(lambda: any(one.host == "free.example" for one in facts(town).heavy))
        (heavy,) = [one for one in facts(town).heavy if one.host == "free.example"]
        assert (heavy.address, heavy.department, heavy.lane) == (desk.address, "parks", Lane.TUNNEL)
        assert heavy.bytes_down >= 900_000 and heavy.bytes_per_second >= 1_000_000
        assert facts(town).bytes_per_second > 0
        flows_until(lambda: town.metric("egress_heavy_visits") == 1)
        assert town.metric("egress_bytes_total", direction="down", lane="tunnel") > before + 900_000
        town.published.publish_policy(DOCUMENT, ended_visits=[heavy.code])
        with contextlib.suppress(ConnectionError):
            assert secured.recv(1) == b""
    ended, whole = sorted(town.visits(2), key=lambda visit: visit.cause is not Cause.ENDED)
    assert (ended.verdict, ended.refusal) == (Verdict.BLOCK, "ended by IT")
    assert (ended.category, ended.entry, ended.source) == ("education", "free.example", "test")
    assert (whole.code, whole.verdict, whole.refusal) == (heavy.code, Verdict.ALLOW, "closed: ended by IT")
    town.publish_policy(DOCUMENT)
    eventually(lambda: not facts(town).heavy, 30)
