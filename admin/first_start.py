"""What a state folder needs before anything can run: made once, kept ever after."""

import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from admin import accounts, ask_key
from admin.atomic_file import write_atomically
from admin.database import Database
from admin.state_folder import StateFolder
from categories.publishing import publish_starter_if_empty

DEMO_PEOPLE = ("clerk", "head", "parks-head", "helpdesk", "it", "administrator")

_DEMO_POLICY = Path(__file__).with_name("demo_policy.yaml")


def make_ready(state: StateFolder, policy_document: str) -> None:
    """Make what is missing: folders, policy.yaml, the ask key, the starter list as categories.

    Raises StateFolderError when the folder cannot be written to.
    """
    state.create()
    if not state.policy_document.exists():
        write_atomically(state.policy_document, policy_document.encode())
    ask_key.ensure(state.ask_token_key)
    publish_starter_if_empty(state.categories)


async def set_first_passwords(state: StateFolder, passwords: Mapping[str, str]) -> None:
    """Let these people sign in to the admin site, by person id."""
    async with Database.open(state.database) as db:
        for person, password in passwords.items():
            await accounts.set_password(
                db, person, password, "admin", actor="first start", now=datetime.now(UTC)
            )


async def demo_passwords(state: StateFolder) -> dict[str, str]:
    """Return the demo town's passwords, making them at its first start.

    They are kept readable beside the database, for the demo alone, so that each start can say them.
    """
    path = state.admin / "demo-passwords.json"
    if path.exists():
        return dict(json.loads(path.read_text()))
    passwords = {person: _password() for person in DEMO_PEOPLE}
    await set_first_passwords(state, passwords)
    write_atomically(path, json.dumps(passwords).encode(), mode=0o600)
    return passwords


def _password() -> str:
    # Letters that are not taken for another, in groups: it is read from one screen and typed at another.
    letters = "abcdefghijkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(3))


def demo_policy() -> str:
    """Return the demo town's policy document."""
    return _DEMO_POLICY.read_text()
