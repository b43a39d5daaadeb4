"""Tickets against a real receiver on loopback, which checks signatures with the library of the standard."""

import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from admin import access_requests, outbox
from admin.asking import AccessRequest
from admin.database import Database
from admin.letters.delivery import Delivery
from admin.letters.webhook import WebhookCarrier
from admin.outbox import Channel
from admin.settings import Network, WebhookSettings
from policy.town_policy import AfterApproval
from tests.admin.small_town import HEAD, IT, TOWN, listed, submitted
from tests.webhook_receiver import SECRET, Receiver, receiving


@dataclass
class Clock:
    # Receivers compare the time in the signature with their own.
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.at


class Posting:
    """A delivery of tickets to a receiver, with a clock to move."""

    def __init__(self, db: Database, receiver: Receiver) -> None:
        self.db = db
        self.receiver = receiver
        self.clock = Clock()
        self.settings: WebhookSettings | None = WebhookSettings(
            f"http://127.0.0.1:{receiver.port}/hook", Network.INTERNAL, SECRET
        )
        self.delivery = self.made()

    def made(self, silence: timedelta = timedelta(seconds=30)) -> Delivery:
        """Return another one, which waits so long for an answer."""
        carrier = WebhookCarrier(
            self.db,
            lambda: self.settings,
            lambda: TOWN,
            "https://gate.town.example",
            self.clock,
            silence=silence,
        )
        return Delivery(Channel.WEBHOOK, carrier, self.db, self.clock)

    async def approved(self, after: AfterApproval = AfterApproval.OPEN) -> AccessRequest:
        town = replace(TOWN, after_approval=after)
        request = await submitted(self.db, at=self.clock.at)
        return await access_requests.approve(self.db, town, listed, request.id, actor=HEAD, at=self.clock.at)

    async def waiting(self) -> int:
        return (await outbox.depth(self.db, Channel.WEBHOOK, self.clock.at)).waiting


@pytest.fixture
async def posting(db: Database) -> AsyncIterator[Posting]:
    with receiving() as receiver:
        yield Posting(db, receiver)


async def test_a_ticket_is_posted_signed_and_once(posting: Posting) -> None:
    request = await posting.approved()
    await posting.delivery.send_due()
    await posting.delivery.send_due()
    ((headers, body),) = posting.receiver.posted
    told = Webhook(SECRET).verify(body, headers)
    assert told["type"] == "access.allowed"
    assert request.expires_at is not None
    assert told["data"] == {
        "request": "REQ-1",
        "url": "https://gate.town.example/requests/1",
        "host": "cardroom.example",
        "path": None,
        "hosts": [],
        "for": "person",
        "person": "Clerk",
        "department": "Finance",
        "category": "gambling",
        "reason": "I need their charity report for the grant file.",
        "until": request.expires_at.isoformat(),
        "decided_by": "Head of Finance",
        "note": None,
        "code": "K7M-4QP",
    }


async def test_a_stop_follows_on_the_same_request(posting: Posting) -> None:
    request = await posting.approved()
    await access_requests.stop(
        posting.db, TOWN, request.id, actor=IT, at=posting.clock.at, reason="Known for malware."
    )
    await posting.delivery.send_due()
    assert posting.receiver.types() == ["access.allowed", "access.stopped"]
    assert json.loads(posting.receiver.posted[1][1])["data"]["note"] == "Known for malware."


async def test_where_the_policy_waits_the_ticket_says_that_it_is_to_be_opened(posting: Posting) -> None:
    request = await posting.approved(AfterApproval.WAIT_FOR_IT)
    await posting.delivery.send_due()
    await access_requests.open_access(posting.db, TOWN, listed, request.id, actor=IT, at=posting.clock.at)
    await posting.delivery.send_due()
    assert posting.receiver.types() == ["access.to_open", "access.allowed"]


@pytest.mark.parametrize("status", [302, 401, 429, 500, 503])
async def test_another_try_has_the_same_id_and_body_and_its_own_signature(
    posting: Posting, status: int
) -> None:
    posting.receiver.statuses.append(status)
    await posting.approved()
    await posting.delivery.send_due()
    assert await posting.waiting() == 1
    posting.clock.at += timedelta(minutes=1)
    await posting.delivery.send_due()
    (first, body), (again, same_body) = posting.receiver.posted
    assert (first["webhook-id"], body) == (again["webhook-id"], same_body)
    assert first["webhook-signature"] != again["webhook-signature"]
    assert await posting.waiting() == 0


async def test_a_receiver_that_is_gone_gets_it_never_again(posting: Posting) -> None:
    posting.receiver.statuses.append(410)
    await posting.approved()
    await posting.delivery.send_due()
    depth = await outbox.depth(posting.db, Channel.WEBHOOK, posting.clock.at)
    assert (depth.waiting, depth.failed) == (0, 1)


async def test_without_a_webhook_its_tickets_are_nobodys(posting: Posting) -> None:
    posting.settings = None
    await posting.approved()
    await posting.delivery.send_due()
    assert (await posting.waiting(), posting.receiver.posted) == (0, [])


async def test_a_webhook_may_not_lead_to_a_private_address_unless_it_is_said_to(
    posting: Posting, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, *a, **k: real("127.0.0.1", port, *a, **k))
    url = f"http://desk.town.example:{posting.receiver.port}/hook"
    posting.settings = WebhookSettings(url, Network.PUBLIC, SECRET)
    await posting.approved()
    await posting.delivery.send_due()
    assert posting.receiver.posted == []
    assert posting.delivery.problem is not None
    assert "127.0.0.1 is not a public address; not connected to" in posting.delivery.problem
    posting.settings = WebhookSettings(url, Network.INTERNAL, SECRET)
    posting.delivery.recover()
    await posting.delivery.send_due()
    assert posting.receiver.types() == ["access.allowed"]


async def test_a_receiver_that_hangs_keeps_tickets_waiting(posting: Posting) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        posting.settings = WebhookSettings(f"http://127.0.0.1:{port}/", Network.INTERNAL, SECRET)
        await posting.approved()
        delivery = posting.made(silence=timedelta(seconds=0.5))
        await delivery.send_due()
    assert delivery.problem is not None
    assert "timed out" in delivery.problem
    assert await posting.waiting() == 1
