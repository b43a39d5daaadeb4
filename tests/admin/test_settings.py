import asyncio
import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from admin.first_start import first_settings
from admin.settings import MailSettings, Network, Settings, StartTls, WebhookSettings, read_settings
from admin.settings_file import SettingsError, SettingsFile
from admin.state_folder import StateFolder
from policy.problem import PolicyError

README = Path(read_settings.__code__.co_filename).with_name("README.md").read_text(encoding="utf-8")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DOCUMENT = """\
mail:
  server: smtp://mail.town.example
  from: Towngate <towngate@town.example>
  user: towngate
  password_file: mail-password
webhook:
  url: https://desk.town.example/hooks/towngate
  secret_file: webhook-secret
"""


def openid(issuer: str, more: str = "") -> str:
    return (
        f"sign_in: {{openid_connect: {{issuer: '{issuer}', client_id: towngate,"
        f" client_secret_file: mail-password, person_claim: {more or 'preferred_username'}}}}}"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mail-password").write_text("correct horse\n")
    (tmp_path / "webhook-secret").write_text(f"{SECRET}\n")
    (tmp_path / "openid-secret").write_text("correct horse\n")
    (tmp_path / "empty").write_text("\n")
    return tmp_path


def mail(changed: str) -> str:
    return f"mail: {{server: 'smtp://mail.town.example', from: 'towngate@town.example', {changed}}}"


def server(address: str) -> str:
    return f"mail: {{server: '{address}', from: 'towngate@town.example'}}"


def webhook(url: str, more: str = "") -> str:
    return f"webhook: {{url: '{url}', secret_file: webhook-secret{more}}}"


def test_settings_are_read_with_the_secrets_they_name(folder: Path) -> None:
    settings = read_settings(DOCUMENT, folder)
    assert settings.mail is not None
    assert settings.webhook is not None
    assert (settings.mail.host, settings.mail.port, settings.mail.is_tls) == ("mail.town.example", 587, False)
    assert (settings.mail.starttls, settings.mail.user) == (StartTls.REQUIRED, "towngate")
    assert str(settings.mail.sender) == "Towngate <towngate@town.example>"
    assert settings.mail.password == "correct horse"
    assert settings.webhook.network is Network.PUBLIC
    assert len(settings.webhook.secret) == 24
    assert "horse" not in repr(settings)
    assert repr(settings.webhook.secret) not in repr(settings)


@pytest.mark.parametrize("text", ["", "\n", "# mail:\n#   server: smtp://mail\n", "{}", "---\n"])
def test_settings_may_say_nothing(text: str, folder: Path) -> None:
    assert read_settings(text, folder) == Settings()


def test_tls_from_the_first_byte_has_a_port_of_its_own(folder: Path) -> None:
    settings = read_settings(server("smtps://mail.town.example"), folder)
    assert isinstance(settings.mail, MailSettings)
    assert (settings.mail.is_tls, settings.mail.port) == (True, 465)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000/hook", "http://10.1.2.3/hook", "https://[::1]/hook"])
def test_a_private_address_as_the_webhooks_host_is_meant(url: str, folder: Path) -> None:
    settings = read_settings(webhook(url), folder)
    assert isinstance(settings.webhook, WebhookSettings)
    assert settings.webhook.network is Network.INTERNAL


@pytest.mark.parametrize(
    "issuer", ["https://login.town.example/realms/town", "http://127.0.0.1:8080", "http://[::1]/"]
)
def test_town_accounts_have_a_provider_and_a_secret_of_a_file(issuer: str, folder: Path) -> None:
    settings = read_settings(openid(issuer, "upn, claim_domain: Town.example"), folder).openid_connect
    assert settings is not None
    assert (settings.issuer, settings.client_id, settings.client_secret) == (
        issuer,
        "towngate",
        "correct horse",
    )
    assert (settings.person_claim, settings.claim_domain) == ("upn", "town.example")
    assert "horse" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- mail", "settings are needed here"),
        ("mial: {}", "'mial' is not a key here (nearest: 'mail')"),
        ("mail:", "'server' is missing"),
        (mail("servr: x"), "mail.servr: 'servr' is not a key here (nearest: 'server')"),
        (server("http://mail"), "mail.server: 'http://mail' cannot be used; write it like smtp://"),
        (server("smtp://mail:99999"), "Port out of range"),
        (server("smtp://mail:0"), "cannot be used"),
        (server("smtp://"), "cannot be used"),
        (server("smtp://mail/inbox"), "more than a mail server"),
        (server("smtp://towngate:hunter2@mail"), "they belong into 'user' and 'password_file'"),
        ("mail: {server: 'smtp://m', from: 'Towngate'}", "mail.from: 'Towngate' is not a sender"),
        ("mail: {server: 'smtp://m', from: \"a@b.c\\nBcc: d@e.f\"}", "is not a sender"),
        ("mail: {server: 'smtp://m', from: 'a b@town.example'}", "is not a sender"),
        (mail("starttls: maybe"), "'maybe' is not a way to use TLS (there are: required, never)"),
        (mail("user: towngate"), "mail: user and password_file are given both or neither"),
        (mail("user: towngate, password_file: mail-password, starttls: never"), "sent in the clear"),
        (mail("user: towngate, password_file: nowhere"), "nowhere': No such file or directory"),
        (mail("user: towngate, password_file: empty"), "is empty or too long"),
        (mail("user: towngate, password_file: ."), "Is a directory"),
        (
            "mail: {server: 'smtps://m', from: a@b.c, starttls: never}",
            "smtps:// is TLS from the first byte; leave starttls out",
        ),
        (webhook("desk.town.example/hook"), "webhook.url: 'desk.town.example/hook' cannot be used"),
        (webhook("https://u:p@desk.town.example/"), "holds a name or password"),
        (webhook("http://desk.town.example/hook"), "write https://, or 'network: internal'"),
        (webhook("https://desk.town.example/", ", network: intranet"), "'intranet' is not a network"),
        ("webhook: {url: 'https://d.example/', secret_file: mail-password}", "holds no webhook secret"),
        ("sign_in:", "sign_in: 'openid_connect' is missing"),
        ("sign_in: {openid_conect: {}}", "'openid_conect' is not a key here (nearest: 'openid_connect')"),
        (
            "sign_in: {openid_connect: {issuer: 'https://l'}}",
            "sign_in.openid_connect: 'client_id' is missing",
        ),
        (
            openid("http://login.town.example"),
            "issuer: 'http://login.town.example': who signs in would be told",
        ),
        (openid("http://localhost:8080"), "who signs in would be told in the clear"),
        (openid("login.town.example"), "'login.town.example' is no issuer; write it like https://"),
        (openid("https://login.town.example/?realm=town"), "is no issuer"),
        (openid("https://towngate:hunter2@login.town.example"), "holds a name or password"),
        (openid("https://l.example/.well-known/openid-configuration"), "leave out '/.well-known/openid-conf"),
        (openid("https://l.example:99999"), "Port out of range"),
        (openid("https://l.example", "'who is it'"), "person_claim: 'who is it' is no claim"),
        (openid("https://l.example", "email, claim_domain: town.example"), "leave claim_domain out"),
        (openid("https://l.example", "upn, claim_domain: 'a b'"), "claim_domain: 'a b' is no domain"),
        (openid("https://l.example").replace("mail-password", "nowhere"), "nowhere': No such file"),
    ],
)
def test_what_cannot_be_used_is_said_with_its_place(text: str, problem: str, folder: Path) -> None:
    with pytest.raises(PolicyError) as refused:
        read_settings(text, folder)
    assert problem in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_every_problem_is_reported_at_once(folder: Path) -> None:
    with pytest.raises(PolicyError) as refused:
        read_settings("mail: {servr: x}\nwebhok: {}\n", folder)
    assert len(refused.value.problems) == 4


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


async def test_settings_with_problems_change_nothing_but_what_is_said_of_them(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "admin.settings_file")
    state = StateFolder(folder)
    state.settings_document.write_text(DOCUMENT)
    file = SettingsFile(state)
    await file.start()
    running = file.settings
    watching = asyncio.create_task(file.watch())
    try:
        state.settings_document.write_text(DOCUMENT.replace("server", "servr"))
        await until(lambda: bool(file.problems))
        assert file.settings == running
        assert "problem=settings.yaml: line 2: mail.servr: 'servr'" in caplog.text
        caplog.clear()
        assert file.problems[0].startswith("settings.yaml: line 2: mail: 'server' is missing")
        state.settings_document.write_text(DOCUMENT.replace("mail.town", "post.town"))
        await until(lambda: not file.problems)
        assert file.settings.mail is not None
        assert file.settings.mail.host == "post.town.example"
        assert "settings in force: mail=post.town.example:" in caplog.text
        assert "correct horse" not in caplog.text
    finally:
        watching.cancel()


async def test_another_secret_is_taken_up_and_a_lost_one_leaves_the_running_one(folder: Path) -> None:
    state = StateFolder(folder)
    state.settings_document.write_text(DOCUMENT)
    file = SettingsFile(state)
    await file.start()
    watching = asyncio.create_task(file.watch())
    try:
        (folder / "mail-password").unlink()
        await until(lambda: bool(file.problems))
        assert file.settings.mail is not None
        assert file.settings.mail.password == "correct horse"
        (folder / "mail-password").write_text("battery staple")
        await until(lambda: not file.problems)
        assert file.settings.mail.password == "battery staple"
    finally:
        watching.cancel()


async def test_an_unreadable_secret_stops_the_start(folder: Path) -> None:
    state = StateFolder(folder)
    state.settings_document.write_text(DOCUMENT)
    (folder / "webhook-secret").unlink()
    with pytest.raises(SettingsError, match=r"line 8: webhook.secret_file: .*No such file.*\n.*start again"):
        await SettingsFile(state).start()


async def test_no_settings_are_settings(tmp_path: Path) -> None:
    file = SettingsFile(StateFolder(tmp_path))
    await file.start()
    assert file.settings == Settings()


def test_the_readmes_settings_are_read(folder: Path) -> None:
    example = README.partition("## The settings")[2].partition("```yaml\n")[2].partition("```")[0]
    settings = read_settings(example, folder)
    assert settings.mail is not None
    assert settings.webhook is not None
    assert settings.openid_connect is not None


def test_the_first_settings_can_be_filled_in_by_taking_signs_away(folder: Path) -> None:
    lines = [
        re.sub(r"^# (?=mail:|webhook:|pac:|sign_in:|  )", "", line) for line in first_settings().splitlines()
    ]
    text = "\n".join(lines).replace("/etc/towngate/", "")
    settings = read_settings(text, folder)
    assert settings.mail is not None
    assert settings.webhook is not None
    assert settings.pac is not None
    assert settings.openid_connect is not None
