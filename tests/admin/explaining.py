"""How SQL would be run: by an index, or by reading a table whole."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from admin.database import Database, Row, Value


class Explaining:
    """A database, or a transaction, that reads how each statement would be run in place of running it."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.steps: list[str] = []

    @property
    def read_whole(self) -> list[str]:
        """The steps that read a table from its beginning to its end."""
        return [step for step in self.steps if step.startswith("SCAN") and "subquery" not in step]

    async def fetch_all(self, sql: str, *params: Value) -> list[Row]:
        rows = await self._db.fetch_all(f"EXPLAIN QUERY PLAN {sql}", *params)
        self.steps += [row["detail"] for row in rows]
        return []

    async def fetch_one(self, sql: str, *params: Value) -> Row | None:
        await self.fetch_all(sql, *params)
        return None

    async def execute(self, sql: str, *params: Value) -> int:
        await self.fetch_all(sql, *params)
        return 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Self]:
        yield self
