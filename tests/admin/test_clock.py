from datetime import timedelta

import pytest

from admin.clock import is_within
from tests.admin.small_town import MONDAY


@pytest.mark.parametrize(("passed", "holds"), [(-1, False), (0, True), (59, True), (60, False)])
def test_a_time_is_within_a_minute_from_its_instant_on_and_never_before_it(
    passed: int, *, holds: bool
) -> None:
    assert is_within(timedelta(minutes=1), MONDAY, MONDAY + timedelta(seconds=passed)) is holds
