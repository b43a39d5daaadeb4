"""Handing one message to the town's mail server, by SMTP.

A message counts as handed over when the server says so after its last line. Where the line is cut
between the two nobody knows; it is handed over again then, under the same Message-ID, as RFC 5321
(4.2.5, 6.1) has it: mail systems that drop what they have seen drop it by that. So a letter is never lost,
and comes twice only if the server took it and could not say so.
"""

import asyncio
import os
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage

import aiosmtplib

from admin.letters.carrier import CarrierError, PutOffError, RefusedError
from admin.settings import MailSettings, StartTls


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each answer is waited for, in seconds.

    `connect`: until we are let in. `taken`: after the last line of a message, where giving up may send
    it twice.
    """

    connect: float = 10
    answer: float = 30
    taken: float = 300


async def hand_over(
    message: EmailMessage,
    settings: MailSettings,
    *,
    patience: Patience | None = None,
    trust: ssl.SSLContext | None = None,
) -> None:
    """Hand a message over. `trust` is the system's unless given.

    Raises CarrierError while nothing was said of the message, PutOffError or RefusedError after.
    """
    patience = patience or Patience()
    sender, to = settings.sender.addr_spec, message["To"].addresses[0].addr_spec
    server = await _connected(settings, patience, trust or ssl.create_default_context())
    try:
        await _mail_from(server, sender)
        await _hand_over(server, to, message.as_bytes(), patience)
        # It is taken: how the server says good-bye changes nothing.
        with suppress(aiosmtplib.SMTPException, OSError):
            await server.quit(timeout=patience.connect)
    finally:
        server.close()


async def _connected(settings: MailSettings, patience: Patience, trust: ssl.SSLContext) -> aiosmtplib.SMTP:
    server = aiosmtplib.SMTP(
        hostname=settings.host,
        port=settings.port,
        use_tls=settings.is_tls,
        start_tls=False,
        tls_context=trust,
        local_hostname=socket.gethostname(),
        timeout=patience.answer,
    )
    try:
        async with asyncio.timeout(patience.connect):
            await server.connect()
            if not settings.is_tls and settings.starttls is StartTls.REQUIRED:
                await _start_tls(server, settings)
            if settings.user is not None:
                await server.login(settings.user, settings.password or "")
    except TimeoutError as error:
        server.close()
        raise CarrierError(f"no answer in {patience.connect:g} s") from error
    except aiosmtplib.SMTPAuthenticationError as error:
        server.close()
        raise CarrierError(f"the server does not take the user and password: {_said(error)}") from error
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        server.close()
        raise CarrierError(f"cannot connect to {settings.host}:{settings.port}: {_said(error)}") from error
    return server


async def _start_tls(server: aiosmtplib.SMTP, settings: MailSettings) -> None:
    try:
        await server.starttls()
    except aiosmtplib.SMTPException as error:
        if server.is_ehlo_or_helo_needed or server.supports_extension("starttls"):
            raise
        server.close()
        raise CarrierError(
            f"{settings.host}:{settings.port} offers no STARTTLS, so no mail was sent in the clear;"
            " if it is a server on this network, write 'starttls: never' in settings.yaml"
        ) from error


async def _mail_from(server: aiosmtplib.SMTP, sender: str) -> None:
    """Say who sends. What the server has against that, it has against every letter."""
    try:
        await server.mail(sender)
    except (aiosmtplib.SMTPException, OSError) as error:
        raise CarrierError(f"the server takes nothing from {sender}: {_said(error)}") from error


async def _hand_over(server: aiosmtplib.SMTP, to: str, message: bytes, patience: Patience) -> None:
    try:
        await server.rcpt(to)
        await server.data(message, timeout=patience.taken)
    except aiosmtplib.SMTPResponseException as error:
        if 500 <= error.code < 600:
            raise RefusedError(f"{to}: {_said(error)}") from error
        raise PutOffError(f"{to}: {_said(error)}") from error
    except (aiosmtplib.SMTPException, OSError) as error:
        # A timeout is an OSError.
        raise PutOffError(f"{to}: {_said(error)}") from error


def _said(error: Exception) -> str:
    cause = error.__cause__
    if isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError) and cause.errno:
        # asyncio's own words name the address once more; a name that is not known has no such number.
        return os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return " ".join(f"{error.code} {error.message}".split())[:200]
    # It ends within sentences of ours.
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
