"""Who makes a connection: the proxy's side of identity, with Proxy Basic sign-in (RFC 7617)."""

import asyncio
import base64
import binascii
import hashlib
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from mitmproxy import http

from policy.town_policy import UnknownAction
from policy.visit import Client
from proxy_addons import egress_metrics
from proxy_addons.judge import Judge

logger = logging.getLogger(__name__)

_REMEMBER_SECONDS = 300.0
_REMEMBER_WRONG_SECONDS = 30.0
_MAX_REMEMBERED = 10_000
_MAX_WRONG = 10
_WRONG_WITHIN_SECONDS = 60.0
_SAY_WRONG_EVERY_SECONDS = 60.0
# The hash of a password that was thrown away: what a name nobody has is compared with, so that
# how long an answer takes does not tell names apart.
_NOBODYS_HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$YIC6ndwmxlcZirRPtixgKA$0Q4tDjoDXEggKszub1v58IQahpZECmswVeNjBnX3iGk"
)


class SignInRequiredError(Exception):
    """The client must send a name and a proxy password that are right (407)."""


class ClientIdentity:
    """Tells clients apart by address and sign-in.

    A password is checked in a thread, two at a time, because argon2id takes tens of milliseconds
    by design; the answer is remembered for minutes under a keyed digest, never as the password.
    After ten wrong ones from an address within a minute, no further one from there is checked. Wrong
    ones are logged with their address, once a minute: the name may be a password in the wrong field.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._checking = asyncio.Semaphore(2)
        self._memory_key = secrets.token_bytes(32)
        self._remembered: dict[bytes, tuple[float, bool]] = {}
        self._checks: dict[bytes, asyncio.Task[bool]] = {}
        self._wrong: dict[str, deque[float]] = {}
        self._wrong_said_at: dict[str, float] = {}

    async def identify(self, address: str, headers: http.Headers, in_force: Callable[[], Judge]) -> Client:
        """Return who makes a request, and take the password out of its headers.

        `in_force` returns the judge to go by; there may be another one when the password has been
        checked. Raises SignInRequiredError when name and password are wrong, or missing where
        policy wants them.
        """
        person = None
        authorization = headers.pop("Proxy-Authorization", None)
        if authorization is not None:
            person, password = _basic_credentials(authorization)
            if not await self._is_right(address, person, password, in_force()):
                raise SignInRequiredError
        judge = in_force()
        client = judge.identities.identify(address, signed_in=person, at=datetime.now(UTC))
        if not client.is_known and judge.policy.unknown is UnknownAction.SIGN_IN:
            raise SignInRequiredError
        return client

    def known_now(self, address: str, authorization: str | None, judge: Judge) -> Client | None:
        """Return who makes a request, as far as that is known without checking a password.

        None when one has to be checked, was wrong, or is missing: `identify` says which.
        """
        person = None
        if authorization is not None:
            try:
                person, password = _basic_credentials(authorization)
            except SignInRequiredError:
                return None
            key, stored = self._key_of(person, password, judge)
            until, is_right = self._remembered.get(key, (0.0, False))
            if stored is None or not is_right or until <= time.monotonic():
                return None
        client = judge.identities.identify(address, signed_in=person, at=datetime.now(UTC))
        return client if client.is_known else None

    async def _is_right(self, address: str, person: str, password: str, judge: Judge) -> bool:
        key, known = self._key_of(person, password, judge)
        stored = known or _NOBODYS_HASH
        until, is_right = self._remembered.get(key, (0.0, False))
        if until > time.monotonic():
            return is_right
        check = self._checks.get(key)
        if check is None:
            if self._tries_too_often(address):
                egress_metrics.SIGN_INS.labels("too_many").inc()
                self._say_wrong(address)
                return False
            # A browser opens many connections at once: they share one check.
            check = self._checks[key] = asyncio.create_task(self._check(key, address, stored, password))
        return await asyncio.shield(check) and known is not None

    def _key_of(self, person: str, password: str, judge: Judge) -> tuple[bytes, str | None]:
        """Return the key under which an answer is remembered, and the person's hash if there is one."""
        known = judge.snapshot.proxy_passwords.get(person) if person in judge.policy.people else None
        # The stored hash is part of the key, so that a changed password is not remembered.
        text = "\0".join((person, known or _NOBODYS_HASH, password)).encode()
        return hashlib.blake2b(text, key=self._memory_key, digest_size=16).digest(), known

    def _tries_too_often(self, address: str) -> bool:
        wrong = self._wrong.get(address)
        if wrong is None:
            return False
        while wrong and wrong[0] < time.monotonic() - _WRONG_WITHIN_SECONDS:
            wrong.popleft()
        if not wrong:
            del self._wrong[address]
        return len(wrong) >= _MAX_WRONG

    async def _check(self, key: bytes, address: str, stored: str, password: str) -> bool:
        try:
            async with self._checking:
                is_right = await asyncio.to_thread(self._verify, stored, password)
        finally:
            del self._checks[key]
        egress_metrics.SIGN_INS.labels("right" if is_right else "wrong").inc()
        if not is_right:
            self._wrong.setdefault(address, deque()).append(time.monotonic())
            self._say_wrong(address)
        seconds = _REMEMBER_SECONDS if is_right else _REMEMBER_WRONG_SECONDS
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[key] = (time.monotonic() + seconds, is_right)
        return is_right

    def _say_wrong(self, address: str) -> None:
        now = time.monotonic()
        if now - self._wrong_said_at.get(address, -_SAY_WRONG_EVERY_SECONDS) < _SAY_WRONG_EVERY_SECONDS:
            return
        if len(self._wrong_said_at) >= _MAX_REMEMBERED:
            self._wrong_said_at.clear()
        self._wrong_said_at[address] = now
        logger.warning("proxy password wrong: address=%s in_a_minute=%d", address, len(self._wrong[address]))

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False


def sign_in_response(town_name: str) -> http.Response:
    """Return the answer that makes a browser ask for a name and a password."""
    realm = "".join(c for c in town_name if c.isascii() and c.isprintable() and c not in '"\\')
    return http.Response.make(
        407,
        b"Sign in with your name and proxy password.",
        {
            "Proxy-Authenticate": f'Basic realm="{realm} web access", charset="UTF-8"',
            "Content-Type": "text/plain; charset=utf-8",
            "Cache-Control": "no-store",
        },
    )


def _basic_credentials(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise SignInRequiredError
    try:
        person, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise SignInRequiredError from error
    if not colon:
        raise SignInRequiredError
    return person, password
