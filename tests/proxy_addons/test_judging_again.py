"""Visits while policy changes: what was refused opens, what is open is closed, within a second."""

import socket
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from admin.measures import InForce
from policy.correction import Correction
from policy.decision import Cause, Lane, Verdict
from policy.schedule import Schedule
from policy.state import DeviceOff, FilterOff, Lockdown
from tests.at_once import assert_at_once
from tests.client_hellos import client_hello
from tests.proxied_town import (
    CLERKS_DESK,
    PARKS_DESK,
    PARKS_NETWORK,
    TOWN,
    ProxiedTown,
    eventually,
    exemption,
)
from tests.proxy_client import exchange, read_to_end
from tests.published_town import CATEGORIES, policy_of

HOST = "drip.example"
GAMBLING = {**CATEGORIES, "gambling": [*CATEGORIES["gambling"], HOST]}


class LongVisit:
    """A download that goes on, a little at a time, until somebody ends it."""

    def __init__(self, town: ProxiedTown, scheme: str, address: str = CLERKS_DESK) -> None:
        client = town.client.at(address)
        if scheme == "https":
            self._connection = client.connect(HOST)
            self._connection.sendall(client_hello(HOST))
        else:
            self._connection = client.dial()
            self._connection.sendall(f"GET http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        self.received_bytes = 0
        self.ended_at: float | None = None
        threading.Thread(target=self._receive, daemon=True).start()
        eventually(lambda: self.received_bytes > 1000)

    def _receive(self) -> None:
        with suppress(OSError), self._connection:
            while chunk := self._connection.recv(1 << 16):
                self.received_bytes += len(chunk)
        self.ended_at = time.monotonic()

    @property
    def is_open(self) -> bool:
        return self.ended_at is None

    def seconds_until_closed(self, since: float) -> float:
        eventually(lambda: self.ended_at is not None)
        assert self.ended_at is not None
        return self.ended_at - since

    def close(self) -> None:
        # Closed under a thread that waits on it, it would live on.
        self._connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_exemption_opens_the_site_within_a_second_and_for_no_one_else(scheme: str, town: ProxiedTown) -> None:
    url = f"{scheme}://cardroom.example/"

    def seconds_until_open() -> float:
        town.publish_policy()
        assert town.client.get(url).status == 403
        published_at = time.monotonic()
        town.publish_policy(TOWN, [exemption("cardroom.example", person="clerk")], wait=False)
        eventually(lambda: town.client.get(url).status == 200)
        return time.monotonic() - published_at

    assert_at_once(seconds_until_open)
    assert town.client.at(PARKS_DESK).get(url).status == 403
    assert town.client.at(PARKS_NETWORK).get(url).status == 403


def test_exemption_of_a_department_opens_the_site_for_everyone_in_it(town: ProxiedTown) -> None:
    town.publish_policy(TOWN, [exemption("cardroom.example", department="parks")])

    assert town.client.at(PARKS_DESK).get("https://cardroom.example/").status == 200
    assert town.client.at(PARKS_NETWORK).get("https://cardroom.example/").status == 200
    assert town.client.get("https://cardroom.example/").status == 403
    opened = [visit for visit in town.visits(3) if visit.verdict is Verdict.ALLOW]
    assert {visit.exemption for visit in opened} == {"exemption-of-cardroom.example"}


def test_reload_of_a_decrypted_page_becomes_a_tunnel_once_the_site_is_allowed(town: ProxiedTown) -> None:
    # A browser that opened the connection in advance: TLS is there, the request comes later.
    with town.client.tunnel("cardroom.example") as secured:
        town.publish_policy(TOWN, [exemption("cardroom.example", person="clerk")])
        answer = exchange(secured, "GET", "/table?seat=5", "cardroom.example")

    assert answer.status == 307
    assert answer.headers["Location"] == "https://cardroom.example/table?seat=5"
    assert town.client.get(answer.headers["Location"]).status == 200
    assert town.visit().lane is Lane.TUNNEL


def test_kept_plain_connection_is_judged_at_every_request(town: ProxiedTown) -> None:
    with town.client.dial() as connection:

        def get(host: str) -> int:
            return exchange(connection, "GET", f"http://{host}/", host).status

        assert [get("library.example"), get("news.example"), get("library.example")] == [200, 200, 200]
        connections = town.web.connections
        assert get("cardroom.example") == 403
        assert town.web.connections == connections


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_open_visit_is_closed_when_its_exemption_expires(scheme: str, town: ProxiedTown) -> None:
    def seconds_until_closed() -> float:
        town.begin()
        town.publish_categories(GAMBLING)
        town.publish_policy(TOWN, [exemption(HOST, person="clerk")])
        visit = LongVisit(town, scheme)
        # Now that it goes on, however long that took.
        ending = exemption(HOST, lasts=timedelta(seconds=2), person="clerk")
        town.publish_policy(TOWN, [ending])
        waited = visit.seconds_until_closed(since=monotonic_at(ending.expires_at))
        assert waited >= 0
        record = town.visit()
        assert (record.verdict, record.cause) == (Verdict.ALLOW, Cause.EXEMPTION)
        assert record.refusal == "closed: no longer allowed (not-town-business)"
        assert record.bytes_down >= visit.received_bytes
        return waited

    assert_at_once(seconds_until_closed)
    assert town.client.get(f"{scheme}://{HOST}/").status == 403


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_open_visit_is_closed_when_a_new_policy_blocks_it(scheme: str, town: ProxiedTown) -> None:
    rule = "rules:\n  - {id: no-reading, departments: [finance], action: block}\n"

    def seconds_until_closed() -> float:
        town.publish_policy()
        town.begin()
        visit = LongVisit(town, scheme)
        other = LongVisit(town, scheme, address=PARKS_DESK)
        published_at = time.monotonic()
        town.publish_policy(TOWN.replace("rules:\n", rule), wait=False)
        waited = visit.seconds_until_closed(since=published_at)
        assert town.visit().refusal == "closed: no longer allowed (no-reading)"
        assert other.is_open
        other.close()
        return waited

    assert_at_once(seconds_until_closed)


def test_open_tunnel_is_closed_when_its_site_becomes_listed(town: ProxiedTown) -> None:
    def seconds_until_closed() -> float:
        town.publish_categories(CATEGORIES)
        visit = LongVisit(town, "https")
        town.publish_categories(GAMBLING, wait=False)
        return visit.seconds_until_closed(since=time.monotonic())

    assert_at_once(seconds_until_closed)
    assert town.client.get(f"https://{HOST}/").status == 403


def test_correction_opens_a_site_and_closes_the_tunnels_of_another_within_a_second(
    town: ProxiedTown,
) -> None:
    corrections = (Correction("cardroom.example", ("reference",)), Correction(HOST, ("gambling",)))

    def seconds_until_closed() -> float:
        town.publish_policy()
        assert town.client.get("https://cardroom.example/").status == 403
        visit = LongVisit(town, "https")
        corrected_at = time.monotonic()
        town.publish_policy(corrections=corrections, wait=False)
        return visit.seconds_until_closed(since=corrected_at)

    assert_at_once(seconds_until_closed)
    assert town.client.get(f"https://{HOST}/").status == 403
    assert town.client.get("https://cardroom.example/").status == 200


def test_exemption_does_not_count_once_its_site_is_a_security_risk(town: ProxiedTown) -> None:
    def seconds_until_closed() -> float:
        town.publish_categories(GAMBLING)
        lasting = exemption(HOST, person="clerk")
        town.publish_policy(TOWN, [lasting])
        visit = LongVisit(town, "https")
        corrected_at = time.monotonic()
        risk = Correction(HOST, ("phishing",))
        town.publish_policy(TOWN, [lasting], corrections=[risk], wait=False)
        return visit.seconds_until_closed(since=corrected_at)

    assert_at_once(seconds_until_closed)
    page = town.client.get(f"https://{HOST}/")
    assert page.status == 403 and b"Only IT can open it" in page.body


@pytest.mark.parametrize(
    ("scheme", "why", "records"),
    [
        ("http", f"no longer allowed (exemption-of-{HOST})", 1),
        # What stopped it has a record of its own.
        ("https", "over the limit large", 2),
    ],
)
def test_download_by_access_to_one_is_ended_when_that_is_stopped(
    scheme: str, why: str, records: int, town: ProxiedTown
) -> None:
    limit = f"{{id: large, larger_than: 2kB, hosts: [{HOST}], action: ask, approval: [department_head]}}"
    limited = TOWN.replace("default: {action", f"limits: [{limit}]\ndefault: {{action")

    def seconds_until_closed() -> float:
        town.begin()
        once = replace(exemption(HOST, person="clerk"), lifts_limits=True, is_once=True)
        town.publish_policy(limited, [once])
        visit = LongVisit(town, scheme)
        eventually(lambda: visit.received_bytes > 3000)
        stopped_at = time.monotonic()
        town.publish_policy(limited, wait=False)
        waited = visit.seconds_until_closed(since=stopped_at)
        (ended,) = (found for found in town.visits(records) if found.verdict is Verdict.ALLOW)
        assert (ended.exemption, ended.refusal) == (once.id, f"closed: {why}")
        return waited

    assert_at_once(seconds_until_closed)


def test_open_tunnel_is_closed_at_the_edge_of_a_schedule(town: ProxiedTown) -> None:
    town.publish_categories({**CATEGORIES, "shopping": [HOST]})
    policy = policy_of(TOWN)
    zone = ZoneInfo(policy.town.timezone)

    def publish_lunch_until(edge: datetime) -> None:
        # A document writes minutes; a snapshot could carry any time of the day.
        lunch = Schedule(frozenset(range(7)), (edge - timedelta(hours=2)).time(), edge.time())
        town.publish_policy(replace(policy, schedules={"lunch": lunch}))

    def seconds_until_closed() -> float:
        publish_lunch_until(datetime.now(zone) + timedelta(hours=1))
        visit = LongVisit(town, "https")
        edge = datetime.now(zone) + timedelta(seconds=2)
        publish_lunch_until(edge)
        waited = visit.seconds_until_closed(since=monotonic_at(edge))
        assert waited >= 0
        return waited

    assert_at_once(seconds_until_closed)
    assert town.client.get(f"https://{HOST}/").status == 403


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("what", ["lockdown", "device_off"])
def test_open_visit_is_closed_by_a_lockdown_and_when_its_device_is_taken_off(
    what: str, scheme: str, town: ProxiedTown
) -> None:
    now = datetime.now(UTC)
    measure = {
        "lockdown": InForce(lockdowns=(Lockdown("A worm.", now, "finance"),)),
        "device_off": InForce(devices_off=(DeviceOff(CLERKS_DESK, "A worm.", now),)),
    }[what]

    def seconds_until_closed() -> float:
        town.publish_policy()
        town.begin()
        visit = LongVisit(town, scheme)
        other = LongVisit(town, scheme, address=PARKS_DESK)
        published_at = time.monotonic()
        town.publish_policy(TOWN, emergency=measure, wait=False)
        waited = visit.seconds_until_closed(since=published_at)
        assert town.visit().refusal == f"closed: no longer allowed ({what})"
        assert other.is_open
        other.close()
        return waited

    assert_at_once(seconds_until_closed)
    eventually(lambda: town.metric("egress_emergency_measures", kind=what) == 1)
    answer = town.client.get(f"{scheme}://{HOST}/")
    assert answer.status == 403
    heading = {"lockdown": "The web is limited right now", "device_off": "This device is off the web"}[what]
    assert heading in answer.text and "A worm." in answer.text


def test_filter_that_is_off_opens_what_is_blocked_until_it_comes_on_by_itself(town: ProxiedTown) -> None:
    town.publish_categories(GAMBLING)

    def seconds_until_closed() -> float:
        town.begin()
        town.publish_categories(GAMBLING)
        now = datetime.now(UTC)
        off = FilterOff("The lists are bad.", now, now + timedelta(hours=1))
        town.publish_policy(TOWN, emergency=InForce(filter_off=off))
        eventually(lambda: town.metric("egress_emergency_measures", kind="filter_off") == 1)
        visit = LongVisit(town, "https")
        off = replace(off, until=datetime.now(UTC) + timedelta(seconds=2))
        town.publish_policy(TOWN, emergency=InForce(filter_off=off))
        waited = visit.seconds_until_closed(since=monotonic_at(off.until))
        assert waited >= 0
        record = town.visit()
        assert (record.verdict, record.cause) == (Verdict.ALLOW, Cause.FILTER_OFF)
        return waited

    assert_at_once(seconds_until_closed)
    assert town.client.get(f"https://{HOST}/").status == 403
    eventually(lambda: town.metric("egress_emergency_measures", kind="filter_off") == 0)


def test_tunnel_that_was_allowed_while_it_was_dialled_is_closed_all_the_same(town: ProxiedTown) -> None:
    def seconds_until_closed() -> float:
        town.publish_categories(CATEGORIES)
        town.begin()
        with town.client.connect("silent.example") as connection:
            connection.sendall(client_hello("silent.example"))
            town.publish_categories({**CATEGORIES, "gambling": ["silent.example"]}, wait=False)
            published_at = time.monotonic()
            assert read_to_end(connection) == b""
        assert town.visit().refusal == "closed: no longer allowed (not-town-business)"
        return time.monotonic() - published_at

    assert_at_once(seconds_until_closed)


def monotonic_at(moment: datetime) -> float:
    return time.monotonic() + (moment - datetime.now(UTC)).total_seconds()
