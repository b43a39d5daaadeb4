"""What the limits of the policy leave a person today."""

from typing import Self

from pydantic import BaseModel, Field

from admin.api.operation import Call, Listed, Nothing
from admin.quota_use import Left
from admin.web.words import plain
from policy.town_policy import Per


class QuotaLeft(BaseModel):
    """What is left today of a limit that is a quota: bytes both ways, or time, whichever it is of."""

    limit: str = Field(description="The limit's id in the policy.")
    says: str = Field(description='In words, like "1.4 GB of 2 GB".')
    left_bytes: int | None
    left_seconds: int | None
    is_used_up: bool
    of_department: bool = Field(description="All of the department use it together.")

    @classmethod
    def of(cls, one: Left) -> Self:
        """Return it as programs read it."""
        quota = one.limit.quota
        is_of_time = quota is not None and quota.duration is not None
        return cls(
            limit=one.limit.id,
            says=plain(one.words),
            left_bytes=None if is_of_time else one.left.size_bytes,
            left_seconds=int(one.left.duration.total_seconds()) if is_of_time else None,
            is_used_up=one.is_used_up,
            of_department=quota is not None and quota.per is Per.DEPARTMENT,
        )


async def list_quotas(call: Call[Nothing, Nothing]) -> Listed[QuotaLeft]:
    """List what you have left today of each quota that is about you, in the policy's order."""
    left = await call.admin.quota_use.left(call.session)
    return Listed[QuotaLeft](items=[QuotaLeft.of(one) for one in left])
