"""Signing in with a town account: at the town's OpenID provider, and back.

What tells one sign-in from another (state, nonce, PKCE's verifier) is kept here, for ten minutes, for the
browser that began it alone, and for one answer. A restart of admin forgets it: who is at the provider then
begins again.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from admin import accounts, audit, roles, sessions
from admin.audit import Event, EventKind
from admin.clock import Clock, is_within
from admin.database import Database, Transaction
from admin.id_token import IdTokenError
from admin.openid_provider import CodeRefusedError, OpenIdProvider, ProviderError, SignInSecrets
from admin.request_moves import left
from admin.sessions import Opened, Session
from admin.sign_in_settings import EMAIL, EMAIL_VERIFIED, OpenIdConnectSettings
from policy.town_policy import Policy

logger = logging.getLogger(__name__)

RETURN_PATH = "/sign-in/town-account/done"
"""Where the provider sends browsers back to; below the admin site's address it is the redirect URI."""

HOW = "openid_connect"
"""How the audit log calls this way of signing in."""

_BEGUN_FOR = timedelta(minutes=10)
# Some 5 MB. Only who begins thousands within ten minutes has an earlier one forgotten.
_MOST_BEGUN = 10_000
_LONGEST_NAME = 100


class Refusal(Enum):
    """Why somebody was not signed in with their town account."""

    NOT_SET = "not_set"
    """The settings name no provider."""
    TROUBLE = "trouble"
    """The provider is away, or what it says cannot be used."""
    STALE = "stale"
    """Begun over ten minutes ago, in another browser, answered already, or before a restart."""
    NOT_COMPLETED = "not_completed"
    """The provider did not sign them in."""
    UNKNOWN = "unknown"
    """They are no person of the town."""
    CLOSED = "closed"
    """They are closed."""


class TownAccountError(Exception):
    """Nobody was signed in; the browser's session is as before."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of a look at the provider. `problem` is None when it went well."""

    at: datetime
    keys: int
    problem: str | None


@dataclass(frozen=True, slots=True)
class _Begun:
    provider: OpenIdProvider
    secrets: SignInSecrets
    browser: str
    next_path: str
    at: datetime
    address: str | None
    is_counted: bool


@dataclass(frozen=True, slots=True)
class _Found:
    """Who the claims are of, or why they are nobody's. `name` is what the provider calls them."""

    name: str
    person: str | None
    why: str = ""


class TownAccount:
    """Signs people in by the provider of the settings in force."""

    def __init__(
        self,
        db: Database,
        settings: Callable[[], OpenIdConnectSettings | None],
        policy: Callable[[], Policy],
        document: Callable[[], Policy],
        admin_url: str,
        clock: Clock,
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`policy` is the running one, `document` the same with people who are closed."""
        self._db = db
        self._settings = settings
        self._policy = policy
        self._document = document
        self._clock = clock
        self._wait = wait
        self.redirect_uri = admin_url.rstrip("/") + RETURN_PATH
        self._provider: OpenIdProvider | None = None
        self._begun: dict[str, _Begun] = {}
        self._looked: tuple[OpenIdProvider, Looked] | None = None

    @property
    def is_set(self) -> bool:
        """Whether the settings name a provider."""
        return self._settings() is not None

    async def begin(self, browser: str, next_path: str, *, address: str | None = None) -> str:
        """Return the provider's address to go to; what comes back is taken from `browser` alone.

        After 50 from one address within 15 minutes that signed nobody in, more are begun late, and each has
        the oldest of that address forgotten. Raises TownAccountError.
        """
        provider = self._current()
        async with self._db.transaction() as t:
            is_late = await accounts.count_from(t, address, self._clock())
        if is_late:
            await self._wait(accounts.LATE_SECONDS)
        signing_in = SignInSecrets(*(secrets.token_urlsafe(32) for _ in range(3)))
        try:
            url = await provider.sign_in_url(signing_in)
        except ProviderError as error:
            raise _trouble(error) from error
        self._forget_old()
        if is_late:
            self._forget_oldest_of(address)
        self._begun[signing_in.state] = _Begun(
            provider, signing_in, browser, next_path, self._clock(), address, not is_late
        )
        return url

    def wanted_path(self, browser: str, answer: Mapping[str, str]) -> str:
        """Return the path that was wanted where this browser began what the provider answers; else "/"."""
        begun = self._begun.get(answer.get("state", ""))
        return begun.next_path if begun is not None and _is_of(begun, browser) else "/"

    async def finish(self, browser: str, answer: Mapping[str, str], previous: Session | None) -> Opened:
        """Take the provider's answer; return the session of whoever signed in.

        1. it is the first answer to what this browser began
        2. the provider says who it is (OpenIdProvider.who_signed_in)
        3. that is a person of the running policy, and not closed meanwhile; else it is recorded as refused

        Raises TownAccountError, and TooManyTriesError for somebody who was refused 5 times.
        """
        begun = self._begun.pop(answer.get("state", ""), None)
        if (
            begun is None
            or begun.provider is not self._current()
            or not is_within(_BEGUN_FOR, begun.at, self._clock())
            or not _is_of(begun, browser)
        ):
            raise TownAccountError(Refusal.STALE)
        claims = await self._claims(begun, answer)
        found = self._person_of(claims, begun.provider.settings)
        if found.person is None or found.person not in self._policy().people:
            raise await self._refuse(found)
        async with self._db.transaction() as t:
            if await left(t, found.person) is None:
                if begun.is_counted:
                    await accounts.forget_from(t, begun.address)
                duties = roles.duties_of(self._policy(), found.person)
                opened = await sessions.open_signed_in(t, found.person, self._clock(), previous, duties)
                event = Event(EventKind.SIGNED_IN, found.person, found.person, self._clock(), {"how": HOW})
                await audit.record(t, event)
                return opened
        raise await self._refuse(found)

    async def look(self, session: Session) -> None:
        """Ask the provider what it says of itself; see `looked`.

        Raises NotAllowedError but for IT security.
        """
        otherwise = "Settings: only IT security sees and tries them."
        roles.person_with(roles.runs_towngate, self._policy(), session, otherwise)
        try:
            provider = self._current()
        except TownAccountError:
            return
        keys, problem = 0, None
        try:
            keys = await provider.look()
        except ProviderError as error:
            problem = str(error)
        self._looked = provider, Looked(self._clock(), keys, problem)

    @property
    def looked(self) -> Looked | None:
        """What came of the last look since the start, None for another provider, or with another secret."""
        if self._looked is None or self._looked[0].settings != self._settings():
            return None
        return self._looked[1]

    def _current(self) -> OpenIdProvider:
        settings = self._settings()
        if settings is None:
            raise TownAccountError(Refusal.NOT_SET)
        if self._provider is None or self._provider.settings != settings:
            self._provider = OpenIdProvider(settings, self.redirect_uri, self._clock)
        return self._provider

    def _forget_old(self) -> None:
        # In the order in which they were begun.
        now = self._clock()
        for state, begun in list(self._begun.items()):
            if is_within(_BEGUN_FOR, begun.at, now) and len(self._begun) < _MOST_BEGUN:
                break
            del self._begun[state]

    def _forget_oldest_of(self, address: str | None) -> None:
        oldest = next((state for state, begun in self._begun.items() if begun.address == address), None)
        self._begun.pop(oldest or "", None)

    async def _claims(self, begun: _Begun, answer: Mapping[str, str]) -> dict[str, Any]:
        code = answer.get("code", "")
        if "error" in answer or not code:
            logger.info("town account: not signed in error=%r", answer.get("error", "")[:_LONGEST_NAME])
            raise TownAccountError(Refusal.NOT_COMPLETED)
        try:
            return await begun.provider.who_signed_in(code, answer.get("iss"), begun.secrets)
        except CodeRefusedError as error:
            raise TownAccountError(Refusal.STALE) from error
        except (ProviderError, IdTokenError) as error:
            raise _trouble(error) from error

    def _person_of(self, claims: Mapping[str, Any], settings: OpenIdConnectSettings) -> _Found:
        people = self._document().people
        claim = settings.person_claim
        value = claims.get(claim)
        if not isinstance(value, str) or not value:
            return _Found("", None, f"the provider told no {claim}")
        name = value.lower()
        if claim == EMAIL:
            if claims.get(EMAIL_VERIFIED) is not True:
                return _Found(name, None, "the provider has not verified the mail address")
            having = [person for person, record in people.items() if record.mail.lower() == name]
            if len(having) != 1:
                return _Found(name, None, f"the mail address is that of {len(having)} people, not of one")
            return _Found(name, having[0])
        if settings.claim_domain is not None:
            id_, _, domain = name.rpartition("@")
            if domain != settings.claim_domain:
                return _Found(name, None, f"the {claim} is not of {settings.claim_domain}")
        else:
            id_ = name
        return _Found(name, id_ if id_ in people else None, f"no person of the policy has the {claim}")

    async def _refuse(self, found: _Found) -> TownAccountError:
        """Record that somebody was refused; return what they are told. Raises TooManyTriesError."""
        who = found.person or HOW
        name = found.name[:_LONGEST_NAME]
        is_closed = found.person is not None
        why = "the person is closed" if is_closed else found.why
        async with self._db.transaction() as t:
            await self._count(t, name)
            details: dict[str, audit.Detail] = {"how": HOW, "name": name, "why": why}
            await audit.record(t, Event(EventKind.SIGN_IN_REFUSED, who, who, self._clock(), details))
        return TownAccountError(Refusal.CLOSED if is_closed else Refusal.UNKNOWN)

    async def _count(self, t: Transaction, name: str) -> None:
        # Not under the name alone, which would close it for its password.
        await accounts.count_try(t, f"town account {name}", self._clock())


def _is_of(begun: _Begun, browser: str) -> bool:
    return secrets.compare_digest(begun.browser.encode(), browser.encode())


def _trouble(error: Exception) -> TownAccountError:
    logger.warning("town account: cannot be used because=%s", error)
    return TownAccountError(Refusal.TROUBLE)
