"""settings.yaml: how this installation reaches others, as the policy says what it does.

Optional. Read as the policy document is, whole, with every problem at its place. Secrets are in files of
their own, named from the state folder, and read with it: what cannot be read is a problem like others.
A section is one reader here and one frozen dataclass.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.utils import parseaddr
from enum import StrEnum
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from admin.audit_settings import AuditSettings, read_audit
from admin.list_settings import ListSettings, read_lists
from admin.pac import PacSettings, read_pac
from admin.sign_in_settings import OpenIdConnectSettings, read_sign_in
from categories.fetching import named_private_host
from policy import notation
from policy.document_value import Findings, Value
from policy.problem import PolicyError
from policy.yaml_tree import Mapping, compose

_SMTP_PORTS = {"smtp": 587, "smtps": 465}
_MAX_SECRET_BYTES = 4096
# Standard Webhooks: 24 to 64 random bytes, in base64 behind this.
_WEBHOOK_SECRET_FORM = re.compile(r"(?:whsec_)?([A-Za-z0-9+/]+={0,2})")
_SECTIONS = ("mail", "webhook", "lists", "pac", "audit", "sign_in")


class StartTls(StrEnum):
    """Whether a connection that begins in the clear must turn to TLS before anything is said."""

    REQUIRED = "required"
    NEVER = "never"


class Network(StrEnum):
    """Where a target may be."""

    PUBLIC = "public"
    INTERNAL = "internal"
    """Its host may have a private address."""


@dataclass(frozen=True, slots=True)
class MailSettings:
    """The server that takes our mail. `is_tls`: from the first byte, which leaves nothing to `starttls`."""

    host: str
    port: int
    is_tls: bool
    starttls: StartTls
    sender: Address
    user: str | None
    password: str | None = field(repr=False)
    password_file: Path | None = None

    @property
    def is_encrypted(self) -> bool:
        """Whether nothing is sent without TLS."""
        return self.is_tls or self.starttls is StartTls.REQUIRED


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where tickets are posted, signed with `secret`. Only an internal host may have a private address."""

    url: str
    network: Network
    secret: bytes = field(repr=False)
    secret_file: Path | None = None

    @property
    def host(self) -> str:
        """The host that is dialled, as people read it."""
        return urlsplit(self.url).hostname or ""


@dataclass(frozen=True, slots=True)
class Settings:
    """What settings.yaml says; mail, webhook, pac and openid_connect are None where they are left out.

    `secret_files` were read for it.
    """

    mail: MailSettings | None = None
    webhook: WebhookSettings | None = None
    lists: ListSettings = field(default_factory=ListSettings)
    pac: PacSettings | None = None
    audit: AuditSettings = field(default_factory=AuditSettings)
    openid_connect: OpenIdConnectSettings | None = None
    secret_files: tuple[Path, ...] = ()


def read_settings(text: str, folder: Path) -> Settings:
    """Read the document; the names of files are as seen from `folder`.

    Raises PolicyError with every problem, in the order of the lines.
    """
    if all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines()):
        return Settings()
    findings = Findings()
    root = Value(compose(text), "", findings, 1, 1)
    if not isinstance(root.node, Mapping) and not root.is_empty:
        root.report("settings are needed here: mail, webhook, lists, pac, audit, sign_in")
    sections = root.fields(optional=_SECTIONS)
    secrets = _Secrets(folder)
    settings = Settings(
        mail=_mail(sections["mail"], secrets) if sections["mail"].is_given else None,
        webhook=_webhook(sections["webhook"], secrets) if sections["webhook"].is_given else None,
        lists=read_lists(sections["lists"], folder),
        pac=read_pac(sections["pac"]),
        audit=read_audit(sections["audit"], folder),
        openid_connect=read_sign_in(sections["sign_in"], secrets.password),
        secret_files=tuple(secrets.files),
    )
    if findings.problems:
        raise PolicyError(tuple(sorted(findings.problems)))
    return settings


def _mail(value: Value, secrets: "_Secrets") -> MailSettings | None:
    fields = value.fields(required=("server", "from"), optional=("starttls", "user", "password_file"))
    server = fields["server"].parsed(_mail_server)
    sender = fields["from"].parsed(_sender)
    starttls = fields["starttls"].member(StartTls, "a way to use TLS") or StartTls.REQUIRED
    user = fields["user"].text() or None
    password, password_file = fields["password_file"].parsed(secrets.password) or (None, None)
    if fields["user"].is_given is not fields["password_file"].is_given:
        value.report("user and password_file are given both or neither")
    if server is None or sender is None:
        return None
    is_tls = server.scheme == "smtps"
    if is_tls and fields["starttls"].is_given:
        fields["starttls"].report("smtps:// is TLS from the first byte; leave starttls out")
    is_here = server.hostname in ("localhost", "127.0.0.1", "::1")
    if user and not is_tls and starttls is StartTls.NEVER and not is_here:
        fields["starttls"].report("the password would be sent in the clear; write 'required', or smtps://")
    return MailSettings(
        host=server.hostname or "",
        port=server.port or _SMTP_PORTS[server.scheme],
        is_tls=is_tls,
        starttls=starttls,
        sender=sender,
        user=user,
        password=password,
        password_file=password_file,
    )


def _webhook(value: Value, secrets: "_Secrets") -> WebhookSettings | None:
    fields = value.fields(required=("url", "secret_file"), optional=("network",))
    network = fields["network"].member(Network, "a network") or Network.PUBLIC
    url = fields["url"].parsed(_web_url)
    found = fields["secret_file"].parsed(secrets.webhook_secret)
    if url is None or found is None:
        return None
    if named_private_host(url) is not None:
        network = Network.INTERNAL
    if url.startswith("http:") and network is Network.PUBLIC:
        fields["url"].report("tickets hold names and reasons; write https://, or 'network: internal'")
    return WebhookSettings(url, network, *found)


class _Secrets:
    """Reads secrets from files, and remembers which."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files: list[Path] = []

    def password(self, name: str) -> tuple[str, Path]:
        text, path = self._read(name)
        if not text.isprintable():
            raise ValueError(f"{name!r} holds more than one line; a password is one")
        return text, path

    def webhook_secret(self, name: str) -> tuple[bytes, Path]:
        text, path = self._read(name)
        found = _WEBHOOK_SECRET_FORM.fullmatch(text)
        try:
            secret = base64.b64decode(found[1], validate=True) if found else b""
        except binascii.Error:
            secret = b""
        if not 24 <= len(secret) <= 64:
            raise ValueError(
                f"{name!r} holds no webhook secret: 24 to 64 random bytes in base64, with or without whsec_"
                " before it; 'openssl rand -base64 32' makes one"
            )
        return secret, path

    def _read(self, name: str) -> tuple[str, Path]:
        path = self._folder / name
        self.files.append(path)
        try:
            with path.open("rb") as file:
                text = file.read(_MAX_SECRET_BYTES + 1).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
            raise ValueError(
                f"{str(path)!r}: {why}; it must hold the secret, for admin's user to read"
            ) from error
        if not text or len(text) > _MAX_SECRET_BYTES:
            raise ValueError(f"{str(path)!r} is empty or too long for a secret")
        return text, path


def _mail_server(text: str) -> SplitResult:
    otherwise = "write it like smtp://mail.town.example:587 or smtps://mail.town.example"
    server = _split(text, tuple(_SMTP_PORTS), otherwise)
    if server.path.strip("/") or server.query:
        raise ValueError(f"{text!r} is more than a mail server; {otherwise}")
    return server


def _web_url(text: str) -> str:
    _split(text, ("http", "https"), "write it like https://desk.town.example/hook")
    return text


def _split(text: str, schemes: tuple[str, ...], otherwise: str) -> SplitResult:
    if "@" in text:
        # Not shown: it may be a password.
        raise ValueError("holds a name or password; they belong into 'user' and 'password_file'")
    try:
        url = urlsplit(text)
        has_place = bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}; {otherwise}") from error
    if url.scheme not in schemes or not has_place or not text.isascii() or not text.isprintable():
        raise ValueError(f"{text!r} cannot be used; {otherwise}")
    return url


def _sender(text: str) -> Address:
    name, address = parseaddr(text)
    try:
        return Address(display_name=name, addr_spec=notation.mail_address(address))
    except ValueError as error:
        raise ValueError(
            f"{text!r} is not a sender; write it like Towngate <towngate@town.example>"
        ) from error
