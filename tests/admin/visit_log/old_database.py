"""A database of the first version, when visits were in a table of it."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from tests.admin.test_database import made_by_version

JANUARY = int(datetime(2026, 1, 31, 23, 59, tzinfo=UTC).timestamp() * 1000)


def old_database(path: Path) -> sqlite3.Connection:
    """Make one with twelve visits around the end of January."""
    database = made_by_version(path, 1)
    for number in range(12):
        began = JANUARY + number * 10_000
        database.execute(
            "INSERT INTO visit VALUES (NULL, ?, ?, ?, '10.0.0.1', 'clerk', NULL, 'finance', 'https',"
            " 'example.a.', 443, 'allow', 'tunnel', 'default', NULL, NULL, NULL, NULL, NULL, ?, 1, 2, 1,"
            " 'one', 'lists')",
            (began, began + 500, f"{number}", "gone" if number % 2 else None),
        )
    database.execute("INSERT INTO segment (name, position, bad_lines) VALUES ('1.visits', 7, 1)")
    database.execute("INSERT INTO bad_line VALUES ('1.visits', 3, 'no', x'00', 1)")
    return database
