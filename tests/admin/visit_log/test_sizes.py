"""What the visit log takes on disk, and how much more a day."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from admin.database import Database
from admin.ingest import Ingest
from admin.visit_log.sizes import size_of
from policy.visit_record import VisitRecord
from tests.admin.small_town import standing_at, visit_record

DAY = timedelta(days=1)
END_OF_MAY = datetime(2026, 5, 31, 12, tzinfo=UTC)


@pytest.fixture
def arrive(db: Database, tmp_path: Path) -> Callable[..., object]:
    """Return what has visits arrive, one at each time."""
    folder = tmp_path / "spool"
    folder.mkdir()

    async def take_in(*times: datetime) -> None:
        for at in times:
            record: VisitRecord = visit_record(host=f"h{at:%m%d}.example", started_at=at)
            (folder / f"{at:%m%d}.visits").write_bytes(record.to_line())
            await Ingest(db, folder, standing_at(at)).take_in()

    return take_in


async def test_it_has_all_months_and_grows_by_those_of_late(
    db: Database, arrive: Callable[..., object]
) -> None:
    await arrive(END_OF_MAY - 100 * DAY, END_OF_MAY - 10 * DAY, END_OF_MAY + DAY)
    found = await size_of(db.visits, END_OF_MAY + 10 * DAY)
    files = {path.name: path.stat().st_size for path in db.visits.folder.glob("*.db*")}
    on_disk = {name: size for name, size in files.items() if not name.endswith("-shm")}
    assert found.months == 3 and found.size_bytes == sum(on_disk.values()) > 0
    assert found.free_bytes > 0 and abs(found.free_bytes - shutil.disk_usage(db.visits.folder).free) < 10**9
    # May and June, since the first of their visits 20 days ago; what was before is no growth of now.
    lately = sum(size for name, size in on_disk.items() if not name.startswith("2026-02"))
    assert found.bytes_a_day == round(lately / 20)


async def test_before_the_first_visit_there_is_nothing(db: Database) -> None:
    found = await size_of(db.visits, END_OF_MAY)
    assert (found.size_bytes, found.months, found.bytes_a_day) == (0, 0, None) and found.free_bytes > 0


@pytest.mark.parametrize("hours", [0, 23])
async def test_of_less_than_a_day_no_growth_is_known(
    hours: int, db: Database, arrive: Callable[..., object]
) -> None:
    await arrive(END_OF_MAY)
    found = await size_of(db.visits, END_OF_MAY + timedelta(hours=hours))
    assert (found.months, found.bytes_a_day) == (1, None) and found.size_bytes > 0


async def test_after_months_without_visits_it_does_not_grow(
    db: Database, arrive: Callable[..., object]
) -> None:
    await arrive(END_OF_MAY)
    assert (await size_of(db.visits, END_OF_MAY + 100 * DAY)).bytes_a_day is None
