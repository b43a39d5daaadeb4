"""All that goes out to people and to the help desk: how it stands, trying it, sending again."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from admin import outbox, roles
from admin.background import Background
from admin.clock import Clock
from admin.database import Database
from admin.letters.carrier import Carrier, CarrierError, NobodyError, PutOffError, RefusedError
from admin.letters.delivery import Delivery
from admin.letters.mail_carrier import MailCarrier
from admin.letters.webhook import WebhookCarrier
from admin.outbox import HELP_DESK, Channel, Depth, FailedLetter, Letter, LetterKind, PutLetter
from admin.sessions import Session
from admin.settings_file import SettingsFile
from policy.town_policy import Policy

_TEST_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Tested:
    """What came of a test of a channel, as it was set then. `problem` is None when it went well."""

    at: datetime
    to: str
    problem: str | None
    target: object


class Proof(Enum):
    """What is known of whether a channel works, as it is set now."""

    NOT_SET = "not_set"
    FAILED = "failed"
    WORKED = "worked"
    UNTRIED = "untried"
    """Nothing was ever sent."""
    CHANGED = "changed"
    """What was sent went by what was set before."""


class Correspondence:
    """The two channels of the outbox, by the settings and the policy in force."""

    def __init__(
        self,
        db: Database,
        settings: SettingsFile,
        policy: Callable[[], Policy],
        admin_url: str,
        clock: Clock,
        *,
        reset_key: bytes,
    ) -> None:
        self._db = db
        self._settings = settings
        self._policy = policy
        self._clock = clock
        self._carriers: dict[Channel, Carrier] = {
            Channel.MAIL: MailCarrier(
                db, lambda: settings.settings.mail, policy, admin_url, clock, reset_key=reset_key
            ),
            Channel.WEBHOOK: WebhookCarrier(db, lambda: settings.settings.webhook, policy, admin_url, clock),
        }
        self._deliveries = {
            channel: Delivery(channel, carrier, db, clock) for channel, carrier in self._carriers.items()
        }
        self._tested: dict[Channel, Tested] = {}

    def start(self, background: Background) -> None:
        """Send, a task a channel, so that neither waits for the other."""
        for channel, delivery in self._deliveries.items():
            background.keep_running(channel.value, delivery.run)

    def reaches(self, person: str | None) -> bool:
        """Whether the person gets mail: there is a server, and they are known and have an address."""
        record = self._policy().people.get(person or "")
        return self.is_set(Channel.MAIL) and record is not None and bool(record.mail)

    def is_set(self, channel: Channel) -> bool:
        """Whether settings.yaml names a server for a channel."""
        settings = self._settings.settings
        return (settings.mail if channel is Channel.MAIL else settings.webhook) is not None

    def problem(self, channel: Channel) -> str | None:
        """Return why a channel takes nothing, None while it does or is not set."""
        delivery = self._deliveries[channel]
        delivery.notice_change(self._clock())
        return delivery.problem

    def tested(self, channel: Channel) -> Tested | None:
        """Return what came of the last test since the start, None when the channel has changed since."""
        last = self._tested.get(channel)
        return last if last is not None and last.target == self._carriers[channel].target else None

    async def proof(self, channel: Channel) -> Proof:
        """Say whether a channel works; an old answer is none for another server."""
        if not self.is_set(channel):
            return Proof.NOT_SET
        tested, sent_at = self.tested(channel), (await self.depth(channel)).last_sent_at
        if self.problem(channel) is not None or (tested is not None and tested.problem is not None):
            return Proof.FAILED
        changed_at = self._deliveries[channel].changed_at
        if tested is not None or (sent_at is not None and (changed_at is None or sent_at >= changed_at)):
            return Proof.WORKED
        return Proof.UNTRIED if changed_at is None else Proof.CHANGED

    async def depth(self, channel: Channel) -> Depth:
        """As outbox.depth, now."""
        return await outbox.depth(self._db, channel, self._clock())

    async def troubles(self) -> tuple[str, ...]:
        """Say what is not well, in sentences; empty when all is."""
        found = list(self._settings.problems)
        for channel, name in ((Channel.MAIL, "Mail"), (Channel.WEBHOOK, "The webhook")):
            depth, problem = await self.depth(channel), self.problem(channel)
            if problem is not None:
                found.append(f"{name}: {problem}. {waiting(depth, channel)}")
            if depth.failed:
                found.append(f"{name}: {depth.failed} not delivered in 7 days. Settings says which.")
        return tuple(found)

    async def failed(self, session: Session) -> list[FailedLetter]:
        """Return what was not delivered, newest first. Raises NotAllowedError but for IT security."""
        self._check(session)
        return await outbox.failed(self._db, self._clock())

    async def send_again(self, session: Session, id_: int) -> None:
        """Let a letter that failed wait for its turn again. Raises NotAllowedError as failed does."""
        self._check(session)
        async with self._db.transaction() as t:
            await outbox.put_again(t, id_, self._clock())

    async def test(self, session: Session, channel: Channel) -> None:
        """Send a test the way that letters go: mail to whoever asks, or to the webhook; see `tested`.

        Raises NotAllowedError but for IT security.
        """
        person = self._check(session)
        at = self._clock()
        to = person if channel is Channel.MAIL else HELP_DESK
        letter = PutLetter(0, channel, Letter(LetterKind.TEST, to, "TEST"), secrets.token_hex(16), at, 0)
        problem, target = None, self._carriers[channel].target
        try:
            async with asyncio.timeout(_TEST_SECONDS):
                await self._carriers[channel].carry(letter)
        except TimeoutError:
            problem = f"no answer in {_TEST_SECONDS} s"
        except (CarrierError, PutOffError, RefusedError, NobodyError) as error:
            problem = str(error)
        else:
            self._deliveries[channel].recover()
        self._tested[channel] = Tested(at, self._place(channel, person), problem, target)

    def _place(self, channel: Channel, person: str) -> str:
        webhook = self._settings.settings.webhook
        if channel is Channel.WEBHOOK:
            return webhook.host if webhook else ""
        return self._policy().people[person].mail

    def _check(self, session: Session) -> str:
        otherwise = "Settings: only IT security sees and tries them."
        return roles.person_with(roles.runs_towngate, self._policy(), session, otherwise)


def waiting(depth: Depth, channel: Channel) -> str:
    """Say how many wait: "12 mails wait; none are lost." """
    one, many = ("mail", "mails") if channel is Channel.MAIL else ("ticket", "tickets")
    if depth.waiting == 0:
        return f"No {one} waits."
    if depth.waiting == 1:
        return f"1 {one} waits; it is not lost."
    return f"{depth.waiting:,} {many} wait; none are lost."
