"""Who a client is taken for: device, network, or a person's sign-in at the proxy (407)."""

import asyncio
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from argon2 import PasswordHasher
from mitmproxy.http import Headers

from categories.taxonomy import taxonomy
from policy.decision import Cause, Verdict
from policy.document import load_document
from policy.own_devices import DeviceEntry, with_own_devices
from proxy_addons.client_identity import ClientIdentity, SignInRequiredError
from proxy_addons.judge import Judge
from proxy_addons.snapshot_watch import SnapshotWatch
from tests.odd_origin import OddOrigin
from tests.proxied_town import CLERKS_DESK, NOWHERE, PARKS_DESK, PARKS_NETWORK, TOWN, ProxiedTown, exemption
from tests.proxy_client import RefusedConnectError, basic, exchange
from tests.published_town import PublishedTown

HEADS_PASSWORD = "seven lamps"
CLERKS_PASSWORD = "nine doors"
SIGN_IN_TOWN = TOWN.replace("unknown: {action: block}", "unknown: {action: sign_in}")
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
# A second of a processor of its own, or so.
SLOW = PasswordHasher(time_cost=20, memory_cost=65536, parallelism=1)


PASSWORDS = {"head": QUICK.hash(HEADS_PASSWORD), "clerk": QUICK.hash(CLERKS_PASSWORD)}


@pytest.fixture
def sign_in_town(town: ProxiedTown) -> ProxiedTown:
    """Return the town where unknown clients are asked to sign in, and two people can."""
    town.publish_policy(SIGN_IN_TOWN, proxy_passwords=PASSWORDS)
    return town


@pytest.mark.parametrize(
    ("address", "person", "device", "department"),
    [
        (CLERKS_DESK, "clerk", "FIN-PC-15", "finance"),
        (PARKS_DESK, "parks-head", "PRK-PC-02", "parks"),
        (PARKS_NETWORK, None, None, "parks"),
    ],
)
def test_device_or_else_network_says_who_it_is(
    address: str, person: str | None, device: str | None, department: str, town: ProxiedTown
) -> None:
    assert town.client.at(address).get("https://library.example/").status == 200

    visit = town.visit()
    assert (visit.address, visit.person, visit.device, visit.department) == (
        address,
        person,
        device,
        department,
    )


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_unknown_client_is_blocked_with_a_page(scheme: str, town: ProxiedTown) -> None:
    connections = town.web.connections

    answer = town.client.at(NOWHERE).get(f"{scheme}://library.example/")

    assert answer.status == 403
    assert town.web.connections == connections
    visit = town.visit()
    assert (visit.verdict, visit.cause, visit.person) == (Verdict.BLOCK, Cause.UNKNOWN_CLIENT, None)


@pytest.mark.parametrize("sign_in", [None, ("head", "wrong"), ("nobody", HEADS_PASSWORD), ("head", "")])
def test_unknown_client_without_the_right_password_is_asked_for_it(
    sign_in: tuple[str, str] | None, sign_in_town: ProxiedTown
) -> None:
    client = sign_in_town.client.at(NOWHERE)
    client = client.signed_in(*sign_in) if sign_in else client

    plain = client.get("http://library.example/")
    with pytest.raises(RefusedConnectError) as refused:
        client.get("https://library.example/")

    for answer in (plain, refused.value.answer):
        assert answer.status == 407
        assert (
            answer.headers["Proxy-Authenticate"]
            == 'Basic realm="Town of Exampleton web access", charset="UTF-8"'
        )


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_right_password_says_who_the_person_is_whatever_the_device(
    scheme: str, sign_in_town: ProxiedTown
) -> None:
    client = sign_in_town.client.signed_in("head", HEADS_PASSWORD)

    assert client.get(f"{scheme}://library.example/").status == 200

    visit = sign_in_town.visit()
    assert (visit.person, visit.device, visit.department) == ("head", "FIN-PC-15", "finance")


@pytest.mark.parametrize(
    "authorization", ["Basic", "Basic %%%", "Bearer abc", "Basic aGVhZA==", "Basic /w=="]
)
def test_authorization_that_cannot_be_read_is_asked_again(
    authorization: str, sign_in_town: ProxiedTown
) -> None:
    answer = sign_in_town.client.get("http://library.example/", {"Proxy-Authorization": authorization})

    assert answer.status == 407


def test_connection_that_was_asked_to_sign_in_goes_on_with_the_password(sign_in_town: ProxiedTown) -> None:
    client = sign_in_town.client.at(NOWHERE)
    target = "library.example:443"
    with client.dial() as connection:
        assert exchange(connection, "CONNECT", target, target).status == 407

        credentials = {"Proxy-Authorization": basic("head", HEADS_PASSWORD)}
        assert exchange(connection, "CONNECT", target, target, fields=credentials).status == 200

        with client.tls.wrap_socket(connection, server_hostname="library.example") as secured:
            assert exchange(secured, "GET", "/", "library.example").status == 200
    assert sign_in_town.visit().person == "head"


def test_password_is_not_passed_on_to_the_origin_server(
    sign_in_town: ProxiedTown, odd_origin: OddOrigin
) -> None:
    client = sign_in_town.client.signed_in("head", HEADS_PASSWORD)

    assert client.get("http://odd.example/", {"Proxy-Connection": "keep-alive"}).status == 200

    assert b"proxy-" not in odd_origin.heads[-1].lower()
    assert b"Host: odd.example" in odd_origin.heads[-1]


def test_changed_password_counts_at_once_and_the_old_one_no_more(sign_in_town: ProxiedTown) -> None:
    client = sign_in_town.client.at(NOWHERE)
    assert client.signed_in("head", HEADS_PASSWORD).get("http://library.example/").status == 200

    sign_in_town.publish_policy(SIGN_IN_TOWN, proxy_passwords={"head": QUICK.hash("eight lamps")})

    assert client.signed_in("head", HEADS_PASSWORD).get("http://library.example/").status == 407
    assert client.signed_in("head", "eight lamps").get("http://library.example/").status == 200


def test_person_who_left_the_policy_cannot_sign_in(sign_in_town: ProxiedTown) -> None:
    without_helpdesk = SIGN_IN_TOWN.replace(
        "  helpdesk:      {name: Help desk, mail: helpdesk@town.example}\n", ""
    )
    without_helpdesk = without_helpdesk.replace("  help_desk: [helpdesk]\n", "")
    sign_in_town.publish_policy(without_helpdesk, proxy_passwords={"helpdesk": QUICK.hash("x")})

    answer = sign_in_town.client.at(NOWHERE).signed_in("helpdesk", "x").get("http://library.example/")

    assert answer.status == 407


def test_nobody_waits_for_the_check_of_somebody_elses_password(town: ProxiedTown) -> None:
    town.publish_policy(SIGN_IN_TOWN, proxy_passwords={"head": SLOW.hash(HEADS_PASSWORD)})
    client = town.client.signed_in("head", HEADS_PASSWORD)
    took: list[float] = []

    def sign_in() -> None:
        began = time.monotonic()
        assert client.get("http://library.example/").status == 200
        took.append(time.monotonic() - began)

    signing_in = threading.Thread(target=sign_in)
    signing_in.start()
    time.sleep(0.1)
    assert town.client.get("http://library.example/").status == 200
    assert signing_in.is_alive(), "it is still being checked"
    signing_in.join()
    sign_in()

    first, remembered = took
    assert remembered < first / 2


class WatchedHasher(PasswordHasher):
    """argon2id, counted; and held up for those passwords that `hold` says."""

    def __init__(self, hold: str = "") -> None:
        super().__init__()
        self.checks = 0
        self.released = threading.Event()
        self._hold = hold

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - its own
        self.checks += 1
        if password == self._hold:
            assert self.released.wait(60)
        return super().verify(hash, password)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """Return a judge of the sign-in town, in which the head's and the clerk's passwords are known."""
    published = PublishedTown(tmp_path_factory.mktemp("sign-in"))
    published.publish_policy(SIGN_IN_TOWN, proxy_passwords=PASSWORDS)
    return SnapshotWatch(published.state.root).judge


async def test_device_of_ones_own_is_known_until_it_ends_and_nobodys_after(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    now = datetime.now(UTC)
    entries = [
        DeviceEntry("192.0.2.70", "TABLET", "clerk", now + timedelta(hours=1)),
        DeviceEntry("192.0.2.71", "OLD-TABLET", "clerk", now),
    ]
    published = PublishedTown(tmp_path_factory.mktemp("own-devices"))
    published.publish_policy(with_own_devices(load_document(TOWN, taxonomy()).policy, entries))
    judge = SnapshotWatch(published.state.root).judge
    identity = ClientIdentity(QUICK)

    lasting = await identity.identify("192.0.2.70", Headers(), lambda: judge)
    ended = await identity.identify("192.0.2.71", Headers(), lambda: judge)

    assert (lasting.person, lasting.device) == ("clerk", "TABLET")
    assert not ended.is_known
    for client, at in ((lasting, "192.0.2.71"), (ended, "192.0.2.70")):
        moved = judge.judge_host(replace(client, address=at), "https", "library.example", 443)
        assert judge.judge_again(moved).visit.client.is_known is not client.is_known, "open visits, too"


async def test_password_sent_on_many_connections_at_once_is_checked_once(judge: Judge) -> None:
    hasher = WatchedHasher()
    identity = ClientIdentity(hasher)

    who = await asyncio.gather(
        *(
            identity.identify(NOWHERE, proxy_authorization("head", HEADS_PASSWORD), lambda: judge)
            for _ in range(20)
        )
    )
    await identity.identify(NOWHERE, proxy_authorization("head", HEADS_PASSWORD), lambda: judge)

    assert {client.person for client in who} == {"head"}
    assert hasher.checks == 1


async def test_wrong_password_sent_again_and_again_is_checked_once(judge: Judge) -> None:
    hasher = WatchedHasher()
    identity = ClientIdentity(hasher)

    for _ in range(5):
        with pytest.raises(SignInRequiredError):
            await identity.identify(NOWHERE, proxy_authorization("head", "wrong"), lambda: judge)

    assert hasher.checks == 1


async def test_after_ten_wrong_passwords_from_an_address_only_what_is_known_is_let_in(judge: Judge) -> None:
    hasher = WatchedHasher()
    identity = ClientIdentity(hasher)
    right = proxy_authorization("head", HEADS_PASSWORD)
    await identity.identify(NOWHERE, right.copy(), lambda: judge)
    for number in range(12):
        with pytest.raises(SignInRequiredError):
            person = "head" if number % 2 else "nobody-of-this-name"
            await identity.identify(NOWHERE, proxy_authorization(person, f"wrong {number}"), lambda: judge)

    assert hasher.checks == 11
    with pytest.raises(SignInRequiredError):
        await identity.identify(NOWHERE, proxy_authorization("clerk", CLERKS_PASSWORD), lambda: judge)
    assert (await identity.identify(NOWHERE, right.copy(), lambda: judge)).person == "head"
    elsewhere = await identity.identify(
        PARKS_NETWORK, proxy_authorization("clerk", CLERKS_PASSWORD), lambda: judge
    )
    assert elsewhere.person == "clerk"


async def test_wrong_passwords_are_logged_with_their_address_alone_once_a_minute(
    judge: Judge, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = ClientIdentity(WatchedHasher())

    async def guess(address: str, number: int) -> None:
        with pytest.raises(SignInRequiredError):
            await identity.identify(address, proxy_authorization("head", f"guess{number}"), lambda: judge)

    for number in range(12):
        await guess(NOWHERE, number)
    await guess(PARKS_NETWORK, 20)
    monkeypatch.setattr("proxy_addons.client_identity._SAY_WRONG_EVERY_SECONDS", 0.0)
    await guess(NOWHERE, 12)
    assert caplog.messages == [
        f"proxy password wrong: address={NOWHERE} in_a_minute=1",
        f"proxy password wrong: address={PARKS_NETWORK} in_a_minute=1",
        f"proxy password wrong: address={NOWHERE} in_a_minute=10",
    ]


async def test_known_password_does_not_wait_behind_the_checks_of_others(judge: Judge) -> None:
    hasher = WatchedHasher(hold="a guess")
    identity = ClientIdentity(hasher)
    await identity.identify(NOWHERE, proxy_authorization("head", HEADS_PASSWORD), lambda: judge)
    guesses = [
        asyncio.create_task(identity.identify(NOWHERE, proxy_authorization(person, "a guess"), lambda: judge))
        for person in ("head", "clerk")
    ]
    while hasher.checks < 3:
        await asyncio.sleep(0.01)

    client = await identity.identify(NOWHERE, proxy_authorization("head", HEADS_PASSWORD), lambda: judge)

    assert client.person == "head"
    assert not any(guess.done() for guess in guesses)
    hasher.released.set()
    assert all(
        isinstance(e, SignInRequiredError) for e in await asyncio.gather(*guesses, return_exceptions=True)
    )


def proxy_authorization(person: str, password: str) -> Headers:
    return Headers(Proxy_Authorization=basic(person, password))


def test_exemption_of_a_person_follows_the_sign_in(town: ProxiedTown) -> None:
    town.publish_policy(
        SIGN_IN_TOWN, [exemption("cardroom.example", person="head")], {"head": QUICK.hash(HEADS_PASSWORD)}
    )

    assert town.client.signed_in("head", HEADS_PASSWORD).get("https://cardroom.example/").status == 200
    assert town.client.get("https://cardroom.example/").status == 403
