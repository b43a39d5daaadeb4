"""A real database in a file, for every test of admin; passwords are hashed cheaply."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from admin import accounts
from admin.database import Database


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    """Return an empty database, open."""
    async with Database.open(tmp_path / "towngate.db") as database:
        yield database


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hash passwords with the least work: tests sign in by the hundred."""
    monkeypatch.setattr(accounts, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    accounts._hash_of_nothing.cache_clear()
    yield
    accounts._hash_of_nothing.cache_clear()
