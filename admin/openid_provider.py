"""The OpenID provider: its discovery document and keys, and what it tells of whoever signed in there.

All of it goes through `categories.fetching`: at most 10 seconds and 1 MB each, no redirects, private
addresses only at the issuer's own host. Document and keys are kept for a minute; whoever signs in waits 3
seconds for each.
"""

import asyncio
import functools
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeGuard
from urllib.parse import quote

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.discovery import get_well_known_url
from joserfc.jwk import Key

from admin.clock import Clock, is_within
from admin.id_token import Expected, IdTokenError, claims_of, read_keys
from admin.sign_in_settings import EMAIL, EMAIL_VERIFIED, OpenIdConnectSettings, is_loopback, is_secure
from categories.fetching import FetchError, Limits, exchange

ANSWERS_WITHIN = timedelta(seconds=10)
# Somebody waits to be sent there, and can use a password instead.
TELLS_ITSELF_WITHIN = timedelta(seconds=3)
_LARGEST_BYTES = 1_000_000
# So long nobody is told that a provider is away, and a key that it has withdrawn is trusted.
_KEPT_FOR = timedelta(minutes=1)
# Who waits while somebody else finds the provider away does not wait as long again.
_FAILED_FOR = timedelta(seconds=5)
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_SCOPES = "openid profile email"
_LONGEST_ERROR = 200
# Of its own: a provider that is silent holds up nothing else that waits for a thread.
_ASKING = ThreadPoolExecutor(max_workers=4, thread_name_prefix="openid-provider")


class ProviderError(Exception):
    """The provider is away, or cannot be used as it is; nobody is signed in by it. Says why, for IT."""


class CodeRefusedError(Exception):
    """The provider knows nothing of the code that a browser brought, or not any more."""


@dataclass(frozen=True, slots=True)
class SignInSecrets:
    """What one sign-in is told from all others by. `verifier` is shown to the provider alone (PKCE)."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class _Known:
    """What the provider says of itself, and the keys that it signs with."""

    document: Mapping[str, Any]
    keys: tuple[Key, ...]
    fetched_at: datetime


class OpenIdProvider:
    """One provider, as the settings name it. Its answers are kept while they do."""

    def __init__(self, settings: OpenIdConnectSettings, redirect_uri: str, clock: Clock) -> None:
        self.settings = settings
        self._redirect_uri = redirect_uri
        self._clock = clock
        self._known: _Known | None = None
        self._failed: tuple[datetime, ProviderError] | None = None
        self._fetching = asyncio.Lock()

    async def sign_in_url(self, secrets: SignInSecrets) -> str:
        """Return where a browser goes to sign in. Raises ProviderError."""
        known = await self._up_to_date()
        url: str = prepare_grant_uri(
            known.document["authorization_endpoint"],
            self.settings.client_id,
            "code",
            redirect_uri=self._redirect_uri,
            scope=_SCOPES,
            state=secrets.state,
            nonce=secrets.nonce,
            code_challenge=create_s256_code_challenge(secrets.verifier),
            code_challenge_method="S256",
        )
        return url

    async def who_signed_in(self, code: str, issuer: str | None, secrets: SignInSecrets) -> dict[str, Any]:
        """Return the claims about whoever came back with a code; `issuer` is what the browser was given.

        1. the issuer is ours, where it is told (RFC 9207)
        2. the code is exchanged for an ID token, which is validated
        3. what it does not say of the person, userinfo does, of the same subject

        Raises ProviderError, CodeRefusedError, IdTokenError.
        """
        known = await self._up_to_date()
        is_told = known.document.get("authorization_response_iss_parameter_supported") is True
        if (issuer is None and is_told) or issuer not in (None, self.settings.issuer):
            raise IdTokenError("the answer is of another issuer")
        tokens = await self._tokens(known, code, secrets.verifier)
        access_token = tokens.get("access_token")
        expected = Expected(
            self.settings.issuer,
            self.settings.client_id,
            secrets.nonce,
            access_token if isinstance(access_token, str) else None,
        )
        claims = claims_of(tokens["id_token"], known.keys, expected, self._clock())
        wanted = self._wanted()
        if wanted <= claims.keys() or expected.access_token is None:
            return claims
        return claims | await self._userinfo(known, claims["sub"], expected.access_token)

    async def look(self) -> int:
        """Fetch all anew; return how many keys there are. Raises ProviderError."""
        async with self._fetching:
            return len((await self._fetched(ANSWERS_WITHIN)).keys)

    async def _up_to_date(self) -> _Known:
        async with self._fetching:
            now = self._clock()
            if self._known is not None and is_within(_KEPT_FOR, self._known.fetched_at, now):
                return self._known
            if self._failed is not None and is_within(_FAILED_FOR, self._failed[0], now):
                raise self._failed[1]
            return await self._fetched(TELLS_ITSELF_WITHIN)

    async def _fetched(self, within: timedelta) -> _Known:
        try:
            self._known = await self._fetch(within)
        except ProviderError as error:
            self._failed = self._clock(), error
            raise
        self._failed = None
        return self._known

    async def _fetch(self, within: timedelta) -> _Known:
        issuer = self.settings.issuer
        url = get_well_known_url(issuer, external=True)
        document = await self._json(url, within)
        if document.get("issuer") != issuer:
            raise ProviderError(
                f"{url} is of the issuer {str(document.get('issuer'))[:_LONGEST_ERROR]!r}, not {issuer!r}"
            )
        for name in _ENDPOINTS:
            if not self._is_usable(document.get(name)):
                raise ProviderError(f"{url}: its {name} is no https:// address")
        url = document["jwks_uri"]
        try:
            return _Known(document, tuple(read_keys(await self._json(url, within))), self._clock())
        except ValueError as error:
            raise ProviderError(f"{url}: {error}") from error

    def _is_usable(self, url: object) -> TypeGuard[str]:
        # What is asked at this machine itself is for a provider that is there, too.
        return isinstance(url, str) and (
            url.startswith("https://") or (is_loopback(self.settings.host) and is_secure(url))
        )

    async def _tokens(self, known: _Known, code: str, verifier: str) -> Mapping[str, Any]:
        settings, url = self.settings, known.document["token_endpoint"]
        body = prepare_token_request(
            "authorization_code", redirect_uri=self._redirect_uri, code=code, code_verifier=verifier
        )
        methods = known.document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if "client_secret_basic" in methods:
            # Encoded as a form before it is Basic (RFC 6749, section 2.3.1).
            auth = ClientAuth(
                quote(settings.client_id, safe=""),
                quote(settings.client_secret, safe=""),
                "client_secret_basic",
            )
        else:
            auth = ClientAuth(settings.client_id, settings.client_secret, "client_secret_post")
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        url, headers, body = auth.prepare("POST", url, headers, body)
        status, answer = await self._ask(url, body.encode(), headers, ANSWERS_WITHIN)
        tokens = _object(answer)
        if status == 400 and tokens.get("error") == "invalid_grant":
            raise CodeRefusedError
        if status != 200 or not isinstance(tokens.get("id_token"), str):
            why = str(tokens.get("error", "no ID token"))[:_LONGEST_ERROR]
            raise ProviderError(f"{url} answered {status}: {why}")
        return tokens

    async def _userinfo(self, known: _Known, subject: str, access_token: str) -> dict[str, Any]:
        url = known.document.get("userinfo_endpoint")
        if not self._is_usable(url):
            return {}
        said = await self._json(url, ANSWERS_WITHIN, {"Authorization": f"Bearer {access_token}"})
        if said.get("sub") != subject:
            raise IdTokenError("userinfo tells of somebody else than the ID token")
        return {name: said[name] for name in self._wanted() & said.keys()}

    def _wanted(self) -> set[str]:
        claim = self.settings.person_claim
        return {claim, EMAIL_VERIFIED} if claim == EMAIL else {claim}

    async def _json(
        self, url: str, within: timedelta, headers: Mapping[str, str] | None = None
    ) -> Mapping[str, Any]:
        status, answer = await self._ask(url, None, {"Accept": "application/json", **(headers or {})}, within)
        found = _object(answer)
        if status != 200 or not found:
            raise ProviderError(f"{url} answered {status}{'' if found else ', and no JSON object'}")
        return found

    async def _ask(
        self, url: str, body: bytes | None, headers: Mapping[str, str], within: timedelta
    ) -> tuple[int, bytes]:
        limits = Limits(size_bytes=_LARGEST_BYTES, duration=within, silence=within)
        ask = functools.partial(
            exchange, url, body, headers, private_hosts=(self.settings.host,), limits=limits
        )
        try:
            async with asyncio.timeout(within.total_seconds()):
                return await asyncio.get_running_loop().run_in_executor(_ASKING, ask)
        except FetchError as error:
            raise ProviderError(str(error)) from error
        except TimeoutError as error:
            raise ProviderError(f"{url}: no answer in {within.total_seconds():g} s") from error


def _object(answer: bytes) -> Mapping[str, Any]:
    """Return a JSON object; an empty one for anything else."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
