"""What a state folder needs before anything can run: made once, kept ever after."""

import json
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from admin import accounts, ask_key
from admin.atomic_file import write_atomically
from admin.database import Database
from admin.state_folder import StateFolder, StateFolderError
from categories.default_sources import DefaultSource, default_sources
from categories.publishing import publish_starter_if_empty

DEMO_PEOPLE = (
    *("clerk", "head", "finance-delegate", "parks-head", "police-chief"),
    *("helpdesk", "it", "administrator", "auditor"),
)

_DEMO_POLICY = Path(__file__).with_name("demo_policy.yaml")
_FIRST_SETTINGS = Path(__file__).with_name("first_settings.yaml")


def make_ready(state: StateFolder) -> None:
    """Make what is missing beside the policy: folders, the ask key, the starter list as categories.

    Raises StateFolderError when the folder cannot be written to, KeyFileError when the key is bad.
    """
    state.create()
    ask_key.ensure(state.ask_token_key)
    publish_starter_if_empty(state.categories)


async def first_start(
    state: StateFolder, policy_document: str, passwords: Mapping[str, str], settings_document: str = ""
) -> None:
    """Begin a town: let these people (person ids) sign in, then write its settings and its policy.

    Settings that are there already stay. In this order, so that what is cut short is a first start
    again: policy.yaml says that it is not.
    """
    make_ready(state)
    async with Database.open(state.database) as db:
        for person, password in passwords.items():
            now = datetime.now(UTC)
            await accounts.set_password(db, person, password, "admin", actor="first start", now=now)
    if settings_document and not state.settings_document.exists():
        write_atomically(state.settings_document, settings_document.encode())
    write_atomically(state.policy_document, policy_document.encode())


def first_settings() -> str:
    """Return the settings that a town begins with: the default lists, every night."""
    sources = "\n".join(line for source in default_sources() for line in _as_settings(source))
    return _FIRST_SETTINGS.read_text().replace("{default_sources}", sources)


def _as_settings(source: DefaultSource) -> Iterator[str]:
    yield f"    # {source.name}: {source.good_for}"
    yield f"    # licence: {source.licence}"
    if source.off_because:
        yield f"    # not used: {source.off_because}"
    category = f", category: {source.category}" if source.category else ""
    sign = "" if source.is_on else "# "
    yield f'    {sign}{source.name}: {{location: "{source.location}"{category}}}'


async def start_demo(state: StateFolder) -> dict[str, str]:
    """Make the demo town ready, and return its people's passwords.

    They are kept readable beside the database, so that each start can say them; that file also says
    that the folder is the demo's. Raises StateFolderError for a real town's folder.
    """
    kept = state.admin / "demo-passwords.json"
    if state.policy_document.exists():
        if not kept.exists():
            raise StateFolderError(
                f"{state.root}: a real town's state folder, which the demo leaves alone; "
                "choose another with --state"
            )
        make_ready(state)
        return dict(json.loads(kept.read_text()))
    state.create()
    passwords = {person: _password() for person in DEMO_PEOPLE}
    write_atomically(kept, json.dumps(passwords).encode(), mode=0o600)
    # Without settings: the demo asks nobody else for anything.
    await first_start(state, demo_policy(), passwords)
    return passwords


def demo_policy() -> str:
    """Return the demo town's policy document."""
    return _DEMO_POLICY.read_text()


def _password() -> str:
    # Letters that are not taken for another, in groups: it is read from one screen and typed at another.
    letters = "abcdefghijkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(3))
