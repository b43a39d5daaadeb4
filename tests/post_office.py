"""A real SMTP server on loopback (aiosmtpd), which can be told to answer as servers do on bad days."""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as MAIL
from enum import Enum, auto

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.running_town import free_ports


class Day(Enum):
    """What becomes of one message."""

    GOOD = auto()
    NOT_NOW = auto()
    """451 after the last line."""
    NO_SUCH_MAILBOX = auto()
    """550 to the recipient."""
    NO_SUCH_SENDER = auto()
    """550 to the sender."""
    HANGS = auto()
    """The last line gets no answer; the message is not kept."""
    CUTS_INSIDE = auto()
    """The connection is cut in the middle of the message."""
    CUTS_AFTER = auto()
    """The connection is cut after the last line; the message is not kept."""
    TAKES_AND_CUTS = auto()
    """The connection is cut after the last line; the message is kept."""


class PostOffice:
    """Takes mail. `days` says what becomes of the next messages, good days after that."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, password: bytes | None = None) -> None:
        self.messages: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.days: deque[Day] = deque()
        self.connections = 0
        self.port = 0
        self._tls = tls
        self._password = password
        self._server: asyncio.Server | None = None
        self._open: list[asyncio.BaseTransport] = []

    async def open(self) -> None:
        """Listen: on a free port, the same one when it is opened again."""
        loop = asyncio.get_running_loop()
        # Not one of those that whoever connects is given: while it is closed it would be taken.
        self.port = self.port or free_ports(1)[0]
        self._server = await loop.create_server(self._accept, "127.0.0.1", self.port)

    async def close(self) -> None:
        """Listen no longer, and hang up."""
        if self._server is not None:
            self._server.close()
            for transport in self._open:
                transport.close()
            await self._server.wait_closed()
            self._server = None

    @property
    def subjects(self) -> list[str]:
        """The subjects of what has come, in order."""
        return [message["Subject"] for message in self.messages]

    def _accept(self) -> "_Clerk":
        return _Clerk(self, self._tls, self._password)

    def take(self, envelope: Envelope) -> None:
        """Keep a message."""
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content, policy=MAIL)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        self.recipients += envelope.rcpt_tos

    def opened(self, transport: asyncio.BaseTransport) -> None:
        """Know a connection."""
        self.connections += 1
        self._open.append(transport)

    def has_next(self, day: Day) -> bool:
        """Whether the next day is this one, which is then over."""
        if not self.days or self.days[0] is not day:
            return False
        self.days.popleft()
        return True


class _Clerk(SMTP):
    """One connection."""

    def __init__(self, office: PostOffice, tls: ssl.SSLContext | None, password: bytes | None) -> None:
        self._office = office
        super().__init__(
            _Rules(office),
            hostname="post.office.example",
            tls_context=tls,
            require_starttls=tls is not None,
            auth_required=password is not None,
            auth_require_tls=tls is not None,
            authenticator=_Passwords(password),
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._office.opened(transport)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's name
        if not self._office.has_next(Day.CUTS_INSIDE):
            await super().smtp_DATA(arg)
            return
        await self.push("354 go on")
        await self._reader.readline()
        self.transport.abort()


class _Passwords:
    def __init__(self, expected: bytes | None) -> None:
        self._expected = expected

    def __call__(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: object
    ) -> AuthResult:
        fits = isinstance(given, LoginPassword) and given.password == self._expected
        return AuthResult(success=fits, handled=False)


class _Rules:
    """What is answered; the names of the methods are aiosmtpd's."""

    def __init__(self, office: PostOffice) -> None:
        self._office = office

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._office.has_next(Day.NO_SUCH_SENDER):
            return "550 5.7.1 not from you"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._office.has_next(Day.NO_SUCH_MAILBOX):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        office = self._office
        day = office.days.popleft() if office.days else Day.GOOD
        if day is Day.NOT_NOW:
            return "451 4.3.0 come again"
        if day is Day.HANGS:
            await asyncio.sleep(3600)
        if day in (Day.GOOD, Day.TAKES_AND_CUTS):
            office.take(envelope)
        if day in (Day.CUTS_AFTER, Day.TAKES_AND_CUTS):
            server.transport.abort()
        return "250 taken"


@asynccontextmanager
async def post_office(
    *, tls: ssl.SSLContext | None = None, password: bytes | None = None
) -> AsyncIterator[PostOffice]:
    """Run one."""
    office = PostOffice(tls=tls, password=password)
    await office.open()
    try:
        yield office
    finally:
        await office.close()
