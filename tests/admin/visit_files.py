"""What is written in the files of the visit log, whatever month it is in."""

from admin.database import Database, Row, Value


async def in_visit_files(db: Database, sql: str, *params: Value) -> list[Row]:
    """Return the rows of a query of every month, the oldest first."""
    found: list[Row] = []
    for month in reversed(await db.visits.months()):
        async with db.visits.reading(month) as file:
            found += await file.fetch_all(sql, *params)
    return found
