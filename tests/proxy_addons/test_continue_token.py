"""The code behind Continue: good for one client, one host and a quarter of an hour."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from policy.ask_token import AskToken
from policy.visit import Client
from proxy_addons.continue_token import CONTINUE_PATH, LIFETIME, ContinueTokenError, seal, unseal
from tests.people import CLERK_AT_WORK, SOMEONE_IN_PARKS

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
KEY = b"k" * 32
HOST = "shop.example"
TOKEN = seal("/boots/", KEY, CLERK_AT_WORK, HOST, NOW)
ASK_TOKEN = AskToken(HOST, None, None, None, None, (), "clerk", None, None, "1", "K7M-4QP", NOW).seal(KEY)


def test_token_leads_on_to_the_path_that_was_asked_for() -> None:
    assert unseal(TOKEN, KEY, CLERK_AT_WORK, HOST, NOW + timedelta(minutes=14)) == ("/boots/", None)


def test_token_names_neither_the_client_nor_the_host() -> None:
    body = base64.urlsafe_b64decode(TOKEN.partition(".")[0] + "==")
    assert b"/boots/" in body and b"clerk" not in body and b"127" not in body and b"shop" not in body


@pytest.mark.parametrize(
    ("path", "onward"),
    [
        ("/a/b;c=%20", "/a/b;c=%20"),
        ("//other.example/", "//other.example/"),
        ("/caf\u00e9", "/"),
        ("/a\r\nSet-Cookie: x", "/"),
        ("*", "/"),
        ("", "/"),
        ("/" + "a" * 500, "/"),
        (CONTINUE_PATH, "/"),
    ],
)
def test_path_that_cannot_be_gone_on_to_becomes_the_first_page(path: str, onward: str) -> None:
    assert unseal(seal(path, KEY, CLERK_AT_WORK, HOST, NOW), KEY, CLERK_AT_WORK, HOST, NOW).path == onward


@pytest.mark.parametrize(
    ("text", "client", "host", "after", "reason"),
    [
        (TOKEN, SOMEONE_IN_PARKS, HOST, timedelta(0), "made for someone or something else"),
        (TOKEN, Client(CLERK_AT_WORK.address), HOST, timedelta(0), "made for someone or something else"),
        (TOKEN, CLERK_AT_WORK, "www.shop.example", timedelta(0), "made for someone or something else"),
        (TOKEN, CLERK_AT_WORK, HOST, LIFETIME, "over 15 minutes old"),
        (TOKEN, CLERK_AT_WORK, HOST, -timedelta(minutes=2), "over 15 minutes old"),
        (TOKEN[:-2] + "xx", CLERK_AT_WORK, HOST, timedelta(0), "altered"),
        ("A" + TOKEN[1:], CLERK_AT_WORK, HOST, timedelta(0), "altered"),
        (ASK_TOKEN, CLERK_AT_WORK, HOST, timedelta(0), "altered"),
        ("", CLERK_AT_WORK, HOST, timedelta(0), "altered"),
        ("a.b.c", CLERK_AT_WORK, HOST, timedelta(0), "altered"),
        ("\u00e9.\u00e9", CLERK_AT_WORK, HOST, timedelta(0), "altered"),
        ("a" * 100_000, CLERK_AT_WORK, HOST, timedelta(0), "altered"),
    ],
)
def test_token_of_anything_else_is_refused(
    text: str, client: Client, host: str, after: timedelta, reason: str
) -> None:
    with pytest.raises(ContinueTokenError, match=reason):
        unseal(text, KEY, client, host, NOW + after)
