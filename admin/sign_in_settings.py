"""The section `sign_in` of settings.yaml: signing in with a town account, by OpenID Connect.

sign_in:
  openid_connect:
    issuer: https://login.town.example/realms/town   # as the provider itself writes it
    client_id: towngate
    client_secret_file: openid-secret
    person_claim: preferred_username                 # which claim says who it is: a person's id; or email
    claim_domain: town.example                       # what stands behind an @ in it, and is cut off
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from categories.host_name import canonical_host
from policy.document_value import Value

EMAIL = "email"
"""The claim that is compared with the mail addresses of people."""
EMAIL_VERIFIED = "email_verified"
"""Whether the provider made sure that EMAIL is theirs."""

_CLAIM = re.compile(r"[A-Za-z][A-Za-z0-9_.:/-]{0,99}")
_DISCOVERY = "/.well-known/"
_OTHERWISE = "write it like https://login.town.example"


@dataclass(frozen=True, slots=True)
class OpenIdConnectSettings:
    """The provider that knows the town's accounts, and which of its claims says who somebody is.

    The value of `person_claim` is a person's id, without "@" and `claim_domain` where there is one; that
    of EMAIL is a person's mail address.
    """

    issuer: str
    client_id: str
    person_claim: str
    client_secret: str = field(repr=False)
    client_secret_file: Path | None = None
    claim_domain: str | None = None

    @property
    def host(self) -> str:
        """The provider's host, as people read it."""
        return urlsplit(self.issuer).hostname or ""


def is_secure(url: str) -> bool:
    """Whether a URL is https, or goes to this machine's loopback by its address."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def read_sign_in(
    value: Value, read_secret: Callable[[str], tuple[str, Path]]
) -> OpenIdConnectSettings | None:
    """Read the section; None where it is left out. What is wrong is reported."""
    if not value.is_given:
        return None
    section = value.fields(required=("openid_connect",))["openid_connect"]
    if not section.is_given:
        return None
    fields = section.fields(
        required=("issuer", "client_id", "client_secret_file", "person_claim"), optional=("claim_domain",)
    )
    issuer, claim = fields["issuer"].parsed(_issuer), fields["person_claim"].parsed(_claim)
    client_id = fields["client_id"].text()
    secret = fields["client_secret_file"].parsed(read_secret)
    domain = fields["claim_domain"].parsed(_domain)
    if claim == EMAIL and fields["claim_domain"].is_given:
        fields["claim_domain"].report("email is compared with whole mail addresses; leave claim_domain out")
    if issuer is None or claim is None or not client_id or secret is None:
        return None
    return OpenIdConnectSettings(issuer, client_id, claim, *secret, claim_domain=domain)


def _issuer(text: str) -> str:
    if "@" in text:
        # Not shown: it may be a password.
        raise ValueError(f"holds a name or password; {_OTHERWISE}")
    if _DISCOVERY in text:
        raise ValueError(f"{text!r}: leave out {text[text.index(_DISCOVERY) :]!r}; it is found by itself")
    try:
        url = urlsplit(text)
        has_place = bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}; {_OTHERWISE}") from error
    is_plain = text.isascii() and text.isprintable() and not (url.query or url.fragment)
    if url.scheme not in ("http", "https") or not has_place or not is_plain:
        raise ValueError(f"{text!r} is no issuer; {_OTHERWISE}")
    if not is_secure(text):
        raise ValueError(f"{text!r}: who signs in would be told in the clear; {_OTHERWISE}")
    return text


def _claim(text: str) -> str:
    if not _CLAIM.fullmatch(text):
        raise ValueError(f"{text!r} is no claim; preferred_username and email are usual ones")
    return text


def _domain(text: str) -> str:
    try:
        return canonical_host(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no domain; write it like town.example") from error
