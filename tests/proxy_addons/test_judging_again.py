"""Visits while policy changes: what was refused opens, what is open is closed, within a second."""

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from policy.decision import Cause, Lane, Verdict
from policy.schedule import Schedule
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

LONG = 1 << 40
"""Bytes: a download that does not end by itself."""
AT_ONCE_SECONDS = 1.0
# What the machine itself may take on top, with everything else that it does.
SLACK_SECONDS = 2.0


class LongVisit:
    """A download that goes on in a thread until somebody ends it."""

    def __init__(self, town: ProxiedTown, scheme: str, host: str, address: str = CLERKS_DESK) -> None:
        client = town.client.at(address)
        target = f"/big?bytes={LONG}"
        if scheme == "https":
            self._connection = client.tunnel(host)
        else:
            self._connection = client.dial()
            target = f"http://{host}{target}"
        self._connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        self.received_bytes = 0
        self.ended_at: float | None = None
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()
        eventually(lambda: self.received_bytes > 1 << 20)

    def _receive(self) -> None:
        with self._connection:
            try:
                while chunk := self._connection.recv(1 << 16):
                    self.received_bytes += len(chunk)
                    time.sleep(0.002)  # Slow enough to leave the machine to others.
            except OSError:
                pass
        self.ended_at = time.monotonic()

    @property
    def is_open(self) -> bool:
        return self.ended_at is None

    def seconds_until_closed(self, since: float) -> float:
        eventually(lambda: self.ended_at is not None)
        assert self.ended_at is not None
        return self.ended_at - since

    def close(self) -> None:
        self._connection.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_exemption_opens_the_site_within_a_second_and_for_no_one_else(scheme: str, town: ProxiedTown) -> None:
    url = f"{scheme}://cardroom.example/"
    assert town.client.get(url).status == 403

    published_at = time.monotonic()
    town.publish_policy(TOWN, [exemption("cardroom.example", person="clerk")], wait=False)
    eventually(lambda: town.client.get(url).status == 200)

    assert time.monotonic() - published_at < AT_ONCE_SECONDS + SLACK_SECONDS
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
    lasting = exemption("cardroom.example", lasts=timedelta(seconds=4), person="clerk")
    town.publish_policy(TOWN, [lasting])
    visit = LongVisit(town, scheme, "cardroom.example")
    left = (lasting.expires_at - datetime.now(UTC)).total_seconds()
    expires_at = time.monotonic() + left

    waited = visit.seconds_until_closed(since=expires_at)

    assert 0 <= waited < AT_ONCE_SECONDS + SLACK_SECONDS
    assert town.client.get(f"{scheme}://cardroom.example/").status == 403
    closed, refused = town.visits(2)
    assert (closed.verdict, closed.cause) == (Verdict.ALLOW, Cause.EXEMPTION)
    assert closed.refusal == "closed: no longer allowed (not-town-business)"
    assert closed.bytes_down >= visit.received_bytes
    assert refused.verdict is Verdict.BLOCK


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_open_visit_is_closed_when_a_new_policy_blocks_it(scheme: str, town: ProxiedTown) -> None:
    visit = LongVisit(town, scheme, "library.example")
    other = LongVisit(town, scheme, "library.example", address=PARKS_DESK)
    rule = "rules:\n  - {id: no-reading, departments: [finance], action: block}\n"

    published_at = time.monotonic()
    town.publish_policy(TOWN.replace("rules:\n", rule))

    assert visit.seconds_until_closed(since=published_at) < AT_ONCE_SECONDS + SLACK_SECONDS
    assert other.is_open
    assert town.visit().refusal == "closed: no longer allowed (no-reading)"
    other.close()
    town.visits(2)


def test_open_tunnel_is_closed_when_its_site_becomes_listed(town: ProxiedTown) -> None:
    visit = LongVisit(town, "https", "news.example")

    published_at = time.monotonic()
    town.publish_categories({**CATEGORIES, "gambling": ["news.example"]})

    assert visit.seconds_until_closed(since=published_at) < AT_ONCE_SECONDS + SLACK_SECONDS
    assert town.client.get("https://news.example/").status == 403


def test_open_tunnel_is_closed_at_the_edge_of_a_schedule(town: ProxiedTown) -> None:
    policy = policy_of(TOWN)
    edge = datetime.now(ZoneInfo(policy.town.timezone)) + timedelta(seconds=4)
    # A document writes minutes; a snapshot could carry any time of the day.
    lunch = Schedule(frozenset(range(7)), (edge - timedelta(hours=2)).time(), edge.time())
    town.publish_policy(replace(policy, schedules={"lunch": lunch}))
    visit = LongVisit(town, "https", "shop.example")
    edge_at = time.monotonic() + (edge - datetime.now(UTC)).total_seconds()

    assert 0 <= visit.seconds_until_closed(since=edge_at) < AT_ONCE_SECONDS + SLACK_SECONDS
    assert town.client.get("https://shop.example/").status == 403


def test_tunnel_that_was_allowed_while_it_was_dialled_is_closed_all_the_same(town: ProxiedTown) -> None:
    with town.client.connect("silent.example") as connection:
        connection.sendall(client_hello("silent.example"))
        eventually(lambda: town.metric("egress_open_visits", lane="tunnel") == 1)
        published_at = time.monotonic()
        town.publish_categories({**CATEGORIES, "gambling": ["silent.example"]})

        assert read_to_end(connection) == b""

    assert time.monotonic() - published_at < AT_ONCE_SECONDS + SLACK_SECONDS
    assert town.visit().refusal == "closed: no longer allowed (not-town-business)"
