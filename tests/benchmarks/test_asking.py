"""The benchmark of asking itself: every part runs on little, and what does not fit together would be seen."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from admin import access_requests, submitting
from admin.database import Database
from categories.taxonomy import taxonomy
from policy.document import load_document
from tests.admin.small_town import listed
from tests.benchmarks.asking import main
from tests.benchmarks.large_town import asked, document, wrong_in

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)


def test_every_part_runs(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--requests", "40", "--kills", "2", "--inbox", "100", "--answers", "1"])
    printed = capsys.readouterr().out
    assert "40 requests decided by 20 heads at once" in printed
    assert "40 requests decided meanwhile, 2 kills; 0 undecided" in printed
    assert printed.count("; 0 things that do not fit together") == 2
    assert "a head's 50 open requests among 100" in printed
    assert "50 requests on the page" in printed
    assert "effect in both workers, 1 times" in printed


async def test_a_ticket_that_is_missing_or_an_answer_too_many_is_seen(tmp_path: Path) -> None:
    policy = load_document(document(), taxonomy()).policy
    async with Database.open(tmp_path / "towngate.db") as db:
        for number in (0, 10):
            await submitting.submit(db, policy, listed, asked(number), NOW)
            await access_requests.approve(db, policy, listed, number // 10 + 1, actor="head-0", at=NOW)
        assert await wrong_in(db, 2) == []
        async with db.transaction() as t:
            await t.execute("DELETE FROM letter WHERE kind = 'ticket' AND about = 'REQ-1'")
            await t.execute("UPDATE access_request SET decided_by = 'delegate-0' WHERE id = 2")
        found = await wrong_in(db, 2)
    assert [line.partition(" is ")[0] for line in found] == ["REQ-1", "REQ-2"]
