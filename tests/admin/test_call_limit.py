from datetime import timedelta

import pytest

from admin.call_limit import AGAIN_EVERY, MOST_AT_ONCE, CallLimit, TooManyCallsError
from tests.admin.small_town import MONDAY


def test_so_many_calls_at_once_and_then_as_many_as_fill_up_again() -> None:
    limit = CallLimit()
    for _ in range(MOST_AT_ONCE):
        limit.count(1, MONDAY)
    for _ in range(2):
        with pytest.raises(TooManyCallsError, match="again in 1 s"):
            limit.count(1, MONDAY)
    limit.count(2, MONDAY)
    limit.count(1, MONDAY + AGAIN_EVERY)
    with pytest.raises(TooManyCallsError):
        limit.count(1, MONDAY + AGAIN_EVERY)


def test_calls_of_before_a_clock_was_set_back_keep_nobody_waiting() -> None:
    limit = CallLimit()
    limit.count(1, MONDAY + timedelta(hours=1))
    limit.count(1, MONDAY)
    for _ in range(MOST_AT_ONCE - 1):
        limit.count(1, MONDAY)
    with pytest.raises(TooManyCallsError):
        limit.count(1, MONDAY)
